import Cryptography
import Platform
import SealedFormat

// fallocate(2) and lseek(2) with SEEK_DATA and SEEK_HOLE.
extension SealedFile {
    /// FALLOC_FL_ flags (linux/falloc.h) in `mode`.
    func allocate(mode: Int32, at offset: UInt64, count: UInt64) throws(VaultError) {
        guard count > 0 else { throw .system(.invalidArgument) }
        guard count <= BlockLayout.maximumPlainSize,
            offset <= BlockLayout.maximumPlainSize - count
        else { throw .system(.fileTooLarge) }
        let keepsSize = mode & AllocateFlag.keepSize != 0
        switch mode & ~AllocateFlag.keepSize {
        case 0:
            try reserve(offset..<offset + count)
        case AllocateFlag.punchHole where keepsSize:
            try clear(offset..<offset + count)
        case AllocateFlag.zeroRange:
            try clear(offset..<offset + count)
            try reserve(offset..<offset + count)
        default:
            throw .system(.notSupported)
        }
        if !keepsSize { try extend(to: offset + count) }
    }

    /// As truncate(2) upwards; a file that is as long already, or has become so meanwhile, stays.
    func extend(to newSize: UInt64) throws(VaultError) {
        guard newSize > plainSize else { return }
        try withScratch { scratch throws(VaultError) in
            try changeJournaled { state, _ throws(VaultError) in
                guard newSize > state.plainSize else { return .durable }
                guard state.isWritable else { throw .system(.badFileDescriptor) }
                try grow(&state, scratch, to: newSize)
                return .durable
            }
        }
    }

    /// Space in the store for a plaintext range, also behind the end.
    private func reserve(_ range: Range<UInt64>) throws(VaultError) {
        let start = layout.sealedOffset(ofBlock: BlockLayout.block(containing: range.lowerBound))
        let last = BlockLayout.block(containing: range.upperBound - 1)
        let end = layout.sealedOffset(ofBlock: last) + UInt64(BlockLayout.sealedBlockBytes)
        let descriptor = descriptor
        try system { () throws(Errno) in
            try descriptor.allocate(mode: AllocateFlag.keepSize, at: start, count: end - start)
        }
    }

    /// Makes a plaintext range read as zeros: whole blocks become holes, the rest is sealed anew.
    private func clear(_ range: Range<UInt64>) throws(VaultError) {
        let size = plainSize
        guard range.lowerBound < size else { return }
        let end = min(range.upperBound, size)
        let blockBytes = UInt64(BlockLayout.plainBlockBytes)
        // The last block stays real, so that a truncation is seen.
        let lastBlockStart = (size - 1) / blockBytes * blockBytes
        let holeStart = (range.lowerBound + blockBytes - 1) / blockBytes * blockBytes
        let holeEnd = min(end / blockBytes * blockBytes, lastBlockStart)
        guard holeStart < holeEnd else {
            try writeZeros(range.lowerBound..<end)
            return
        }
        try writeZeros(range.lowerBound..<holeStart)
        try writeZeros(holeEnd..<end)
        let hole = holeStart / blockBytes..<holeEnd / blockBytes
        // The store's own last block stays real as well, while what makes it an inner one is in memory
        // alone: a power cut would leave the stored file without an end.
        let stored = try withState { (state) throws(VaultError) in state.storedSize }
        guard stored > 0, stored < size, case let last = (stored - 1) / blockBytes,
            hole.contains(last)
        else { return try punch(hole) }
        try writeZeros(last * blockBytes..<(last + 1) * blockBytes)
        for part in [hole.lowerBound..<last, last + 1..<hole.upperBound] where !part.isEmpty {
            try punch(part)
        }
    }

    private func punch(_ blocks: Range<UInt64>) throws(VaultError) {
        try changeJournaled { state, log throws(VaultError) in
            guard state.isWritable else { throw .system(.badFileDescriptor) }
            // The flag first, and durable: a zero block of a file without it is an integrity error.
            try markSparse(&state)
            let border = min(max(state.firstDirect, blocks.lowerBound), blocks.upperBound)
            let old = sealedRange(blocks.lowerBound..<border)
            let descriptor = state.descriptor
            if !old.isEmpty {
                if state.sparseChange > state.syncedChange, !isBroken(.holeFlag) {
                    try journaling?.committer.synchronize(descriptor, dataOnly: true)
                }
                let outcome = log(
                    state,
                    [.punch(sealedOffset: old.lowerBound, byteCount: UInt64(old.count))])
                guard outcome == .durable else { return outcome }
            }
            let all = sealedRange(blocks)
            try system { () throws(Errno) in
                try descriptor.allocate(
                    mode: AllocateFlag.punchHole | AllocateFlag.keepSize, at: all.lowerBound,
                    count: UInt64(all.count))
            }
            state.overlay.remove(in: blocks)
            if border < blocks.upperBound { state.storeChange += 1 }
            return .durable
        }
    }

    private func sealedRange(_ blocks: Range<UInt64>) -> Range<UInt64> {
        guard !blocks.isEmpty else { return 0..<0 }
        return layout.sealedOffset(
            ofBlock: blocks.lowerBound)..<layout.sealedOffset(ofBlock: blocks.upperBound)
    }

    private func writeZeros(_ range: Range<UInt64>) throws(VaultError) {
        let zeros = [UInt8](repeating: 0, count: 65_536)
        var position = range.lowerBound
        while position < range.upperBound {
            let count = Int(min(UInt64(zeros.count), range.upperBound - position))
            try zeros.withRawSpan { zeros throws(VaultError) in
                try write(zeros, 0..<count, at: position)
            }
            position += UInt64(count)
        }
    }

    /// The next data or hole from `offset` on (lseek(2)). What the store shows is coarser than
    /// blocks, so some zeros may be reported as data, never data as a hole: what the store does not
    /// have yet is in the overlay, which nobody changes meanwhile.
    ///
    /// - Throws: `ENXIO` behind the end, or when no data follow.
    func seek(to offset: UInt64, whence: Int32) throws(VaultError) -> UInt64 {
        try withState { state throws(VaultError) in
            guard offset < state.plainSize else { throw .system(.noDeviceOrAddress) }
            let isData = whence == SeekWhence.data
            guard isData || whence == SeekWhence.hole else { throw .system(.invalidArgument) }
            guard state.isSparse || !state.gaps.isEmpty else {
                return isData ? offset : state.plainSize
            }
            let block = BlockLayout.block(containing: offset)
            let found = try isData ? dataBlock(state, from: block) : holeBlock(state, from: block)
            let position = found.map { max(offset, $0 * UInt64(BlockLayout.plainBlockBytes)) }
            if let position, position < state.plainSize { return position }
            guard !isData else { throw .system(.noDeviceOrAddress) }
            return state.plainSize
        }
    }

    /// The first block from `block` on that the overlay has, or the store a byte of.
    private func dataBlock(
        _ state: borrowing State, from block: UInt64
    ) throws(VaultError) -> UInt64? {
        let start = layout.sealedOffset(ofBlock: block)
        let stored = try Self.find(SeekWhence.data, from: start, in: state.descriptor)
            .map { self.block(atSealedOffset: $0) }
        let overlaid = state.overlay.blocks.keys.lazy.filter { $0 >= block }.min()
        guard let stored, let overlaid else { return stored ?? overlaid }
        return min(stored, overlaid)
    }

    /// The first block from `block` on that the overlay has not, and that lies as a whole in a hole
    /// of the store.
    private func holeBlock(
        _ state: borrowing State, from block: UInt64
    ) throws(VaultError) -> UInt64? {
        let sealedBlockBytes = UInt64(BlockLayout.sealedBlockBytes)
        let head = UInt64(layout.headerBytes)
        let sealedEnd = layout.sealedSize(plainSize: state.plainSize)
        let descriptor = state.descriptor
        var position = layout.sealedOffset(ofBlock: block)
        while position < sealedEnd {
            // Behind the store's end there is nothing but holes.
            let hole = try Self.find(SeekWhence.hole, from: position, in: descriptor) ?? position
            guard hole < sealedEnd else { return nil }
            let whole = (max(hole, head) - head + sealedBlockBytes - 1) / sealedBlockBytes
            let data = try Self.find(SeekWhence.data, from: hole, in: descriptor) ?? sealedEnd
            guard data >= layout.sealedOffset(ofBlock: whole + 1) else {
                position = data
                continue
            }
            var next = whole
            while state.overlay[next] != nil { next += 1 }
            if next == whole { return whole }
            position = layout.sealedOffset(ofBlock: next)
        }
        return nil
    }

    /// nil behind the end of the store's file, or where no data follow.
    private static func find(
        _ whence: Int32, from offset: UInt64, in file: Descriptor
    ) throws(VaultError) -> UInt64? {
        do throws(Errno) {
            return try file.seek(to: Int64(offset), whence: whence)
        } catch {
            guard error == .noDeviceOrAddress else { throw .system(error) }
            return nil
        }
    }

    private func block(atSealedOffset offset: UInt64) -> UInt64 {
        let head = UInt64(layout.headerBytes)
        return offset < head ? 0 : (offset - head) / UInt64(BlockLayout.sealedBlockBytes)
    }
}

/// FALLOC_FL_ flags (linux/falloc.h).
enum AllocateFlag {
    static let keepSize: Int32 = 0x01
    static let punchHole: Int32 = 0x02
    static let zeroRange: Int32 = 0x10
}
