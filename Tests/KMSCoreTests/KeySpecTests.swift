import Cryptography
import KMSModel
import Testing

/// Keys of every spec and usage, at everything that they can do.
@Suite struct KeySpecTests {
    struct Kind: Sendable, CustomTestStringConvertible {
        let spec: KeySpec
        let usage: KeyUsage
        var testDescription: String { "\(spec.rawValue) \(usage.rawValue)" }
    }

    /// What no library here has (KMSCore, `KeyMaterial.canMake`).
    static let unsupported: [KeySpec] = [.mlDsa44, .mlKem512]
    /// Those of libcrypto; PostQuantumTests and boto3 try the others.
    static let classic = KeySpec.allCases.filter { $0.family != .mlDSA && $0.family != .mlKEM }
    static let kinds = classic.flatMap { spec in
        spec.usages.map { Kind(spec: spec, usage: $0) }
    }
    /// Without the RSA keys that take long to make, where length does not matter.
    static let quickKinds = kinds.filter { $0.spec != .rsa3072 && $0.spec != .rsa4096 }
    static func kinds(_ usage: KeyUsage) -> [KeySpec] {
        kinds.filter { $0.usage == usage }.map(\.spec)
    }

    @Test(arguments: quickKinds)
    func `DescribeKey tells a key's spec, usage and algorithms, and nothing foreign`(
        _ kind: Kind
    ) throws {
        let kms = try TestKeystore()
        let metadata = try kms.metadata(try kms.key(kind.spec, kind.usage))
        #expect(metadata.text(.keySpec) == kind.spec.rawValue)
        #expect(metadata.text(.keyUsage) == kind.usage.rawValue)
        let lists: [(Member, [String])] = [
            (.encryptionAlgorithms, kind.spec.encryptionAlgorithms.map(\.rawValue)),
            (.signingAlgorithms, kind.spec.signingAlgorithms.map(\.rawValue)),
            (.macAlgorithms, kind.spec.macAlgorithms.map(\.rawValue)),
            (.keyAgreementAlgorithms, ["ECDH"]),
        ]
        let own: Member =
            switch kind.usage {
            case .encryptDecrypt: .encryptionAlgorithms
            case .signVerify: .signingAlgorithms
            case .generateVerifyMac: .macAlgorithms
            case .keyAgreement: .keyAgreementAlgorithms
            case .encapsulateDecapsulate: .encapsulationAlgorithms
            }
        for (member, algorithms) in lists {
            if member == own {
                #expect(metadata.texts(member) == algorithms && !algorithms.isEmpty)
            } else {
                #expect(metadata[member] == nil)
            }
        }
        #expect((metadata[.currentKeyMaterialID] != nil) == (kind.spec == .symmetricDefault))
        for member: Member in [.expirationModel, .validTo, .deletionDate, .customKeyStoreID] {
            #expect(metadata[member] == nil)
        }
        #expect(metadata.text(.awsAccountID) == "111122223333")
        #expect(metadata.text(.keyState) == "Enabled")
        #expect(metadata[.enabled] != nil && metadata.flag(.enabled))
        #expect(metadata.text(.description) == "")
        #expect(metadata.text(.keyManager) == "CUSTOMER")
        #expect(metadata.text(.origin) == "AWS_KMS")
        #expect(metadata[.multiRegion] != nil && !metadata.flag(.multiRegion))
    }

    @Test(arguments: quickKinds)
    func `GetPublicKey answers for key pairs alone`(_ kind: Kind) throws {
        let kms = try TestKeystore()
        let key = try kms.key(kind.spec, kind.usage)
        let input = Structure([.keyID: .text(key)])
        guard kind.spec.isAsymmetric else {
            #expect(try kms.refusal(.getPublicKey, input) == KMSError(.unsupportedOperation))
            return
        }
        let answer = try kms.ask(.getPublicKey, input)
        let spki = try #require(answer.bytes(.publicKey))
        #expect(try AsymmetricPublicKey(spki: spki).spki == spki)
        #expect(answer.text(.keySpec) == kind.spec.rawValue)
        #expect(answer.text(.keyUsage) == kind.usage.rawValue)
        #expect(answer.text(.keyID) == key)
    }

    /// Every operation of another usage names the key's own one.
    @Test(arguments: quickKinds)
    func `a key does only what its usage says`(_ kind: Kind) throws {
        let kms = try TestKeystore()
        let key = try kms.key(kind.spec, kind.usage)
        let requests: [(KMSOperation, KeyUsage, Structure)] = [
            (.encrypt, .encryptDecrypt, Structure([.plaintext: .secret(secret("x"))])),
            (.generateDataKey, .encryptDecrypt, Structure([.keySpec: .text("AES_256")])),
            (.sign, .signVerify, StateTableTests.signing),
            (.generateMAC, .generateVerifyMac, StateTableTests.coding),
            (
                .deriveSharedSecret, .keyAgreement,
                Structure([
                    .keyAgreementAlgorithm: .text("ECDH"), .publicKey: .bytes([1]),
                ])
            ),
            (
                .encapsulate, .encapsulateDecapsulate,
                Structure([.encapsulationAlgorithm: .text("ML_KEM")])
            ),
        ]
        for (operation, usage, members) in requests where usage != kind.usage {
            var input = members
            input[.keyID] = .text(key)
            #expect(
                try kms.refusal(operation, input)
                    == .invalidKeyUsage(
                        "\(key) key usage is \(kind.usage.rawValue) which is not valid for "
                            + "\(operation.rawValue)."))
        }
    }

    @Test(arguments: quickKinds)
    func `an algorithm of another spec is named with the key's`(_ kind: Kind) throws {
        let kms = try TestKeystore()
        let key = try kms.key(kind.spec, kind.usage)
        func expect(
            _ operation: KMSOperation, _ member: Member, _ algorithm: String, _ more: Structure
        ) throws {
            var input = more
            input[.keyID] = .text(key)
            input[member] = .text(algorithm)
            #expect(
                try kms.refusal(operation, input)
                    == .invalidKeyUsage(
                        "Algorithm \(algorithm) is incompatible with key spec "
                            + "\(kind.spec.rawValue)."))
        }
        switch kind.usage {
        case .encryptDecrypt:
            for algorithm in EncryptionAlgorithm.allCases
            where !kind.spec.encryptionAlgorithms.contains(algorithm) {
                try expect(
                    .encrypt, .encryptionAlgorithm, algorithm.rawValue,
                    Structure([.plaintext: .secret(secret("x"))]))
            }
        case .signVerify:
            for algorithm in KMSModel.SigningAlgorithm.allCases
            where !kind.spec.signingAlgorithms.contains(algorithm) {
                try expect(
                    .sign, .signingAlgorithm, algorithm.rawValue,
                    Structure([.message: .secret(secret("x"))]))
            }
        case .generateVerifyMac:
            for algorithm in MACAlgorithm.allCases
            where !kind.spec.macAlgorithms.contains(algorithm) {
                try expect(
                    .generateMAC, .macAlgorithm, algorithm.rawValue,
                    Structure([.message: .secret(secret("x"))]))
            }
        case .keyAgreement, .encapsulateDecapsulate: break
        }
    }

    @Test(arguments: KeySpec.allCases)
    func `a usage that a spec does not have is refused with both names`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        for usage in KeyUsage.allCases where !spec.usages.contains(usage) {
            #expect(
                try kms.refusal(
                    .createKey, Structure([.keySpec: .choice(spec), .keyUsage: .choice(usage)]))
                    == .validation(
                        "KeyUsage \(usage.rawValue) is not compatible with KeySpec "
                            + "\(spec.rawValue)"))
        }
        let refusal = try kms.refusal(.createKey, Structure([.keySpec: .choice(spec)]))
        #expect(
            refusal
                == (spec == .symmetricDefault
                    ? nil
                    : .validation(
                        "You must specify a KeyUsage value for all KMS keys except for symmetric "
                            + "encryption keys.")))
    }

    @Test(arguments: unsupported)
    func `a spec without a library is refused, never faked`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let revision = try kms.eventNames().count
        #expect(
            try kms.refusal(
                .createKey,
                Structure([.keySpec: .choice(spec), .keyUsage: .choice(spec.usages[0])]))
                == .unsupportedOperation("Keys of the spec \(spec.rawValue) are not supported."))
        #expect(try kms.eventNames().count == revision + 1)
        #expect(try kms.ask(.listKeys).structures(.keys).count == 1)
    }

    // MARK: Encryption

    @Test(arguments: kinds(.encryptDecrypt))
    func `what a key encrypts it decrypts, up to its algorithm's limit`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, .encryptDecrypt)
        for algorithm in spec.encryptionAlgorithms {
            let limit = try #require(spec.maximumPlaintextBytes(algorithm))
            for count in [1, limit - 1, limit] {
                let plain = [UInt8](repeating: 9, count: count)
                let blob = try #require(
                    try kms.ask(
                        .encrypt,
                        Structure([
                            .keyID: .text(key), .plaintext: .secret(secret(plain)),
                            .encryptionAlgorithm: .choice(algorithm),
                        ])
                    ).bytes(.ciphertextBlob))
                let opened = try kms.ask(
                    .decrypt,
                    Structure([
                        .keyID: .text(key), .ciphertextBlob: .bytes(blob),
                        .encryptionAlgorithm: .choice(algorithm),
                    ]))
                #expect(opened.secret(.plaintext).map(bytes) == plain)
                #expect(opened.text(.keyID) == key)
                #expect(opened.text(.encryptionAlgorithm) == algorithm.rawValue)
                #expect((opened[.keyMaterialID] != nil) == (spec == .symmetricDefault))
                for index in [0, blob.count / 2, blob.count - 1] {
                    var changed = blob
                    changed[index] ^= 4
                    #expect(
                        try kms.refusal(
                            .decrypt,
                            Structure([
                                .keyID: .text(key), .ciphertextBlob: .bytes(changed),
                                .encryptionAlgorithm: .choice(algorithm),
                            ]))?.code == .invalidCiphertext)
                }
            }
            guard limit < 4096 else { continue }
            #expect(
                try kms.refusal(
                    .encrypt,
                    Structure([
                        .keyID: .text(key),
                        .plaintext: .secret(secret([UInt8](repeating: 1, count: limit + 1))),
                        .encryptionAlgorithm: .choice(algorithm),
                    ]))
                    == .validation(
                        "Algorithm \(algorithm.rawValue) and key spec \(spec.rawValue) cannot "
                            + "encrypt data larger than \(limit) bytes."))
        }
    }

    @Test(
        arguments: kinds(.encryptDecrypt).filter {
            $0 != .rsa3072 && $0 != .rsa4096 && $0 != .symmetricDefault
        })
    func `key pairs take no encryption context, and decrypt only when they are named`(
        _ spec: KeySpec
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, .encryptDecrypt)
        let algorithm = spec.encryptionAlgorithms[0]
        var input = Structure([
            .keyID: .text(key), .plaintext: .secret(secret("x")),
            .encryptionAlgorithm: .choice(algorithm),
            .encryptionContext: .context(EncryptionContext(["a": "b"])),
        ])
        let refused = KMSError.validation(
            "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.")
        #expect(try kms.refusal(.encrypt, input) == refused)
        input[.encryptionContext] = nil
        let blob = try #require(try kms.ask(.encrypt, input).bytes(.ciphertextBlob))
        let opening = Structure([
            .ciphertextBlob: .bytes(blob), .encryptionAlgorithm: .choice(algorithm),
        ])
        #expect(try kms.refusal(.decrypt, opening) == .validation("KeyId must not be null"))
        let context = Value.context(EncryptionContext(["a": "b"]))
        #expect(
            try kms.refusal(
                .decrypt, opening.with(.keyID, .text(key)).with(.encryptionContext, context))
                == refused)
        // Without an algorithm it is the symmetric one.
        #expect(
            try kms.refusal(
                .decrypt, Structure([.keyID: .text(key), .ciphertextBlob: .bytes(blob)]))
                == .invalidCiphertext)
        // Whose ciphertext it is comes first.
        let symmetric = try StateTableTests.blob(kms, try kms.key())
        #expect(
            try kms.refusal(
                .decrypt, Structure([.keyID: .text(key), .ciphertextBlob: .bytes(symmetric)]))
                == .incorrectKey)
    }

    @Test(arguments: kinds(.encryptDecrypt).filter { $0 != .rsa3072 && $0 != .rsa4096 })
    func `ReEncrypt goes between all kinds of keys`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, .encryptDecrypt)
        let other = try kms.key()
        let algorithm = spec.encryptionAlgorithms[0]
        let blob = try StateTableTests.blob(kms, other)
        let there = try kms.ask(
            .reEncrypt,
            Structure([
                .ciphertextBlob: .bytes(blob), .destinationKeyID: .text(key),
                .destinationEncryptionAlgorithm: .choice(algorithm),
            ]))
        #expect(there.text(.sourceKeyID) == other)
        #expect(there.text(.keyID) == key)
        #expect(there.text(.sourceEncryptionAlgorithm) == "SYMMETRIC_DEFAULT")
        #expect(there.text(.destinationEncryptionAlgorithm) == algorithm.rawValue)
        let back = try kms.ask(
            .reEncrypt,
            Structure([
                .ciphertextBlob: .bytes(try #require(there.bytes(.ciphertextBlob))),
                .sourceKeyID: .text(key), .destinationKeyID: .text(other),
                .sourceEncryptionAlgorithm: .choice(algorithm),
            ]))
        let opened = try kms.ask(
            .decrypt,
            Structure([.ciphertextBlob: .bytes(try #require(back.bytes(.ciphertextBlob)))]))
        #expect(opened.secret(.plaintext).map(text) == "x")
    }

    @Test func `symmetric ciphertext with a MAC key's id is of the wrong key`() throws {
        let kms = try TestKeystore()
        let blob = try StateTableTests.blob(kms, try kms.key())
        #expect(
            try kms.refusal(
                .decrypt,
                Structure([.keyID: .text(try kms.key(.hmac256)), .ciphertextBlob: .bytes(blob)]))
                == .incorrectKey)
    }

    // MARK: Codes and agreement

    @Test(arguments: kinds(.generateVerifyMac))
    func `a code verifies for its message and key alone`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let (key, other) = (try kms.key(spec), try kms.key(spec))
        let algorithm = spec.macAlgorithms[0]
        func input(_ key: String, _ message: String) -> Structure {
            Structure([
                .keyID: .text(key), .message: .secret(secret(message)),
                .macAlgorithm: .choice(algorithm),
            ])
        }
        let code = try #require(try kms.ask(.generateMAC, input(key, "m")).bytes(.mac))
        #expect(code.count == [28, 32, 48, 64][kinds.firstIndex(of: spec) ?? 0])
        func verify(_ key: String, _ message: String, _ code: [UInt8]) throws -> KMSError? {
            var input = input(key, message)
            input[.mac] = .bytes(code)
            return try kms.refusal(.verifyMAC, input)
        }
        #expect(try verify(key, "m", code) == nil)
        let invalid = KMSError(.invalidMAC)
        #expect(try verify(key, "n", code) == invalid)
        #expect(try verify(other, "m", code) == invalid)
        #expect(try verify(key, "m", Array(code.dropLast())) == invalid)
        #expect(try verify(key, "m", code + [0]) == invalid)
    }
    private var kinds: [KeySpec] { Self.kinds(.generateVerifyMac) }

    @Test(arguments: kinds(.keyAgreement))
    func `both sides of an agreement get the X coordinate`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let keys = [try kms.key(spec, .keyAgreement), try kms.key(spec, .keyAgreement)]
        let publics = try keys.map {
            try #require(
                try kms.ask(.getPublicKey, Structure([.keyID: .text($0)])).bytes(.publicKey))
        }
        func derive(_ key: String, _ peer: [UInt8]) throws -> Structure {
            try kms.ask(
                .deriveSharedSecret,
                Structure([
                    .keyID: .text(key), .publicKey: .bytes(peer),
                    .keyAgreementAlgorithm: .text("ECDH"),
                ]))
        }
        let first = try derive(keys[0], publics[1])
        let second = try derive(keys[1], publics[0])
        let shared = try #require(first.secret(.sharedSecret).map(bytes))
        #expect(shared == second.secret(.sharedSecret).map(bytes))
        #expect(shared.count == [.eccNistP384: 48, .eccNistP521: 66][spec] ?? 32)
        #expect(first.text(.keyOrigin) == "AWS_KMS")
        let foreign = try AsymmetricPrivateKey.generate(
            spec == .eccNistP256 ? .nistP384 : .nistP256
        ).publicKey.spki
        for peer in [foreign, [1, 2, 3], Array(publics[1].dropLast())] {
            // AWS says no more; the log does.
            let refusal = #expect(throws: KMSError.self) { try derive(keys[0], peer) }
            #expect(refusal?.code == .validation && refusal?.message == "")
            #expect(refusal?.loggedMessage.contains(spec.rawValue) == true)
        }
    }

    // MARK: Data keys

    static let pairSpecs = DataKeyPairSpec.allCases.filter {
        KeySpec(rawValue: $0.rawValue).map { classic.contains($0) } ?? false
    }

    @Test(arguments: pairSpecs)
    func `a data key pair's private half is the one in its ciphertext`(
        _ spec: DataKeyPairSpec
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let input = Structure([
            .keyID: .text(key), .keyPairSpec: .choice(spec),
            .encryptionContext: .context(EncryptionContext(["a": "b"])),
        ])
        let pair = try kms.ask(.generateDataKeyPair, input)
        let plain = try #require(pair.secret(.privateKeyPlaintext))
        let spki = try #require(pair.bytes(.publicKey))
        #expect(try AsymmetricPrivateKey(pkcs8: plain).publicKey.spki == spki)
        func open(_ answer: Structure) throws -> [UInt8]? {
            try kms.ask(
                .decrypt,
                Structure([
                    .ciphertextBlob: answer[.privateKeyCiphertextBlob],
                    .encryptionContext: .context(EncryptionContext(["a": "b"])),
                ])
            ).secret(.plaintext).map(bytes)
        }
        #expect(try open(pair) == bytes(plain))
        let other = try kms.ask(.generateDataKeyPairWithoutPlaintext, input)
        #expect(other[.privateKeyPlaintext] == nil)
        let opened = try #require(try open(other))
        #expect(
            try AsymmetricPrivateKey(pkcs8: secret(opened)).publicKey.spki
                == other.bytes(.publicKey))
        #expect(other.bytes(.publicKey) != spki)
    }

    @Test func `key pairs wrap no data keys, in AWS's words`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.rsa2048, .encryptDecrypt)
        for (operation, members, product) in [
            (KMSOperation.generateDataKey, Structure([.keySpec: .text("AES_256")]), "data key"),
            (.generateDataKeyWithoutPlaintext, Structure([.numberOfBytes: .number(1)]), "data key"),
            (
                .generateDataKeyPair, Structure([.keyPairSpec: .text("ECC_NIST_P256")]),
                "data key pair"
            ),
            (
                .generateDataKeyPairWithoutPlaintext,
                Structure([.keyPairSpec: .text("ECC_NIST_P256")]), "data key pair"
            ),
        ] {
            #expect(
                try kms.refusal(operation, members.with(.keyID, .text(key)))
                    == .invalidKeyUsage("You cannot generate a \(product) with an asymmetric CMK"))
        }
    }

    @Test func `data keys have the length that was asked for`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        for (members, count) in [
            (Structure([.keySpec: .text("AES_128")]), 16),
            (Structure([.keySpec: .text("AES_256")]), 32),
            (Structure([.numberOfBytes: .number(1)]), 1),
            (Structure([.numberOfBytes: .number(1024)]), 1024),
        ] {
            var input = members
            input[.keyID] = .text(key)
            let made = try kms.ask(.generateDataKey, input)
            #expect(made.secret(.plaintext)?.count == count)
            #expect(made[.keyMaterialID] != nil)
            for blob in [
                made[.ciphertextBlob],
                try kms.ask(.generateDataKeyWithoutPlaintext, input)[.ciphertextBlob],
            ] {
                let opened = try kms.ask(.decrypt, Structure([.ciphertextBlob: blob]))
                #expect(opened.secret(.plaintext)?.count == count)
            }
        }
        for members in [
            Structure(),
            Structure([.keySpec: .text("AES_256"), .numberOfBytes: .number(32)]),
        ] {
            var input = members
            input[.keyID] = .text(key)
            #expect(
                try kms.refusal(.generateDataKey, input)
                    == .validation("Please specify either number of bytes or key spec."))
        }
    }
}
