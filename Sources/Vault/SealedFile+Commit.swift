import Platform
import SealedFormat
import Synchronization

/// Who brings a file's changed blocks to the journal.
struct Journaling: Sendable {
    let committer: Committer
    let inode: Inode
    /// The kernel does not keep the file's times (no writeback cache).
    let touches: Bool
}

/// How urgently an overlay wants to be committed.
enum OverlayPressure {
    case none
    case large
    /// The file grows by more than belongs into an overlay.
    case growing
}

// The overlay of a file, and its way into the store.
extension SealedFile {
    /// Runs `body` while no commit of this file is under way. Before the state's lock, never in it.
    func withCommitsHeld<Result>(
        _ body: () throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        try commits.withLock { _ throws(VaultError) in
            commitCount.add(1, ordering: .relaxed)
            defer { commitCount.subtract(1, ordering: .relaxed) }
            return try body()
        }
    }

    /// How many times its bound the overlay may grow while a commit is under way.
    private static let overlaysWhileCommitting = 4

    /// Whether new blocks go straight into the store.
    var growsInStore: Bool { withOpenState { $0.firstDirect != .max } }

    /// Whether all of it stands in the store, and nothing more goes there past the journal.
    var isSettledInStore: Bool {
        withOpenState {
            $0.firstDirect == .max && $0.overlay.isEmpty && $0.storedSize == $0.plainSize
        }
    }

    var isCommitted: Bool { withOpenState { $0.overlay.isEmpty } }
    var fileID: FileID? { withOpenState { $0.seal?.fileID } }

    var pressure: OverlayPressure {
        withOpenState { state in
            guard !state.overlay.isEmpty else { return .none }
            let grown =
                layout.blockCount(plainSize: state.plainSize)
                - min(
                    layout.blockCount(plainSize: state.storedSize),
                    layout.blockCount(plainSize: state.plainSize))
            if grown > Committer.spillBlocks { return .growing }
            let limit = journaling?.committer.maximumFileOverlayBytes ?? .max
            guard state.overlay.byteCount > limit else { return .none }
            // While a commit is under way its flush is not waited for: the next one takes more.
            let isRoomy = state.overlay.byteCount / Self.overlaysWhileCommitting < limit
            return isRoomy && commitCount.load(ordering: .relaxed) > 0 ? .none : .large
        }
    }

    /// Runs `body` with the content alone, and has what it left in the overlay committed in time.
    func changeContent(
        _ body: (inout State) throws(VaultError) -> Void
    ) throws(VaultError) {
        defer { noteChange() }
        try change(body)
    }

    func noteChange() {
        guard let journaling else { return }
        let (isNew, isOverlaid, fileID) = withOpenState {
            ($0.isNewInStore, !$0.overlay.isEmpty, $0.seal?.fileID)
        }
        if isNew, let fileID {
            changeOpenState { $0.isNewInStore = false }
            journaling.committer.noteNewFile(fileID, of: journaling.inode)
        }
        guard isOverlaid else { return }
        journaling.committer.noteDirty(self, of: journaling.inode)
        journaling.committer.settle(self, of: journaling.inode)
    }

    // MARK: One commit

    /// Settles what the commit is to hold.
    ///
    /// - Parameter keepsDirect: the journal has an intent for this file, under which it may go on
    ///   growing in the store behind a sync.
    func prepareCommit(
        _ purpose: CommitPurpose, for journal: Journal, keepsDirect: Bool
    ) throws(VaultError) -> CommitPlan {
        try change { state throws(VaultError) in
            if mustSettleGaps(state, purpose) { try markSparse(&state) }
            try putDirectBlocks(&state)
            // What lies behind a gap can wait until the gap is filled, or is a hole.
            var limit = state.gaps.runs.first?.lowerBound ?? .max
            var intent: UInt64?
            if case .spill = purpose {
                let whole = min(limit, state.plainSize / UInt64(BlockLayout.plainBlockBytes))
                if whole > layout.blockCount(plainSize: state.storedSize) {
                    intent = whole
                    limit = whole
                }
            }
            let runs = state.overlay.runs(
                in: 0..<limit, maximumBytes: journal.maximumRunBytes,
                budgetBytes: journal.planBytes)
            let count = runs.reduce(0) { $0 + $1.blocks.count }
            let isPartial = count < state.overlay.count(below: limit)
            // Behind an intent everything before it must be in its place.
            if isPartial { intent = nil }
            let placedSize = placedSize(state, runs)
            let isOneStep =
                !isPartial && runs.reduce(0) { $0 + $1.byteCount } < journal.stepBytes
            let growsFrom =
                endsOpen(state, runs, placedSize, isOneStep: isOneStep)
                ? layout.blockCount(plainSize: state.storedSize) : nil
            var isDataOnly = true
            if case .sync(let dataOnly) = purpose { isDataOnly = dataOnly }
            let isChanged =
                state.storeChange != state.syncedChange
                || !isDataOnly
                    && (state.attributeChange > state.syncedAttributes
                        || state.hasNewTimes && !state.hasHeader)
            let syncs =
                purpose.syncs && isChanged || intent != nil
                || state.sparseChange > state.syncedChange
            if purpose.syncs, state.hasHeader, state.firstDirect != .max {
                let isWhole = state.plainSize.isMultiple(of: UInt64(BlockLayout.plainBlockBytes))
                state.firstDirect =
                    isWhole && keepsDirect ? layout.blockCount(plainSize: state.plainSize) : .max
            }
            let logsTimes =
                !isDataOnly && state.hasHeader && (state.hasNewTimes || !runs.isEmpty)
                && (!syncs || !runs.isEmpty) && !isBroken(.timesRecord)
            if !isDataOnly { state.hasNewTimes = false }
            return CommitPlan(
                descriptor: state.descriptor, fileID: state.seal?.fileID, runs: runs,
                placedSize: placedSize, syncsStore: syncs, dataOnly: isDataOnly,
                storeChange: state.storeChange, isPartial: isPartial, intent: intent,
                growsFrom: growsFrom,
                directFrom: state.firstDirect == .max ? nil : state.firstDirect,
                logsTimes: logsTimes)
        }
    }

    /// What lies behind a gap waits for it, which most of the time is filled soon; but not when it is
    /// to be durable, nor when there is so much of it that other files' writes would have to wait.
    private func mustSettleGaps(_ state: borrowing State, _ purpose: CommitPurpose) -> Bool {
        guard !state.gaps.isEmpty else { return false }
        if purpose.syncs { return true }
        guard let committer = journaling?.committer else { return false }
        return state.overlay.byteCount > Committer.maximumOverlayBytes / 2
            || committer.overlayBytes.load(ordering: .relaxed) > Committer.maximumOverlayBytes
    }

    /// Whether a test leaves this ordering out.
    func isBroken(_ ordering: BrokenOrdering) -> Bool {
        journaling?.committer.place.broken == ordering
    }

    private static let runBytes = Scratch.runBlocks * BlockLayout.sealedBlockBytes

    /// Whether the stored file may end, behind this commit or inside of it, with a block that is not
    /// final: one that grows in several steps, or whose end waits in the overlay behind a gap.
    private func endsOpen(
        _ state: borrowing State, _ runs: [Overlay.Run], _ placedSize: UInt64, isOneStep: Bool
    ) -> Bool {
        guard let last = runs.last, state.plainSize > state.storedSize else { return false }
        let end = last.firstBlock + UInt64(last.blocks.count)
        let grown = layout.blockCount(plainSize: state.storedSize)
        return end > grown && !isOneStep || end >= grown && placedSize < state.plainSize
    }

    private func placedSize(_ state: borrowing State, _ runs: [Overlay.Run]) -> UInt64 {
        guard let last = runs.last else { return state.storedSize }
        let blocks = last.firstBlock + UInt64(last.blocks.count)
        return max(
            state.storedSize, min(state.plainSize, blocks * UInt64(BlockLayout.plainBlockBytes)))
    }

    /// Blocks of the overlay that may go straight into the store: those behind an intent.
    private func putDirectBlocks(_ state: inout State) throws(VaultError) {
        guard state.firstDirect != .max, !state.overlay.isEmpty else { return }
        let runs = state.overlay.runs(
            in: state.firstDirect..<UInt64.max, maximumBytes: Self.runBytes)
        guard !runs.isEmpty else { return }
        let placedSize = placedSize(state, runs)
        try put(runs, GatheredRuns(runs), in: state.descriptor)
        for run in runs { state.overlay.remove(run.blocks) }
        state.storedSize = placedSize
        state.storeChange += 1
        state.firstUnsynced = min(state.firstUnsynced, runs[0].firstBlock)
    }

    /// Space for everything that the plan puts in its place: what is promised must fit.
    func reserve(_ plan: CommitPlan) throws(VaultError) {
        try reserve(
            plan.runs.map { run in
                let start = layout.sealedOffset(ofBlock: run.firstBlock)
                return start..<start + UInt64(run.byteCount)
            }, in: plan.descriptor)
    }

    /// - Parameter ranges: of the stored file.
    func reserve(_ ranges: [Range<UInt64>], in descriptor: Descriptor) throws(VaultError) {
        guard !ranges.isEmpty else { return }
        try system { () throws(Errno) in
            let statistics = try descriptor.fileSystemStatistics()
            let free = statistics.availableBlocks * statistics.fragmentSizeBytes
            guard free < Self.ampleBytes else { return }
            for range in ranges {
                do throws(Errno) {
                    try descriptor.allocate(
                        mode: AllocateFlag.keepSize, at: range.lowerBound,
                        count: range.upperBound - range.lowerBound)
                } catch {
                    if error != .notSupported { throw error }
                }
            }
        }
    }

    /// With so much free space no commit asks for it block by block.
    private static let ampleBytes: UInt64 = 256 << 20

    /// Writes the plan's blocks to their places in the store.
    func put(_ plan: CommitPlan, _ gathered: GatheredRuns) throws(VaultError) {
        try put(plan.runs, gathered, in: plan.descriptor)
    }

    private func put(
        _ runs: [Overlay.Run], _ gathered: GatheredRuns, in descriptor: Descriptor
    ) throws(VaultError) {
        precondition(gathered.places.count == runs.count, "BUG: runs without their bytes")
        try system { () throws(Errno) in
            try withTimesHeld { () throws(Errno) in
                // The file changed when it was written, not now.
                let before = try descriptor.status()
                for (run, place) in zip(runs, gathered.places) {
                    let offset = layout.sealedOffset(ofBlock: run.firstBlock)
                    try gathered.bodies[place.body].withRawSpan { bytes throws(Errno) in
                        try descriptor.write(bytes, place.range, at: offset)
                    }
                }
                try descriptor.setTimes(
                    access: .keep, modification: .set(before.modificationTime))
            }
        }
    }

    /// The plan's blocks stand in their places.
    func finishCommit(_ plan: CommitPlan) {
        changeOpenState { state in
            for run in plan.runs { state.overlay.remove(run.blocks) }
            state.storedSize = max(state.storedSize, plan.placedSize)
            if let intent = plan.intent { state.firstDirect = intent }
        }
    }

    /// The store was synced as it was when the plan was made.
    func finishSync(_ plan: CommitPlan) {
        changeOpenState { state in
            state.syncedChange = max(state.syncedChange, plan.storeChange)
            if !plan.dataOnly {
                state.syncedAttributes = max(state.syncedAttributes, plan.storeChange)
            }
            if state.storeChange == state.syncedChange { state.firstUnsynced = .max }
        }
    }

    // MARK: The store's own sync

    func synchronizeStore(_ plan: CommitPlan) throws(VaultError) {
        try synchronizeStore(plan.descriptor, dataOnly: plan.dataOnly)
    }

    /// A sync of the store that fails may have dropped what it could not write, and the next one
    /// would succeed without it (fsync(2)). So that one is preceded by writing it once more.
    func synchronizeStore(_ descriptor: Descriptor, dataOnly: Bool) throws(VaultError) {
        try writeDroppedAgain()
        do throws(Errno) {
            try descriptor.synchronize(dataOnly: dataOnly)
        } catch {
            noteDropped()
            journaling?.committer.noteFailedSync()
            throw .system(error)
        }
    }

    /// The store may have dropped what was written to it since its last sync.
    func noteDropped() {
        changeOpenState { $0.isDropped = true }
    }

    private func writeDroppedAgain() throws(VaultError) {
        guard withOpenState({ $0.isDropped }) else { return }
        try withScratch { scratch throws(VaultError) in
            try change { state throws(VaultError) in
                if state.firstUnsynced == 0, state.hasHeader { try writeHeaderAgain(state) }
                let end = layout.blockCount(plainSize: state.storedSize)
                for block in min(state.firstUnsynced, end)..<end {
                    try writeAgain(state, scratch, block)
                }
                state.isDropped = false
            }
        }
    }

    /// What the store shows of a block counts only if it opens: else it is lost, and stays an error.
    private func writeAgain(
        _ state: borrowing State, _ scratch: Scratch, _ block: UInt64
    ) throws(VaultError) {
        guard state.overlay[block] == nil else { return }
        try readBlock(state, scratch, block)
        let count = layout.sealedBytes(ofBlock: block, plainSize: state.plainSize)
        let offset = layout.sealedOffset(ofBlock: block)
        let descriptor = state.descriptor
        try scratch.single.withBytes { sealed throws(VaultError) in
            guard !BlockCipher.isHole(sealed, 0..<count) else { return }
            try system { () throws(Errno) in try descriptor.write(sealed, 0..<count, at: offset) }
        }
    }

    /// The file's last name is gone: nothing of it needs to reach the store any more, and nothing
    /// may hold its space once nobody has it open.
    func noteUnlinked() {
        changeOpenState { $0.isUnlinked = true }
    }

    var isUnlinked: Bool { withOpenState { $0.isUnlinked } }

    func discardOverlay() {
        changeOpenState { $0.overlay.removeAll() }
    }

    /// Blocks from `firstBlock` on, or a cut, went into the store past the journal.
    func noteStoreChange(from firstBlock: UInt64) {
        changeOpenState { state in
            state.storeChange += 1
            state.firstUnsynced = min(state.firstUnsynced, firstBlock)
        }
    }

    // MARK: Attributes

    /// The file's times were set in the store.
    func noteTimes() {
        changeOpenState { $0.hasNewTimes = true }
    }

    /// Its mode, owner or an attribute was set: only a sync of the store makes that durable.
    func noteAttributes() {
        changeOpenState { state in
            state.storeChange += 1
            state.attributeChange = state.storeChange
        }
    }

    // MARK: Failures

    /// Every handle hears of it at its next sync, once.
    func noteFailure(_ error: VaultError) {
        failures.withLock { failures in
            failures.count += 1
            failures.last = error
        }
    }

    /// - Returns: the newest failure, when there was one since `seen`.
    func failure(since seen: inout Int) -> VaultError? {
        failures.withLock { failures in
            defer { seen = failures.count }
            return failures.count > seen ? failures.last : nil
        }
    }

    var failureCount: Int { failures.withLock { $0.count } }
}
