import Cryptography
import Foundation
import KMSModel
import KMSPKCS11
import KMSStore
import Testing

@testable import KMSCore

import struct TestSupport.Command
import enum TestSupport.Deadline
import struct TestSupport.HostileLibrary

/// Custom key stores over SoftHSM2. The library reads its settings from the environment, once for a
/// process: these tests run in a process of their own.
@Suite struct CustomKeyStoreTests {
    static let variable = "KEYFOLD_TEST_TOKENS_OF_CHILD"
    static let modulePath: String? = [
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ].first { FileManager.default.isReadableFile(atPath: $0) }

    @Test(.enabled(if: modulePath != nil, "needs softhsm2"))
    func `custom key stores work over SoftHSM2`() throws {
        let place = try TemporaryDirectory()
        let tokens = place.path("tokens")
        try FileManager.default.createDirectory(
            atPath: tokens, withIntermediateDirectories: false)
        let settings = place.path("softhsm2.conf")
        try "directories.tokendir = \(tokens)\nobjectstore.backend = file\nlog.level = ERROR\n"
            .write(toFile: settings, atomically: true, encoding: .utf8)
        for label in ["alpha", "beta"] {
            try Command(
                "softhsm2-util", "--init-token", "--free", "--label", label, "--pin",
                "correct horse", "--so-pin", "for the officer"
            ).with(["SOFTHSM2_CONF": settings]).run()
        }
        let own = try #require(FileManager.default.contents(atPath: "/proc/self/cmdline"))
            .split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        let library =
            own.contains("--testing-library") ? ["--testing-library", "swift-testing"] : []
        let result = try Command(
            ["/proc/\(getpid())/exe"] + library + ["--filter", "CustomKeyStoresInChild"]
        ).with(["SOFTHSM2_CONF": settings, Self.variable: tokens]).result()
        #expect(result.succeeded, "\(result.output) \(result.error)")
        #expect(result.output.contains("5 tests") || result.error.contains("5 tests"), "\(result)")
    }

    // MARK: Without a token

    @Test func `a key store needs a cluster that is known, and is never of another type`() throws {
        let kms = try TestKeystore()
        let input = Structure([
            .customKeyStoreName: .text("store"), .cloudHsmClusterID: .text("cluster-aaaaaaaaaaa"),
            .trustAnchorCertificate: .text("anchor"),
            .keyStorePassword: .secret(secret("password")),
        ])
        #expect(try kms.refusal(.createCustomKeyStore, input)?.code == .clusterNotFound)
        #expect(
            try kms.refusal(.createCustomKeyStore, input, as: kms.stranger)?.code == .accessDenied)
        #expect(
            try kms.refusal(
                .createCustomKeyStore, input.with(.customKeyStoreType, .text("EXTERNAL_KEY_STORE")))
                == .unsupportedOperation("External key stores (XKS) are not supported."))
        #expect(
            try kms.refusal(.createCustomKeyStore, input.with(.keyStorePassword, nil))?.code
                == .validation)
        let missing = KMSError(
            .keyStoreNotFound, "The custom key store cks-0 does not exist.")
        for operation in [
            KMSOperation.connectCustomKeyStore, .disconnectCustomKeyStore, .updateCustomKeyStore,
            .deleteCustomKeyStore, .describeCustomKeyStores,
        ] {
            #expect(
                try kms.refusal(operation, Structure([.customKeyStoreID: .text("cks-0")]))
                    == missing)
        }
    }

    @Test(arguments: [
        (PKCS11Error.loginRefused(PKCS11Failure(.login, .pinLocked)), "USER_LOCKED_OUT"),
        (.loginRefused(PKCS11Failure(.login, ReturnValue(rawValue: 0xA0))), "INVALID_CREDENTIALS"),
        (.lastPINTry, "USER_LOCKED_OUT"),
        (.tokenInUse(selector), "USER_LOGGED_IN"),
        (.tokenAbsent(selector), "NETWORK_ERRORS"),
        (.unavailable(PKCS11Failure(.login, ReturnValue(rawValue: 0x32))), "NETWORK_ERRORS"),
        (.busy, "NETWORK_ERRORS"),
        (.closed, "NETWORK_ERRORS"),
        (.cannotLoad(path: "module.so", reason: "gone"), "INTERNAL_ERROR"),
        (.notAModule(path: "module.so", reason: "empty"), "INTERNAL_ERROR"),
        (.ambiguousToken(selector), "INTERNAL_ERROR"),
        (.unsuitableToken(selector), "INTERNAL_ERROR"),
        (.malformedAnswer(.login), "INTERNAL_ERROR"),
    ])
    func `what a token refuses has the code that AWS has for it`(
        _ error: PKCS11Error, _ code: String
    ) {
        #expect(ConnectionErrorCode(error).rawValue == code)
    }

    private static var selector: PKCS11TokenSelector {
        guard let selector = PKCS11TokenSelector(label: "alpha") else {
            preconditionFailure("BUG: it has a label")
        }
        return selector
    }

    @Test(arguments: [nil, "no library"])
    func `a library that cannot be loaded fails the connection, and the log names it`(
        _ content: String?
    ) throws {
        let kms = try TestKeystore()
        let library = kms.place.path("module.so")
        try content?.write(toFile: library, atomically: true, encoding: .utf8)
        let cluster = try kms.keystore.addToken(
            modulePath: library, tokenLabel: "alpha", as: kms.owner)
        let input = Structure([
            .customKeyStoreName: .text("store"), .cloudHsmClusterID: .text(cluster),
            .trustAnchorCertificate: .text("anchor"),
            .keyStorePassword: .secret(secret("password")),
        ])
        let store = try kms.ask(.createCustomKeyStore, input)
        try kms.ask(.connectCustomKeyStore, store)
        let described = try kms.ask(.describeCustomKeyStores, store)
            .structures(.customKeyStores).first
        #expect(described?.text(.connectionState) == "FAILED")
        #expect(described?.text(.connectionErrorCode) == "INTERNAL_ERROR")
        let told = try #require(
            try kms.events().last { $0.eventName == "ConnectCustomKeyStore" }?.json)
        let record = try #require(
            try JSONSerialization.jsonObject(with: Data(told)) as? [String: Any])
        let data = record["additionalEventData"] as? [String: Any]
        let failure = try #require(data?["connectionFailure"] as? String)
        #expect(failure.contains(library), "\(failure)")
    }

    @Test func `a key of a store that is not connected can be managed and not used`() throws {
        let kms = try TestKeystore()
        let key = try kms.unavailableKey()
        let metadata = try kms.metadata(key)
        #expect(metadata.text(.keyState) == "Unavailable")
        #expect(metadata.text(.customKeyStoreID) == "cks-0123456789abcdef0")
        #expect(metadata.text(.cloudHsmClusterID) == "cluster-abcdefghijk")
        #expect(metadata.text(.origin) == "AWS_CLOUDHSM")
        #expect(metadata[.currentKeyMaterialID] == nil)
        let store = Structure([.customKeyStoreID: .text("cks-0123456789abcdef0")])
        #expect(
            try kms.refusal(.deleteCustomKeyStore, store)
                == KMSError(
                    .keyStoreHasKeys,
                    "The custom key store cks-0123456789abcdef0 contains KMS keys."))
        // Deletion wins, so that it can still be cancelled.
        try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(key)]))
        #expect(try kms.state(key) == "PendingDeletion")
        kms.waitForDeletion(days: 30)
        #expect(try kms.refusal(.describeKey, Structure([.keyID: .text(key)]))?.code == .notFound)
        #expect(try kms.refusal(.deleteCustomKeyStore, store) == nil)
        #expect(try kms.ask(.describeCustomKeyStores).structures(.customKeyStores).isEmpty)
    }

    /// AWS answers so where a key's token cannot be reached, whatever its store's state says; what a
    /// mount makes of it stays "later, perhaps".
    @Test func `a key whose token is away is in a state that does not allow it, as at AWS`() throws
    {
        let kms = try TestKeystore()
        let key = try kms.unavailableKey()
        let blob = try StateTableTests.blob(kms, key)
        let region = try kms.keystore.store.snapshot().region(TestKeystore.scope)
        var record = try #require(region.keyStores.values.first)
        record.state = .connected
        let connected = record
        _ = try kms.keystore.store.change { _, change in change.keyStores = [connected] }
        #expect(try kms.state(key) == "Enabled")
        for refusal in [
            try kms.refusal(.decrypt, Structure([.ciphertextBlob: .bytes(blob)])),
            try kms.refusal(
                .encrypt, Structure([.keyID: .text(key), .plaintext: .secret(secret("x"))])),
        ] {
            let refusal = try #require(refusal)
            #expect(refusal.exceptionName == "KMSInvalidStateException")
            #expect(refusal.kind == .unavailable)
            #expect(refusal.message.hasPrefix("\(key) is unavailable: cannot load /nowhere.so"))
        }
        // What is asked of the store itself has the store's exception.
        for (operation, input) in [
            (KMSOperation.generateRandom, Self.store.with(.numberOfBytes, .number(8))),
            (.createKey, Self.store.with(.origin, .text("AWS_CLOUDHSM"))),
        ] {
            let refusal = try #require(try kms.refusal(operation, input))
            #expect(refusal.exceptionName == "CustomKeyStoreInvalidStateException")
            #expect(refusal.kind == .unavailable)
        }
    }

    // MARK: With a token that locks itself after two wrong PINs

    static let store = Structure([.customKeyStoreID: .text("cks-0123456789abcdef0")])

    /// A store that is connected, of which this process has not opened the token yet.
    static func connect(
        _ kms: TestKeystore, to library: String, password: String
    ) throws {
        let cluster = "cluster-abcdefghijk"
        let now = kms.clock.now()
        var record = CustomKeyStoreRecord(
            region: "", id: store.text(.customKeyStoreID) ?? "", name: "store", clusterID: cluster,
            trustAnchor: "anchor", password: secret(password), creationDate: now)
        record.state = .connected
        let made = record
        _ = try kms.keystore.store.change { _, change in
            change.tokens = [
                TokenRecord(
                    clusterID: cluster, modulePath: library, tokenLabel: "hostile",
                    creationDate: now)
            ]
            change.keyStores = [made]
        }
    }

    @Test func `a PIN that is refused is tried again when somebody connects the store, not before`()
        throws
    {
        let kms = try TestKeystore()
        let library = kms.place.path("hostile.so")
        _ = try HostileLibrary(copiedTo: library)
        let drawing = Self.store.with(.numberOfBytes, .number(8))
        let refusal = KMSError(
            .keyStoreInvalidState,
            "The custom key store's token: the token refused the login: C_Login answered "
                + "CKR_PIN_INCORRECT (0xa0)", isOutage: true)
        try Self.connect(kms, to: library, password: "0000")
        // After a second wrong PIN the third answer would be another one.
        for _ in 0..<4 { #expect(try kms.refusal(.generateRandom, drawing) == refusal) }
        // Another password is another PIN.
        try Self.connect(kms, to: library, password: "1234")
        #expect(try kms.refusal(.generateRandom, drawing) == nil)

        try Self.connect(kms, to: library, password: "0000")
        for _ in 0..<4 { #expect(try kms.refusal(.generateRandom, drawing) == refusal) }
        for code in ["INVALID_CREDENTIALS", "USER_LOCKED_OUT"] {
            try kms.ask(.disconnectCustomKeyStore, Self.store)
            try kms.ask(.connectCustomKeyStore, Self.store)
            let described = try kms.ask(.describeCustomKeyStores, Self.store)
            #expect(
                described.structures(.customKeyStores).first?.text(.connectionErrorCode) == code)
        }
    }

    @Test(arguments: [false, true])
    func `a login ends when another view has disconnected the store, or deleted it`(
        _ isDeleted: Bool
    ) throws {
        let kms = try TestKeystore()
        let library = kms.place.path("hostile.so")
        _ = try HostileLibrary(copiedTo: library)
        try Self.connect(kms, to: library, password: "1234")
        let drawing = Self.store.with(.numberOfBytes, .number(8))
        #expect(try kms.refusal(.generateRandom, drawing) == nil)
        let other = try kms.again()
        defer { other.close() }
        func ask(_ operation: KMSOperation, _ input: Structure) throws {
            _ = try other.service.answer(operation, input, as: kms.owner)
        }
        try ask(.disconnectCustomKeyStore, Self.store)
        if isDeleted { try ask(.deleteCustomKeyStore, Self.store) }
        #expect(
            try kms.refusal(.generateRandom, drawing)?.code
                == (isDeleted ? .keyStoreNotFound : .keyStoreInvalidState))
        // A token has one user in a process, which is the other view now.
        try Self.connect(kms, to: library, password: "1234")
        try ask(.generateRandom, drawing)
    }

    @Test(arguments: [false, true])
    func `a login ends in a process that is asked for nothing`(_ isDeleted: Bool) throws {
        let kms = try TestKeystore()
        let library = try HostileLibrary(copiedTo: kms.place.path("hostile.so"))
        try Self.connect(kms, to: library.path, password: HostileLibrary.pin)
        let drawing = Self.store.with(.numberOfBytes, .number(8))
        #expect(try kms.refusal(.generateRandom, drawing) == nil)
        let other = try kms.again()
        defer { other.close() }
        // A change that wants the login keeps it.
        _ = try other.service.createKey(CreateKeyRequest(), as: kms.owner)
        #expect(try kms.refusal(.generateRandom, drawing) == nil)
        #expect(try library.count("C_Login") == 1)

        for operation in [KMSOperation.disconnectCustomKeyStore]
            + (isDeleted ? [.deleteCustomKeyStore] : [])
        {
            _ = try other.service.answer(operation, Self.store, as: kms.owner)
        }
        #expect(
            try Deadline.wait(seconds: 30) {
                try library.count("C_Logout") == 1 && library.count("sessions") == 0
            })
    }

    @Test func `the end of a process's keystore is the end of its logins`() throws {
        let kms = try TestKeystore()
        let library = try HostileLibrary(copiedTo: kms.place.path("hostile.so"))
        try Self.connect(kms, to: library.path, password: HostileLibrary.pin)
        let keystore = try kms.again()
        _ = try keystore.service.answer(
            .generateRandom, Self.store.with(.numberOfBytes, .number(8)), as: kms.owner)
        keystore.close()
        #expect(try library.count("C_Logout") == 1)
        #expect(try library.count("sessions") == 0)
    }

    @Test func `a store that is being connected keeps its login through other changes`() throws {
        let kms = try TestKeystore()
        let library = kms.place.path("hostile.so")
        _ = try HostileLibrary(copiedTo: library)
        try Self.connect(kms, to: library, password: "1234")
        let connected = try kms.keystore.store.snapshot()
        try kms.ask(.disconnectCustomKeyStore, Self.store)
        let disconnected = try kms.keystore.store.snapshot()
        let record = try #require(
            connected.region(TestKeystore.scope).keyStores.values.first)
        let stores = CustomKeyStores(kms.keystore.store)
        defer { stores.close() }
        #expect(try stores.connect(record, connected.tokens[record.clusterID])?.reason == nil)
        stores.tokens.endUnwanted(in: disconnected)
        #expect(stores.tokens.hasLogin(record.id))
        stores.tokens.settle(record.id, at: disconnected.revision)
        stores.tokens.endUnwanted(in: disconnected)
        #expect(stores.tokens.hasLogin(record.id))
        stores.tokens.settle(record.id, at: connected.revision)
        stores.tokens.endUnwanted(in: disconnected)
        #expect(!stores.tokens.hasLogin(record.id))
    }

    @Test func `a library that cannot be loaded is tried again after a pause, or when connecting`()
        throws
    {
        let kms = try TestKeystore()
        let library = kms.place.path("hostile.so")
        try Self.connect(kms, to: library, password: "1234")
        let snapshot = try kms.keystore.store.snapshot()
        let region = snapshot.region(TestKeystore.scope)
        let record = try #require(region.keyStores.values.first)
        func refusal(_ stores: CustomKeyStores) -> KMSError? {
            do throws(KMSError) {
                _ = try stores.random(1, from: record.id, snapshot, region)
                return nil
            } catch {
                return error
            }
        }
        func stores(pausing pause: Duration) -> CustomKeyStores {
            var options = PKCS11Token.Options()
            options.reconnectPause = pause
            return CustomKeyStores(kms.keystore.store, options: options)
        }
        let (patient, restless) = (stores(pausing: .seconds(3600)), stores(pausing: .zero))
        let missing = refusal(patient)
        #expect(missing?.code == .keyStoreInvalidState)
        #expect(missing?.kind == .unavailable)
        #expect(refusal(restless) == missing)

        _ = try HostileLibrary(copiedTo: library)
        #expect(refusal(patient) == missing)
        #expect(refusal(restless) == nil)
        restless.tokens.disconnect(record.id)
        let failure = try patient.connect(record, snapshot.tokens[record.clusterID])
        #expect(failure?.reason == nil)
        #expect(refusal(patient) == nil)
        patient.tokens.disconnect(record.id)
    }
}
