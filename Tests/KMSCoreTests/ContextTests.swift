import Cryptography
import KMSModel
import Testing

import struct TestSupport.RandomSource

/// Encryption contexts and the ciphertexts that they are bound to.
@Suite struct ContextTests {
    private func context(_ pairs: [(String, String)]) -> EncryptionContext {
        EncryptionContext(Dictionary(pairs) { $1 })
    }

    private func encrypt(
        _ kms: TestKeystore, _ key: String, _ context: EncryptionContext,
        in region: String = "us-east-1"
    ) throws -> [UInt8] {
        try #require(
            try kms.ask(
                .encrypt,
                Structure([
                    .keyID: .text(key), .plaintext: .secret(secret("x")),
                    .encryptionContext: .context(context),
                ]), in: region
            ).bytes(.ciphertextBlob))
    }

    private func decrypt(
        _ kms: TestKeystore, _ blob: [UInt8], _ context: EncryptionContext,
        under key: String? = nil, in region: String = "us-east-1"
    ) throws -> KMSError? {
        try kms.refusal(
            .decrypt,
            Structure([
                .ciphertextBlob: .bytes(blob), .encryptionContext: .context(context),
                .keyID: key.map(Value.text),
            ]), in: region)
    }

    @Test func `no two contexts open each other's ciphertexts`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        var random = RandomSource(seed: 4)
        let parts = [
            "", "a", "b", "ab", "\u{0}", "\u{0}\u{0}\u{0}\u{1}a", "é", "e\u{301}", "A", "ß",
        ]
        var contexts: [[UInt8]: EncryptionContext] = [:]
        while contexts.count < 60 {
            let made = context(
                (0..<random.number(0..<4)).map { _ in
                    (parts[random.number(0..<parts.count)], parts[random.number(0..<parts.count)])
                })
            contexts[made.canonicalBytes] = made
        }
        let blobs = try contexts.mapValues { try encrypt(kms, key, $0) }
        for (name, blob) in blobs {
            for (other, context) in contexts {
                #expect(
                    try decrypt(kms, blob, context)
                        == (name == other ? nil : .invalidCiphertext),
                    "\(context)")
            }
        }
    }

    @Test func `names that Unicode calls equal are two names`() throws {
        let composed = context([("\u{e9}", "1")])
        let decomposed = context([("e\u{301}", "1")])
        #expect(composed.canonicalBytes != decomposed.canonicalBytes)
        #expect(composed != decomposed)
        #expect(composed["e\u{301}"] == nil)
        #expect(composed["\u{e9}"] == "1")
    }

    @Test(arguments: [8191, 8192, 8193])
    func `a context has at most 8192 bytes`(_ count: Int) throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let large = context([
            ("n", String(repeating: "é", count: count / 2 - 2)),
            ("m", String(repeating: "x", count: 2 + count % 2)),
        ])
        #expect(large.sizeBytes == count)
        let request = Structure([
            .keyID: .text(key), .plaintext: .secret(secret("x")),
            .encryptionContext: .context(large),
        ])
        #expect(
            try kms.refusal(.encrypt, request)
                == (count <= 8192
                    ? nil : .validation("EncryptionContext must not be longer than 8192 bytes")))
    }

    // MARK: Blobs

    @Test func `a blob of another key, version, keystore or Region opens nowhere else`() throws {
        let kms = try TestKeystore()
        let (key, other) = (try kms.key(), try kms.key())
        let blob = try encrypt(kms, key, .empty)
        #expect(try decrypt(kms, blob, .empty, under: other) == .incorrectKey)
        #expect(
            try decrypt(kms, blob, .empty, in: "eu-west-1") == .accessDenied(unknownKeyMessage))
        let foreign = try TestKeystore()
        #expect(try decrypt(foreign, blob, .empty) == .accessDenied(unknownKeyMessage))
        // The head of one key's blob before another's ciphertext.
        let own = try #require(SymmetricBlob(decoding: blob))
        let theirs = try #require(SymmetricBlob(decoding: try encrypt(kms, other, .empty)))
        let moved = SymmetricBlob(
            keyID: theirs.keyID, keyVersion: own.keyVersion, salt: own.salt, box: own.box)
        #expect(try decrypt(kms, moved.bytes, .empty) == .invalidCiphertext)
        // Versions.
        for version: UInt32 in [2, 3, .max] {
            let later = SymmetricBlob(
                keyID: own.keyID, keyVersion: version, salt: own.salt, box: own.box)
            #expect(try decrypt(kms, later.bytes, .empty) == .invalidCiphertext)
        }
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        let later = SymmetricBlob(
            keyID: own.keyID, keyVersion: 2, salt: own.salt, box: own.box)
        #expect(try decrypt(kms, later.bytes, .empty) == .invalidCiphertext)
        #expect(try decrypt(kms, blob, .empty) == nil)
    }

    @Test func `one key's material under another key's name opens nothing`() throws {
        let kms = try TestKeystore()
        let keys = try (0..<2).map { _ in
            let key = try kms.key(.symmetricDefault, nil, .external)
            try kms.importMaterial(ImportTests.material, into: key)
            return key
        }
        let own = try #require(SymmetricBlob(decoding: try encrypt(kms, keys[0], .empty)))
        let other = try #require(KeyARN(keys[1]))
        let renamed = SymmetricBlob(
            keyID: other.keyID, keyVersion: 1, salt: own.salt, box: own.box)
        #expect(try decrypt(kms, renamed.bytes, .empty) == .invalidCiphertext)
    }

    @Test func `each bit, each length and each blob with more behind it is refused`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let blob = try encrypt(kms, key, context([("a", "b")]))
        for index in blob.indices {
            for bit in 0..<8 {
                var changed = blob
                changed[index] ^= 1 << bit
                #expect(try decrypt(kms, changed, context([("a", "b")]), under: key) != nil)
            }
            if index > 0 {
                #expect(
                    try decrypt(kms, Array(blob[..<index]), context([("a", "b")]), under: key)
                        == .invalidCiphertext)
            }
        }
        for more in [1, 16, 1024] {
            let longer = blob + [UInt8](repeating: 0, count: more)
            #expect(
                try decrypt(kms, longer, context([("a", "b")]), under: key) == .invalidCiphertext)
        }
        #expect(try decrypt(kms, blob, context([("a", "b")]), under: key) == nil)
    }

    @Test func `equal plaintexts have unequal ciphertexts`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let blobs = try (0..<50).map { _ in try encrypt(kms, key, .empty) }
        #expect(Set(blobs).count == 50)
        #expect(Set(blobs.compactMap { SymmetricBlob(decoding: $0)?.salt }).count == 50)
    }
}
