/// The CiphertextBlob of a symmetric CMK, as bytes: it names its key and the key's version.
///
/// ```
/// offset  size  field
///      0     1  format, 1
///      1     1  flags; bit 0: the key id is a multi-Region one; the others are zero
///      2    16  key id
///     18     4  key version, from 1
///     22    16  salt: the AES key is SP 800-108 KDF(material, salt)
///     38    12  nonce
///     50     n  ciphertext, n = 1…4096
///   50+n    16  tag
/// ```
///
/// The additional authenticated data is ``authenticatedData(materialID:context:)``. Numbers are
/// big-endian. The layout is Keyfold's own: AWS KMS documents its blobs as opaque.
package struct SymmetricBlob: Sendable, Hashable {
    package static let format: UInt8 = 1
    package static let saltBytes = 16
    package static let headBytes = 38
    /// Nonce and tag.
    package static let boxOverheadBytes = 28
    package static let maximumPlaintextBytes = 4096

    package let keyID: KeyID
    package let keyVersion: UInt32
    package let salt: [UInt8]
    /// Nonce, ciphertext, tag.
    package let box: [UInt8]

    package init(keyID: KeyID, keyVersion: UInt32, salt: [UInt8], box: [UInt8]) {
        precondition(salt.count == Self.saltBytes, "BUG: a blob's salt has 16 bytes")
        self.keyID = keyID
        self.keyVersion = keyVersion
        self.salt = salt
        self.box = box
    }

    /// Reads a blob's structure; whether it is genuine only its key can tell. nil for anything
    /// that no Keyfold key made.
    package init?(decoding bytes: [UInt8]) {
        let boxRange =
            Self.boxOverheadBytes + 1...Self.boxOverheadBytes + Self.maximumPlaintextBytes
        guard bytes.count > Self.headBytes, boxRange.contains(bytes.count - Self.headBytes),
            bytes[0] == Self.format, bytes[1] <= 1,
            let keyID = KeyID(bytes: bytes[2..<18], isMultiRegion: bytes[1] == 1)
        else { return nil }
        let version = bytes[18..<22].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard version > 0 else { return nil }
        self.init(
            keyID: keyID, keyVersion: version, salt: Array(bytes[22..<38]), box: Array(bytes[38...])
        )
    }

    package var bytes: [UInt8] {
        var bytes = head(reserving: box.count)
        bytes.append(contentsOf: box)
        return bytes
    }

    private func head(reserving count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headBytes + count)
        bytes.append(Self.format)
        bytes.append(keyID.isMultiRegion ? 1 : 0)
        for half in [keyID.high, keyID.low] {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: half >> UInt64(shift)))
            }
        }
        for shift in stride(from: 24, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: keyVersion >> UInt32(shift)))
        }
        bytes.append(contentsOf: salt)
        return bytes
    }

    /// What the tag covers beside the plaintext: the blob's head, the id of the material, and the
    /// encryption context in its one canonical form.
    package func authenticatedData(
        materialID: KeyMaterialID, context: EncryptionContext
    ) -> [UInt8] {
        let context = context.canonicalBytes
        var bytes = head(reserving: materialID.bytes.count + context.count)
        bytes.append(contentsOf: materialID.bytes)
        bytes.append(contentsOf: context)
        return bytes
    }
}
