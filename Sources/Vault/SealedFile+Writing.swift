import Cryptography
import Platform
import SealedFormat

// How plaintext becomes sealed blocks in the store. Everything here runs under the exclusive lock.
extension SealedFile {
    /// Writes all bytes of `range`; nothing of them counts as written when it throws.
    func write(_ bytes: RawSpan, _ range: Range<Int>, at offset: UInt64) throws(VaultError) {
        guard !range.isEmpty else { return }
        guard offset <= BlockLayout.maximumPlainSize - UInt64(range.count) else {
            throw .system(.fileTooLarge)
        }
        try journaling?.committer.makeRoom()
        try withScratch { scratch throws(VaultError) in
            try changeContent { state throws(VaultError) in
                guard state.isWritable else { throw .system(.badFileDescriptor) }
                var done = range.lowerBound
                while done < range.upperBound {
                    let position = offset + UInt64(done - range.lowerBound)
                    let blockStart = position % UInt64(BlockLayout.plainBlockBytes)
                    let room = Scratch.runBlocks * BlockLayout.plainBlockBytes - Int(blockStart)
                    let end = min(range.upperBound, done + room)
                    try writeRun(&state, scratch, bytes, done..<end, at: position)
                    done = end
                }
            }
        }
    }

    /// Writes at most ``Scratch/runBlocks`` blocks with one system call, wherever it can.
    func writeRun(
        _ state: inout State, _ scratch: Scratch, _ bytes: RawSpan, _ range: Range<Int>,
        at offset: UInt64
    ) throws(VaultError) {
        let end = offset + UInt64(range.count)
        let first = BlockLayout.block(containing: offset)
        let last = BlockLayout.block(containing: end - 1)
        let newSize = max(state.plainSize, end)
        let oldLast = lastBlock(ofSize: state.plainSize)
        let grows = newSize > state.plainSize
        if grows { try requireFits(state, newSize) }

        var run = Run(fileOffset: layout.sealedOffset(ofBlock: first), firstBlock: first)
        let resealed: UInt64 = grows && oldLast != nil ? 1 : 0
        try reserveSeals(&state, last - first + 1 + resealed)
        if !state.hasHeader { try addHeader(state, scratch, to: &run, startsFile: first == 0) }
        var tail: Run?
        if grows, let oldLast {
            try fetch(state, oldLast...oldLast, into: scratch.oldTail)
            if first > oldLast {
                try addResealed(state, scratch, oldLast, to: &run)
            }
            if first > oldLast + 1 {
                tail = run
                run = Run(
                    fileOffset: layout.sealedOffset(ofBlock: first), firstBlock: first,
                    bufferOffset: run.byteCount)
            }
        }
        for block in first...last {
            try addBlock(
                state, scratch, block, newSize: newSize, bytes, range, offset: offset, to: &run)
        }
        try put(tail.map { [$0, run] } ?? [run], &state, scratch, newSize: newSize)
        if !state.hasHeader { state.isNewInStore = true }
        state.hasHeader = true
        state.plainSize = newSize
        try noteGap(&state, (oldLast.map { $0 + 1 } ?? 0)..<max(first, oldLast.map { $0 + 1 } ?? 0))
        state.gaps.subtract(first..<last + 1)
    }

    /// No store refuses a file of fewer bytes for its size.
    private static let anywhereBytes: UInt64 = 1 << 30

    /// The journal must not promise a file that is too large for the store: it could never be put in
    /// its place.
    private func requireFits(_ state: borrowing State, _ newSize: UInt64) throws(VaultError) {
        let sealedSize = layout.sealedSize(plainSize: newSize)
        guard sealedSize <= FileSizeLimit.raised else { throw .system(.fileTooLarge) }
        guard sealedSize > Self.anywhereBytes else { return }
        let descriptor = state.descriptor
        do throws(Errno) {
            try descriptor.requireRoom(forBytes: sealedSize)
        } catch {
            throw .system(error)
        }
    }

    /// Sealed bytes that wait in `scratch.sealed` for one write to the store.
    private struct Run {
        var fileOffset: UInt64
        var firstBlock: UInt64
        /// Where it begins in the buffer.
        var bufferOffset = 0
        var byteCount = 0
        /// The file's header in front of the blocks, or 0.
        var headerBytes = 0

        var bufferEnd: Int { bufferOffset + byteCount }

        /// Where each of its blocks lies in the buffer.
        var blocks: [(index: UInt64, range: Range<Int>)] {
            let start = bufferOffset + headerBytes
            return stride(from: start, to: bufferEnd, by: BlockLayout.sealedBlockBytes)
                .enumerated().map { number, position in
                    let end = min(position + BlockLayout.sealedBlockBytes, bufferEnd)
                    return (firstBlock + UInt64(number), position..<end)
                }
        }

        /// The part that may go straight into the store, from `block` on.
        func from(_ block: UInt64) -> Run? {
            guard block > firstBlock else { return self }
            guard block < firstBlock + UInt64(Scratch.runBlocks) + 1 else { return nil }
            let skipped = Int(block - firstBlock) * BlockLayout.sealedBlockBytes
            guard skipped < byteCount else { return nil }
            return Run(
                fileOffset: fileOffset + UInt64(skipped), firstBlock: block,
                bufferOffset: bufferOffset + skipped, byteCount: byteCount - skipped)
        }
    }

    private func addHeader(
        _ state: borrowing State, _ scratch: Scratch, to run: inout Run, startsFile: Bool
    ) throws(VaultError) {
        let header = try encodedHeader(state)
        guard startsFile else {
            let descriptor = state.descriptor
            try system { () throws(Errno) in try descriptor.write(header, at: 0) }
            return
        }
        scratch.sealed.withMutableBytes { sealed in
            header.withRawSpan { copyBytes($0, 0..<header.count, to: &sealed, at: 0) }
        }
        run.fileOffset = 0
        run.byteCount = header.count
        run.headerBytes = header.count
    }

    /// Adds the old last block in front of the run: whole, and final no more.
    private func addResealed(
        _ state: borrowing State, _ scratch: Scratch, _ block: UInt64, to run: inout Run
    ) throws(VaultError) {
        try readBlock(state, scratch, block)
        run.fileOffset = layout.sealedOffset(ofBlock: block)
        run.firstBlock = block
        sealScratchBlock(
            state, scratch, block, count: BlockLayout.plainBlockBytes, isFinal: false, to: &run)
    }

    /// Adds one block of the run: straight from the caller's bytes where they fill it.
    private func addBlock(
        _ state: borrowing State, _ scratch: Scratch, _ block: UInt64, newSize: UInt64,
        _ bytes: RawSpan, _ range: Range<Int>, offset: UInt64, to run: inout Run
    ) throws(VaultError) {
        let blockStart = block * UInt64(BlockLayout.plainBlockBytes)
        let newBytes = plainBytes(of: block, size: newSize)
        let isFinal = block == lastBlock(ofSize: newSize)
        let from = offset > blockStart ? Int(offset - blockStart) : 0
        let end = offset + UInt64(range.count)
        let to = min(BlockLayout.plainBlockBytes, Int(end - blockStart))
        let source = range.lowerBound + Int(blockStart + UInt64(from) - offset)
        if from == 0, to == newBytes {
            scratch.cipher.use(seal(of: state).keys)
            scratch.sealed.withMutableBytes { sealed in
                scratch.cipher.seal(
                    bytes, source..<source + to, block: block, isFinal: isFinal, into: &sealed,
                    at: run.bufferEnd)
            }
            run.byteCount += to + BlockLayout.overheadBytes
            return
        }
        if let oldLast = lastBlock(ofSize: state.plainSize), block <= oldLast {
            try readBlock(state, scratch, block)
        } else {
            scratch.block.withMutableBytes { zeroBytes(&$0, 0..<BlockLayout.plainBlockBytes) }
        }
        scratch.block.withMutableBytes { plain in
            copyBytes(bytes, source..<source + to - from, to: &plain, at: from)
        }
        sealScratchBlock(state, scratch, block, count: newBytes, isFinal: isFinal, to: &run)
    }

    private func sealScratchBlock(
        _ state: borrowing State, _ scratch: Scratch, _ block: UInt64, count: Int, isFinal: Bool,
        to run: inout Run
    ) {
        scratch.cipher.use(seal(of: state).keys)
        scratch.block.withBytes { plain in
            scratch.sealed.withMutableBytes { sealed in
                scratch.cipher.seal(
                    plain, 0..<count, block: block, isFinal: isFinal, into: &sealed,
                    at: run.bufferEnd)
            }
        }
        run.byteCount += count + BlockLayout.overheadBytes
    }

    // MARK: To the store

    private func put(
        _ state: borrowing State, _ scratch: Scratch, _ run: Run
    ) throws(VaultError) {
        let descriptor = state.descriptor
        try scratch.sealed.withBytes { sealed throws(VaultError) in
            try system { () throws(Errno) in
                try descriptor.write(sealed, run.bufferOffset..<run.bufferEnd, at: run.fileOffset)
            }
        }
    }

    /// Puts runs where they belong: what was in the store at the last sync into the overlay, all
    /// else straight into the store.
    private func put(
        _ runs: [Run], _ state: inout State, _ scratch: Scratch, newSize: UInt64
    ) throws(VaultError) {
        let direct = runs.compactMap { $0.from(state.firstDirect) }
        if state.isSparse || !state.gaps.isEmpty { try reserveHoles(direct, state) }
        do throws(VaultError) {
            for run in direct { try put(state, scratch, run) }
        } catch {
            if newSize > state.plainSize { putBack(state, scratch) }
            throw error
        }
        for run in runs where run.firstBlock < state.firstDirect || !state.overlay.isEmpty {
            for (block, range) in run.blocks {
                if block >= state.firstDirect {
                    state.overlay.remove(block)
                } else {
                    let bytes = scratch.sealed.withBytes { $0.bytes(range) }
                    state.overlay.put(bytes, at: block)
                }
            }
        }
        if let last = direct.last {
            let end = layout.sealedSize(plainSize: newSize)
            let isWhole = last.fileOffset + UInt64(last.byteCount) >= end
            let blocks = last.firstBlock + UInt64(last.blocks.count)
            let placed = isWhole ? newSize : blocks * UInt64(BlockLayout.plainBlockBytes)
            state.storedSize = max(state.storedSize, placed)
            state.storeChange += 1
            let first = direct.first?.headerBytes == 0 ? direct[0].firstBlock : 0
            state.firstUnsynced = min(state.firstUnsynced, first)
        }
        if let last = runs.last, last.firstBlock < state.firstDirect, journaling?.touches == true {
            let descriptor = state.descriptor
            try? descriptor.setTimes(access: .keep, modification: .now)
        }
    }

    /// Space for blocks before the end that may be holes: of one that is written in part there would be
    /// no other state to go back to.
    private func reserveHoles(_ runs: [Run], _ state: borrowing State) throws(VaultError) {
        let end = layout.sealedSize(plainSize: state.storedSize)
        let inside = runs.filter { $0.fileOffset < end }
        try reserve(
            inside.map { $0.fileOffset..<$0.fileOffset + UInt64($0.byteCount) },
            in: state.descriptor
        )
    }

    /// Where the store refused to let a file grow, a full disk above all, the file is put back to
    /// its old end and its old last block, which `scratch.oldTail` holds.
    private func putBack(_ state: borrowing State, _ scratch: Scratch) {
        let descriptor = state.descriptor
        let oldSealedSize = state.hasHeader ? layout.sealedSize(plainSize: state.storedSize) : 0
        try? descriptor.truncate(to: oldSealedSize)
        guard let oldLast = lastBlock(ofSize: state.plainSize), oldLast >= state.firstDirect,
            state.overlay[oldLast] == nil
        else { return }
        let count = layout.sealedBytes(ofBlock: oldLast, plainSize: state.plainSize)
        scratch.oldTail.withBytes { tail in
            try? descriptor.write(tail, 0..<count, at: layout.sealedOffset(ofBlock: oldLast))
        }
    }

    /// Blocks between the old end and a write behind it hold nothing yet.
    private func noteGap(_ state: inout State, _ blocks: Range<UInt64>) throws(VaultError) {
        guard !blocks.isEmpty, !state.isSparse else { return }
        state.gaps.append(blocks)
        if state.gaps.isFull { try markSparse(&state) }
    }

    func lastBlock(ofSize size: UInt64) -> UInt64? {
        size == 0 ? nil : BlockLayout.block(containing: size - 1)
    }
}
