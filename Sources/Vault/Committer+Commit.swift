import Platform
import SealedFormat

// One commit: sync what the store alone has, make the rest durable in the journal, put it in place.
extension Committer {
    func commit(
        _ content: SealedFile, of inode: Inode, _ purpose: CommitPurpose
    ) throws(VaultError) {
        // A spill calls clean what it syncs, and what a failed sync dropped is not.
        if purpose.settlesFailedSync { try settleFailedSync() } else { try? settleFailedSync() }
        var isPartial = true
        while isPartial {
            try withRoom { () throws(VaultError) in
                try renames.withReadLock { _ throws(VaultError) in
                    try content.withCommitsHeld { () throws(VaultError) in
                        try phase.withReadLock { _ throws(VaultError) in
                            try commitHolding(content, of: inode, purpose, &isPartial)
                        }
                    }
                }
            }
        }
        noteCommitted(content)
        if books.withLock({ $0.wantsCheckpoint }) { try checkpoint() }
    }

    /// Runs `body` again behind a checkpoint as long as the journal has no room for it.
    func withRoom(_ body: () throws(VaultError) -> Journal.Outcome) throws(VaultError) {
        for _ in 0..<Self.maximumTries {
            let epoch = journal.epoch
            switch try body() {
            case .durable: return
            case .full: try checkpointForNames(whenFull: epoch)
            case .failed(let errno): throw .system(errno)
            }
        }
        // Not even an empty journal has room for it.
        throw .system(.noSpace)
    }

    /// Others may fill a small journal first, but not time and again.
    private static let maximumTries = 256

    private func commitHolding(
        _ content: SealedFile, of inode: Inode, _ purpose: CommitPurpose, _ isPartial: inout Bool
    ) throws(VaultError) -> Journal.Outcome {
        let settled = try takeBack(content, of: inode)
        guard settled == .durable else { return settled }
        do throws(VaultError) {
            try placeLateHolding(of: inode)
        } catch {
            // A spill voids what the journal has; other commits take the same blocks again.
            if case .spill = purpose { throw error }
        }
        let isLogged = books.withLock { books in
            books.intents[inode.backing] != nil
                && !books.unlogged.intents.contains(inode.backing)
        }
        let plan = try content.prepareCommit(purpose, for: journal, keepsDirect: isLogged)
        isPartial = plan.isPartial
        var outcome = Journal.Outcome.full
        // Times that did not become durable belong to the next try.
        defer { if outcome != .durable, !plan.dataOnly { content.noteTimes() } }
        outcome = try carryOut(plan, content, of: inode, purpose)
        return outcome
    }

    private func carryOut(
        _ plan: CommitPlan, _ content: SealedFile, of inode: Inode, _ purpose: CommitPurpose
    ) throws(VaultError) -> Journal.Outcome {
        if plan.syncsStore, place.broken != .storeSync { try content.synchronizeStore(plan) }
        if plan.syncsStore { noteStoreSynced(content, of: inode, plan) }
        var plan = plan
        plan.growsFrom = firstOfSteps(plan, of: inode)
        guard !plan.isEmpty, let fileID = plan.fileID else {
            return purpose.syncs ? journal.settle() : .durable
        }
        guard let path = findablePath(of: inode) else {
            return try putUnfindable(plan, fileID, content, of: inode, purpose)
        }
        try content.reserve(plan)
        let file = JournaledFile(fileID: fileID, path: path)
        if place.broken == .placeFirst {
            try content.put(plan, GatheredRuns(plan.runs))
            try system { () throws(Errno) in try plan.descriptor.synchronize(dataOnly: true) }
        }
        var gathered = GatheredRuns()
        if plan.intent == nil || place.broken != .intentFlush {
            let outcome = try log(plan, file, &gathered) { writes in
                noteLogged(plan, of: inode, file, writes)
            }
            guard outcome == .durable else { return outcome }
        } else {
            gathered = GatheredRuns(plan.runs)
            noteLogged(plan, of: inode, file, plan.runs.count)
        }
        books.withLock { $0.refused[inode.backing] = nil }
        putInPlace(content, of: inode, plan, gathered)
        return .durable
    }

    /// The name by which a later mount can find the file; nil where there is none.
    private func findablePath(of inode: Inode) -> [UInt8]? {
        inode.storedPath.flatMap { $0.count <= journal.maximumPathBytes ? $0 : nil }
    }

    /// Without the journal, which must not bring older blocks back by a name that the file has had.
    private func putUnfindable(
        _ plan: CommitPlan, _ fileID: FileID, _ content: SealedFile, of inode: Inode,
        _ purpose: CommitPurpose
    ) throws(VaultError) -> Journal.Outcome {
        try placeLateHolding(of: inode)
        let outcome = try voidEntries(of: inode, fileID, plan.descriptor)
        guard outcome == .durable else { return outcome }
        try content.put(plan, GatheredRuns(plan.runs))
        if let first = plan.runs.first { content.noteStoreChange(from: first.firstBlock) }
        content.finishCommit(plan)
        if purpose.syncs {
            try content.synchronizeStore(plan.descriptor, dataOnly: plan.dataOnly)
        }
        return .durable
    }

    /// Behind a sync in the store and before a file's entries become void: while a sync has failed, the
    /// one that came now may have succeeded without what that one dropped (fsync(2)).
    private func refuseWhileStuck() throws(VaultError) {
        guard !books.withLock({ $0.isStuck }) else { throw .system(.ioError) }
    }

    /// What the journal has of a file is durable in the store, and void. Entries are found by the
    /// file's id, whatever its names.
    private func voidEntries(
        of inode: Inode, _ fileID: FileID, _ descriptor: Descriptor
    ) throws(VaultError) -> Journal.Outcome {
        guard mayHaveEntries(inode, fileID) else { return .durable }
        try synchronize(descriptor, dataOnly: false)
        try refuseWhileStuck()
        var body: [UInt8] = []
        JournalEntry(.clean, of: JournaledFile(fileID: fileID, path: [])).append(to: &body)
        let outcome = journal.commit(body, usesReserve: true)
        guard outcome == .durable else { return outcome }
        books.withLock { $0.live[inode.backing] = nil }
        return .durable
    }

    private func putInPlace(
        _ content: SealedFile, of inode: Inode, _ plan: CommitPlan, _ gathered: GatheredRuns
    ) {
        do throws(VaultError) {
            try content.put(plan, gathered)
        } catch {
            // It is durable all the same: the overlay keeps it, and so does the journal.
            books.withLock { $0.noteUnplaced(plan, content, inode.backing) }
            return
        }
        books.withLock { $0.notePlaced(plan, inode.backing) }
        content.finishCommit(plan)
    }

    /// - Parameters:
    ///   - gathered: becomes the plan's runs, in the bodies that were made of them.
    ///   - note: called when a body is durable, with how many of the runs are by then.
    private func log(
        _ plan: CommitPlan, _ file: JournaledFile, _ gathered: inout GatheredRuns,
        _ note: (Int) -> Void
    ) throws(VaultError) -> Journal.Outcome {
        guard var body = formerNames(of: file) else { return .full }
        if let firstBlock = plan.intent {
            try refuseWhileStuck()
            JournalEntry(.clean, of: file).append(to: &body)
            JournalEntry(.intent(firstBlock: firstBlock), of: file).append(to: &body)
        } else if let firstBlock = plan.growsFrom {
            JournalEntry(.intent(firstBlock: firstBlock), of: file).append(to: &body)
        }
        if plan.logsTimes {
            let status = try system { () throws(Errno) in try plan.descriptor.status() }
            JournalEntry(
                .times(
                    access: JournalTime(status.accessTime),
                    modification: JournalTime(status.modificationTime)), of: file
            ).append(to: &body)
        }
        let entryBytes = JournalEntry.fixedBytes + file.path.count
        var left = body.count + plan.runs.reduce(0) { $0 + entryBytes + $1.byteCount }
        body.reserveCapacity(min(left, journal.maximumBodyBytes))
        for (number, run) in plan.runs.enumerated() {
            if !body.isEmpty, body.count + entryBytes + run.byteCount > journal.maximumBodyBytes {
                gathered.end(body)
                let outcome = journal.commit(body)
                guard outcome == .durable else { return outcome }
                note(number)
                left -= body.count
                body = []
                body.reserveCapacity(min(left, journal.maximumBodyBytes))
            }
            JournalEntry.appendWriteHead(
                of: file, sealedOffset: place.layout.sealedOffset(ofBlock: run.firstBlock),
                byteCount: run.byteCount, to: &body)
            gathered.add(run, to: &body)
        }
        gathered.end(body)
        let outcome = journal.commit(body)
        if outcome == .durable { note(plan.runs.count) }
        return outcome
    }

    /// Where the intent of a growth in several steps begins: no later than the one that a new file
    /// still waits to log, since that is not logged any more then. A checkpoint logs what the books
    /// have of it again, so leaving it out leaves it out of both.
    private func firstOfSteps(_ plan: CommitPlan, of inode: Inode) -> UInt64? {
        guard place.broken != .stepIntent, let firstBlock = plan.growsFrom else { return nil }
        let unlogged = books.withLock { books in
            books.unlogged.intents.contains(inode.backing) ? books.intents[inode.backing] : nil
        }
        return min(firstBlock, unlogged?.firstBlock ?? firstBlock)
    }

    /// - Parameter writes: of the plan's runs, how many are durable. Until all are, what there is must
    ///   not count: nobody was told of it, and the file may be cut meanwhile.
    private func noteLogged(
        _ plan: CommitPlan, of inode: Inode, _ file: JournaledFile, _ writes: Int
    ) {
        let fileID = file.fileID
        books.withLock { books in
            books.live[inode.backing] = CommitBooks.Live(
                inode: inode, file: file, unsynced: plan.descriptor)
            if writes < plan.runs.count { books.refused[inode.backing] = writes }
            books.wantsCheckpoint = books.hasTooMuch
            if let firstBlock = plan.intent ?? plan.growsFrom {
                books.intents[inode.backing] = CommitBooks.Intent(
                    inode: inode, fileID: fileID, firstBlock: firstBlock)
                books.unlogged.intents.remove(inode.backing)
            }
        }
    }

    private func noteStoreSynced(_ content: SealedFile, of inode: Inode, _ plan: CommitPlan) {
        content.finishSync(plan)
        // The journal may go on having its intent; its next epoch begins without.
        let isSettled = content.isSettledInStore
        books.withLock { books in
            // fdatasync(2) leaves times out, which the journal may have.
            if books.unplaced[inode.backing] == nil, !books.isStuck, !plan.dataOnly {
                books.live[inode.backing]?.unsynced = nil
            }
            // An intent that stands in the journal goes on to hold for what is written next.
            if let known = books.intents[inode.backing]?.firstBlock, let synced = plan.directFrom {
                books.intents[inode.backing]?.firstBlock = max(known, synced)
            }
            if isSettled
                || books.unlogged.intents.contains(inode.backing) && !content.growsInStore
            {
                books.removeIntent(inode.backing)
            }
        }
    }

    // MARK: Changes that are no blocks

    /// Runs `body` with the content alone and its commits held. What it logs is durable before it
    /// changes the store; when the journal has no room it answers so, and is run again.
    ///
    /// - Parameter isEmptying: nothing is left of the file, whether or not what the journal alone has
    ///   can be put in its place before.
    func perform(
        on content: SealedFile, of inode: Inode, isEmptying: Bool = false,
        _ body: (inout SealedFile.State, SealedFile.Log) throws(VaultError) -> Journal.Outcome
    ) throws(VaultError) {
        try settleFailedSync()
        try withRoom { () throws(VaultError) in
            try renames.withReadLock { _ throws(VaultError) in
                try content.withCommitsHeld { () throws(VaultError) in
                    try phase.withReadLock { _ throws(VaultError) in
                        try performHolding(on: content, of: inode, isEmptying: isEmptying, body)
                    }
                }
            }
        }
        noteCommitted(content)
        // What the overlay still has may be in the journal alone.
        if content.isCommitted, books.withLock({ $0.wantsCheckpoint }) { _ = try? checkpoint() }
    }

    private func performHolding(
        on content: SealedFile, of inode: Inode, isEmptying: Bool,
        _ body: (inout SealedFile.State, SealedFile.Log) throws(VaultError) -> Journal.Outcome
    ) throws(VaultError) -> Journal.Outcome {
        let settled = try takeBack(content, of: inode)
        guard settled == .durable else { return settled }
        // Later it would be written over what is done now. A full disk is no reason not to empty a
        // file.
        do throws(VaultError) {
            try placeLateHolding(of: inode)
        } catch {
            guard isEmptying else { throw error }
        }
        var logged = 0
        do throws(VaultError) {
            let outcome = try content.change { state throws(VaultError) in
                try body(&state) { state, actions in
                    let outcome = log(actions, state, of: inode, usesReserve: isEmptying)
                    if outcome == .durable { logged = actions.count }
                    return outcome
                }
            }
            // What no journal has, only the store's sync makes durable.
            if findablePath(of: inode) == nil { content.noteStoreChange(from: .max) }
            return outcome
        } catch {
            if logged > 0 {
                books.withLock { $0.refused[inode.backing] = $0.refused[inode.backing] ?? logged }
                _ = try? takeBack(content, of: inode)
            }
            throw error
        }
    }

    /// Where the store refused what the journal already had: a recovery must not do what was
    /// reported as failed. All the file's entries become void, and what they hold is made durable
    /// in the store before. Until that has worked nothing else of the file is acknowledged.
    private func takeBack(
        _ content: SealedFile, of inode: Inode
    ) throws(VaultError) -> Journal.Outcome {
        let (isRefused, intent) = books.withLock { books in
            (
                books.refused[inode.backing] != nil,
                books.unlogged.intents.contains(inode.backing) ? nil : books.intents[inode.backing]
            )
        }
        guard isRefused else { return .durable }
        try placeLateHolding(of: inode)
        try synchronize(content.descriptor, dataOnly: false)
        try refuseWhileStuck()
        if inode.storedPath != nil, let fileID = content.fileID ?? liveFileID(of: inode) {
            let path = findablePath(of: inode)
            let file = JournaledFile(fileID: fileID, path: path ?? [])
            guard var body = path == nil ? [] : formerNames(of: file) else { return .full }
            JournalEntry(.clean, of: file).append(to: &body)
            if let intent, path != nil {
                JournalEntry(.intent(firstBlock: intent.firstBlock), of: file).append(to: &body)
            }
            let outcome = journal.commit(body, usesReserve: true)
            guard outcome == .durable else { return outcome }
        }
        books.withLock { books in
            books.refused[inode.backing] = nil
            books.live[inode.backing]?.unsynced = nil
        }
        return .durable
    }

    private func log(
        _ actions: [JournalAction], _ state: borrowing SealedFile.State, of inode: Inode,
        usesReserve: Bool
    ) -> Journal.Outcome {
        guard let fileID = state.seal?.fileID ?? liveFileID(of: inode), !isBroken(actions) else {
            return .durable
        }
        guard let path = findablePath(of: inode) else {
            do throws(VaultError) {
                return try voidEntries(of: inode, fileID, state.descriptor)
            } catch {
                if case .system(let errno) = error { return .failed(errno) }
                return .failed(.ioError)
            }
        }
        let file = JournaledFile(fileID: fileID, path: path)
        guard var body = formerNames(of: file) else { return .full }
        for action in actions { JournalEntry(action, of: file).append(to: &body) }
        let outcome = journal.commit(body, usesReserve: usesReserve)
        guard outcome == .durable else { return outcome }
        let live = CommitBooks.Live(inode: inode, file: file, unsynced: state.descriptor)
        books.withLock { books in
            books.live[inode.backing] = live
            books.wantsCheckpoint = books.hasTooMuch
        }
        return .durable
    }

    /// Whether the journal alone has blocks of this file.
    func isUnplaced(_ inode: Inode) -> Bool {
        books.withLock { $0.unplaced[inode.backing] != nil }
    }

    private func liveFileID(of inode: Inode) -> FileID? {
        books.withLock { $0.live[inode.backing]?.fileID }
    }

    private func isBroken(_ actions: [JournalAction]) -> Bool {
        switch place.broken {
        case .truncateRecord:
            actions.contains { if case .truncate = $0 { true } else { false } }
        case .punchRecord:
            actions.contains { if case .punch = $0 { true } else { false } }
        default: false
        }
    }

    /// Whether the journal may have entries of this file that a recovery would use.
    ///
    /// - Parameter fileID: nil where the file was not opened with its key.
    func mayHaveEntries(_ inode: Inode, _ fileID: FileID?) -> Bool {
        let known = liveFileID(of: inode)
        guard let fileID else { return known != nil }
        return journal.isUnsettled || known == fileID
    }
}

extension JournalTime {
    init(_ time: Timespec) {
        self.init(seconds: time.seconds, nanoseconds: UInt32(time.nanoseconds))
    }
}
