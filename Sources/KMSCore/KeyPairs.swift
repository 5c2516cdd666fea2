internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import Synchronization

/// Key pairs at work. Parsing a private key costs more than using it, so parsed ones are kept: in the
/// entries of their keys, so that they go when the material does, whichever process deletes it. At
/// most ``limit`` of them, dropped all at once when there are more.
final class KeyPairs: Sendable {
    static let limit = 1024

    private struct Holder {
        weak var entry: KeyEntry?
    }

    /// Of each pair that is kept.
    private let holders = Mutex<[Holder]>([])

    func pair(_ version: MaterialRecord, of entry: KeyEntry) throws(KMSError) -> KeyPair {
        if let known = entry.kept(ofVersion: version.version) as? KeyPair { return known }
        guard let material = version.material else {
            throw .invalidState("the key material is pending import.")
        }
        let pair: KeyPair
        do throws(CryptographyError) {
            pair = try KeyPair(material, entry.record.spec)
        } catch {
            throw .internalFailure("a stored private key cannot be read: \(error)")
        }
        holders.withLock { holders in
            if holders.count >= KeyPairs.limit {
                for holder in holders { holder.entry?.dropKept() }
                holders.removeAll()
            }
            holders.append(Holder(entry: entry))
            entry.keep(pair, ofVersion: version.version)
        }
        return pair
    }

    // MARK: Encryption

    func encrypt(
        _ plaintext: SecretBytes, with version: MaterialRecord, of entry: KeyEntry,
        _ algorithm: EncryptionAlgorithm
    ) throws(KMSError) -> [UInt8] {
        guard case .classic(let pair) = try pair(version, of: entry),
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
        _ ciphertext: [UInt8], with version: MaterialRecord, of entry: KeyEntry,
        _ algorithm: EncryptionAlgorithm
    ) throws(KMSError) -> SecretBytes {
        guard case .classic(let pair) = try pair(version, of: entry),
            let algorithm = algorithm.classic,
            let plaintext = try? pair.decrypt(ciphertext, algorithm), plaintext.count > 0
        else { throw .invalidCiphertext }
        return plaintext
    }
}
