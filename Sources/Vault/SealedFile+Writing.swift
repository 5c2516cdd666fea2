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
        try withScratch { scratch throws(VaultError) in
            try change { state throws(VaultError) in
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
    private func writeRun(
        _ state: inout State, _ scratch: Scratch, _ bytes: RawSpan, _ range: Range<Int>,
        at offset: UInt64
    ) throws(VaultError) {
        let end = offset + UInt64(range.count)
        let first = BlockLayout.block(containing: offset)
        let last = BlockLayout.block(containing: end - 1)
        let newSize = max(state.plainSize, end)
        let oldLast = lastBlock(ofSize: state.plainSize)
        let grows = newSize > state.plainSize

        var run = Run(fileOffset: layout.sealedOffset(ofBlock: first))
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
                    fileOffset: layout.sealedOffset(ofBlock: first), bufferOffset: run.byteCount)
            }
        }
        for block in first...last {
            try addBlock(
                state, scratch, block, newSize: newSize, bytes, range, offset: offset, to: &run)
        }
        try put(tail, run, state, scratch, first: first, oldLast: oldLast, grows: grows)
        state.hasHeader = true
        state.plainSize = newSize
        try noteGap(&state, (oldLast.map { $0 + 1 } ?? 0)..<max(first, oldLast.map { $0 + 1 } ?? 0))
        state.gaps.subtract(first..<last + 1)
    }

    /// Sealed bytes that wait in `scratch.sealed` for one write to the store.
    private struct Run {
        var fileOffset: UInt64
        /// Where it begins in the buffer.
        var bufferOffset = 0
        var byteCount = 0

        var bufferEnd: Int { bufferOffset + byteCount }
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
    }

    /// Adds the old last block in front of the run: whole, and final no more.
    private func addResealed(
        _ state: borrowing State, _ scratch: Scratch, _ block: UInt64, to run: inout Run
    ) throws(VaultError) {
        try readBlock(state, scratch, block)
        run.fileOffset = layout.sealedOffset(ofBlock: block)
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

    /// Puts a run, and the old last block before it where that stands apart, so that a process
    /// that dies in the middle leaves either the old blocks or the new ones.
    private func put(
        _ tail: Run?, _ run: Run, _ state: borrowing State, _ scratch: Scratch, first: UInt64,
        oldLast: UInt64?, grows: Bool
    ) throws(VaultError) {
        guard let oldLast else {
            return try putGrowing(nil, run, state, scratch, oldLast: nil)
        }
        guard grows else {
            return try protect(
                .finish, state, at: run.fileOffset, byteCount: UInt64(run.byteCount),
                payload: scratch.sealed
            ) { () throws(VaultError) in try put(state, scratch, run) }
        }
        if first < oldLast {
            return try protect(
                .finish, state, at: run.fileOffset, byteCount: UInt64(run.byteCount),
                payload: scratch.sealed
            ) { () throws(VaultError) in
                try putGrowing(tail, run, state, scratch, oldLast: oldLast)
            }
        }
        let oldBytes = layout.sealedBytes(ofBlock: oldLast, plainSize: state.plainSize)
        try protect(
            .takeBack, state, at: layout.sealedOffset(ofBlock: oldLast),
            byteCount: UInt64(oldBytes), payload: scratch.oldTail,
            sizeAfter: layout.sealedSize(plainSize: state.plainSize)
        ) { () throws(VaultError) in
            try putGrowing(tail, run, state, scratch, oldLast: oldLast)
        }
    }

    /// Runs `change` under the guardian's record. A payload begins at its buffer's start.
    func protect(
        _ action: OverwriteRecord.Action, _ state: borrowing State, at sealedOffset: UInt64,
        byteCount: UInt64, payload: PageBuffer?, sizeAfter: UInt64 = OverwriteRecord.keepsSize,
        _ change: () throws(VaultError) -> Void
    ) throws(VaultError) {
        guard let guardian, state.hasHeader else { return try change() }
        try guardian.protect(
            OverwriteChange(
                action: action, fileID: seal(of: state).fileID, sealedOffset: sealedOffset,
                sealedBytes: byteCount, sealedSizeAfter: sizeAfter),
            payload: payload, change)
    }

    /// Writes a run that makes the file longer. Where the store refuses, a full disk above all,
    /// the file is put back to its old end and its old last block, which `scratch.oldTail` holds.
    private func putGrowing(
        _ tail: Run?, _ run: Run, _ state: borrowing State, _ scratch: Scratch, oldLast: UInt64?
    ) throws(VaultError) {
        do throws(VaultError) {
            if let tail { try put(state, scratch, tail) }
            try put(state, scratch, run)
        } catch {
            let descriptor = state.descriptor
            let oldSealedSize = state.hasHeader ? layout.sealedSize(plainSize: state.plainSize) : 0
            try? descriptor.truncate(to: oldSealedSize)
            if let oldLast {
                let count = layout.sealedBytes(ofBlock: oldLast, plainSize: state.plainSize)
                scratch.oldTail.withBytes { tail in
                    try? descriptor.write(
                        tail, 0..<count, at: layout.sealedOffset(ofBlock: oldLast))
                }
            }
            throw error
        }
    }

    /// Blocks between the old end and a write behind it hold nothing yet.
    private func noteGap(_ state: inout State, _ blocks: Range<UInt64>) throws(VaultError) {
        guard !blocks.isEmpty, !state.isSparse else { return }
        state.gaps.append(blocks)
        if state.gaps.isFull { try markSparse(&state) }
    }

    // MARK: Size

    /// truncate(2), up or down.
    func truncate(to newSize: UInt64) throws(VaultError) {
        guard newSize <= BlockLayout.maximumPlainSize else { throw .system(.fileTooLarge) }
        try withScratch { scratch throws(VaultError) in
            try change { state throws(VaultError) in
                guard state.isWritable else { throw .system(.badFileDescriptor) }
                if newSize == 0 {
                    try empty(&state)
                } else if newSize < state.plainSize {
                    try shrink(&state, scratch, to: newSize)
                } else if newSize > state.plainSize {
                    try grow(&state, scratch, to: newSize)
                }
            }
        }
    }

    /// The header goes too, under the lock that a rewrap takes to write one.
    func empty(_ state: inout State) throws(VaultError) {
        let descriptor = state.descriptor
        let seal = state.seal
        state.seal = try withHeaderLocked(descriptor) { () throws(VaultError) in
            let current = seal.map { currentSeal($0, in: descriptor) }
            try system { () throws(Errno) in try descriptor.truncate(to: 0) }
            return current
        }
        state.plainSize = 0
        state.hasHeader = false
        state.isSparse = false
        state.gaps.removeAll()
    }

    private func shrink(
        _ state: inout State, _ scratch: Scratch, to newSize: UInt64
    ) throws(VaultError) {
        let last = BlockLayout.block(containing: newSize - 1)
        try reserveSeals(&state, 1)
        try readBlock(state, scratch, last)
        var run = Run(fileOffset: layout.sealedOffset(ofBlock: last))
        sealScratchBlock(
            state, scratch, last, count: plainBytes(of: last, size: newSize), isFinal: true,
            to: &run)
        let descriptor = state.descriptor
        let sealedSize = layout.sealedSize(plainSize: newSize)
        try protect(
            .finish, state, at: run.fileOffset, byteCount: UInt64(run.byteCount),
            payload: scratch.sealed, sizeAfter: sealedSize
        ) { () throws(VaultError) in
            try put(state, scratch, run)
            try system { () throws(Errno) in try descriptor.truncate(to: sealedSize) }
        }
        state.plainSize = newSize
        state.gaps.subtract(last..<UInt64.max)
    }

    /// Zeros behind the end: a hole, and one real, sealed, final block at its end.
    private func grow(
        _ state: inout State, _ scratch: Scratch, to newSize: UInt64
    ) throws(VaultError) {
        let newLast = BlockLayout.block(containing: newSize - 1)
        let firstNew = lastBlock(ofSize: state.plainSize).map { $0 + 1 } ?? 0
        if newLast > firstNew { try markSparse(&state) }
        // One zero byte at the new end does the rest; the gap before it is a hole by now.
        let zero: [UInt8] = [0]
        try zero.withRawSpan { zero throws(VaultError) in
            try writeRun(&state, scratch, zero, 0..<1, at: newSize - 1)
        }
    }

    func lastBlock(ofSize size: UInt64) -> UInt64? {
        size == 0 ? nil : BlockLayout.block(containing: size - 1)
    }
}
