/// Byte arithmetic of one sealed file: `header | block | block | …`. See docs/format.md §4.
///
/// An empty file has no header. Every block but the last holds 4,096 bytes of plaintext, the last
/// 1…4,096; sealed, each is 28 bytes longer.
package struct BlockLayout: Sendable, Equatable {
    package static let plainBlockBytes = 4096
    package static let sealedBlockBytes = 4124
    package static let overheadBytes = 28
    /// The sizes that a vault may choose for its headers.
    package static let headerSizes = [512, 1024, 2048, 4096]

    /// The size of every header in the vault: 512, 1,024, 2,048 or 4,096 bytes.
    package let headerBytes: Int

    /// - Throws: ``FormatError/malformed(_:_:)`` for a size that the format does not have.
    package init(headerBytes: Int) throws(FormatError) {
        guard Self.headerSizes.contains(headerBytes) else {
            throw .malformed(.vaultConfig, "a header size of \(headerBytes) bytes")
        }
        self.headerBytes = headerBytes
    }

    /// The most plaintext bytes of a file: whole blocks, as many as leave the sealed size within
    /// `off_t` for every header size.
    package static let maximumPlainSize = maximumBlockCount * UInt64(plainBlockBytes)

    private static let maximumBlockCount =
        (UInt64(Int64.max) - 4096) / UInt64(sealedBlockBytes)
}

// MARK: - Whole files

extension BlockLayout {
    /// Plaintext size in bytes of a sealed file of `sealedSize` bytes.
    ///
    /// - Throws: ``FormatError/impossibleSize(_:)`` for a size no writer produces.
    package func plainSize(sealedSize: UInt64) throws(FormatError) -> UInt64 {
        guard sealedSize > 0 else { return 0 }  // Empty files have no header.
        guard sealedSize > UInt64(headerBytes) else { throw .impossibleSize(sealedSize) }

        let (fullBlocks, tail) = split(sealedSize)
        guard tail == 0 || tail > UInt64(Self.overheadBytes) else {
            throw .impossibleSize(sealedSize)
        }
        let tailPlain = tail == 0 ? 0 : tail - UInt64(Self.overheadBytes)
        guard fullBlocks < Self.maximumBlockCount || tailPlain == 0,
            fullBlocks <= Self.maximumBlockCount
        else { throw .impossibleSize(sealedSize) }
        return fullBlocks * UInt64(Self.plainBlockBytes) + tailPlain
    }

    /// Size in bytes of the sealed file that holds `plainSize` bytes, at most ``maximumPlainSize``.
    package func sealedSize(plainSize: UInt64) -> UInt64 {
        guard plainSize > 0 else { return 0 }
        precondition(plainSize <= Self.maximumPlainSize, "BUG: a plain size of \(plainSize)")
        let overhead = blockCount(plainSize: plainSize) * UInt64(Self.overheadBytes)
        return UInt64(headerBytes) + plainSize + overhead
    }

    /// The size to answer `stat` with, also for a damaged file: every whole block, and one byte for
    /// a tail that no writer makes, so that readers reach the damage and learn of it.
    ///
    /// Equals ``plainSize(sealedSize:)`` wherever that does not throw.
    package func reportedSize(sealedSize: UInt64) -> UInt64 {
        guard sealedSize > 0 else { return 0 }
        guard sealedSize > UInt64(headerBytes) else { return 1 }
        let (fullBlocks, tail) = split(sealedSize)
        guard fullBlocks < Self.maximumBlockCount else { return Self.maximumPlainSize }
        let overhead = UInt64(Self.overheadBytes)
        let tailPlain = tail == 0 ? 0 : tail > overhead ? tail - overhead : 1
        return fullBlocks * UInt64(Self.plainBlockBytes) + tailPlain
    }

    /// The number of blocks, the last and shorter one included.
    package func blockCount(plainSize: UInt64) -> UInt64 {
        let (full, tail) = plainSize.quotientAndRemainder(dividingBy: UInt64(Self.plainBlockBytes))
        return full + (tail == 0 ? 0 : 1)
    }

    /// Whole blocks behind the header, and the bytes after them.
    private func split(_ sealedSize: UInt64) -> (fullBlocks: UInt64, tail: UInt64) {
        let (blocks, tail) = (sealedSize - UInt64(headerBytes))
            .quotientAndRemainder(dividingBy: UInt64(Self.sealedBlockBytes))
        return (blocks, tail)
    }
}

// MARK: - Single blocks

extension BlockLayout {
    /// The index of the block that holds the byte at `plainOffset`.
    package static func block(containing plainOffset: UInt64) -> UInt64 {
        plainOffset / UInt64(plainBlockBytes)
    }

    /// Where a block begins in the sealed file.
    package func sealedOffset(ofBlock block: UInt64) -> UInt64 {
        precondition(
            block <= UInt64(Int64.max) / UInt64(Self.plainBlockBytes), "BUG: block \(block)")
        return UInt64(headerBytes) + block * UInt64(Self.sealedBlockBytes)
    }

    /// The sealed bytes of a block in a file of `plainSize` bytes; 0 beyond its end.
    package func sealedBytes(ofBlock block: UInt64, plainSize: UInt64) -> Int {
        let count = blockCount(plainSize: plainSize)
        guard block < count else { return 0 }
        guard block == count - 1 else { return Self.sealedBlockBytes }
        return Int(plainSize - block * UInt64(Self.plainBlockBytes)) + Self.overheadBytes
    }
}
