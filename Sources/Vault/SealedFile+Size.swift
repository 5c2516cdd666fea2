import Platform
import SealedFormat

// truncate(2), up and down. What was in the store at the last sync is cut only when the journal can
// do it again.
extension SealedFile {
    /// Makes an action durable in the journal; answers `.durable` where there is none.
    typealias Log = (borrowing State, [JournalAction]) -> Journal.Outcome

    /// Runs `body` with the content alone, and its commits held; again when the journal had no room
    /// for what `body` logged, which must be the first thing that it does.
    func changeJournaled(
        isEmptying: Bool = false, _ body: (inout State, Log) throws(VaultError) -> Journal.Outcome
    ) throws(VaultError) {
        guard let journaling else {
            return try change { state throws(VaultError) in
                _ = try body(&state) { _, _ in .durable }
            }
        }
        try journaling.committer.perform(
            on: self, of: journaling.inode, isEmptying: isEmptying, body)
        noteChange()
    }

    func truncate(to newSize: UInt64) throws(VaultError) {
        guard newSize <= BlockLayout.maximumPlainSize else { throw .system(.fileTooLarge) }
        guard newSize > 0 else { return try empty() }
        try prepareCut(to: newSize)
        try withScratch { scratch throws(VaultError) in
            try changeJournaled { state, log throws(VaultError) in
                guard state.isWritable else { throw .system(.badFileDescriptor) }
                if newSize < state.plainSize {
                    return try shrink(&state, scratch, to: newSize, log)
                }
                if newSize > state.plainSize { try grow(&state, scratch, to: newSize) }
                return .durable
            }
        }
    }

    /// A new file that is cut inside a block is torn until its new last block stands: recovery must
    /// know by then that it may mend it.
    private func prepareCut(to newSize: UInt64) throws(VaultError) {
        guard let journaling else { return }
        let last = BlockLayout.block(containing: newSize - 1)
        let isDirect = withOpenState { newSize < $0.plainSize && last >= $0.firstDirect }
        guard isDirect else { return }
        try journaling.committer.logIntent(of: journaling.inode)
    }

    // MARK: To nothing

    func empty() throws(VaultError) {
        try empty { state throws(VaultError) in
            guard state.isWritable else { throw .system(.badFileDescriptor) }
        }
    }

    /// - Parameter check: runs before anything is changed.
    func empty(
        _ check: (inout State) throws(VaultError) -> Void
    ) throws(VaultError) {
        try changeJournaled(isEmptying: true) { state, log throws(VaultError) in
            try check(&state)
            guard state.hasHeader else { return .durable }
            let isLate = journaling.map { $0.committer.isUnplaced($0.inode) } ?? false
            if let journaling, !isBroken(.cleanRecord), !isLate,
                journaling.committer.mayHaveEntries(journaling.inode, state.seal?.fileID)
            {
                // A recovery must not bring old blocks into what is written next; and until the
                // store has cut the file, its old content must be whole without the journal.
                try journaling.committer.synchronize(state.descriptor, dataOnly: true)
                let outcome = log(state, [.clean])
                guard outcome == .durable else { return outcome }
            }
            try cutToNothing(&state)
            return isLate ? try voidLate(state, log) : .durable
        }
    }

    /// What the journal alone has of the old content stays there until that is gone for good; then
    /// the journal says so.
    private func voidLate(_ state: borrowing State, _ log: Log) throws(VaultError)
        -> Journal.Outcome
    {
        guard let journaling else { return .durable }
        let (committer, backing) = (journaling.committer, journaling.inode.backing)
        committer.books.withLock { books in
            books.unplaced[backing] = nil
            books.refused[backing] = .max
        }
        try committer.synchronize(state.descriptor, dataOnly: true)
        let outcome = log(state, [.clean])
        guard outcome == .durable else { return outcome }
        committer.books.withLock { $0.refused[backing] = nil }
        return .durable
    }

    /// The header goes too, under the lock that a rewrap takes to write one.
    private func cutToNothing(_ state: inout State) throws(VaultError) {
        let descriptor = state.descriptor
        let seal = state.seal
        state.seal = try withHeaderLocked(descriptor) { () throws(VaultError) in
            let current = seal.map { currentSeal($0, in: descriptor) }
            try system { () throws(Errno) in try descriptor.truncate(to: 0) }
            return current
        }
        state.plainSize = 0
        state.storedSize = 0
        state.hasHeader = false
        state.isSparse = false
        state.gaps.removeAll()
        state.overlay.removeAll()
        state.firstDirect = 0
        state.storeChange += 1
        // Nothing torn is left.
        if let journaling { journaling.committer.finishDeferredTail(of: journaling.inode) }
    }

    // MARK: Shorter

    private func shrink(
        _ state: inout State, _ scratch: Scratch, to newSize: UInt64, _ log: Log
    ) throws(VaultError) -> Journal.Outcome {
        let last = BlockLayout.block(containing: newSize - 1)
        try reserveSeals(&state, 1)
        let sealed = try sealedLastBlock(state, scratch, last, newSize: newSize)
        let offset = layout.sealedOffset(ofBlock: last)
        let sealedSize = layout.sealedSize(plainSize: newSize)
        let isDirect = last >= state.firstDirect
        // Nothing of what is cut off has come to the store yet.
        let isOverlaid = !isDirect && newSize > state.storedSize
        if !isDirect, !isOverlaid {
            let outcome = log(
                state,
                [.write(sealedOffset: offset, bytes: sealed), .truncate(sealedSize: sealedSize)])
            guard outcome == .durable else { return outcome }
        }
        var isPlaced = false
        if !isOverlaid { isPlaced = try cut(&state, to: sealedSize, last: (sealed, offset)) }
        if !isOverlaid { state.storedSize = newSize }
        state.overlay.remove(in: last..<UInt64.max)
        if !isPlaced { state.overlay.put(sealed, at: last) }
        if !isPlaced, !isDirect, !isOverlaid { notePlaceLate(of: last, in: state, newSize) }
        if isDirect { state.storeChange += 1 } else { state.firstDirect = .max }
        state.plainSize = newSize
        state.gaps.subtract(last..<UInt64.max)
        return .durable
    }

    /// Cuts the store's file first: when that fails, nothing has changed. A last block that then
    /// can't be written waits in the overlay.
    ///
    /// - Returns: whether the last block is in its place.
    private func cut(
        _ state: inout State, to sealedSize: UInt64, last: (sealed: [UInt8], offset: UInt64)
    ) throws(VaultError) -> Bool {
        let descriptor = state.descriptor
        try system { () throws(Errno) in try descriptor.truncate(to: sealedSize) }
        do throws(Errno) {
            try descriptor.write(last.sealed, at: last.offset)
            return true
        } catch {
            if journaling == nil { throw .system(error) }
            return false
        }
    }

    /// The journal has the last block, and the store refused it.
    private func notePlaceLate(of last: UInt64, in state: borrowing State, _ newSize: UInt64) {
        guard let journaling else { return }
        let plan = CommitPlan(
            descriptor: state.descriptor, fileID: state.seal?.fileID,
            runs: state.overlay.runs(in: last..<last + 1, maximumBytes: .max), placedSize: newSize,
            syncsStore: false, dataOnly: true, storeChange: state.storeChange, isPartial: false,
            intent: nil, growsFrom: nil, directFrom: nil, logsTimes: false)
        journaling.committer.books.withLock {
            $0.noteUnplaced(plan, self, journaling.inode.backing)
        }
    }

    /// The block that is the last one of a file that is cut inside of it.
    private func sealedLastBlock(
        _ state: borrowing State, _ scratch: Scratch, _ block: UInt64, newSize: UInt64
    ) throws(VaultError) -> [UInt8] {
        try readBlock(state, scratch, block)
        let count = plainBytes(of: block, size: newSize)
        scratch.cipher.use(seal(of: state).keys)
        return scratch.block.withBytes { plain in
            scratch.single.withMutableBytes { sealed in
                scratch.cipher.seal(
                    plain, 0..<count, block: block, isFinal: true, into: &sealed, at: 0)
                return sealed.bytes.bytes(0..<count + BlockLayout.overheadBytes)
            }
        }
    }

    // MARK: Longer

    /// Zeros behind the end: a hole, and one real, sealed, final block at its end.
    func grow(
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
}
