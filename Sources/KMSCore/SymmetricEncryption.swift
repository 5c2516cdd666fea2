internal import Cryptography
internal import KMSModel
internal import KMSStore

/// A symmetric CMK at work: each blob has an AES-256-GCM key of its own, which SP 800-108's
/// counter-mode KDF makes from the material and the blob's random salt.
extension EmbeddedKeyService {
    private static let derivationLabel = Array("keyfold symmetric 1".utf8)

    private func blobKey(_ material: SecretBytes, salt: [UInt8]) -> SecretBytes {
        CounterKDF.derive(
            from: material, label: EmbeddedKeyService.derivationLabel, context: salt, count: 32)
    }

    /// Seals 1…4096 bytes under the key's current version.
    func seal(
        _ plaintext: SecretBytes, under entry: KeyEntry, context: EncryptionContext
    ) -> WrappedData {
        let current = entry.current
        let salt = Random.bytes(SymmetricBlob.saltBytes)
        let head = SymmetricBlob(
            keyID: entry.record.id, keyVersion: current.version, salt: salt, box: [])
        let aad = head.authenticatedData(materialID: current.materialID, context: context)
        let key = blobKey(current.material, salt: salt)
        var box = [UInt8](
            repeating: 0, count: plaintext.count + SymmetricBlob.boxOverheadBytes)
        ciphers.withCipher { cipher in
            cipher.use(key)
            plaintext.withBytes { plain in
                aad.withRawSpan { aad in
                    box.withMutableRawSpan { box in
                        cipher.seal(
                            plain, 0..<plain.byteCount, authenticating: aad, into: &box, at: 0)
                    }
                }
            }
        }
        let blob = SymmetricBlob(
            keyID: entry.record.id, keyVersion: current.version, salt: salt, box: box)
        return WrappedData(blob: blob.bytes, keyARN: entry.arn, materialID: current.materialID)
    }

    /// - Throws: ``KMSError/invalidCiphertext`` for every blob that this version of the key did
    ///   not make with this context.
    func open(
        _ blob: SymmetricBlob, with material: MaterialRecord, context: EncryptionContext
    ) throws(KMSError) -> SecretBytes {
        let aad = blob.authenticatedData(materialID: material.materialID, context: context)
        let key = blobKey(material.material, salt: blob.salt)
        let box = blob.box
        do throws(CryptographyError) {
            return try ciphers.withCipher { cipher throws(CryptographyError) in
                cipher.use(key)
                return try SecretBytes(count: box.count - SymmetricBlob.boxOverheadBytes) {
                    plain throws(CryptographyError) in
                    try box.withRawSpan { box throws(CryptographyError) in
                        try aad.withRawSpan { aad throws(CryptographyError) in
                            try cipher.open(
                                box, 0..<box.byteCount, authenticating: aad, into: &plain, at: 0)
                        }
                    }
                }
            }
        } catch {
            throw .invalidCiphertext
        }
    }
}
