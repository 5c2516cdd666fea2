import Cryptography

/// How a file's blocks are sealed.
package enum ContentCipher: UInt16, Sendable {
    case aes256GCM = 1
}

/// The head of a sealed file, docs/format.md §4.1.
///
/// ```
/// offset  size  field
///      0     8  magic, "KEYFOLD" 0x01
///      8     2  format version, 1
///     10     2  cipher, 1 = AES-256-GCM
///     12     4  flags; bit 0: sparse; the others are zero
///     16    16  file id
///     32    32  commitment to the data key
///     64    32  tag: HMAC-SHA256 over the 64 bytes before it
///     96     2  size of the header in bytes
///     98     n  wrapped keys, 1…16
///   98+n     …  zeros
/// ```
///
/// Numbers are big-endian. Any other bytes than those that ``encoded(layout:)`` writes are refused.
package struct FileHeader: Equatable, Sendable {
    static let magic = Array("KEYFOLD\u{1}".utf8)
    static let version: UInt16 = 1
    private static let sparseFlag: UInt32 = 1

    package let fileID: FileID
    package let cipher: ContentCipher
    /// Whether an all-zero block may be a hole.
    package let isSparse: Bool
    /// 32 bytes, from ``FileKeys/commitment``.
    package let commitment: [UInt8]
    package let wrappedKeys: [WrappedKey]
    /// 32 bytes.
    package let tag: [UInt8]

    /// The header of a new file.
    package init(fileID: FileID, isSparse: Bool, wrappedKeys: [WrappedKey], keys: FileKeys) {
        self.fileID = fileID
        cipher = .aes256GCM
        self.isSparse = isSparse
        commitment = keys.commitment
        self.wrappedKeys = wrappedKeys
        let fields = Self.fields(fileID, cipher, isSparse: isSparse, commitment)
        tag = Self.tag(over: fields, keys)
    }

    private init(_ other: FileHeader, wrappedKeys: [WrappedKey]) {
        fileID = other.fileID
        cipher = other.cipher
        isSparse = other.isSparse
        commitment = other.commitment
        self.wrappedKeys = wrappedKeys
        tag = other.tag
    }

    /// The same file's header after a rewrap; the tag does not cover the wrapped keys.
    package func withWrappedKeys(_ keys: [WrappedKey]) -> FileHeader {
        FileHeader(self, wrappedKeys: keys)
    }

    /// The same file's header with the flag as given, under a new tag.
    package func withSparse(_ isSparse: Bool, keys: FileKeys) -> FileHeader {
        FileHeader(fileID: fileID, isSparse: isSparse, wrappedKeys: wrappedKeys, keys: keys)
    }

    /// Whether these are the keys of this file, and the fields those that were written.
    ///
    /// - Throws: ``FormatError/authenticationFailed(_:)`` when the commitment is to another data
    ///   key or a field was changed.
    package func authenticate(with keys: FileKeys) throws(FormatError) {
        let fields = Self.fields(fileID, cipher, isSparse: isSparse, commitment)
        guard constantTimeEqual(commitment, keys.commitment),
            HMACSHA256.isValid(tag, for: Label.header + fields, key: keys.header)
        else { throw .authenticationFailed(.fileHeader) }
    }

    private static func tag(over fields: [UInt8], _ keys: FileKeys) -> [UInt8] {
        HMACSHA256.authenticationCode(for: Label.header + fields, key: keys.header)
    }
}

// MARK: - Bytes

extension FileHeader {
    /// Reads a header's structure; whether it is genuine, ``authenticate(with:)`` tells.
    ///
    /// - Parameter bytes: as many as the layout's headers have.
    /// - Throws: ``FormatError/malformed(_:_:)`` for anything that no writer makes,
    ///   ``FormatError/unsupportedVersion(_:_:)`` for a later version.
    package init(decoding bytes: [UInt8], layout: BlockLayout) throws(FormatError) {
        guard bytes.count == layout.headerBytes else {
            throw .malformed(.fileHeader, "\(bytes.count) bytes")
        }
        var reader = ByteReader(bytes)
        guard reader.take(Self.magic.count) == Self.magic else {
            throw .malformed(.fileHeader, "the magic number")
        }
        let version = reader.integer(UInt16.self) ?? 0
        guard version == Self.version else {
            throw .unsupportedVersion(.fileHeader, Int(version))
        }
        guard let cipher = reader.integer().flatMap(ContentCipher.init(rawValue:)) else {
            throw .malformed(.fileHeader, "an unknown cipher")
        }
        guard let flags = reader.integer(UInt32.self), flags & ~Self.sparseFlag == 0 else {
            throw .malformed(.fileHeader, "unknown flags")
        }
        guard let fileID = reader.take(16).flatMap(FileID.init(bytes:)),
            let commitment = reader.take(32), let tag = reader.take(32)
        else { throw .malformed(.fileHeader, "its length") }
        guard let headerBytes = reader.integer(UInt16.self), headerBytes == layout.headerBytes
        else { throw .malformed(.fileHeader, "a header size that is not the vault's") }

        let wrappedKeys = try WrappedKeyList.decode(from: &reader, in: .fileHeader)
        guard !wrappedKeys.isEmpty else { throw .malformed(.fileHeader, "no wrapped key") }
        guard reader.hasOnlyZerosLeft else {
            throw .malformed(.fileHeader, "bytes after its end")
        }
        self.fileID = fileID
        self.cipher = cipher
        isSparse = flags & Self.sparseFlag != 0
        self.commitment = commitment
        self.wrappedKeys = wrappedKeys
        self.tag = tag
    }

    /// The bytes to write, as many as the layout's headers have.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` when there is no wrapped key, one is outside the
    ///   format's limits, or they do not fit into the vault's headers.
    package func encoded(layout: BlockLayout) throws(FormatError) -> [UInt8] {
        guard !wrappedKeys.isEmpty else { throw .malformed(.fileHeader, "no wrapped key") }
        var bytes = Self.fields(fileID, cipher, isSparse: isSparse, commitment)
        bytes += tag
        bytes.append(bigEndian: UInt16(layout.headerBytes))
        bytes += try WrappedKeyList.encode(wrappedKeys, in: .fileHeader)
        guard bytes.count <= layout.headerBytes else {
            throw .malformed(
                .fileHeader,
                "wrapped keys that need \(bytes.count) bytes of \(layout.headerBytes)")
        }
        bytes.padWithZeros(to: layout.headerBytes)
        return bytes
    }

    /// The 64 bytes that the tag covers.
    private static func fields(
        _ fileID: FileID, _ cipher: ContentCipher, isSparse: Bool, _ commitment: [UInt8]
    ) -> [UInt8] {
        var bytes = magic
        bytes.append(bigEndian: version)
        bytes.append(bigEndian: cipher.rawValue)
        bytes.append(bigEndian: isSparse ? sparseFlag : 0)
        return bytes + fileID.bytes + commitment
    }
}
