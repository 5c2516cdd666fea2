import CPKCS11
import Cryptography
import Foundation
import TestSupport
import Testing

@testable import KMSPKCS11

extension WithSoftHSM {
    @Suite struct LoginTests {
        @Test func `a wrong PIN is refused, and the right one is taken afterwards`() throws {
            #expect(throws: PKCS11Error.loginRefused(.login, CKR_PIN_INCORRECT)) {
                try SoftHSM.open(pin: "wrong horse")
            }
            try SoftHSM.withToken { token in
                #expect(token.isConnected)
                #expect(token.description?.label == SoftHSM.tokenLabel)
            }
        }

        @Test func `an empty PIN is refused`() throws {
            let error = failure { () throws(PKCS11Error) in
                try PKCS11Token.open(
                    PKCS11Module.load(path: SoftHSM.modulePath ?? ""),
                    PKCS11TokenSelector(label: SoftHSM.tokenLabel) ?? .unfindable, pin: secret(""))
            }
            #expect(error?.condition == .refused)
        }

        @Test func `a token has one user at a time, and closing it logs out`() throws {
            let token = try SoftHSM.open()
            let selector = try labelled(SoftHSM.tokenLabel)
            #expect(throws: PKCS11Error.tokenInUse(selector)) { try SoftHSM.open() }
            #expect(throws: PKCS11Error.tokenInUse(selector)) {
                try SoftHSM.open(pin: "wrong horse")
            }
            #expect(try token.randomBytes(count: 1).count == 1)
            token.close()
            #expect(!token.isConnected)
            #expect(
                failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) } == .closed)
            #expect(failure { () throws(PKCS11Error) in try token.reconnect() } == .closed)
            // The login has really ended, or the token would not look at the PIN.
            #expect(throws: PKCS11Error.loginRefused(.login, CKR_PIN_INCORRECT)) {
                try SoftHSM.open(pin: "wrong horse")
            }
            try SoftHSM.open().close()
        }

        @Test func `the PIN is kept no longer than the token is open`() throws {
            weak var kept: SecretBytes?
            func open() throws -> PKCS11Token {
                let pin = secret(SoftHSM.pin)
                kept = pin
                return try PKCS11Token.open(
                    SoftHSM.module(), labelled(SoftHSM.tokenLabel), pin: pin)
            }
            let token = try open()
            #expect(kept != nil)
            token.close()
            #expect(kept == nil)
            extendLifetime(token)
        }

        @Test func `a token that nobody holds any more is closed`() throws {
            for _ in 0..<3 { _ = try SoftHSM.open() }
            try SoftHSM.open().close()
        }

        @Test func `two tokens of one module are in use at once`() throws {
            try SoftHSM.withToken { token in
                let other = try SoftHSM.open(SoftHSM.otherLabel)
                defer { other.close() }
                let id = try newKeyID()
                _ = try token.makeKey(id, label: "")
                #expect(try other.findKey(id) == nil)
                _ = try other.makeKey(id, label: "")
                let box = try token.encrypt(secret("x"), authenticating: [], under: id)
                #expect(
                    failure { () throws(PKCS11Error) in
                        try other.decrypt(box, authenticating: [], under: id)
                    } == .notAuthentic)
                try token.destroyKey(id)
                #expect(try other.findKey(id) != nil)
            }
        }

        @Test func `a token is found by its serial number where labels don't tell`() throws {
            let twins = try SoftHSM.module().slots().compactMap(\.token)
                .filter { $0.label == SoftHSM.twinLabel }
            #expect(twins.count == 2)
            #expect(throws: PKCS11Error.ambiguousToken(try labelled(SoftHSM.twinLabel))) {
                try SoftHSM.open(SoftHSM.twinLabel)
            }
            for twin in twins {
                let selector = try #require(
                    PKCS11TokenSelector(label: SoftHSM.twinLabel, serial: twin.serial))
                let token = try PKCS11Token.open(
                    SoftHSM.module(), selector, pin: secret(SoftHSM.pin))
                #expect(token.description?.serial == twin.serial)
                token.close()
            }
        }

        @Test func `a token that is not there is absent`() throws {
            let selector = try labelled("no such token")
            #expect(throws: PKCS11Error.tokenAbsent(selector)) {
                try SoftHSM.open("no such token")
            }
            #expect(PKCS11Error.tokenAbsent(selector).condition == .unavailable)
        }

        @Test func `a token that was made later is found when that disturbs nobody`() throws {
            try SoftHSM.withToken { token in
                try SoftHSM.makeToken("gamma")
                #expect(throws: PKCS11Error.tokenAbsent(try labelled("gamma"))) {
                    try SoftHSM.open("gamma")
                }
                #expect(try token.randomBytes(count: 1).count == 1)
            }
            try SoftHSM.open("gamma").close()
        }
    }

    @Suite struct LossTests {
        @Test func `a token that is taken away is unavailable, and back when it is back`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                _ = try token.makeKey(id, label: "")
                let box = try token.encrypt(secret("before"), authenticating: [], under: id)
                let module = try SoftHSM.module()
                try SoftHSM.withoutTokens {
                    let errors = [
                        failure { () throws(PKCS11Error) in
                            try token.decrypt(box, authenticating: [], under: id)
                        },
                        failure { () throws(PKCS11Error) in
                            try token.encrypt(secret("x"), authenticating: [], under: id)
                        },
                        failure { () throws(PKCS11Error) in try token.findKey(id) },
                        failure { () throws(PKCS11Error) in try token.makeKey(id, label: "") },
                        failure { () throws(PKCS11Error) in try token.destroyKey(id) },
                        failure { () throws(PKCS11Error) in try token.reconnect() },
                        failure { () throws(PKCS11Error) in try module.slots() },
                    ]
                    for error in errors { #expect(error?.condition == .unavailable) }
                    #expect(!token.isConnected)
                }
                #expect(
                    bytes(try token.decrypt(box, authenticating: [], under: id))
                        == Array("before".utf8))
                #expect(token.isConnected)
                try token.destroyKey(id)
            }
        }

        @Test func `a token that comes back unnoticed is used again`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                _ = try token.makeKey(id, label: "")
                for _ in 0..<3 {
                    try SoftHSM.withoutTokens {
                        // SoftHSM looks when it is asked for something.
                        _ = try? SoftHSM.module().slots()
                    }
                    let box = try token.encrypt(secret("x"), authenticating: [], under: id)
                    #expect(bytes(try token.decrypt(box, authenticating: [], under: id)) == [0x78])
                }
                try token.destroyKey(id)
            }
        }

        @Test func `two tokens that are taken away both come back`() throws {
            try SoftHSM.withToken { token in
                let other = try SoftHSM.open(SoftHSM.otherLabel)
                defer { other.close() }
                let id = try newKeyID()
                for token in [token, other] { _ = try token.makeKey(id, label: "") }
                try SoftHSM.withoutTokens {
                    for token in [token, other] {
                        #expect(
                            failure { () throws(PKCS11Error) in
                                try token.encrypt(secret("x"), authenticating: [], under: id)
                            }?.condition == .unavailable)
                    }
                }
                for token in [token, other] {
                    let box = try token.encrypt(secret("x"), authenticating: [], under: id)
                    #expect(bytes(try token.decrypt(box, authenticating: [], under: id)) == [0x78])
                    try token.destroyKey(id)
                }
            }
        }

        @Test func `threads that lose the token all find it again`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                _ = try token.makeKey(id, label: "")
                let box = try token.encrypt(secret("before"), authenticating: [], under: id)
                let errors = Collected<PKCS11Error?>()
                try SoftHSM.withoutTokens {
                    inThreads(8) { _ in
                        errors.add(
                            failure { () throws(PKCS11Error) in
                                try token.decrypt(box, authenticating: [], under: id)
                            })
                    }
                }
                #expect(errors.all.count == 8)
                for error in errors.all { #expect(error?.condition == .unavailable) }
                let outcomes = Collected<PKCS11Error?>()
                inThreads(8) { _ in
                    outcomes.add(
                        failure { () throws(PKCS11Error) in
                            try token.decrypt(box, authenticating: [], under: id)
                        })
                }
                #expect(outcomes.all == [PKCS11Error?](repeating: nil, count: 8))
                try token.destroyKey(id)
            }
        }

        @Test func `a failure to connect is the answer for a while, unless somebody insists`()
            throws
        {
            var options = PKCS11Token.Options()
            options.reconnectPause = .seconds(3600)
            try SoftHSM.withToken(options: options) { token in
                let id = try newKeyID()
                _ = try token.makeKey(id, label: "")
                var error: PKCS11Error?
                try SoftHSM.withoutTokens {
                    error = failure { () throws(PKCS11Error) in try token.findKey(id) }
                    #expect(error?.condition == .unavailable)
                }
                #expect(failure { () throws(PKCS11Error) in try token.findKey(id) } == error)
                try token.reconnect()
                #expect(try token.findKey(id) != nil)
                try token.destroyKey(id)
            }
        }

        @Test func `a key that another program destroyed is missing`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                _ = try token.makeKey(id, label: "")
                let box = try token.encrypt(secret("x"), authenticating: [], under: id)
                let raw = try SoftHSM.raw()
                defer { raw.close() }
                try raw.destroyKey(id)
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.decrypt(box, authenticating: [], under: id)
                    } == .keyMissing(id))
                #expect(token.isConnected)
            }
        }

        @Test func `a key whose file was removed is missing`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                let before = try SoftHSM.objectFiles()
                _ = try token.makeKey(id, label: "")
                let box = try token.encrypt(secret("x"), authenticating: [], under: id)
                let made = try SoftHSM.objectFiles().subtracting(before)
                #expect(made.count == 1)
                for file in made { try FileManager.default.removeItem(atPath: file) }
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.decrypt(box, authenticating: [], under: id)
                    } == .keyMissing(id))
                #expect(token.isConnected)
            }
        }
    }

    @Suite struct LoadingTests {
        @Test func `one library is one module, whatever its path`() throws {
            let path = try #require(SoftHSM.modulePath)
            let link = SoftHSM.directory + "/link.so"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
            let module = try PKCS11Module.load(path: path)
            #expect(try PKCS11Module.load(path: path) === module)
            #expect(try PKCS11Module.load(path: link) === module)
        }
    }
}

extension PKCS11TokenSelector {
    fileprivate static var unfindable: Self {
        guard let selector = Self(label: "there is none") else {
            preconditionFailure("a label was given")
        }
        return selector
    }
}

@Suite struct LoadingTests {
    @Test func `a path that leads to no library says what is there`() throws {
        try withTemporaryDirectory { directory in
            func reason(_ path: String) -> String? {
                let error = failure { () throws(PKCS11Error) in try PKCS11Module.load(path: path) }
                guard case .cannotLoad(path, let reason) = error else { return nil }
                #expect(error?.condition == .refused)
                return reason
            }
            let text = directory + "/text.so"
            try "not a library".write(toFile: text, atomically: true, encoding: .utf8)
            try Command("mkfifo", directory + "/fifo").run()

            #expect(reason(directory + "/missing.so") == "No such file or directory")
            #expect(reason(directory) == "it is not a regular file")
            #expect(reason(directory + "/fifo") == "it is not a regular file")
            #expect(reason("libsofthsm2.so") == "the path is not absolute")
            #expect(reason("") == "the path is not absolute")
            #expect(reason(text)?.contains("file too short") == true)
            try String(repeating: "no library ", count: 1000)
                .write(toFile: text, atomically: true, encoding: .utf8)
            #expect(reason(text)?.contains("invalid ELF header") == true)
        }
    }

    @Test func `a library that is no PKCS#11 module is refused`() throws {
        let path = Program.directory + "/libWithoutSync.so"
        #expect(
            throws: PKCS11Error.notAModule(path: path, reason: "it has no C_GetFunctionList")
        ) {
            try PKCS11Module.load(path: path)
        }
    }

    @Test func `a module of another age, or with gaps, is refused`() throws {
        try HostileModule.with("old version") { hostile throws in
            #expect(
                throws: PKCS11Error.notAModule(
                    path: hostile.path, reason: "it speaks version 1.40")
            ) { try PKCS11Module.load(path: hostile.path) }
        }
        try HostileModule.with("missing function") { hostile throws in
            #expect(
                throws: PKCS11Error.notAModule(
                    path: hostile.path, reason: "functions are missing")
            ) { try PKCS11Module.load(path: hostile.path) }
        }
        try HostileModule.with("no list") { hostile throws in
            #expect(throws: PKCS11Error.malformedAnswer(.getFunctionList)) {
                try PKCS11Module.load(path: hostile.path)
            }
        }
    }

    @Test func `a module that does not start is unavailable until it does`() throws {
        try HostileModule.with("does not start") { hostile throws in
            #expect(throws: PKCS11Error.unavailable(.initialize, CKR_DEVICE_ERROR)) {
                try PKCS11Module.load(path: hostile.path)
            }
            try hostile.set("well")
            let module = try PKCS11Module.load(path: hostile.path)
            #expect(try PKCS11Module.load(path: hostile.path) === module)
            #expect(try hostile.count("C_Initialize") == 2)
        }
    }

    @Test func `threads that load a module at once start it once`() throws {
        try HostileModule.with { hostile throws in
            let path = hostile.path
            let modules = Collected<PKCS11Module?>()
            inThreads(8) { _ in modules.add(try? PKCS11Module.load(path: path)) }
            #expect(modules.all.count == 8)
            #expect(modules.all.allSatisfy { $0 != nil && $0 === modules.all.first ?? nil })
            #expect(try hostile.count("C_Initialize") == 1)
        }
    }

    @Test(arguments: ["list waits", "start waits"])
    func `a library that hangs while it starts costs one thread, and other libraries nothing`(
        _ behaviour: String
    ) throws {
        try HostileModule.with { other throws in
            try HostileModule.with(behaviour) { hostile throws in
                let (hanging, well) = (hostile, other)
                let first = Collected<PKCS11Error?>()
                let second = Collected<PKCS11Error?>()
                let elsewhere = Collected<PKCS11Error?>()
                let isHanging = Collected<Bool>()
                inThreads(4) { number in
                    if number == 0 { return first.add(Self.failureToLoad(hanging)) }
                    isHanging.add(
                        (try? Deadline.wait(seconds: 60) { try hanging.count("waiting") == 1 })
                            ?? false)
                    switch number {
                    case 1: second.add(Self.failureToLoad(hanging))
                    case 2: elsewhere.add(Self.failureToLoad(well))
                    default:
                        // Where they wait without end the test fails, and ends.
                        _ = Deadline.wait(seconds: 60) {
                            second.all.count == 1 && elsewhere.all.count == 1
                        }
                        try? hanging.release()
                    }
                }
                #expect(isHanging.all == [true, true, true])
                #expect(second.all == [.busy])
                #expect(elsewhere.all == [nil])
                #expect(first.all == [nil])
                #expect(Self.failureToLoad(hostile) == nil)
                #expect(try hostile.count("C_Initialize") == 1)
            }
        }
    }

    private static func failureToLoad(_ module: HostileModule) -> PKCS11Error? {
        failure { () throws(PKCS11Error) in try PKCS11Module.load(path: module.path) }
    }
}
