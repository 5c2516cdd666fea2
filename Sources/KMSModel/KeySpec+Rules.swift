/// What kind of thing a key is: which usages, algorithms and sizes go with its spec.
///
/// Source: AWS KMS developer guide, "Key spec reference".
extension KeySpec {
    package enum Family: Sendable, Hashable {
        case symmetric, rsa, nistCurve, secgCurve, edwards, sm2, hmac, mlDSA, mlKEM
    }

    package var family: Family {
        switch self {
        case .symmetricDefault: .symmetric
        case .rsa2048, .rsa3072, .rsa4096: .rsa
        case .eccNistP256, .eccNistP384, .eccNistP521: .nistCurve
        case .eccSecgP256k1: .secgCurve
        case .eccNistEdwards25519: .edwards
        case .sm2: .sm2
        case .hmac224, .hmac256, .hmac384, .hmac512: .hmac
        case .mlDsa44, .mlDsa65, .mlDsa87: .mlDSA
        case .mlKem512, .mlKem768, .mlKem1024: .mlKEM
        }
    }

    package var isAsymmetric: Bool { family != .symmetric && family != .hmac }

    /// The usages that a key of this spec may have.
    package var usages: [KeyUsage] {
        switch family {
        case .symmetric: [.encryptDecrypt]
        case .rsa: [.encryptDecrypt, .signVerify]
        case .nistCurve: [.signVerify, .keyAgreement]
        case .secgCurve, .edwards, .mlDSA: [.signVerify]
        case .sm2: [.encryptDecrypt, .signVerify, .keyAgreement]
        case .hmac: [.generateVerifyMac]
        case .mlKEM: [.encapsulateDecapsulate]
        }
    }

    /// Of a key with the usage ENCRYPT_DECRYPT.
    package var encryptionAlgorithms: [EncryptionAlgorithm] {
        switch family {
        case .symmetric: [.symmetricDefault]
        case .rsa: [.rsaesOaepSha1, .rsaesOaepSha256]
        case .sm2: [.sm2pke]
        default: []
        }
    }

    /// Of a key with the usage SIGN_VERIFY.
    package var signingAlgorithms: [SigningAlgorithm] {
        switch self {
        case .rsa2048, .rsa3072, .rsa4096:
            [
                .rsassaPkcs1V15Sha256, .rsassaPkcs1V15Sha384, .rsassaPkcs1V15Sha512,
                .rsassaPssSha256, .rsassaPssSha384, .rsassaPssSha512,
            ]
        case .eccNistP256, .eccSecgP256k1: [.ecdsaSha256]
        case .eccNistP384: [.ecdsaSha384]
        case .eccNistP521: [.ecdsaSha512]
        case .eccNistEdwards25519: [.ed25519Sha512, .ed25519PhSha512]
        case .sm2: [.sm2dsa]
        case .mlDsa44, .mlDsa65, .mlDsa87: [.mlDsaShake256]
        default: []
        }
    }

    package var macAlgorithms: [MACAlgorithm] {
        switch self {
        case .hmac224: [.hmacSha224]
        case .hmac256: [.hmacSha256]
        case .hmac384: [.hmacSha384]
        case .hmac512: [.hmacSha512]
        default: []
        }
    }
}

extension KeySpec {
    /// The most bytes that one encryption takes, or nil where the algorithm is not the spec's.
    package func maximumPlaintextBytes(_ algorithm: EncryptionAlgorithm) -> Int? {
        switch (self, algorithm) {
        case (.symmetricDefault, .symmetricDefault): 4096
        case (.rsa2048, .rsaesOaepSha1): 214
        case (.rsa2048, .rsaesOaepSha256): 190
        case (.rsa3072, .rsaesOaepSha1): 342
        case (.rsa3072, .rsaesOaepSha256): 318
        case (.rsa4096, .rsaesOaepSha1): 470
        case (.rsa4096, .rsaesOaepSha256): 446
        case (.sm2, .sm2pke): 1024
        default: nil
        }
    }
}

extension SigningAlgorithm {
    /// The length of a message of the type DIGEST; nil where there is no such type.
    package var digestBytes: Int? {
        switch self {
        case .rsassaPssSha256, .rsassaPkcs1V15Sha256, .ecdsaSha256, .sm2dsa: 32
        case .rsassaPssSha384, .rsassaPkcs1V15Sha384, .ecdsaSha384: 48
        case .rsassaPssSha512, .rsassaPkcs1V15Sha512, .ecdsaSha512, .ed25519PhSha512: 64
        case .ed25519Sha512, .mlDsaShake256: nil
        }
    }
}
