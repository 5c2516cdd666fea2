import TestSupport
import Testing

@testable import Cryptography

@Suite struct AsymmetricEncryptionTests {
    @Test(arguments: try Vector.load("rsa-oaep"))
    func `OAEP opens what the published vectors say, and nothing else`(_ vector: Vector) throws {
        let key = try vector.privateKey("key")
        let ciphertext = try vector.bytes("ciphertext")
        let algorithm: AsymmetricEncryptionAlgorithm =
            try vector.hash == .sha1 ? .rsaesOAEPSHA1 : .rsaesOAEPSHA256
        guard !vector.expectsFailure else {
            #expect(throws: CryptographyError.decryptionFailed) {
                try key.decrypt(ciphertext, algorithm)
            }
            return
        }
        #expect(
            try key.decrypt(ciphertext, algorithm).exposed == (try vector.bytes("plaintext")))
    }

    @Test(arguments: try Vector.load("sm2"))
    func `SM2 opens the published example`(_ vector: Vector) throws {
        let key = try vector.privateKey("private")
        let plaintext = try key.decrypt(vector.bytes("ciphertext"), .sm2pke)
        #expect(plaintext.exposed == (try vector.bytes("plaintext")))
    }

    @Test(arguments: AsymmetricEncryptionAlgorithm.allCases)
    func `every length up to the maximum opens again`(
        _ algorithm: AsymmetricEncryptionAlgorithm
    ) throws {
        for spec in AsymmetricKeySpec.allCases where algorithm.fits(spec) {
            let key = try TestKey.of(spec)
            let maximum = try #require(algorithm.maximumPlaintextBytes(spec))
            for count in [1, 2, 32, maximum - 1, maximum] {
                let plaintext = SecretBytes.random(count: count)
                let ciphertext = try key.publicKey.encrypt(plaintext, algorithm)
                #expect(try key.decrypt(ciphertext, algorithm).isEqual(to: plaintext))
                #expect(try key.publicKey.encrypt(plaintext, algorithm) != ciphertext)
            }
            #expect(throws: CryptographyError.invalidLength("plaintext")) {
                try key.publicKey.encrypt(.random(count: maximum + 1), algorithm)
            }
        }
    }

    /// The figures of AWS KMS.
    @Test func `the maxima are those of AWS KMS`() {
        let sha1 = AsymmetricEncryptionAlgorithm.rsaesOAEPSHA1
        let sha256 = AsymmetricEncryptionAlgorithm.rsaesOAEPSHA256
        let specs: [AsymmetricKeySpec] = [.rsa2048, .rsa3072, .rsa4096]
        #expect(specs.map(sha1.maximumPlaintextBytes) == [214, 342, 470])
        #expect(specs.map(sha256.maximumPlaintextBytes) == [190, 318, 446])
        #expect(AsymmetricEncryptionAlgorithm.sm2pke.maximumPlaintextBytes(.sm2) == 1024)
    }

    @Test func `OAEP opens an empty plaintext, SM2 makes none`() throws {
        let empty = SecretBytes(copying: [UInt8]())
        let key = try TestKey.of(.rsa2048)
        let ciphertext = try key.publicKey.encrypt(empty, .rsaesOAEPSHA256)
        #expect(try key.decrypt(ciphertext, .rsaesOAEPSHA256).exposed == [])
        #expect(throws: CryptographyError.invalidLength("plaintext")) {
            try TestKey.of(.sm2).publicKey.encrypt(empty, .sm2pke)
        }
    }

    @Test(arguments: AsymmetricEncryptionAlgorithm.allCases)
    func `every failure to decrypt is the same`(
        _ algorithm: AsymmetricEncryptionAlgorithm
    ) throws {
        let spec: AsymmetricKeySpec = algorithm == .sm2pke ? .sm2 : .rsa2048
        let (key, other) = (try TestKey.of(spec), try TestKey.other(spec))
        let ciphertext = try key.publicKey.encrypt(.random(count: 32), algorithm)
        var wrong = stride(from: 0, to: ciphertext.count * 8, by: 61).map {
            ciphertext.flippingBit($0)
        }
        wrong += [[], [0], ciphertext + [0], [0] + ciphertext, Array(ciphertext.dropLast())]
        wrong += [[UInt8](repeating: 0xff, count: ciphertext.count)]
        wrong += [[UInt8](repeating: 0, count: ciphertext.count), Random.bytes(10_000)]
        for ciphertext in wrong {
            #expect(throws: CryptographyError.decryptionFailed) {
                try key.decrypt(ciphertext, algorithm)
            }
        }
        #expect(throws: CryptographyError.decryptionFailed) {
            try other.decrypt(ciphertext, algorithm)
        }
        if algorithm != .sm2pke {
            let another: AsymmetricEncryptionAlgorithm =
                algorithm == .rsaesOAEPSHA1 ? .rsaesOAEPSHA256 : .rsaesOAEPSHA1
            #expect(throws: CryptographyError.decryptionFailed) {
                try key.decrypt(ciphertext, another)
            }
        }
    }

    @Test(arguments: AsymmetricKeySpec.allCases)
    func `a key refuses the encryption of other keys`(_ spec: AsymmetricKeySpec) throws {
        let key = try TestKey.of(spec)
        for algorithm in AsymmetricEncryptionAlgorithm.allCases where !algorithm.fits(spec) {
            let expected = CryptographyError.unsupported("\(algorithm) with a key of \(spec)")
            #expect(throws: expected) {
                try key.publicKey.encrypt(.random(count: 1), algorithm)
            }
            #expect(throws: expected) { try key.decrypt([1], algorithm) }
        }
    }
}

@Suite struct AESKeyWrapTests {
    @Test(arguments: try Vector.load("aes-kwp"))
    func `AES key wrap matches the published vectors`(_ vector: Vector) throws {
        let (key, wrapped) = (try vector.secret("key"), try vector.bytes("wrapped"))
        guard !vector.expectsFailure else {
            #expect(throws: CryptographyError.decryptionFailed) {
                try AESKeyWrap.unwrap(wrapped, under: key)
            }
            return
        }
        let plaintext = try vector.secret("plaintext")
        #expect(try AESKeyWrap.wrap(plaintext, under: key) == wrapped)
        #expect(try AESKeyWrap.unwrap(wrapped, under: key).isEqual(to: plaintext))
    }

    @Test(arguments: [1, 7, 8, 9, 16, 17, 2400, 65_535, 65_536])
    func `what was wrapped opens again, and no change to it does`(_ count: Int) throws {
        let (key, secret) = (SecretBytes.random(count: 32), SecretBytes.random(count: count))
        let wrapped = try AESKeyWrap.wrap(secret, under: key)
        #expect(wrapped.count == (count + 7) / 8 * 8 + 8)
        #expect(try AESKeyWrap.unwrap(wrapped, under: key).isEqual(to: secret))
        var wrong = [0, 63, 64, wrapped.count * 8 - 1].map { wrapped.flippingBit($0) }
        wrong += [[], Array(wrapped.dropLast()), Array(wrapped.dropLast(8))]
        wrong += [wrapped + [0], wrapped + [UInt8](repeating: 0, count: 8)]
        for bytes in wrong {
            #expect(throws: CryptographyError.decryptionFailed) {
                try AESKeyWrap.unwrap(bytes, under: key)
            }
        }
        #expect(throws: CryptographyError.decryptionFailed) {
            try AESKeyWrap.unwrap(wrapped, under: .random(count: 32))
        }
    }

    @Test func `other lengths are refused`() throws {
        let key = SecretBytes.random(count: 32)
        for count in [0, 65_537] {
            #expect(throws: CryptographyError.invalidLength("secret")) {
                try AESKeyWrap.wrap(.random(count: count), under: key)
            }
        }
        for count in [0, 16, 24, 31, 33] {
            #expect(throws: CryptographyError.invalidLength("key wrap key")) {
                try AESKeyWrap.wrap(.random(count: 8), under: .random(count: count))
            }
            #expect(throws: CryptographyError.invalidLength("key wrap key")) {
                try AESKeyWrap.unwrap(Random.bytes(24), under: .random(count: count))
            }
        }
    }
}
