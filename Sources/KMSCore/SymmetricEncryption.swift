internal import Cryptography
internal import KMSModel
internal import KMSStore

/// A symmetric CMK at work: each blob has an AES-256-GCM key of its own, which SP 800-108's
/// counter-mode KDF makes from the material and the blob's random salt.
extension EmbeddedKeyService {
    private static let derivationLabel = Array("keyfold symmetric 1".utf8)

    /// Gives `cipher` the key of one blob.
    private func use(_ material: HMACKey, salt: [UInt8], in cipher: AESGCM256) {
        cipher.useKey { key in
            CounterKDF.derive(
                from: material, label: EmbeddedKeyService.derivationLabel, context: salt,
                into: &key)
        }
    }

    /// Seals 1…4096 bytes under one version of the key.
    func seal(
        _ plaintext: SecretBytes, under entry: KeyEntry, _ version: MaterialRecord,
        _ material: HMACKey, context: EncryptionContext
    ) -> [UInt8] {
        let salt = Random.bytes(SymmetricBlob.saltBytes)
        let head = SymmetricBlob(
            keyID: entry.record.id, keyVersion: version.version, salt: salt, box: [])
        let aad = head.authenticatedData(materialID: version.materialID, context: context)
        var box = [UInt8](
            repeating: 0, count: plaintext.count + SymmetricBlob.boxOverheadBytes)
        ciphers.withCipher { cipher in
            use(material, salt: salt, in: cipher)
            plaintext.withBytes { plain in
                aad.withRawSpan { aad in
                    box.withMutableRawSpan { box in
                        cipher.seal(
                            plain, 0..<plain.byteCount, authenticating: aad, into: &box, at: 0)
                    }
                }
            }
        }
        return SymmetricBlob(
            keyID: entry.record.id, keyVersion: version.version, salt: salt, box: box
        ).bytes
    }

    /// - Throws: ``KMSError/invalidCiphertext`` for every blob that this version of the key did
    ///   not make with this context; that the material is not there is the key's state.
    func open(
        _ blob: SymmetricBlob, of entry: KeyEntry, with version: MaterialRecord,
        context: EncryptionContext
    ) throws(KMSError) -> SecretBytes {
        guard let material = entry.derivation(version) else {
            throw .invalidState("\(entry.arnText) is pending import.")
        }
        let aad = blob.authenticatedData(materialID: version.materialID, context: context)
        let box = blob.box
        do throws(CryptographyError) {
            return try ciphers.withCipher { cipher throws(CryptographyError) in
                use(material, salt: blob.salt, in: cipher)
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
