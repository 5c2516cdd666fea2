package import KMSModel

/// Requests that share one quota: AWS KMS's classes.
///
/// Source: AWS KMS developer guide, "Request quotas".
package enum OperationClass: Hashable, Sendable {
    /// Cryptographic operations with symmetric encryption and HMAC keys.
    case symmetric
    case rsa
    /// Elliptic curves and SM2.
    case ecc
    case mlDSA
    case mlKEM
    case dataKeyPair(DataKeyPairSpec)
    /// Every other operation by itself.
    case single(KMSOperation)

    /// What kind of key is meant follows from the request's algorithm, since which key is named is
    /// not known before the request is carried out.
    package init(_ operation: KMSOperation, _ input: Structure) {
        switch operation {
        case .generateDataKey, .generateDataKeyWithoutPlaintext, .generateMAC, .generateRandom,
            .verifyMAC:
            self = .symmetric
        case .decrypt, .encrypt:
            self = Self(input.choice(.encryptionAlgorithm, EncryptionAlgorithm.self))
        case .reEncrypt:
            let source = input.choice(.sourceEncryptionAlgorithm, EncryptionAlgorithm.self)
            self = Self(source)
        case .sign, .verify:
            self = Self(input.choice(.signingAlgorithm, SigningAlgorithm.self))
        case .deriveSharedSecret: self = .ecc
        case .encapsulate, .decapsulate: self = .mlKEM
        case .generateDataKeyPair, .generateDataKeyPairWithoutPlaintext:
            self = .dataKeyPair(input.choice(.keyPairSpec) ?? .rsa4096)
        default: self = .single(operation)
        }
    }

    private init(_ algorithm: EncryptionAlgorithm?) {
        switch algorithm {
        case nil, .symmetricDefault: self = .symmetric
        case .rsaesOaepSha1, .rsaesOaepSha256: self = .rsa
        case .sm2pke: self = .ecc
        }
    }

    private init(_ algorithm: SigningAlgorithm?) {
        switch algorithm {
        case nil, .rsassaPssSha256, .rsassaPssSha384, .rsassaPssSha512, .rsassaPkcs1V15Sha256,
            .rsassaPkcs1V15Sha384, .rsassaPkcs1V15Sha512:
            self = .rsa
        case .ecdsaSha256, .ecdsaSha384, .ecdsaSha512, .sm2dsa, .ed25519Sha512, .ed25519PhSha512:
            self = .ecc
        case .mlDsaShake256: self = .mlDSA
        }
    }

    /// As options name it: `symmetric`, `rsa`, …, `GenerateDataKeyPair:RSA_2048`, `CreateKey`.
    package var name: String {
        switch self {
        case .symmetric: "symmetric"
        case .rsa: "rsa"
        case .ecc: "ecc"
        case .mlDSA: "ml-dsa"
        case .mlKEM: "ml-kem"
        case .dataKeyPair(let spec): "GenerateDataKeyPair:\(spec.rawValue)"
        case .single(let operation): operation.rawValue
        }
    }

    package static let all: [OperationClass] =
        [.symmetric, .rsa, .ecc, .mlDSA, .mlKEM]
        + DataKeyPairSpec.allCases.map(OperationClass.dataKeyPair)
        + KMSOperation.allCases.map { OperationClass($0, Structure()) }.filter {
            if case .single = $0 { true } else { false }
        }

    package init?(name: String) {
        guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
        self = found
    }
}
