import KMSModel
import KMSStore
import Testing

@testable import KMSCore

import enum TestSupport.Deadline
import struct TestSupport.HostileLibrary

/// Keys that a token has and the keystore does not.
@Suite struct TokenKeyTests {
    private let kms: TestKeystore
    private let library: HostileLibrary

    init() throws {
        kms = try TestKeystore()
        library = try HostileLibrary(copiedTo: kms.place.path("hostile.so"))
        try CustomKeyStoreTests.connect(kms, to: library.path, password: HostileLibrary.pin)
    }

    private func findings(tokenPatience: Duration = .seconds(60)) throws -> [KeystoreFinding] {
        try kms.keystore.check(
            tokenPatience: tokenPatience, settlingTime: .milliseconds(1)
        ).findings
    }

    @discardableResult
    private func makeKey() throws -> KeyID {
        let input = CustomKeyStoreTests.store.with(.origin, .text("AWS_CLOUDHSM"))
        let made = try kms.ask(.createKey, input).structure(.keyMetadata)
        return try #require(made?.text(.keyID).flatMap { KeyID($0) })
    }

    /// What CreateKey leaves that ends between the token's object and the keystore's record.
    private func beginKey() throws -> KeyID {
        let keystore = kms.keystore
        let snapshot = try keystore.store.snapshot()
        let region = snapshot.region(TestKeystore.scope)
        var record = KeyRecord(
            id: .random(), creationDate: kms.clock.now(), state: .enabled, description: "",
            manager: .customer, tags: [], rotation: nil)
        record.origin = .awsCloudhsm
        record.customKeyStoreID = CustomKeyStoreTests.store.text(.customKeyStoreID)
        _ = try keystore.shared.keyStores.makeKey(
            record, in: snapshot, region, now: kms.clock.now())
        return record.id
    }

    @Test func `a check tells of a token's keys that the keystore does not have`() throws {
        try makeKey()
        #expect(try findings().isEmpty)
        let orphans = [try beginKey(), try beginKey()]
        let deleted = try makeKey()
        try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text("\(deleted)")]))
        let digits = { (id: KeyID) in hexText(id.bytes) }
        #expect(
            try findings()
                == orphans.sorted().map { id in
                    KeystoreFinding(
                        .tokenKeyUnknown, storedPath: "keystore.db",
                        detail: "key \(id) (ID \(digits(id))) in the token 'hostile' of "
                            + "\(library.path), custom key store cks-0123456789abcdef0 in us-east-1"
                    )
                })
        // They are told and left.
        #expect(try findings().count == 2)
        // A store that is not connected is not logged in to.
        try kms.ask(.disconnectCustomKeyStore, CustomKeyStoreTests.store)
        let logins = try library.count("C_Login")
        #expect(try findings().isEmpty)
        #expect(try library.count("C_Login") == logins)
    }

    @Test func `a token that cannot be asked is told, and does not hold up a check`() throws {
        try library.set("no slots")
        let absent = try #require(try findings().first)
        #expect(absent.code == .tokenNotChecked)
        #expect(absent.detail?.contains("no token with the label 'hostile' is there") == true)

        try library.set("search waits")
        try kms.ask(.connectCustomKeyStore, CustomKeyStoreTests.store)
        let hanging = try findings(tokenPatience: .milliseconds(50))
        #expect(try Deadline.wait(seconds: 30) { try library.count("waiting") == 1 })
        try library.release()
        #expect(
            hanging == [
                KeystoreFinding(
                    .tokenNotChecked, storedPath: "keystore.db",
                    detail: "custom key store cks-0123456789abcdef0 in us-east-1: its token does "
                        + "not answer")
            ])
        #expect(try findings().isEmpty)
    }

    @Test func `a key store with keys moves to a token that has one of them, and to no other`()
        throws
    {
        let (own, backup, foreign) = (
            "cluster-abcdefghijk", "cluster-backupaaaaa", "cluster-foreignaaaa"
        )
        let other = try HostileLibrary(copiedTo: kms.place.path("other.so"))
        let now = kms.clock.now()
        let places = [(backup, library.path), (foreign, other.path)]
        _ = try kms.keystore.store.change { _, change in
            change.tokens = places.map {
                TokenRecord(
                    clusterID: $0.0, modulePath: $0.1, tokenLabel: "hostile", creationDate: now)
            }
        }
        let store = CustomKeyStoreTests.store
        func move(to cluster: String) throws -> KMSError? {
            try kms.refusal(.updateCustomKeyStore, store.with(.cloudHsmClusterID, .text(cluster)))
        }
        // One without keys goes anywhere, and nobody logs in for that.
        try kms.ask(.disconnectCustomKeyStore, store)
        #expect(try move(to: foreign) == nil)
        #expect(try move(to: own) == nil)
        #expect(try other.count("C_Login") == 0)

        try kms.ask(.connectCustomKeyStore, store)
        let key = Structure([.keyID: .text("\(try makeKey())")])
        let sealed = try kms.ask(
            .encrypt, key.with(.plaintext, .secret(secret("bytes")))
        )[.ciphertextBlob]
        try kms.ask(.disconnectCustomKeyStore, store)
        #expect(try move(to: foreign)?.code == .clusterNotRelated)
        try other.set("no slots")
        #expect(try move(to: foreign)?.code == .clusterNotActive)
        let refused = try kms.refusal(
            .updateCustomKeyStore,
            store.with(.cloudHsmClusterID, .text(backup))
                .with(.keyStorePassword, .secret(secret("wrong PIN"))))
        #expect(refused?.code == .clusterInvalidConfiguration)
        #expect(try move(to: backup) == nil)
        #expect(try library.count("sessions") == 0 && other.count("sessions") == 0)
        try kms.ask(.connectCustomKeyStore, store)
        try kms.ask(.decrypt, Structure([.ciphertextBlob: sealed]))
    }
}
