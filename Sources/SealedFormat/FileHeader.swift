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
///      8     2  header version: 1, or 2 with a count of sealed blocks
///     10     2  cipher, 1 = AES-256-GCM
///     12     4  bit 0: sparse; bits 1…3: zero; bits 4…31: in version 2, sixteenths of the number of
///               blocks that may have been sealed under the data key, else zero
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
    private static let uncountedVersion: UInt16 = 1
    private static let countedVersion: UInt16 = 2
    private static let sparseFlag: UInt32 = 1
    private static let countMask: UInt32 = ~0xF

    package let fileID: FileID
    package let cipher: ContentCipher
    /// Whether an all-zero block may be a hole.
    package let isSparse: Bool
    /// At least as many blocks as were sealed under the data key, a multiple of
    /// ``SealCount/unitBlocks``; nil in a header of version 1, which does not count.
    package let sealedBlocks: UInt64?
    /// 32 bytes, from ``FileKeys/commitment``.
    package let commitment: [UInt8]
    package private(set) var wrappedKeys: [WrappedKey]
    /// 32 bytes.
    package private(set) var tag: [UInt8]

    /// The header of a new file, or one with other fields under a new tag.
    ///
    /// - Parameter sealedBlocks: as ``sealedBlocks``, at most ``SealCount/maximumBlocks``.
    package init(
        fileID: FileID, isSparse: Bool, sealedBlocks: UInt64?, wrappedKeys: [WrappedKey],
        keys: FileKeys
    ) {
        precondition(
            (sealedBlocks ?? 0).isMultiple(of: SealCount.unitBlocks)
                && (sealedBlocks ?? 0) <= SealCount.maximumBlocks, "BUG: a count of sealed blocks")
        self.init(
            fileID: fileID, cipher: .aes256GCM, isSparse: isSparse, sealedBlocks: sealedBlocks,
            commitment: keys.commitment, wrappedKeys: wrappedKeys, tag: [])
        tag = HMACSHA256.authenticationCode(for: Label.header + fields, key: keys.header)
    }

    private init(
        fileID: FileID, cipher: ContentCipher, isSparse: Bool, sealedBlocks: UInt64?,
        commitment: [UInt8], wrappedKeys: [WrappedKey], tag: [UInt8]
    ) {
        self.fileID = fileID
        self.cipher = cipher
        self.isSparse = isSparse
        self.sealedBlocks = sealedBlocks
        self.commitment = commitment
        self.wrappedKeys = wrappedKeys
        self.tag = tag
    }

    /// The same file's header after a rewrap; the tag does not cover the wrapped keys.
    package func withWrappedKeys(_ keys: [WrappedKey]) -> FileHeader {
        var header = self
        header.wrappedKeys = keys
        return header
    }

    /// The same file's header with the flag as given, under a new tag.
    package func withSparse(_ isSparse: Bool, keys: FileKeys) -> FileHeader {
        FileHeader(
            fileID: fileID, isSparse: isSparse, sealedBlocks: sealedBlocks,
            wrappedKeys: wrappedKeys, keys: keys)
    }

    /// The same file's header with the count as given, under a new tag.
    package func withSealedBlocks(_ sealedBlocks: UInt64, keys: FileKeys) -> FileHeader {
        FileHeader(
            fileID: fileID, isSparse: isSparse, sealedBlocks: sealedBlocks,
            wrappedKeys: wrappedKeys, keys: keys)
    }

    /// Whether these are the keys of this file, and the fields those that were written.
    ///
    /// - Throws: ``FormatError/authenticationFailed(_:)`` when the commitment is to another data
    ///   key or a field was changed.
    package func authenticate(with keys: FileKeys) throws(FormatError) {
        guard constantTimeEqual(commitment, keys.commitment),
            HMACSHA256.isValid(tag, for: Label.header + fields, key: keys.header)
        else { throw .authenticationFailed(.fileHeader) }
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
        guard version == Self.uncountedVersion || version == Self.countedVersion else {
            throw .unsupportedVersion(.fileHeader, Int(version))
        }
        guard let cipher = reader.integer().flatMap(ContentCipher.init(rawValue:)) else {
            throw .malformed(.fileHeader, "an unknown cipher")
        }
        let counts = version == Self.countedVersion
        let knownBits = Self.sparseFlag | (counts ? Self.countMask : 0)
        guard let flags = reader.integer(UInt32.self), flags & ~knownBits == 0 else {
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
        self.init(
            fileID: fileID, cipher: cipher, isSparse: flags & Self.sparseFlag != 0,
            sealedBlocks: counts ? UInt64(flags & Self.countMask) : nil, commitment: commitment,
            wrappedKeys: wrappedKeys, tag: tag)
    }

    /// The bytes to write, as many as the layout's headers have.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` when there is no wrapped key, one is outside the
    ///   format's limits, or they do not fit into the vault's headers.
    package func encoded(layout: BlockLayout) throws(FormatError) -> [UInt8] {
        guard !wrappedKeys.isEmpty else { throw .malformed(.fileHeader, "no wrapped key") }
        var bytes = fields + tag
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
    private var fields: [UInt8] {
        var bytes = Self.magic
        bytes.append(bigEndian: sealedBlocks == nil ? Self.uncountedVersion : Self.countedVersion)
        bytes.append(bigEndian: cipher.rawValue)
        bytes.append(bigEndian: UInt32(sealedBlocks ?? 0) | (isSparse ? Self.sparseFlag : 0))
        return bytes + fileID.bytes + commitment
    }
}
