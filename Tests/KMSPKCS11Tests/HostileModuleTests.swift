import CPKCS11
import Cryptography
import TestSupport
import Testing

@testable import KMSPKCS11

/// What a module answers is believed only where it can be.
@Suite struct HostileModuleTests {
    /// What is wrong, what is asked for, and what must come of it.
    struct Case: Sendable, CustomTestStringConvertible {
        let behaviour: String
        let operation: Operation
        let error: PKCS11Error

        init(_ behaviour: String, _ operation: Operation, _ error: PKCS11Error) {
            self.behaviour = behaviour
            self.operation = operation
            self.error = error
        }

        var testDescription: String { "\(operation) with '\(behaviour)'" }
    }

    enum Operation: Sendable { case slots, encrypt, decrypt, find, list, make, destroy }

    static let id = PKCS11KeyID([1, 2, 3])
    static let otherID = PKCS11KeyID([4, 5, 6])

    static func cases() throws -> [Case] {
        let id = try #require(id)
        let other = try #require(otherID)
        return [
            Case("countless slots", .slots, .malformedAnswer(.getSlotList)),
            Case("more slots than room", .slots, .malformedAnswer(.getSlotList)),
            Case("ever more slots", .slots, .malformedAnswer(.getSlotList)),
            Case("too many found", .find, .malformedAnswer(.findObjects)),
            Case("found 0", .find, .malformedAnswer(.findObjects)),
            Case("too many found", .list, .malformedAnswer(.findObjects)),
            Case("found 0", .list, .malformedAnswer(.findObjects)),
            Case("too long attribute", .list, .malformedAnswer(.getAttributeValue)),
            Case("too long attribute", .find, .malformedAnswer(.getAttributeValue)),
            Case("empty flag", .find, .malformedAnswer(.getAttributeValue)),
            Case("key 0", .make, .malformedAnswer(.generateKey)),
            Case("extractable keys", .make, .keyUnprotected(other)),
            Case("short keys", .make, .keyUnprotected(other)),
            Case("silent keys", .make, .keyUnprotected(other)),
            Case("write protected", .make, .failed(.openSession, CKR_TOKEN_WRITE_PROTECTED)),
            Case("write protected", .destroy, .failed(.openSession, CKR_TOKEN_WRITE_PROTECTED)),
            Case("undead keys", .destroy, .malformedAnswer(.destroyObject)),
            Case("too long ciphertext", .encrypt, .malformedAnswer(.encrypt)),
            Case("too short ciphertext", .encrypt, .malformedAnswer(.encrypt)),
            Case("endless ciphertext", .encrypt, .malformedAnswer(.encrypt)),
            Case("too long attribute", .encrypt, .malformedAnswer(.getAttributeValue)),
            Case("vendor error", .encrypt, .failed(.encrypt, 0x8000_0011)),
            Case("general error", .encrypt, .failed(.encrypt, CKR_GENERAL_ERROR)),
            Case("short keys", .encrypt, .keyMissing(id)),
            Case("too long plaintext", .decrypt, .malformedAnswer(.decrypt)),
            Case("too short plaintext", .decrypt, .malformedAnswer(.decrypt)),
            Case("swapped keys", .decrypt, .keyMissing(id)),
            Case("token gone", .encrypt, .unavailable(.getTokenInfo, CKR_GENERAL_ERROR)),
            Case("token gone", .find, .unavailable(.getTokenInfo, CKR_GENERAL_ERROR)),
            Case("lost for ever", .encrypt, .unavailable(.findObjectsInit, CKR_DEVICE_REMOVED)),
        ]
    }

    @Test(arguments: try cases())
    func `an answer that cannot be is an error, and nothing traps`(_ wrong: Case) throws {
        let id = try #require(Self.id)
        let other = try #require(Self.otherID)
        try HostileModule.with { hostile throws in
            let box = try Self.makeBox(hostile, id)
            let token = try hostile.open()
            defer { token.close() }
            try hostile.set(wrong.behaviour)
            let error = failure { () throws(PKCS11Error) in
                switch wrong.operation {
                case .slots: _ = try PKCS11Module.load(path: hostile.path).slots()
                case .encrypt:
                    _ = try token.encrypt(secret("plain"), authenticating: [9], under: id)
                case .decrypt: _ = try token.decrypt(box, authenticating: [9], under: id)
                case .find: _ = try token.findKey(id)
                case .list: _ = try token.listKeys()
                case .make: _ = try token.makeKey(other, label: "other")
                case .destroy: try token.destroyKey(id)
                }
            }
            #expect(error == wrong.error)

            // Nothing is left of it: no operation in a session, no session, no half-made key.
            try hostile.set("well")
            #expect(
                bytes(try token.decrypt(box, authenticating: [9], under: id))
                    == Array("plain".utf8))
            if wrong.behaviour != "key 0" { #expect(try token.findKey(other) == nil) }
            token.close()
            #expect(try hostile.count("sessions") == 0)
        }
    }

    /// A box by a connection of its own, so that a test's own connection knows no key yet.
    private static func makeBox(_ hostile: HostileModule, _ id: PKCS11KeyID) throws -> [UInt8] {
        let token = try hostile.open()
        defer { token.close() }
        _ = try token.makeKey(id, label: "first")
        return try token.encrypt(secret("plain"), authenticating: [9], under: id)
    }

    @Test func `a token's texts do not steer the terminal`() throws {
        try HostileModule.with("odd text") { hostile throws in
            let slot = try #require(PKCS11Module.load(path: hostile.path).slots().first)
            #expect(slot.number == 7)
            #expect(slot.description == "A slot")
            #expect(slot.token?.label == "\u{FFFD}[2J\u{FFFD} hostile")
        }
    }

    @Test func `a slot whose token does not answer is listed without it`() throws {
        try HostileModule.with("token gone") { hostile throws in
            let slots = try PKCS11Module.load(path: hostile.path).slots()
            #expect(slots == [PKCS11Slot(number: 7, description: "A slot", token: nil)])
        }
    }

    @Test(arguments: [
        ("no slots", PKCS11Condition.unavailable), ("token gone", .unavailable),
        ("session 0", .faulty), ("no AES-GCM", .refused), ("already logged in", .refused),
    ])
    func `a token that cannot be opened leaves no session behind`(
        _ behaviour: String, _ condition: PKCS11Condition
    ) throws {
        try HostileModule.with(behaviour) { hostile throws in
            do {
                try hostile.open().close()
                Issue.record("it was opened")
            } catch let error as PKCS11Error {
                #expect(error.condition == condition)
            }
            try hostile.set("well")
            let token = try hostile.open()
            #expect(try token.randomBytes(count: 1).count == 1)
            token.close()
            // What was opened as session 0 has no number to close it by.
            #expect(try hostile.count("sessions") == (behaviour == "session 0" ? 1 : 0))
        }
    }

    @Test func `one unclear answer does not make a ciphertext a forgery`() throws {
        try HostileModule.with { hostile throws in
            let id = try newKeyID()
            let box = try Self.makeBox(hostile, id)
            let token = try hostile.open()
            defer { token.close() }
            try hostile.set("one bad decryption")
            #expect(
                bytes(try token.decrypt(box, authenticating: [9], under: id))
                    == Array("plain".utf8))
        }
    }

    // MARK: Nonces

    @Test(arguments: ["own nonces", "replaced nonces"])
    func `a token that makes its nonces itself is believed`(_ behaviour: String) throws {
        try HostileModule.with(behaviour) { hostile throws in
            let token = try hostile.open()
            defer { token.close() }
            let id = try newKeyID()
            _ = try token.makeKey(id, label: "")
            let boxes = try (0..<3).map { _ in
                try token.encrypt(secret("plain"), authenticating: [1], under: id)
            }
            for box in boxes {
                #expect(box[8..<12] == [0xA5, 0xA5, 0xA5, 0xA5])
                let opened = try token.decrypt(box, authenticating: [1], under: id)
                #expect(bytes(opened) == Array("plain".utf8))
            }
            #expect(Set(boxes).count == 3)
        }
    }

    @Test func `no box is made under a nonce of zeros`() throws {
        try HostileModule.with("zero nonces") { hostile throws in
            let token = try hostile.open()
            defer { token.close() }
            let id = try newKeyID()
            _ = try token.makeKey(id, label: "")
            for _ in 0..<2 {
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.encrypt(secret("plain"), authenticating: [], under: id)
                    } == .failed(.encryptInit, CKR_ARGUMENTS_BAD))
            }
            try hostile.set("well")
            let box = try token.encrypt(secret("plain"), authenticating: [], under: id)
            #expect(box.prefix(12).contains { $0 != 0 })
        }
    }

    // MARK: Keys

    @Test func `a handle that now is another key's is looked up anew`() throws {
        try HostileModule.with { hostile throws in
            let token = try hostile.open()
            defer { token.close() }
            let ids = try (0..<2).map { _ in try newKeyID() }
            _ = try token.makeKey(ids[0], label: "")
            let lookups = try hostile.count("C_FindObjects")
            _ = try token.encrypt(secret("x"), authenticating: [], under: ids[0])
            #expect(try hostile.count("C_FindObjects") > lookups)

            // Once known, a key is not searched again.
            let known = try hostile.count("C_FindObjects")
            _ = try token.encrypt(secret("x"), authenticating: [], under: ids[0])
            #expect(try hostile.count("C_FindObjects") == known)

            // Another program destroys the key, and the module gives its handle to the next one.
            let raw = try RawModule(hostile.path, label: "hostile")
            try raw.destroyKey(ids[0])
            try raw.makeKey(ids[1])
            raw.close()
            #expect(
                failure { () throws(PKCS11Error) in
                    try token.encrypt(secret("x"), authenticating: [], under: ids[0])
                } == .keyMissing(ids[0]))
            #expect(try token.encrypt(secret("x"), authenticating: [], under: ids[1]).count == 29)
        }
    }

    // MARK: PINs

    @Test func `a PIN is tried once, and never when a refusal would lock the token`() throws {
        try HostileModule.with { hostile throws in
            for _ in 0..<2 {
                #expect(throws: PKCS11Error.loginRefused(.login, CKR_PIN_INCORRECT)) {
                    try hostile.open(pin: "0000")
                }
            }
            // The token has one try left, which even the right PIN does not get from us.
            for pin in ["0000", HostileLibrary.pin] {
                #expect(throws: PKCS11Error.lastPINTry) { try hostile.open(pin: pin) }
            }
            #expect(try hostile.count("C_Login") == 2)
        }
        try HostileModule.with("PIN locked") { hostile throws in
            #expect(throws: PKCS11Error.loginRefused(.login, CKR_PIN_LOCKED)) {
                try hostile.open()
            }
            #expect(try hostile.count("C_Login") == 0)
        }
    }

    @Test func `a PIN that is refused after a loss is not tried again`() throws {
        try HostileModule.with { hostile throws in
            let token = try hostile.open()
            defer { token.close() }
            #expect(try hostile.count("C_Login") == 1)
            try hostile.set("lost sessions")
            try hostile.set("last PIN try")
            for _ in 0..<5 {
                #expect(
                    failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) }
                        == .lastPINTry)
            }
            #expect(failure { () throws(PKCS11Error) in try token.reconnect() } == .lastPINTry)
            try hostile.set("well")
            #expect(failure { () throws(PKCS11Error) in try token.reconnect() } == .lastPINTry)
            #expect(try hostile.count("C_Login") == 1)
        }
    }

    @Test func `a PIN is tried once, however many first requests come at a time`() throws {
        try HostileModule.with { hostile throws in
            let token = try hostile.unconnected(pin: "0000")
            defer { token.close() }
            #expect(try hostile.count("C_Login") == 0)
            let outcomes = Collected<PKCS11Error?>()
            inThreads(8) { _ in
                outcomes.add(failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) })
            }
            let refused = PKCS11Error.loginRefused(.login, CKR_PIN_INCORRECT)
            #expect(outcomes.all == [PKCS11Error?](repeating: refused, count: 8))
            #expect(try hostile.count("C_Login") == 1)

            // Who was refused keeps nobody else from the token.
            let other = try hostile.unconnected()
            defer { other.close() }
            #expect(try other.randomBytes(count: 1).count == 1)
        }
    }

    @Test func `a token that the first request doesn't find is not looked for by the next ones`()
        throws
    {
        try HostileModule.with("no slots") { hostile throws in
            var options = PKCS11Token.Options()
            options.reconnectPause = .seconds(3600)
            let token = try hostile.unconnected(options: options)
            defer { token.close() }
            let absent = PKCS11Error.tokenAbsent(try labelled("hostile"))
            #expect(
                failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) } == absent)
            try hostile.set("well")
            #expect(
                failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) } == absent)
            try token.reconnect()
            #expect(try token.randomBytes(count: 1).count == 1)
        }
    }

    // MARK: Losses

    @Test func `sessions that are gone are opened again, with a login`() throws {
        try HostileModule.with { hostile throws in
            let token = try hostile.open()
            defer { token.close() }
            for round in 1...3 {
                try hostile.set("lost sessions")
                #expect(try token.randomBytes(count: 4).count == 4)
                #expect(try hostile.count("C_Login") == 1 + round)
            }
            #expect(try hostile.count("C_Initialize") == 1)
            token.close()
            #expect(try hostile.count("sessions") == 0)
        }
    }

    @Test func `a module that needs to be started again is started again`() throws {
        try HostileModule.with { hostile throws in
            let token = try hostile.open()
            defer { token.close() }
            try hostile.set("lost until restart")
            #expect(try token.randomBytes(count: 4).count == 4)
            #expect(try hostile.count("C_Finalize") == 1)
            #expect(try hostile.count("C_Initialize") == 2)
        }
    }

    @Test func `a token that is lost for ever is not tried without end`() throws {
        try HostileModule.with { hostile throws in
            var options = PKCS11Token.Options()
            options.reconnectPause = .seconds(3600)
            let token = try hostile.open(options: options)
            defer { token.close() }
            try hostile.set("lost for ever")
            let error = PKCS11Error.unavailable(.generateRandom, CKR_DEVICE_REMOVED)
            #expect(
                failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) } == error)
            let logins = try hostile.count("C_Login")
            #expect(logins == 3)
            for _ in 0..<100 {
                #expect(
                    failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) } == error)
            }
            #expect(try hostile.count("C_Login") == logins)
        }
    }

    @Test func `making a key is never repeated`() throws {
        try HostileModule.with { hostile throws in
            let token = try hostile.open()
            defer { token.close() }
            let id = try newKeyID()
            try hostile.set("lost while making")
            #expect(
                failure { () throws(PKCS11Error) in try token.makeKey(id, label: "") }
                    == .unavailable(.generateKey, CKR_DEVICE_REMOVED))
            #expect(try hostile.count("C_GenerateKey") == 1)
            try hostile.set("well")
            #expect(try token.findKey(id) != nil)
        }
    }

    // MARK: Sessions

    @Test func `no more sessions are open than the pool allows`() throws {
        try HostileModule.with("generator waits") { hostile throws in
            var options = PKCS11Token.Options.impatient
            options.sessionLimit = 3
            options.waitMilliseconds = 60_000
            let token = try hostile.open(options: options)
            let outcomes = Collected<PKCS11Error?>()
            let release = hostile
            let gate = Collected<Bool>()
            inThreads(13) { number in
                guard number == 0 else {
                    outcomes.add(
                        failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) })
                    return
                }
                // Three wait in the module, and the others for a session.
                gate.add(
                    (try? Deadline.wait(seconds: 60) { try release.count("waiting") == 3 }) ?? false
                )
                try? release.release()
            }
            #expect(gate.all == [true])
            #expect(outcomes.all == [PKCS11Error?](repeating: nil, count: 12))
            // One more holds the login.
            #expect(try hostile.count("most sessions") == 4)
            token.close()
            #expect(try hostile.count("sessions") == 0)
        }
    }

    @Test func `who waits too long for a session is told that all are in use`() throws {
        try HostileModule.with("generator waits") { hostile throws in
            var options = PKCS11Token.Options.impatient
            options.sessionLimit = 1
            options.waitMilliseconds = 1
            let token = try hostile.open(options: options)
            let outcomes = Collected<PKCS11Error?>()
            let steered = hostile
            inThreads(2) { number in
                guard number == 0 else {
                    outcomes.add(
                        failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) })
                    return
                }
                _ = try? Deadline.wait(seconds: 60) { try steered.count("waiting") == 1 }
                outcomes.add(failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) })
                try? steered.release()
            }
            #expect(outcomes.all == [.busy, nil])
            token.close()
        }
    }

    @Test func `a token that allows few sessions is used with those`() throws {
        try HostileModule.with("two sessions") { hostile throws in
            let token = try hostile.open()
            let outcomes = Collected<PKCS11Error?>()
            inThreads(8) { _ in
                for _ in 0..<20 {
                    outcomes.add(
                        failure { () throws(PKCS11Error) in try token.randomBytes(count: 1) })
                }
            }
            #expect(outcomes.all == [PKCS11Error?](repeating: nil, count: 160))
            #expect(try hostile.count("most sessions") == 2)
            token.close()
        }
    }
}
