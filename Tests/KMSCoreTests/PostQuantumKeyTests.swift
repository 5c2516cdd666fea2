import Cryptography
import KMSModel
import Testing

/// ML-KEM and ML-DSA keys at what only they can do (FIPS 203, FIPS 204).
@Suite struct PostQuantumKeyTests {
    struct Encapsulating: Sendable, CustomTestStringConvertible {
        let spec: KeySpec
        /// FIPS 203 §8, table 3.
        let ciphertextBytes: Int
        /// The encapsulation key behind 22 bytes of DER (RFC 9935 §4).
        let publicKeyBytes: Int
        var testDescription: String { spec.rawValue }
    }

    /// ML_KEM_512, whose keys no library here has, is among KeySpecTests' unsupported specs.
    static let encapsulating = [
        Encapsulating(spec: .mlKem768, ciphertextBytes: 1088, publicKeyBytes: 1184 + 22),
        Encapsulating(spec: .mlKem1024, ciphertextBytes: 1568, publicKeyBytes: 1568 + 22),
    ]
    static let signing: [KeySpec] = [.mlDsa65, .mlDsa87]

    private static func request(_ key: String, _ ciphertext: [UInt8]? = nil) -> Structure {
        Structure([
            .keyID: .text(key), .encapsulationAlgorithm: .text("ML_KEM"),
            .sharedSecretCiphertextBlob: ciphertext.map(Value.bytes),
        ])
    }

    private static func decapsulate(
        _ kms: TestKeystore, _ key: String, _ ciphertext: [UInt8]
    ) throws -> [UInt8] {
        let answer = try kms.ask(.decapsulate, request(key, ciphertext))
        #expect(answer.text(.keyID) == key)
        #expect(answer.text(.encapsulationAlgorithm) == "ML_KEM")
        #expect(answer.members.count == 3)
        return try #require(answer.secret(.sharedSecret).map(bytes))
    }

    // MARK: ML-KEM

    @Test(arguments: encapsulating)
    func `what Encapsulate shares Decapsulate opens, in the lengths of FIPS 203`(
        _ kind: Encapsulating
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.key(kind.spec)
        var shared: [[UInt8]] = []
        for _ in 0..<3 {
            let made = try kms.ask(.encapsulate, Self.request(key))
            #expect(made.text(.keyID) == key)
            #expect(made.text(.encapsulationAlgorithm) == "ML_KEM")
            #expect(made.members.count == 4)
            let secret = try #require(made.secret(.sharedSecret).map(bytes))
            let ciphertext = try #require(made.bytes(.sharedSecretCiphertextBlob))
            #expect(secret.count == 32)
            #expect(ciphertext.count == kind.ciphertextBytes)
            #expect(try Self.decapsulate(kms, key, ciphertext) == secret)
            shared.append(secret)
        }
        #expect(Set(shared).count == 3)
        let again = try kms.again()
        defer { again.close() }
        let made = try again.service.answer(.encapsulate, Self.request(key), as: kms.owner)
        let ciphertext = try #require(made.bytes(.sharedSecretCiphertextBlob))
        #expect(
            try Self.decapsulate(kms, key, ciphertext) == made.secret(.sharedSecret).map(bytes))
    }

    @Test(arguments: encapsulating)
    func `an encapsulation key tells its spec, usage and algorithm`(
        _ kind: Encapsulating
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.key(kind.spec)
        let metadata = try kms.metadata(key)
        #expect(metadata.text(.keySpec) == kind.spec.rawValue)
        #expect(metadata.text(.keyUsage) == "ENCAPSULATE_DECAPSULATE")
        #expect(metadata.texts(.encapsulationAlgorithms) == ["ML_KEM"])
        #expect(metadata[.signingAlgorithms] == nil)
        let answer = try kms.ask(.getPublicKey, Structure([.keyID: .text(key)]))
        #expect(answer.bytes(.publicKey)?.count == kind.publicKeyBytes)
        #expect(answer.texts(.encapsulationAlgorithms) == ["ML_KEM"])
    }

    /// Implicit rejection (FIPS 203 §6.3): a secret that nobody shares, and always the same one.
    @Test(arguments: encapsulating)
    func `a changed or foreign ciphertext gives a secret that nobody has`(
        _ kind: Encapsulating
    ) throws {
        let kms = try TestKeystore()
        let (key, other) = (try kms.key(kind.spec), try kms.key(kind.spec))
        let made = try kms.ask(.encapsulate, Self.request(key))
        let secret = try #require(made.secret(.sharedSecret).map(bytes))
        let ciphertext = try #require(made.bytes(.sharedSecretCiphertextBlob))
        var found: Set<[UInt8]> = [secret, try Self.decapsulate(kms, other, ciphertext)]
        #expect(found.count == 2)
        for index in [0, kind.ciphertextBytes / 2, kind.ciphertextBytes - 1] {
            var changed = ciphertext
            changed[index] ^= 1
            let rejected = try Self.decapsulate(kms, key, changed)
            #expect(try Self.decapsulate(kms, key, changed) == rejected)
            #expect(found.insert(rejected).inserted)
        }
        #expect(try Self.decapsulate(kms, key, ciphertext) == secret)
    }

    @Test(arguments: encapsulating)
    func `a ciphertext of another length is none`(_ kind: Encapsulating) throws {
        let kms = try TestKeystore()
        let key = try kms.key(kind.spec)
        let lengths = [1, 768, 1088, 1568, kind.ciphertextBytes - 1, kind.ciphertextBytes + 1]
        for count in lengths where count != kind.ciphertextBytes {
            #expect(
                try kms.refusal(
                    .decapsulate, Self.request(key, [UInt8](repeating: 7, count: count)))
                    == .invalidCiphertext, "\(count)")
        }
        for count in [0, 6145] {
            #expect(
                try kms.refusal(
                    .decapsulate, Self.request(key, [UInt8](repeating: 7, count: count)))?.code
                    == .validation, "\(count)")
        }
    }

    @Test func `encapsulation is for its keys alone, and they are for nothing else`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.mlKem768)
        func wrongUsage(_ key: String, _ usage: KeyUsage, _ operation: KMSOperation) -> KMSError {
            .invalidKeyUsage(
                "\(key) key usage is \(usage.rawValue) which is not valid for "
                    + "\(operation.rawValue).")
        }
        let others: [(KeySpec, KeyUsage)] = [
            (.symmetricDefault, .encryptDecrypt), (.rsa2048, .encryptDecrypt),
            (.eccNistP256, .keyAgreement), (.mlDsa65, .signVerify),
            (.hmac256, .generateVerifyMac),
        ]
        for (spec, usage) in others {
            let other = try kms.key(spec, usage)
            for operation: KMSOperation in [.encapsulate, .decapsulate] {
                let input = Self.request(other, operation == .decapsulate ? [1] : nil)
                #expect(
                    try kms.refusal(operation, input) == wrongUsage(other, usage, operation))
            }
        }
        let uses: [(KMSOperation, Structure)] = [
            (
                .sign,
                Structure([
                    .message: .secret(secret("x")), .signingAlgorithm: .text("ML_DSA_SHAKE_256"),
                ])
            ),
            (.encrypt, Structure([.plaintext: .secret(secret("x"))])),
            (.generateDataKey, Structure([.keySpec: .text("AES_256")])),
            (
                .generateMAC,
                Structure([.message: .secret(secret("x")), .macAlgorithm: .text("HMAC_SHA_256")])
            ),
            (
                .deriveSharedSecret,
                Structure([.publicKey: .bytes([1]), .keyAgreementAlgorithm: .text("ECDH")])
            ),
        ]
        for (operation, members) in uses {
            var input = members
            input[.keyID] = .text(key)
            #expect(
                try kms.refusal(operation, input)
                    == wrongUsage(key, .encapsulateDecapsulate, operation))
        }
        for operation: KMSOperation in [.rotateKeyOnDemand, .enableKeyRotation] {
            #expect(
                try kms.refusal(operation, Structure([.keyID: .text(key)]))?.code
                    == .unsupportedOperation)
        }
    }

    // MARK: ML-DSA

    private static func signing(
        _ key: String, _ message: [UInt8], _ type: MessageType
    ) -> Structure {
        Structure([
            .keyID: .text(key), .message: .secret(secret(message)),
            .signingAlgorithm: .text("ML_DSA_SHAKE_256"), .messageType: .choice(type),
        ])
    }

    @Test(arguments: signing)
    func `an ML-DSA signature verifies for its message and key alone`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let (key, other) = (try kms.key(spec), try kms.key(spec))
        let message = Array("a message that is signed".utf8)
        let signature = try #require(
            try kms.ask(.sign, Self.signing(key, message, .raw)).bytes(.signature))
        // FIPS 204 §4, table 2.
        #expect(signature.count == (spec == .mlDsa65 ? 3309 : 4627))
        func verify(
            _ key: String, _ message: [UInt8], _ signature: [UInt8]
        ) throws -> KMSError? {
            var input = Self.signing(key, message, .raw)
            input[.signature] = .bytes(signature)
            return try kms.refusal(.verify, input)
        }
        let invalid = KMSError(.invalidSignature)
        #expect(try verify(key, message, signature) == nil)
        #expect(try verify(other, message, signature) == invalid)
        #expect(try verify(key, message + [0], signature) == invalid)
        #expect(try verify(key, message, Array(signature.dropLast())) == invalid)
        #expect(try verify(key, message, signature + [0]) == invalid)
        for index in [0, signature.count / 2, signature.count - 1] {
            var changed = signature
            changed[index] ^= 1
            #expect(try verify(key, message, changed) == invalid)
        }
    }

    /// µ is made from the public key's hash and the message (FIPS 204 §6.2, algorithm 7, line 6):
    /// 64 bytes, which neither libcrypto nor swift-crypto takes.
    @Test(arguments: signing)
    func `an external µ is refused by its name, and never signed as something else`(
        _ spec: KeySpec
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec)
        let mu = [UInt8](repeating: 3, count: 64)
        var input = Self.signing(key, mu, .externalMu)
        let unsupported = KMSError.unsupportedOperation(
            "The message type EXTERNAL_MU is not supported.")
        #expect(try kms.refusal(.sign, input) == unsupported)
        let signature = try #require(
            try kms.ask(.sign, Self.signing(key, mu, .raw)).bytes(.signature))
        input[.signature] = .bytes(signature)
        #expect(try kms.refusal(.verify, input) == unsupported)
        input[.dryRun] = .flag(true)
        #expect(try kms.refusal(.verify, input) == unsupported)
        input[.signature] = nil
        #expect(try kms.refusal(.sign, input) == unsupported)
        for count in [1, 32, 63, 65, 4096] {
            let wrong = Self.signing(key, [UInt8](repeating: 3, count: count), .externalMu)
            #expect(
                try kms.refusal(.sign, wrong)
                    == .validation(
                        "External Mu is invalid length for algorithm ML_DSA_SHAKE_256."))
        }
        #expect(
            try kms.refusal(.sign, Self.signing(key, mu, .digest))
                == .validation(
                    "Message type DIGEST is incompatible with key spec \(spec.rawValue)."))
    }

    @Test func `an external µ belongs to ML-DSA`() throws {
        let kms = try TestKeystore()
        let mu = [UInt8](repeating: 3, count: 64)
        for spec: KeySpec in [.rsa2048, .eccNistP256, .eccNistEdwards25519, .sm2] {
            let key = try kms.key(spec, .signVerify)
            for algorithm in spec.signingAlgorithms {
                var input = Self.signing(key, mu, .externalMu)
                input[.signingAlgorithm] = .choice(algorithm)
                #expect(
                    try kms.refusal(.sign, input)
                        == .validation(
                            "Message type EXTERNAL_MU is incompatible with key spec "
                                + "\(spec.rawValue)."))
            }
        }
    }
}
