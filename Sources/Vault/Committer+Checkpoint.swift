import Platform
import SealedFormat

// The journal begins anew when all of it is durable in the stored files.
extension Committer {
    /// Fewer files than this are synced one by one, else the whole store is.
    private static let fewFiles = 16

    /// - Parameter epoch: one that had no room for something, however full it is.
    func checkpoint(whenFull epoch: UInt64? = nil) throws(VaultError) {
        try phase.withWriteLock { _ throws(VaultError) in
            let isNeeded = books.withLock { $0.hasTooMuch || $0.isStuck }
            guard isNeeded || journal.isHalfFull || epoch == journal.epoch else { return }
            // Names need no room, which what comes next may not have.
            if books.withLock({ $0.former.isFull && !$0.isStuck }) { try synchronizeWhole() }
            for (backing, unplaced) in books.withLock({ $0.unplaced }) {
                try place(unplaced, of: backing)
            }
            let failedSyncs = books.withLock { $0.failedSyncs }
            let isRepeated = books.withLock { $0.isStuck }
            if isRepeated {
                try putLiveAgain()
                try putMetadataAgain()
            }
            // What is closed now is synced as it is; others may go on growing meanwhile. What a
            // failed sync may have dropped keeps its intent.
            let closed = books.withLock { books in
                (
                    files: isRepeated
                        ? [:]
                        : books.intents.filter { $0.value.inode.openContent == nil },
                    metadata: isRepeated
                        ? [] : Set(books.metadata.filter { $0.value.isMade }.keys)
                )
            }
            if place.broken != .checkpointSync { try syncLive() }
            // One of a rename's that failed meanwhile took from ours what it had to tell.
            guard self.failedSyncs == failedSyncs else {
                books.withLock { $0.hasVanished = true }
                throw .system(.ioError)
            }
            try beginAnew(without: closed)
            books.withLock { $0.settledSyncs = max($0.settledSyncs, failedSyncs) }
        }
    }

    func place(_ unplaced: CommitBooks.Unplaced, of backing: BackingID) throws(VaultError) {
        try unplaced.content.put(unplaced.plan, GatheredRuns(unplaced.plan.runs))
        unplaced.content.finishCommit(unplaced.plan)
        books.withLock { books in
            books.unplaced[backing] = nil
            // A sync of the store that came before did not hold it.
            books.live[backing]?.unsynced = unplaced.plan.descriptor
        }
    }

    /// After a sync that failed, and may have dropped what it could not write, the journal's blocks
    /// are put in their places once more. They are what stands there: a block that the journal has
    /// is changed through the journal only.
    private func putLiveAgain() throws(VaultError) {
        let files = books.withLock { books in
            books.live.compactMap { backing, live in
                live.unsynced.map {
                    (live.fileID, (file: $0, refused: books.refused[backing] ?? 0))
                }
            }
        }
        let waiting = Dictionary(files) { first, _ in first }
        for history in try system({ () throws(Errno) in FileHistory.all(try journal.entries()) }) {
            guard let (file, refused) = waiting[history.fileID] else { continue }
            try system { () throws(Errno) in
                let before = try file.status()
                for (offset, bytes) in history.lastingWrites(withoutLast: refused) {
                    try file.write(bytes, at: offset)
                }
                try file.setTimes(access: .keep, modification: .set(before.modificationTime))
            }
        }
    }

    /// Directory records and sidecars likewise.
    private func putMetadataAgain() throws(VaultError) {
        for metadata in books.withLock({ Array($0.metadata.values) }) {
            guard let path = metadata.directory.storedPath else { continue }
            do throws(Errno) {
                var directory = place.root
                for name in path.split(separator: UInt8(ascii: "/")) {
                    directory = try directory.open(
                        FileName(name), OpenFlag.path | OpenFlag.directory)
                }
                // A rename may have come between.
                guard BackingID(try directory.status()) == metadata.directory.backing else {
                    continue
                }
                try directory.open(metadata.name, OpenFlag.readWrite | OpenFlag.nonBlocking)
                    .write(metadata.content, at: 0)
            } catch {
                // Gone, or out of reach: recovery has it from the journal.
                if error != .noSuchFileOrDirectory, error != .accessDenied { throw .system(error) }
            }
        }
    }

    private func syncLive() throws(VaultError) {
        let (waiting, isWhole) = books.withLock { books in
            defer { books.hasVanished = false }
            return (
                books.live.values.compactMap(\.unsynced),
                !books.intents.isEmpty || !books.metadata.isEmpty || books.hasVanished
                    || books.former.isFull
            )
        }
        do throws(VaultError) {
            if isWhole || waiting.count > Self.fewFiles {
                try synchronizeWhole()
            } else {
                for file in waiting { try synchronize(file, dataOnly: false) }
            }
        } catch {
            books.withLock { $0.hasVanished = true }
            noteDropped()
            throw error
        }
    }

    /// The store as a whole, so that names are durable as well.
    func synchronizeWhole() throws(VaultError) {
        let mark = books.withLock { $0.former.mark }
        do throws(Errno) {
            try place.root.synchronizeFileSystem()
        } catch {
            noteFailedSync()
            noteDropped()
            throw .system(error)
        }
        books.withLock { $0.former.forget(before: mark) }
    }

    /// The store may have dropped what it could not write; only the journal has it now, and the
    /// files that grow have what they wrote themselves.
    private func noteDropped() {
        let growing = books.withLock { $0.intents.values.map(\.inode) }
        for inode in growing { inode.openContent?.noteDropped() }
    }

    /// A sync in the store, after which something is called durable.
    func synchronize(_ descriptor: Descriptor, dataOnly: Bool) throws(VaultError) {
        do throws(Errno) {
            try descriptor.synchronize(dataOnly: dataOnly)
        } catch {
            noteFailedSync()
            throw .system(error)
        }
    }

    var failedSyncs: Int { books.withLock { $0.failedSyncs } }

    func noteFailedSync() {
        books.withLock { $0.failedSyncs += 1 }
    }

    /// The next sync would succeed without what a failed one has dropped (fsync(2)), so all that the
    /// journal has is put in its places again before.
    func settleFailedSync() throws(VaultError) {
        guard books.withLock({ $0.isStuck }) else { return }
        try checkpoint()
    }

    /// Files that still grow straight in the store have their intents in the new epoch before
    /// anything else is.
    private func beginAnew(
        without synced: (
            files: [BackingID: CommitBooks.Intent], metadata: Set<CommitBooks.MetadataKey>
        )
    ) throws(VaultError) {
        let keepsIntents = place.broken != .checkpointIntents
        let first = books.withLock { books in
            var next = books
            next.beginEpoch(without: synced.files, synced.metadata, keepsIntents: keepsIntents)
            var steps = next.unloggedSteps
            // More of them find no room beside the journal, and come behind this.
            return next.deferredEntries.filter(isFindable)
                + next.takeEntries(of: &steps, atMost: Journal.standbyBytes, where: isFindable)
        }
        try system { () throws(Errno) in
            try journal.begin(with: first.reduce(into: []) { $1.append(to: &$0) })
        }
        books.withLock {
            $0.beginEpoch(without: synced.files, synced.metadata, keepsIntents: keepsIntents)
        }
        if case .failed(let errno) = logIntentsHolding(andDeferred: true) { throw .system(errno) }
        // The last epoch's frames must not come back.
        if case .failed(let errno) = journal.settle() { throw .system(errno) }
    }

    // MARK: Intents

    /// Makes intents and metadata durable in the journal that are not yet.
    func logIntents() throws(VaultError) {
        try withRoom { () throws(VaultError) in
            try renames.withReadLock { _ throws(VaultError) in
                phase.withReadLock { _ in logIntentsHolding() }
            }
        }
    }

    /// Makes the intent of one file durable, with all others.
    func logIntent(of inode: Inode) throws(VaultError) {
        guard books.withLock({ $0.unlogged.intents.contains(inode.backing) }) else { return }
        try logIntents()
    }

    /// Takes over what recovery could not finish: it is in our journal before theirs goes.
    func adopt(_ tails: [Recovery.DeferredTail]) throws(VaultError) {
        books.withLock { books in for tail in tails { books.deferred[tail.backing] = tail } }
        try logDeferred()
    }

    /// The torn tail of a file, for whoever opens it first with its key.
    func deferredTail(of inode: Inode) -> Recovery.DeferredTail? {
        books.withLock { $0.deferred[inode.backing] }
    }

    func finishDeferredTail(of inode: Inode) {
        books.withLock { $0.deferred[inode.backing] = nil }
    }

    /// At the end: begins the journal anew with what still waits for a key.
    ///
    /// - Returns: whether the journal is to be kept; where it could not begin anew, as it was.
    func keepsDeferredTails() -> Bool {
        let entries = books.withLock { $0.deferredEntries }
        guard !entries.isEmpty else { return false }
        let first = entries.filter(isFindable).reduce(into: []) { $1.append(to: &$0) }
        if (try? journal.begin(with: first)) != nil { try? logDeferred() }
        return true
    }

    private func logDeferred() throws(VaultError) {
        switch commit(books.withLock { $0.deferredEntries }) {
        case .durable: return
        case .full: throw .system(.noSpace)
        case .failed(let errno): throw .system(errno)
        }
    }

    @discardableResult
    func logIntentsHolding(andDeferred hasDeferred: Bool = false) -> Journal.Outcome {
        let (intents, metadata) = books.withLock { books in
            (
                books.unlogged.intents.reduce(into: [:]) { $0[$1] = books.intents[$1] },
                books.unlogged.metadata.reduce(into: [:]) { $0[$1] = books.metadata[$1] }
            )
        }
        var (entries, steps) = books.withLock { books in
            (hasDeferred ? books.deferredEntries : [], books.unloggedSteps)
        }
        repeat {
            entries += books.withLock {
                $0.takeEntries(
                    of: &steps, atMost: journal.maximumBodyBytes / 2, where: isFindable)
            }
            let outcome = commit(entries)
            guard outcome == .durable else { return outcome }
            entries = []
        } while !steps.isEmpty
        // Not before: whoever finds nothing unlogged relies on it. What came meanwhile stays.
        books.withLock { books in
            // Nor what a rename has given a name to come.
            for (backing, intent) in intents
            where books.intents[backing]?.fileID == intent.fileID
                && books.intents[backing]?.pathsToCome == intent.pathsToCome
            {
                books.unlogged.intents.remove(backing)
            }
            for (key, metadata) in metadata
            where books.metadata[key]?.content == metadata.content
                && books.metadata[key]?.pathsToCome == metadata.pathsToCome
            {
                books.unlogged.metadata.remove(key)
            }
        }
        return .durable
    }

    private func isFindable(_ entry: JournalEntry) -> Bool {
        entry.file.path.count <= journal.maximumPathBytes
    }

    func commit(
        _ entries: [JournalEntry], usesReserve: Bool = false
    ) -> Journal.Outcome {
        var body: [UInt8] = []
        for entry in entries where isFindable(entry) {
            entry.append(to: &body)
            guard body.count > journal.maximumBodyBytes / 2 else { continue }
            let outcome = journal.commit(body, usesReserve: usesReserve)
            guard outcome == .durable else { return outcome }
            body = []
        }
        return body.isEmpty ? .durable : journal.commit(body, usesReserve: usesReserve)
    }
}
