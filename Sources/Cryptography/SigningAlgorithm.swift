/// The signature algorithms, by AWS KMS's division.
package enum SigningAlgorithm: CaseIterable, Hashable, Sendable {
    /// RSASSA-PSS (RFC 8017 §8.1) with MGF1 over the same hash and a salt as long as its digest.
    case rsassaPSSSHA256
    case rsassaPSSSHA384
    case rsassaPSSSHA512
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    case rsassaPKCS1SHA256
    case rsassaPKCS1SHA384
    case rsassaPKCS1SHA512
    /// ECDSA (FIPS 186-5 §6). Signatures are DER, `SEQUENCE { r, s }` (RFC 3279 §2.2.3).
    case ecdsaSHA256
    case ecdsaSHA384
    case ecdsaSHA512
    /// PureEdDSA (RFC 8032 §5.1). Of messages only.
    case ed25519
    /// HashEdDSA with SHA-512 (RFC 8032 §5.1). Of messages only: the hash is libsodium's. AWS KMS
    /// hashes the digest that it is given once more, so that the digest is the message here.
    case ed25519ph
    /// SM2 signatures (GB/T 32918.2) over SM3, with the distinguishing identifier
    /// "1234567812345678" for messages. Signatures are DER as of ECDSA.
    case sm2dsa

    /// What can be signed instead of a message; nil for ``ed25519`` and ``ed25519ph``.
    ///
    /// The digest of a message for ``sm2dsa`` covers the identifier and the public key also
    /// (GB/T 32918.2 §6.1); it is not the plain hash of the message.
    package var digest: HashFunction? {
        switch self {
        case .rsassaPSSSHA256, .rsassaPKCS1SHA256, .ecdsaSHA256: .sha256
        case .rsassaPSSSHA384, .rsassaPKCS1SHA384, .ecdsaSHA384: .sha384
        case .rsassaPSSSHA512, .rsassaPKCS1SHA512, .ecdsaSHA512: .sha512
        case .ed25519, .ed25519ph: nil
        case .sm2dsa: .sm3
        }
    }

    /// Whether keys of this spec sign so. Any of the three hashes goes with each curve for ECDSA.
    package func fits(_ spec: AsymmetricKeySpec) -> Bool {
        switch self {
        case .rsassaPSSSHA256, .rsassaPSSSHA384, .rsassaPSSSHA512, .rsassaPKCS1SHA256,
            .rsassaPKCS1SHA384, .rsassaPKCS1SHA512:
            spec.algorithm == .rsa
        case .ecdsaSHA256, .ecdsaSHA384, .ecdsaSHA512:
            [.nistP256, .nistP384, .nistP521, .secp256k1].contains(spec)
        case .ed25519, .ed25519ph: spec == .ed25519
        case .sm2dsa: spec == .sm2
        }
    }

    /// - Throws: ``CryptographyError/unsupported(_:)`` unless keys of this spec sign so.
    func check(_ spec: AsymmetricKeySpec) throws(CryptographyError) {
        guard fits(spec) else { throw .unsupported("\(self) with a key of \(spec)") }
    }
}

extension AsymmetricPrivateKey {
    /// The signature of a message of any length, which is hashed as the algorithm says.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for an algorithm that does not go with the
    ///   key, ``CryptographyError/libraryFailure(_:)`` when memory is short.
    package func sign(
        message: [UInt8], _ algorithm: SigningAlgorithm
    ) throws(CryptographyError) -> [UInt8] {
        try algorithm.check(spec)
        let signature: [UInt8]? =
            switch algorithm {
            case .ed25519: key.sign(message: message, .ed25519)
            case .ed25519ph:
                Ed25519ph.sign(message, seed: key.seed, publicKey: key.ed25519PublicKey)
            case .sm2dsa: key.sign(message: message, .sm2)
            default: algorithm.digest.flatMap { key.sign(digest: $0.hash(message), algorithm) }
            }
        guard let signature else { throw .libraryFailure("signature") }
        return signature
    }

    /// The signature of a message of which the caller gives the digest.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for an algorithm that does not go with the
    ///   key or has no digest, ``CryptographyError/invalidLength(_:)`` for a digest of another
    ///   length than the algorithm's, ``CryptographyError/libraryFailure(_:)`` when memory is short.
    package func sign(
        digest: [UInt8], _ algorithm: SigningAlgorithm
    ) throws(CryptographyError) -> [UInt8] {
        try algorithm.check(spec, digest)
        guard let signature = key.sign(digest: digest, algorithm) else {
            throw .libraryFailure("signature")
        }
        return signature
    }
}

extension AsymmetricPublicKey {
    /// Whether `signature` is one of `message`.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for an algorithm that does not go with the
    ///   key.
    package func isValid(
        _ signature: [UInt8], message: [UInt8], _ algorithm: SigningAlgorithm
    ) throws(CryptographyError) -> Bool {
        try algorithm.check(spec)
        return switch algorithm {
        case .ed25519: key.isValid(signature, message: message, .ed25519)
        case .ed25519ph:
            Ed25519ph.isValid(signature, message: message, publicKey: key.ed25519PublicKey)
        case .sm2dsa: key.isValid(signature, message: message, .sm2)
        default:
            algorithm.digest.map { key.isValid(signature, digest: $0.hash(message), algorithm) }
                ?? false
        }
    }

    /// Whether `signature` is one of the message with this digest.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for an algorithm that does not go with the
    ///   key or has no digest, ``CryptographyError/invalidLength(_:)`` for a digest of another
    ///   length than the algorithm's.
    package func isValid(
        _ signature: [UInt8], digest: [UInt8], _ algorithm: SigningAlgorithm
    ) throws(CryptographyError) -> Bool {
        try algorithm.check(spec, digest)
        return key.isValid(signature, digest: digest, algorithm)
    }
}

extension SigningAlgorithm {
    fileprivate func check(
        _ spec: AsymmetricKeySpec, _ given: [UInt8]
    ) throws(CryptographyError) {
        try check(spec)
        guard let digest else { throw .unsupported("\(self) of a digest") }
        guard given.count == digest.byteCount else { throw .invalidLength("digest") }
    }
}
