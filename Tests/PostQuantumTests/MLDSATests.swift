import Cryptography
import TestSupport
import Testing

@testable import PostQuantum

@Suite struct MLDSATests {
    @Test(arguments: try Vector.load("ml-dsa"))
    func `ML-DSA verifies as the published vectors say`(_ vector: Vector) throws {
        let key = try MLDSAPublicKey(spki: vector.bytes("key"))
        #expect(key.spec.rawValue == vector.text("spec"))
        #expect(key.spki == (try vector.bytes("key")))
        let (message, signature) = (try vector.bytes("message"), try vector.bytes("signature"))
        #expect(key.isValid(signature, message: message) == !vector.expectsFailure)
    }

    @Test(arguments: try Vector.load("ml-dsa-keys"))
    func `a seed makes the published key`(_ vector: Vector) throws {
        let spec = try #require(MLDSAKeySpec(rawValue: vector.text("spec")))
        let key = try MLDSAPrivateKey(seed: vector.secret("seed"), spec)
        let bytes = key.publicKey.spki.suffix(spec.encoding.publicKeyBytes)
        #expect(SHA256.hash(Array(bytes)) == (try vector.bytes("public-sha256")))
        let read = try MLDSAPrivateKey(pkcs8: key.pkcs8)
        #expect(read.publicKey.spki == key.publicKey.spki)
    }

    @Test(arguments: MLDSAKeySpec.supported)
    func `a signature holds for its message and its key only`(_ spec: MLDSAKeySpec) throws {
        let (key, other) = (try MLDSAPrivateKey.generate(spec), try MLDSAPrivateKey.generate(spec))
        for message in [[], [1], Random.bytes(4096)] {
            let signature = try key.sign(message: message)
            #expect(signature.count == spec.signatureBytes)
            #expect(key.publicKey.isValid(signature, message: message))
            #expect(!key.publicKey.isValid(signature, message: message + [0]))
            #expect(!other.publicKey.isValid(signature, message: message))
            for bit in [0, 1000, signature.count * 8 - 1] {
                var changed = signature
                changed[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(!key.publicKey.isValid(changed, message: message))
            }
            for wrong in [[], Array(signature.dropLast()), signature + [0]] {
                #expect(!key.publicKey.isValid(wrong, message: message))
            }
            #expect(try key.sign(message: message) != signature)
        }
    }

    @Test(arguments: MLDSAKeySpec.supported)
    func `a key is the same after it was written and read`(_ spec: MLDSAKeySpec) throws {
        let key = try MLDSAPrivateKey.generate(spec)
        let read = try MLDSAPrivateKey(pkcs8: key.pkcs8)
        #expect(key.pkcs8.count == 54)
        #expect(read.spec == spec && read.pkcs8.isEqual(to: key.pkcs8))
        #expect(read.publicKey.spki == key.publicKey.spki)
        let publicKey = try MLDSAPublicKey(spki: key.publicKey.spki)
        let signature = try read.sign(message: [1, 2, 3])
        #expect(publicKey.isValid(signature, message: [1, 2, 3]))
    }

    @Test(arguments: MLDSAKeySpec.supported)
    func `bytes that are no key are refused`(_ spec: MLDSAKeySpec) throws {
        let key = try MLDSAPrivateKey.generate(spec)
        let (pkcs8, spki) = (key.pkcs8.exposed, key.publicKey.spki)
        let refused = CryptographyError.invalidKey("not an ML-DSA private key with its seed")
        let prefixes = (0..<pkcs8.count).map { Array(pkcs8.prefix($0)) }
        let others = MLDSAKeySpec.allCases.map(\.encoding.privateKey)
        for bytes in prefixes + [pkcs8 + [0]] + flips(pkcs8, below: spec.encoding.privateKey)
        where !others.contains(where: { bytes.starts(with: $0) }) || bytes.count != pkcs8.count {
            #expect(throws: refused) { try MLDSAPrivateKey(pkcs8: SecretBytes(copying: bytes)) }
        }
        for bytes in [[], Array(spki.dropLast()), spki + [0]]
            + flips(spki, below: spec.encoding.publicKey)
        {
            #expect(throws: CryptographyError.invalidKey("not an ML-DSA public key")) {
                try MLDSAPublicKey(spki: bytes)
            }
        }
    }

    @Test func `many threads sign with one key at once`() async throws {
        let key = try MLDSAPrivateKey.generate(.mlDSA65)
        let failures = await withTaskGroup(of: Int.self) { group in
            for index in 0..<16 {
                group.addTask {
                    (0..<5).count { _ in
                        let signature = (try? key.sign(message: [UInt8(index)])) ?? []
                        return !key.publicKey.isValid(signature, message: [UInt8(index)])
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(failures == 0)
    }

    @Test func `no description of a private key shows its seed`() throws {
        let key = try MLDSAPrivateKey(seed: SecretBytes(copying: [UInt8](200...231)), .mlDSA65)
        let other = try MLKEMPrivateKey(seed: SecretBytes(copying: [UInt8](180...243)), .mlKEM768)
        for value: Any in [key, other] {
            var text = String(describing: value) + String(reflecting: value)
            dump(value, to: &text)
            #expect(text.contains("PrivateKey(ML-"))
            #expect(!text.contains("201") && !text.lowercased().contains("c9ca"))
        }
    }

    /// swift-crypto has no ML-DSA-44.
    @Test func `what is missing says so`() throws {
        #expect(MLDSAKeySpec.supported == [.mlDSA65, .mlDSA87])
        let missing = CryptographyError.unsupported("ML-DSA-44")
        let encoding = MLDSAKeySpec.mlDSA44.encoding
        #expect(throws: missing) { try MLDSAPrivateKey.generate(.mlDSA44) }
        #expect(throws: missing) {
            try MLDSAPrivateKey(pkcs8: encoding.privateKey(seed: .random(count: 32)))
        }
        #expect(throws: missing) {
            try MLDSAPublicKey(spki: encoding.publicKey + [UInt8](repeating: 1, count: 1312))
        }
    }
}

extension MLDSAKeySpec {
    static let supported = allCases.filter(\.isSupported)
}

extension Vector {
    func secret(_ name: String) throws -> SecretBytes {
        SecretBytes(copying: try bytes(name))
    }
}

extension SecretBytes {
    /// A copy of an array that the test keeps.
    convenience init(copying bytes: [UInt8]) {
        var copy = bytes
        self.init(consuming: &copy)
    }

    /// The bytes, in the open.
    var exposed: [UInt8] {
        withArray { $0 }
    }
}

/// The bytes with each bit changed in turn that lies within the prefix, which no key can lack.
func flips(_ bytes: [UInt8], below prefix: [UInt8]) -> [[UInt8]] {
    (0..<prefix.count * 8).map { bit in
        var changed = bytes
        changed[bit / 8] ^= 1 << UInt8(bit % 8)
        return changed
    }
}
