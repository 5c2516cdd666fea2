internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import Synchronization

/// Key pairs at work. Parsing a private key costs more than using it, so parsed ones are kept: at
/// most ``limit``, dropped all at once when there are more.
final class AsymmetricKeys: Sendable {
    static let limit = 1024
    private let parsed = Mutex<[KeyMaterialID: AsymmetricPrivateKey]>([:])

    func pair(_ version: MaterialRecord) throws(KMSError) -> AsymmetricPrivateKey {
        if let known = parsed.withLock({ $0[version.materialID] }) { return known }
        guard let material = version.material else {
            throw .invalidState("the key material is pending import.")
        }
        let pair: AsymmetricPrivateKey
        do throws(CryptographyError) {
            pair = try AsymmetricPrivateKey(pkcs8: material)
        } catch {
            throw .internalFailure("a stored private key cannot be read: \(error)")
        }
        parsed.withLock { parsed in
            if parsed.count >= AsymmetricKeys.limit { parsed.removeAll() }
            parsed[version.materialID] = pair
        }
        return pair
    }

    /// After material was deleted, or a key: nothing may go on working with it.
    func forgetAll() {
        parsed.withLock { $0.removeAll() }
    }

    // MARK: Encryption

    func encrypt(
        _ plaintext: SecretBytes, with version: MaterialRecord, _ key: KeyRecord,
        _ algorithm: EncryptionAlgorithm
    ) throws(KMSError) -> [UInt8] {
        let pair = try pair(version)
        guard let algorithm = algorithm.asymmetric else { throw .invalidCiphertext }
        do throws(CryptographyError) {
            return try pair.publicKey.encrypt(plaintext, algorithm)
        } catch {
            throw .internalFailure("the encryption failed: \(error)")
        }
    }

    /// - Throws: ``KMSError/invalidCiphertext`` for everything that does not open.
    func decrypt(
        _ ciphertext: [UInt8], with version: MaterialRecord, _ key: KeyRecord,
        _ algorithm: EncryptionAlgorithm
    ) throws(KMSError) -> SecretBytes {
        let pair = try pair(version)
        guard let algorithm = algorithm.asymmetric,
            let plaintext = try? pair.decrypt(ciphertext, algorithm), plaintext.count > 0
        else { throw .invalidCiphertext }
        return plaintext
    }
}

extension EncryptionAlgorithm {
    var asymmetric: AsymmetricEncryptionAlgorithm? {
        switch self {
        case .symmetricDefault: nil
        case .rsaesOaepSha1: .rsaesOAEPSHA1
        case .rsaesOaepSha256: .rsaesOAEPSHA256
        case .sm2pke: .sm2pke
        }
    }
}

extension KMSModel.SigningAlgorithm {
    /// nil for those of key pairs that libcrypto does not have.
    var asymmetric: Cryptography.SigningAlgorithm? {
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
        case .mlDsaShake256: nil
        }
    }
}
