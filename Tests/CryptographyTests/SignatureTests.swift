import TestSupport
import Testing

@testable import Cryptography

@Suite struct SignatureTests {
    @Test(arguments: try Vector.load("rsa-signature"))
    func `RSA verifies as the published vectors say`(_ vector: Vector) throws {
        try expectVerdict(of: vector, algorithm(vector.text("algorithm")))
    }

    @Test(arguments: try Vector.load("rsa-signing"))
    func `PKCS #1 v1.5 signs as the published vectors say`(_ vector: Vector) throws {
        let key = try vector.privateKey("key")
        let (message, signature) = (try vector.bytes("message"), try vector.bytes("signature"))
        let algorithm = try algorithm(vector.text("algorithm"))
        let digest = try #require(algorithm.digest).hash(message)
        #expect(try key.sign(message: message, algorithm) == signature)
        #expect(try key.sign(digest: digest, algorithm) == signature)
        #expect(try key.publicKey.isValid(signature, message: message, algorithm))
    }

    @Test(arguments: try Vector.load("ecdsa"))
    func `ECDSA verifies as the published vectors say`(_ vector: Vector) throws {
        try expectVerdict(of: vector, algorithm("ECDSA " + vector.text("hash")))
    }

    @Test(arguments: try Vector.load("ed25519-verify"))
    func `Ed25519 verifies as the published vectors say`(_ vector: Vector) throws {
        let key = try vector.publicKey("key")
        let (message, signature) = (try vector.bytes("message"), try vector.bytes("signature"))
        #expect(
            try key.isValid(signature, message: message, .ed25519) == !vector.expectsFailure)
    }

    @Test(arguments: try Vector.load("sm2"))
    func `SM2 verifies as the published example says`(_ vector: Vector) throws {
        let (key, message) = (try vector.privateKey("private"), try vector.bytes("message"))
        let (digest, signature) = (try vector.bytes("digest"), try vector.bytes("signature"))
        #expect(key.publicKey.spki == (try vector.bytes("public")))
        #expect(try key.publicKey.isValid(signature, message: message, .sm2dsa))
        #expect(try key.publicKey.isValid(signature, digest: digest, .sm2dsa))
        #expect(try !key.publicKey.isValid(signature, message: message + [0], .sm2dsa))
        let own = try key.sign(message: message, .sm2dsa)
        #expect(try key.publicKey.isValid(own, digest: digest, .sm2dsa))
        let ofDigest = try key.sign(digest: digest, .sm2dsa)
        #expect(try key.publicKey.isValid(ofDigest, message: message, .sm2dsa))
    }

    @Test(arguments: SigningAlgorithm.allCases)
    func `a signature holds for its message and its key only`(
        _ algorithm: SigningAlgorithm
    ) throws {
        for spec in AsymmetricKeySpec.allCases where algorithm.fits(spec) {
            let key = try TestKey.of(spec)
            let other = try TestKey.other(spec)
            for message in [[], [1], Random.bytes(5000)] {
                let signature = try key.sign(message: message, algorithm)
                let bits = signature.count * 8
                let publicKey = key.publicKey
                #expect(try publicKey.isValid(signature, message: message, algorithm))
                #expect(try !publicKey.isValid(signature, message: message + [0], algorithm))
                for bit in [0, bits / 2, bits - 1] {
                    #expect(
                        try !publicKey.isValid(
                            signature.flippingBit(bit), message: message, algorithm))
                }
                for wrong in [[], Array(signature.dropLast()), signature + [0]] {
                    #expect(try !publicKey.isValid(wrong, message: message, algorithm))
                }
                #expect(try !other.publicKey.isValid(signature, message: message, algorithm))
            }
        }
    }

    @Test(arguments: SigningAlgorithm.allCases)
    func `message and digest verify each other`(_ algorithm: SigningAlgorithm) throws {
        // SM2's digest covers more than the message: the published example has one.
        guard let hash = algorithm.digest, algorithm != .sm2dsa else { return }
        let message = Random.bytes(300)
        let digest = hash.hash(message)
        for spec in AsymmetricKeySpec.allCases where algorithm.fits(spec) {
            let key = try TestKey.of(spec)
            let ofMessage = try key.sign(message: message, algorithm)
            let ofDigest = try key.sign(digest: digest, algorithm)
            #expect(try key.publicKey.isValid(ofMessage, digest: digest, algorithm))
            #expect(try key.publicKey.isValid(ofDigest, message: message, algorithm))
            #expect(
                try !key.publicKey.isValid(
                    ofMessage, digest: digest.flippingBit(9), algorithm))
            for wrong in [[], Array(digest.dropLast()), digest + [0]] {
                #expect(throws: CryptographyError.invalidLength("digest")) {
                    try key.sign(digest: wrong, algorithm)
                }
                #expect(throws: CryptographyError.invalidLength("digest")) {
                    try key.publicKey.isValid(ofMessage, digest: wrong, algorithm)
                }
            }
        }
    }

    @Test(arguments: AsymmetricKeySpec.allCases)
    func `a key refuses the algorithms of other keys`(_ spec: AsymmetricKeySpec) throws {
        let key = try TestKey.of(spec)
        for algorithm in SigningAlgorithm.allCases where !algorithm.fits(spec) {
            let expected = CryptographyError.unsupported("\(algorithm) with a key of \(spec)")
            #expect(throws: expected) { try key.sign(message: [1], algorithm) }
            #expect(throws: expected) { try key.sign(digest: [1], algorithm) }
            #expect(throws: expected) {
                try key.publicKey.isValid([1], message: [1], algorithm)
            }
            #expect(throws: expected) {
                try key.publicKey.isValid([1], digest: [1], algorithm)
            }
        }
    }

    @Test func `neither Ed25519 takes a digest, and neither verifies the other`() throws {
        let key = try TestKey.of(.ed25519)
        for (algorithm, other) in [
            (SigningAlgorithm.ed25519, SigningAlgorithm.ed25519ph), (.ed25519ph, .ed25519),
        ] {
            let expected = CryptographyError.unsupported("\(algorithm) of a digest")
            #expect(throws: expected) { try key.sign(digest: Random.bytes(64), algorithm) }
            #expect(throws: expected) {
                try key.publicKey.isValid([1], digest: Random.bytes(64), algorithm)
            }
            let signature = try key.sign(message: [1], algorithm)
            #expect(try !key.publicKey.isValid(signature, message: [1], other))
        }
    }

    @Test(arguments: try Vector.load("ed25519ph"))
    func `Ed25519ph matches the published vector`(_ vector: Vector) throws {
        let key = try vector.privateKey("key")
        let (message, signature) = (try vector.bytes("message"), try vector.bytes("signature"))
        #expect(key.publicKey.spki.suffix(32) == (try vector.bytes("public"))[...])
        #expect(try key.sign(message: message, .ed25519ph) == signature)
        #expect(try key.publicKey.isValid(signature, message: message, .ed25519ph))
    }

    @Test func `many threads sign and verify with one key at once`() async throws {
        let keys = try [AsymmetricKeySpec.rsa2048, .nistP256, .ed25519].map(TestKey.of)
        let failures = await withTaskGroup(of: Int.self) { group in
            for index in 0..<16 {
                group.addTask { failureCount(keys, message: [UInt8(index)]) }
            }
            return await group.reduce(0, +)
        }
        #expect(failures == 0)
    }

    private func expectVerdict(of vector: Vector, _ algorithm: SigningAlgorithm) throws {
        let key = try vector.publicKey("key")
        let (message, signature) = (try vector.bytes("message"), try vector.bytes("signature"))
        let digest = try #require(algorithm.digest).hash(message)
        let isValid = !vector.expectsFailure
        #expect(key.spki == (try vector.bytes("key")))
        #expect(try key.isValid(signature, message: message, algorithm) == isValid)
        #expect(try key.isValid(signature, digest: digest, algorithm) == isValid)
    }

    private func algorithm(_ name: String) throws -> SigningAlgorithm {
        switch name {
        case "PSS SHA-256": .rsassaPSSSHA256
        case "PSS SHA-384": .rsassaPSSSHA384
        case "PSS SHA-512": .rsassaPSSSHA512
        case "PKCS1 SHA-256": .rsassaPKCS1SHA256
        case "PKCS1 SHA-384": .rsassaPKCS1SHA384
        case "PKCS1 SHA-512": .rsassaPKCS1SHA512
        case "ECDSA SHA-256": .ecdsaSHA256
        case "ECDSA SHA-384": .ecdsaSHA384
        case "ECDSA SHA-512": .ecdsaSHA512
        default: throw VectorError.missing("algorithm")
        }
    }
}

private func failureCount(_ keys: [AsymmetricPrivateKey], message: [UInt8]) -> Int {
    var count = 0
    for key in keys {
        for algorithm in SigningAlgorithm.allCases
        where algorithm.fits(key.spec) {
            let signature = (try? key.sign(message: message, algorithm)) ?? []
            let isValid = try? key.publicKey.isValid(signature, message: message, algorithm)
            if isValid != true { count += 1 }
        }
    }
    return count
}

/// Two key pairs of each kind, made once, since RSA takes its time.
enum TestKey {
    private static let keys = make()
    private static let others = make()

    private static func make() -> [Result<AsymmetricPrivateKey, any Error>] {
        AsymmetricKeySpec.allCases.map { spec in
            Result { try AsymmetricPrivateKey.generate(spec) }
        }
    }

    static func of(_ spec: AsymmetricKeySpec) throws -> AsymmetricPrivateKey {
        try get(keys, spec)
    }

    static func other(_ spec: AsymmetricKeySpec) throws -> AsymmetricPrivateKey {
        try get(others, spec)
    }

    private static func get(
        _ keys: [Result<AsymmetricPrivateKey, any Error>], _ spec: AsymmetricKeySpec
    ) throws -> AsymmetricPrivateKey {
        let index = try #require(AsymmetricKeySpec.allCases.firstIndex(of: spec))
        return try keys[index].get()
    }
}
