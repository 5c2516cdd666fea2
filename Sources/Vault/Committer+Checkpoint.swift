import Platform
import SealedFormat

// The journal begins anew when all of it is durable in the stored files.
extension Committer {
    /// Fewer files than this are synced one by one, else the whole store is.
    private static let fewFiles = 16

    func checkpoint() throws(VaultError) {
        try phase.withWriteLock { _ throws(VaultError) in
            let isNeeded = books.withLock { $0.hasTooMuch }
            guard isNeeded || journal.isHalfFull else { return }
            for (backing, unplaced) in books.withLock({ $0.unplaced }) {
                try place(unplaced, of: backing)
            }
            let isRepeated = books.withLock { $0.isStuck }
            if isRepeated { try putLiveAgain() }
            // What is closed now is synced as it is; others may go on growing meanwhile. What a
            // failed sync may have dropped keeps its intent.
            let closed = books.withLock { books in
                (
                    files: isRepeated
                        ? [:]
                        : books.intents.filter { $0.value.inode.openContent == nil },
                    metadata: isRepeated ? [] : Set(books.metadata.keys)
                )
            }
            if place.broken != .checkpointSync { try syncLive() }
            try beginAnew(without: closed)
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
            books.live.values.compactMap { live in live.unsynced.map { (live.fileID, $0) } }
        }
        let descriptors = Dictionary(files) { first, _ in first }
        for history in try system({ () throws(Errno) in FileHistory.all(try journal.entries()) }) {
            guard let file = descriptors[history.fileID] else { continue }
            try system { () throws(Errno) in
                let before = try file.status()
                for (offset, bytes) in history.lastingWrites {
                    try file.write(bytes, at: offset)
                }
                try file.setTimes(access: .keep, modification: .set(before.modificationTime))
            }
        }
    }

    private func syncLive() throws(VaultError) {
        let (waiting, isWhole) = books.withLock { books in
            defer { books.hasVanished = false }
            return (
                books.live.values.compactMap(\.unsynced),
                !books.intents.isEmpty || !books.metadata.isEmpty || books.hasVanished
            )
        }
        do throws(Errno) {
            if isWhole || waiting.count > Self.fewFiles {
                try place.root.synchronizeFileSystem()
            } else {
                for file in waiting { try file.synchronize(dataOnly: false) }
            }
        } catch {
            // The store may have dropped what it could not write; only the journal has it now.
            let growing = books.withLock { books in
                books.isStuck = true
                books.hasVanished = true
                return books.intents.values.map(\.inode)
            }
            for inode in growing { inode.openContent?.noteDropped() }
            throw .system(error)
        }
    }

    /// Files that still grow straight in the store have their intents in the new epoch before
    /// anything else is.
    private func beginAnew(
        without synced: (
            files: [BackingID: CommitBooks.Intent], metadata: Set<CommitBooks.MetadataKey>
        )
    ) throws(VaultError) {
        books.withLock { books in
            books.wantsCheckpoint = false
            books.isStuck = false
            books.refused = []
            books.live = [:]
            books.metadata = books.metadata.filter { !synced.metadata.contains($0.key) }
            for (backing, intent) in synced.files
            where books.intents[backing]?.fileID == intent.fileID {
                books.removeIntent(backing)
            }
            books.unlogged.metadata = Set(books.metadata.keys)
            books.unlogged.intents =
                place.broken == .checkpointIntents ? [] : Set(books.intents.keys)
        }
        journal.begin()
        try logDeferred()
        try logIntentsHolding()
        // The last epoch's frames must not come back.
        if case .failed(let errno) = journal.settle() { throw .system(errno) }
    }

    // MARK: Intents

    /// Makes intents and metadata durable in the journal that are not yet.
    func logIntents() throws(VaultError) {
        try withRoom { () throws(VaultError) in
            try renames.withReadLock { _ throws(VaultError) in
                try phase.withReadLock { _ throws(VaultError) in try logIntentsHolding() }
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
        for tail in tails { books.withLock { $0.deferred[tail.backing] = tail } }
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
    func keepsDeferredTails() -> Bool {
        guard books.withLock({ !$0.deferred.isEmpty }) else { return false }
        journal.begin()
        return (try? logDeferred()) != nil
    }

    private func logDeferred() throws(VaultError) {
        for tail in books.withLock({ Array($0.deferred.values) }) { try tail.log(in: journal) }
    }

    @discardableResult
    private func logIntentsHolding() throws(VaultError) -> Journal.Outcome {
        let (intents, metadata) = books.withLock { books in
            (
                books.unlogged.intents.reduce(into: [:]) { $0[$1] = books.intents[$1] },
                books.unlogged.metadata.reduce(into: [:]) { $0[$1] = books.metadata[$1] }
            )
        }
        var entries: [JournalEntry] = intents.values.flatMap { intent in
            intent.paths.map { path in
                JournalEntry(
                    .intent(firstBlock: intent.firstBlock),
                    of: JournaledFile(fileID: intent.fileID, path: path))
            }
        }
        entries += metadata.values.compactMap { metadata in
            metadata.directory.storedPath.map { path in
                JournalEntry(
                    .metadata(metadata.content),
                    of: JournaledFile(
                        metadata: path + (path.isEmpty ? [] : [UInt8(ascii: "/")])
                            + metadata.name.bytes))
            }
        }
        let outcome = commit(entries)
        guard outcome == .durable else { return outcome }
        // Not before: whoever finds nothing unlogged relies on it. What came meanwhile stays.
        books.withLock { books in
            for (backing, intent) in intents
            where books.intents[backing]?.fileID == intent.fileID {
                books.unlogged.intents.remove(backing)
            }
            for (key, metadata) in metadata
            where books.metadata[key]?.content == metadata.content {
                books.unlogged.metadata.remove(key)
            }
        }
        return outcome
    }

    private func commit(
        _ entries: [JournalEntry], usesReserve: Bool = false
    ) -> Journal.Outcome {
        var body: [UInt8] = []
        for entry in entries where entry.file.path.count <= journal.maximumPathBytes {
            entry.append(to: &body)
            guard body.count > journal.maximumBodyBytes / 2 else { continue }
            let outcome = journal.commit(body, usesReserve: usesReserve)
            guard outcome == .durable else { return outcome }
            body = []
        }
        return body.isEmpty ? .durable : journal.commit(body, usesReserve: usesReserve)
    }

    // MARK: Names

    /// What could not be put in its place is there behind this, or it throws.
    func placeLate(of inode: Inode) throws(VaultError) {
        guard isUnplaced(inode) else { return }
        try phase.withReadLock { _ throws(VaultError) in try placeLateHolding(of: inode) }
    }

    /// What only the journal has of a file, on a full disk, is found by the names to come as well:
    /// a name can go or change without it being in its place.
    private func log(
        _ file: CommitBooks.Live, underNamesBehind moved: BackingID, _ newPath: [UInt8]?,
        orThrow failure: VaultError
    ) throws(VaultError) {
        guard let descriptor = file.unsynced else { throw failure }
        let status = try system { () throws(Errno) in try descriptor.status() }
        let times = JournalAction.times(
            access: JournalTime(status.accessTime),
            modification: JournalTime(status.modificationTime))
        let entries = file.inode.paths(behind: moved, newPath).map { path in
            JournalEntry(times, of: JournaledFile(fileID: file.fileID, path: path))
        }
        let isFound = entries.allSatisfy { $0.file.path.count <= journal.maximumPathBytes }
        guard !entries.isEmpty, isFound else { throw failure }
        let outcome = try phase.withReadLock { _ throws(VaultError) in
            commit(entries, usesReserve: true)
        }
        guard outcome == .durable else { throw failure }
    }

    /// With `phase` held.
    func placeLateHolding(of inode: Inode) throws(VaultError) {
        guard let unplaced = books.withLock({ $0.unplaced[inode.backing] }) else { return }
        try place(unplaced, of: inode.backing)
    }

    /// Before a name goes or changes, with `renames` held alone: the journal knows files by their
    /// names, so what it has of them must be durable in the store first. A file with synced bytes
    /// that grows in the store has its intent under the names to come before they do.
    ///
    /// - Parameters:
    ///   - moved: the file or directory whose name it is.
    ///   - newPath: what it is called then; nil for a name that goes.
    func retire(_ moved: BackingID, to newPath: [UInt8]? = nil) throws(VaultError) {
        let files = books.withLock { books in
            books.live.values.filter { $0.unsynced != nil && $0.inode.isBelow(moved) }
        }
        for file in files where place.broken != .renameSync {
            do throws(VaultError) {
                try placeLate(of: file.inode)
            } catch {
                try log(file, underNamesBehind: moved, newPath, orThrow: error)
                continue
            }
            try system { () throws(Errno) in try file.unsynced?.synchronize(dataOnly: false) }
            books.withLock { $0.live[file.inode.backing]?.unsynced = nil }
        }
        let isUrgent = books.withLock { books in
            for (key, metadata) in books.metadata where metadata.directory.isBelow(moved) {
                books.unlogged.metadata.insert(key)
            }
            return books.renameIntents(below: moved, to: newPath)
        }
        if isUrgent, place.broken != .renameIntent {
            try withRoom { () throws(VaultError) in
                try phase.withReadLock { _ throws(VaultError) in try logIntentsHolding() }
            }
        }
        wakeTimer()
    }

    /// A file's last name is gone.
    func forget(_ gone: BackingID) {
        let dirty = books.withLock { books in
            let wasLive = books.live.removeValue(forKey: gone) != nil
            if wasLive || books.intents[gone] != nil { books.hasVanished = true }
            books.removeIntent(gone)
            books.deferred[gone] = nil
            books.unplaced[gone] = nil
            books.refused.remove(gone)
            return books.dirty.values.first { $0.inode.backing == gone }
        }
        guard let dirty else { return }
        dirty.content.noteUnlinked()
        discardUnlinked(dirty.content, of: dirty.inode)
    }

    /// A file without a name that nobody has open but us gives its space back at once.
    func discardUnlinked(_ content: SealedFile, of inode: Inode) {
        guard content.isUnlinked, inode.state.withLock({ $0.openHandles == 1 }) else { return }
        content.discardOverlay()
        noteCommitted(content)
    }
}

extension CommitBooks {
    /// Notes the names to come of growing files at or below `moved`.
    ///
    /// - Returns: whether one of them holds synced bytes.
    fileprivate mutating func renameIntents(below moved: BackingID, to newPath: [UInt8]?) -> Bool {
        var isUrgent = false
        for (backing, intent) in intents {
            guard intent.inode.isBelow(moved) else { continue }
            unlogged.intents.insert(backing)
            guard intent.firstBlock > 0 else { continue }
            isUrgent = true
            intents[backing]?.pathsToCome = intent.inode.paths(behind: moved, newPath)
        }
        return isUrgent
    }
}

extension CommitBooks.Intent {
    /// Under which a recovery is to look for the file.
    fileprivate var paths: [[UInt8]] {
        let path = inode.storedPath
        return (path.map { [$0] } ?? []) + pathsToCome.filter { $0 != path }
    }
}

extension Inode {
    /// Whether it is the file of `backing`, or has it above itself.
    fileprivate func isBelow(_ backing: BackingID) -> Bool { !paths(below: backing).isEmpty }

    /// The stored paths that this file has behind a change of the name of `moved`, at or above it.
    fileprivate func paths(behind moved: BackingID, _ newPath: [UInt8]?) -> [[UInt8]] {
        newPath.map { new in paths(below: moved).map { new + $0 } } ?? otherStoredPaths
    }

    /// The stored names from the file or directory `backing` down to this one, each behind a "/":
    /// once for each of a file's names that leads there, whichever the journal knows it by.
    fileprivate func paths(below backing: BackingID) -> [[UInt8]] {
        if self.backing == backing { return [[]] }
        return links.compactMap { link in
            link.parent.directoryPath(below: backing).map {
                $0 + [UInt8(ascii: "/")] + link.stored.bytes
            }
        }
    }

    /// The same for a directory, which has one name; nil for what is not below it.
    private func directoryPath(below backing: BackingID) -> [UInt8]? {
        var names: [[UInt8]] = []
        var current: Inode? = self
        while let inode = current {
            if inode.backing == backing {
                return names.reversed().flatMap { [UInt8(ascii: "/")] + $0 }
            }
            let link = inode.id == .root ? nil : inode.links.first
            if let link { names.append(link.stored.bytes) }
            current = link?.parent
        }
        return nil
    }
}
