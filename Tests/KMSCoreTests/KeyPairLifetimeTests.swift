import KMSModel
import Testing

@testable import Cryptography
@testable import KMSCore
@testable import KMSStore

/// How long a parsed private key stays in memory.
@Suite struct KeyPairLifetimeTests {
    /// What libcrypto has of a private key, as long as somebody else holds it.
    private struct Parsed {
        weak var key: EVPKey?

        init(_ pair: KeyPair) throws {
            guard case .classic(let pair) = pair else { throw KMSError.incorrectKey }
            key = pair.key
        }
    }

    private func parsed(_ kms: TestKeystore, _ key: String) throws -> Parsed {
        let service = try #require(kms.keystore.service as? EmbeddedKeyService)
        let id = try #require(KeyARN(key)).keyID
        let region = try kms.keystore.store.snapshot().region(TestKeystore.scope)
        let entry = try #require(region.keys[id])
        return try Parsed(try service.keyPairs.pair(try #require(entry.current), of: entry))
    }

    private func sign(_ kms: TestKeystore, _ key: String) throws {
        try kms.ask(
            .sign,
            Structure([
                .keyID: .text(key), .message: .secret(secret("x")),
                .signingAlgorithm: .text("ECDSA_SHA_256"),
            ]))
    }

    @Test func `a private key is parsed once, and again when its key has changed`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.eccNistP256, .signVerify)
        let first = try parsed(kms, key)
        try sign(kms, key)
        let known = try #require(first.key)
        #expect(try parsed(kms, key).key === known)
        try kms.ask(
            .updateKeyDescription, Structure([.keyID: .text(key), .description: .text("new")]))
        #expect(try parsed(kms, key).key !== known)
    }

    @Test func `a parsed private key goes with its key, whichever process deletes that`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.eccNistP256, .signVerify)
        let parsed = try parsed(kms, key)
        try sign(kms, key)
        #expect(parsed.key != nil)
        let other = try kms.again()
        defer { other.close() }
        _ = try other.service.scheduleKeyDeletion(key, windowDays: 7, as: kms.owner)
        for days in [7, 1] {
            kms.clock.advance(days: days)
            other.runDueWork()
        }
        #expect(try kms.refusal(.describeKey, Structure([.keyID: .text(key)]))?.code == .notFound)
        #expect(parsed.key == nil)
    }

    @Test(arguments: [false, true])
    func `a parsed private key goes with its imported material`(_ isDeletedHere: Bool) throws {
        let kms = try TestKeystore()
        let key = try kms.key(.eccNistP256, .signVerify, .external)
        try kms.importMaterial(try ImportTests.material(.eccNistP256), into: key)
        let parsed = try parsed(kms, key)
        try sign(kms, key)
        #expect(parsed.key != nil)
        let other = try kms.again()
        defer { other.close() }
        _ = try (isDeletedHere ? kms.keystore : other).service.answer(
            .deleteImportedKeyMaterial, Structure([.keyID: .text(key)]), as: kms.owner)
        #expect(try kms.state(key) == "PendingImport")
        #expect(parsed.key == nil)
    }

    @Test func `no more private keys are kept than the limit`() throws {
        let pairs = KeyPairs()
        let material = try KeyMaterial.generate(.eccNistP256)
        let entries = (0...KeyPairs.limit).map { _ in
            var record = KeyRecord(
                id: .random(), creationDate: Timestamp(secondsSinceEpoch: 0), state: .enabled,
                description: "", manager: .customer, tags: [], rotation: nil)
            record.spec = .eccNistP256
            record.usage = .signVerify
            let version = MaterialRecord(
                keyID: record.id, version: 1, materialID: .random(), material: material,
                creationDate: record.creationDate, rotationType: nil)
            return KeyEntry(new: record, materials: [version], scope: TestKeystore.scope)
        }
        let parsed = try entries.map { try Parsed(try pairs.pair($0.materials[0], of: $0)) }
        #expect(parsed.dropLast().allSatisfy { $0.key == nil })
        #expect(parsed.last?.key != nil)
        withExtendedLifetime(entries) {}
    }
}
