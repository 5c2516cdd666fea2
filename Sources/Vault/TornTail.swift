import Platform
import SealedFormat

/// The end of a file that was growing straight in the store when a mount ended out of order.
///
/// Blocks from `firstBlock` on were never synced. After a power cut any of them may be missing, so
/// the file ends before the first one that does not open. A process that was killed tears only what
/// it was writing, so the file ends behind the last one that opens. The new last block is sealed as
/// final, so that the next truncation is seen.
struct TornTail {
    let file: Descriptor
    let layout: BlockLayout
    let keys: FileKeys
    let isSparse: Bool
    let firstBlock: UInt64
    let isSameBoot: Bool

    struct Mended {
        let sealedSize: UInt64
        let cutBytes: UInt64
    }

    private enum Found {
        case final, inner, hole, torn
    }

    func mend() throws(Errno) -> Mended {
        let size = try file.status().sizeBytes
        guard size > UInt64(layout.headerBytes) else {
            return Mended(sealedSize: size, cutBytes: 0)
        }
        let blocks =
            (size - UInt64(layout.headerBytes) + UInt64(BlockLayout.sealedBlockBytes) - 1)
            / UInt64(BlockLayout.sealedBlockBytes)
        let cipher = BlockCipher()
        cipher.use(keys)
        try putCopyBack(cipher)
        var end = try isSameBoot ? lastIntact(blocks, cipher) : firstTorn(blocks, cipher)
        // A file ends with a real block.
        while end > firstBlock, try look(at: end - 1, cipher).found == .hole { end -= 1 }
        guard end > 0 else {
            try file.truncate(to: 0)
            return Mended(sealedSize: 0, cutBytes: size)
        }
        let last = try look(at: end - 1, cipher)
        switch last.found {
        case .inner: try finish(last.plain, end - 1, cipher)
        // Punched since the sync, while the file had more behind it.
        case .hole:
            let zeros = [UInt8](repeating: 0, count: BlockLayout.plainBlockBytes)
            try finish(zeros, end - 1, cipher)
        case .final, .torn: break
        }
        let wanted = min(size, offset(end - 1) + UInt64(last.sealedBytes))
        if try file.status().sizeBytes > wanted { try file.truncate(to: wanted) }
        return Mended(sealedSize: wanted, cutBytes: size - wanted)
    }

    /// Makes a block the last one. One that was synced stands a second time behind its place until
    /// it is durable there: a power cut may tear what is being written.
    private func finish(
        _ plain: [UInt8], _ block: UInt64, _ cipher: BlockCipher
    ) throws(Errno) {
        let sealed = cipher.seal(plain, block: block, isFinal: true)
        guard block < firstBlock else { return try file.write(sealed, at: offset(block)) }
        try file.write(sealed, at: offset(block + 1))
        try file.synchronize(dataOnly: true)
        try file.write(sealed, at: offset(block))
        try file.synchronize(dataOnly: true)
    }

    /// What ``finish(_:_:_:)`` was writing when the power went once more.
    private func putCopyBack(_ cipher: BlockCipher) throws(Errno) {
        guard firstBlock > 0, try look(at: firstBlock - 1, cipher).found == .torn else { return }
        let copy = try file.read(count: BlockLayout.sealedBlockBytes, at: offset(firstBlock))
        guard (try? cipher.open(copy, block: firstBlock - 1, expectFinal: true)) != nil else {
            return
        }
        try file.write(copy, at: offset(firstBlock - 1))
        try file.synchronize(dataOnly: true)
    }

    private func firstTorn(_ blocks: UInt64, _ cipher: BlockCipher) throws(Errno) -> UInt64 {
        var block = min(firstBlock, blocks)
        while block < blocks, try look(at: block, cipher).found != .torn { block += 1 }
        return block
    }

    private func lastIntact(_ blocks: UInt64, _ cipher: BlockCipher) throws(Errno) -> UInt64 {
        var end = blocks
        while end > firstBlock {
            let found = try look(at: end - 1, cipher).found
            if found == .final || found == .inner { return end }
            end -= 1
        }
        return end
    }

    private func offset(_ block: UInt64) -> UInt64 { layout.sealedOffset(ofBlock: block) }

    private func look(
        at block: UInt64, _ cipher: BlockCipher
    ) throws(Errno) -> (found: Found, plain: [UInt8], sealedBytes: Int) {
        let sealed = try file.read(count: BlockLayout.sealedBlockBytes, at: offset(block))
        let isWhole = sealed.count == BlockLayout.sealedBlockBytes
        guard sealed.count > BlockLayout.overheadBytes else { return (.torn, [], sealed.count) }
        let isHole = sealed.withRawSpan { BlockCipher.isHole($0, 0..<sealed.count) }
        if isHole { return (isSparse && isWhole ? .hole : .torn, [], sealed.count) }
        if let plain = try? cipher.open(sealed, block: block, expectFinal: true) {
            return (.final, plain, sealed.count)
        }
        if isWhole, let plain = try? cipher.open(sealed, block: block, expectFinal: false) {
            return (.inner, plain, sealed.count)
        }
        return (.torn, [], sealed.count)
    }
}
