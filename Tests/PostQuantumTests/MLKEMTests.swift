import Cryptography
import TestSupport
import Testing

@testable import PostQuantum

@Suite struct MLKEMTests {
    @Test(arguments: try Vector.load("ml-kem"))
    func `ML-KEM decapsulates as the published vectors say`(_ vector: Vector) throws {
        let spec = try #require(MLKEMKeySpec(rawValue: vector.text("spec")))
        guard !vector.text("seed").isEmpty else {
            let bytes = try vector.bytes("public")
            let refused =
                bytes.count == spec.encoding.publicKeyBytes
                ? "not an \(spec.rawValue) public key" : "not an ML-KEM public key"
            #expect(throws: CryptographyError.invalidKey(refused)) {
                try MLKEMPublicKey(spki: spec.encoding.publicKey + bytes)
            }
            return
        }
        let key = try MLKEMPrivateKey(seed: vector.secret("seed"), spec)
        if !vector.text("public-sha256").isEmpty {
            let bytes = key.publicKey.spki.suffix(spec.encoding.publicKeyBytes)
            #expect(SHA256.hash(Array(bytes)) == (try vector.bytes("public-sha256")))
        }
        guard !vector.expectsFailure else {
            #expect(throws: CryptographyError.decryptionFailed) {
                try key.decapsulate(vector.bytes("ciphertext"))
            }
            return
        }
        let secret = try key.decapsulate(vector.bytes("ciphertext"))
        #expect(secret.exposed == (try vector.bytes("shared")))
    }

    @Test(arguments: MLKEMKeySpec.supported)
    func `a secret comes to the owner of the key and to nobody else`(
        _ spec: MLKEMKeySpec
    ) throws {
        let (key, other) = (try MLKEMPrivateKey.generate(spec), try MLKEMPrivateKey.generate(spec))
        let made = try MLKEMPublicKey(spki: key.publicKey.spki).encapsulate()
        #expect(made.ciphertext.count == spec.ciphertextBytes)
        #expect(made.sharedSecret.count == Encapsulation.sharedSecretBytes)
        #expect(try key.decapsulate(made.ciphertext).isEqual(to: made.sharedSecret))
        #expect(try !other.decapsulate(made.ciphertext).isEqual(to: made.sharedSecret))
        #expect(try !key.publicKey.encapsulate().sharedSecret.isEqual(to: made.sharedSecret))
        for bit in [0, made.ciphertext.count * 8 - 1] {
            var changed = made.ciphertext
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(try !key.decapsulate(changed).isEqual(to: made.sharedSecret))
        }
        for wrong in [[], Array(made.ciphertext.dropLast()), made.ciphertext + [0]] {
            #expect(throws: CryptographyError.decryptionFailed) { try key.decapsulate(wrong) }
        }
    }

    @Test(arguments: MLKEMKeySpec.supported)
    func `a key is the same after it was written and read`(_ spec: MLKEMKeySpec) throws {
        let key = try MLKEMPrivateKey.generate(spec)
        let read = try MLKEMPrivateKey(pkcs8: key.pkcs8)
        #expect(key.pkcs8.count == 86)
        #expect(read.spec == spec && read.pkcs8.isEqual(to: key.pkcs8))
        #expect(read.publicKey.spki == key.publicKey.spki)
        let made = try key.publicKey.encapsulate()
        #expect(try read.decapsulate(made.ciphertext).isEqual(to: made.sharedSecret))
    }

    @Test(arguments: MLKEMKeySpec.supported)
    func `bytes that are no key are refused`(_ spec: MLKEMKeySpec) throws {
        let key = try MLKEMPrivateKey.generate(spec)
        let (pkcs8, spki) = (key.pkcs8.exposed, key.publicKey.spki)
        let refused = CryptographyError.invalidKey("not an ML-KEM private key with its seed")
        let prefixes = (0..<pkcs8.count).map { Array(pkcs8.prefix($0)) }
        let others = MLKEMKeySpec.allCases.map(\.encoding.privateKey)
        for bytes in prefixes + [pkcs8 + [0]] + flips(pkcs8, below: spec.encoding.privateKey)
        where !others.contains(where: { bytes.starts(with: $0) }) || bytes.count != pkcs8.count {
            #expect(throws: refused) { try MLKEMPrivateKey(pkcs8: SecretBytes(copying: bytes)) }
        }
        for bytes in [[], Array(spki.dropLast()), spki + [0]]
            + flips(spki, below: spec.encoding.publicKey)
        {
            #expect(throws: CryptographyError.invalidKey("not an ML-KEM public key")) {
                try MLKEMPublicKey(spki: bytes)
            }
        }
    }

    @Test func `what is missing says so`() {
        #expect(MLKEMKeySpec.supported == [.mlKEM768, .mlKEM1024])
        let missing = CryptographyError.unsupported("ML-KEM-512")
        let encoding = MLKEMKeySpec.mlKEM512.encoding
        #expect(throws: missing) { try MLKEMPrivateKey.generate(.mlKEM512) }
        #expect(throws: missing) {
            try MLKEMPrivateKey(pkcs8: encoding.privateKey(seed: .random(count: 64)))
        }
        #expect(throws: missing) {
            try MLKEMPublicKey(spki: encoding.publicKey + [UInt8](repeating: 1, count: 800))
        }
    }

    @Test func `many threads use one key at once`() async throws {
        let key = try MLKEMPrivateKey.generate(.mlKEM768)
        let failures = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<16 {
                group.addTask { failureCount(key) }
            }
            return await group.reduce(0, +)
        }
        #expect(failures == 0)
    }
}

private func failureCount(_ key: MLKEMPrivateKey) -> Int {
    (0..<10).count { _ in
        guard let made = try? key.publicKey.encapsulate() else { return true }
        return (try? key.decapsulate(made.ciphertext).isEqual(to: made.sharedSecret)) != true
    }
}

extension MLKEMKeySpec {
    static let supported = allCases.filter(\.isSupported)
}
