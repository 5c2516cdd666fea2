internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import Synchronization

/// Key pairs at work. Parsing a private key costs more than using it, so parsed ones are kept: at
/// most ``limit``, dropped all at once when there are more.
final class KeyPairs: Sendable {
    static let limit = 1024
    private let parsed = Mutex<[KeyMaterialID: KeyPair]>([:])

    func pair(_ version: MaterialRecord, _ spec: KeySpec) throws(KMSError) -> KeyPair {
        if let known = parsed.withLock({ $0[version.materialID] }) { return known }
        guard let material = version.material else {
            throw .invalidState("the key material is pending import.")
        }
        let pair: KeyPair
        do throws(CryptographyError) {
            pair = try KeyPair(material, spec)
        } catch {
            throw .internalFailure("a stored private key cannot be read: \(error)")
        }
        parsed.withLock { parsed in
            if parsed.count >= KeyPairs.limit { parsed.removeAll() }
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
        guard case .classic(let pair) = try pair(version, key.spec),
            let algorithm = algorithm.classic
        else { throw .invalidCiphertext }
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
        guard case .classic(let pair) = try pair(version, key.spec),
            let algorithm = algorithm.classic,
            let plaintext = try? pair.decrypt(ciphertext, algorithm), plaintext.count > 0
        else { throw .invalidCiphertext }
        return plaintext
    }
}
