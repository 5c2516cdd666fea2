internal import Cryptography
internal import KMSModel
internal import PostQuantum

/// A private key with its public one, of whichever library has its kind.
enum KeyPair: Sendable {
    case classic(AsymmetricPrivateKey)
    case mlDSA(MLDSAPrivateKey)
    case mlKEM(MLKEMPrivateKey)

    /// What Sign and Verify are about.
    enum Message { case raw([UInt8]), digest([UInt8]) }

    /// - Parameter pkcs8: as ``KeyMaterial`` made it.
    init(_ pkcs8: SecretBytes, _ spec: KeySpec) throws(CryptographyError) {
        self =
            switch spec.family {
            case .mlDSA: .mlDSA(try MLDSAPrivateKey(pkcs8: pkcs8))
            case .mlKEM: .mlKEM(try MLKEMPrivateKey(pkcs8: pkcs8))
            default: .classic(try AsymmetricPrivateKey(pkcs8: pkcs8))
            }
    }

    /// SubjectPublicKeyInfo in DER.
    var publicKey: [UInt8] {
        switch self {
        case .classic(let pair): pair.publicKey.spki
        case .mlDSA(let pair): pair.publicKey.spki
        case .mlKEM(let pair): pair.publicKey.spki
        }
    }

    func sign(
        _ message: Message, _ algorithm: KMSModel.SigningAlgorithm
    ) throws(CryptographyError) -> [UInt8] {
        switch (self, message) {
        case (.classic(let pair), .raw(let bytes)):
            try pair.sign(message: bytes, try algorithm.classic())
        // AWS KMS hashes a digest for Ed25519ph once more.
        case (.classic(let pair), .digest(let bytes)) where algorithm == .ed25519PhSha512:
            try pair.sign(message: bytes, .ed25519ph)
        case (.classic(let pair), .digest(let bytes)):
            try pair.sign(digest: bytes, try algorithm.classic())
        case (.mlDSA(let pair), .raw(let bytes)): try pair.sign(message: bytes)
        default: throw .unsupported(algorithm.rawValue)
        }
    }

    func isValid(
        _ signature: [UInt8], of message: Message, _ algorithm: KMSModel.SigningAlgorithm
    ) throws(CryptographyError) -> Bool {
        switch (self, message) {
        case (.classic(let pair), .raw(let bytes)):
            try pair.publicKey.isValid(signature, message: bytes, try algorithm.classic())
        case (.classic(let pair), .digest(let bytes)) where algorithm == .ed25519PhSha512:
            try pair.publicKey.isValid(signature, message: bytes, .ed25519ph)
        case (.classic(let pair), .digest(let bytes)):
            try pair.publicKey.isValid(signature, digest: bytes, try algorithm.classic())
        case (.mlDSA(let pair), .raw(let bytes)):
            pair.publicKey.isValid(signature, message: bytes)
        default: throw .unsupported(algorithm.rawValue)
        }
    }
}

extension EncryptionAlgorithm {
    /// nil for the symmetric one.
    var classic: AsymmetricEncryptionAlgorithm? {
        switch self {
        case .symmetricDefault: nil
        case .rsaesOaepSha1: .rsaesOAEPSHA1
        case .rsaesOaepSha256: .rsaesOAEPSHA256
        case .sm2pke: .sm2pke
        }
    }
}

extension KMSModel.SigningAlgorithm {
    /// - Throws: ``CryptographyError/unsupported(_:)`` for those of other libraries.
    fileprivate func classic() throws(CryptographyError) -> Cryptography.SigningAlgorithm {
        switch self {
        case .rsassaPssSha256: .rsassaPSSSHA256
        case .rsassaPssSha384: .rsassaPSSSHA384
        case .rsassaPssSha512: .rsassaPSSSHA512
        case .rsassaPkcs1V15Sha256: .rsassaPKCS1SHA256
        case .rsassaPkcs1V15Sha384: .rsassaPKCS1SHA384
        case .rsassaPkcs1V15Sha512: .rsassaPKCS1SHA512
        case .ecdsaSha256: .ecdsaSHA256
        case .ecdsaSha384: .ecdsaSHA384
        case .ecdsaSha512: .ecdsaSHA512
        case .sm2dsa: .sm2dsa
        case .ed25519Sha512: .ed25519
        case .ed25519PhSha512: .ed25519ph
        case .mlDsaShake256: throw .unsupported(rawValue)
        }
    }
}
