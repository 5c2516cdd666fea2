internal import Cryptography
internal import KMSModel
internal import PostQuantum

/// Makes the material of keys, by their specs.
enum KeyMaterial {
    /// Whether a well-kept library here has such keys.
    static func canMake(_ spec: KeySpec) -> Bool {
        switch spec.family {
        case .symmetric, .hmac: true
        case .mlDSA: spec.mlDSA?.isSupported ?? false
        case .mlKEM: spec.mlKEM?.isSupported ?? false
        case .rsa, .nistCurve, .secgCurve, .edwards, .sm2: spec.asymmetric != nil
        }
    }

    /// Raw bytes for symmetric and HMAC keys, PKCS#8 for pairs.
    static func generate(_ spec: KeySpec) throws(KMSError) -> SecretBytes {
        if let count = spec.rawMaterialBytes { return SecretBytes.random(count: count) }
        return try generatePair(spec).privateKey
    }

    /// - Returns: PKCS#8 and SubjectPublicKeyInfo, both DER.
    static func generatePair(
        _ spec: KeySpec
    ) throws(KMSError) -> (privateKey: SecretBytes, publicKey: [UInt8]) {
        do throws(CryptographyError) {
            if let spec = spec.asymmetric {
                let pair = try AsymmetricPrivateKey.generate(spec)
                return (pair.pkcs8, pair.publicKey.spki)
            }
            if let spec = spec.mlDSA {
                let pair = try MLDSAPrivateKey.generate(spec)
                return (pair.pkcs8, pair.publicKey.spki)
            }
            if let spec = spec.mlKEM {
                let pair = try MLKEMPrivateKey.generate(spec)
                return (pair.pkcs8, pair.publicKey.spki)
            }
        } catch {
            throw .internalFailure("no key pair could be made: \(error)")
        }
        throw .unsupportedOperation("Keys of the spec \(spec.rawValue) are not supported.")
    }
}

extension KeySpec {
    /// How long the material of a symmetric or HMAC key is; nil for pairs.
    var rawMaterialBytes: Int? {
        switch self {
        case .symmetricDefault, .hmac256: 32
        case .hmac224: 28
        case .hmac384: 48
        case .hmac512: 64
        default: nil
        }
    }

    /// How long imported material of a symmetric or HMAC key may be; nil for pairs.
    var importableBytes: ClosedRange<Int>? {
        rawMaterialBytes.map { $0...(family == .hmac ? KMSLimit.importedHMACBytes : $0) }
    }

    /// The spec's name among libcrypto's kinds of pairs.
    var asymmetric: AsymmetricKeySpec? {
        switch self {
        case .rsa2048: .rsa2048
        case .rsa3072: .rsa3072
        case .rsa4096: .rsa4096
        case .eccNistP256: .nistP256
        case .eccNistP384: .nistP384
        case .eccNistP521: .nistP521
        case .eccSecgP256k1: .secp256k1
        case .eccNistEdwards25519: .ed25519
        case .sm2: .sm2
        default: nil
        }
    }

    var mlDSA: MLDSAKeySpec? {
        switch self {
        case .mlDsa44: .mlDSA44
        case .mlDsa65: .mlDSA65
        case .mlDsa87: .mlDSA87
        default: nil
        }
    }

    var mlKEM: MLKEMKeySpec? {
        switch self {
        case .mlKem512: .mlKEM512
        case .mlKem768: .mlKEM768
        case .mlKem1024: .mlKEM1024
        default: nil
        }
    }
}
