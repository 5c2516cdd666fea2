import Platform
import SealedFormat

// The journal knows files by their names: what happens to it when names go or change.
extension Committer {
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
        // Of a name that goes it is not known which of the others the journal has.
        let last = newPath == nil ? file.inode.storedPath : nil
        let paths = file.inode.paths(behind: moved, newPath) + (last.map { [$0] } ?? [])
        let entries = paths.map { path in
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
    ///   - oldPath: the stored path that goes.
    ///   - newPath: what it is called then; nil for a name that goes.
    func retire(
        _ moved: FileStatus, at oldPath: [UInt8]?, to newPath: [UInt8]? = nil
    ) throws(VaultError) {
        let (isDirectory, moved) = (moved.kind == .directory, BackingID(moved))
        try settleFailedSync()
        try makeRoomForNames()
        let (files, failedSyncs) = books.withLock { books in
            (
                books.live(at: moved, oldPath, isDirectory: isDirectory)
                    .filter { $0.unsynced != nil }, books.failedSyncs
            )
        }
        for file in files where place.broken != .renameSync {
            do throws(VaultError) {
                try placeLate(of: file.inode)
            } catch {
                try log(file, underNamesBehind: moved, newPath, orThrow: error)
                continue
            }
            if let unsynced = file.unsynced { try synchronize(unsynced, dataOnly: false) }
            // A checkpoint's that failed meanwhile took from ours what it had to tell.
            guard self.failedSyncs == failedSyncs else { throw .system(.ioError) }
            books.withLock { $0.live[file.inode.backing]?.unsynced = nil }
        }
        let isUrgent = books.withLock { books in
            // Both, whatever the first says.
            let hasRecords = isDirectory && books.renameMetadata(below: moved, to: newPath)
            let hasIntents = books.renameIntents(
                at: moved, isDirectory: isDirectory, to: newPath)
            return hasRecords || hasIntents
        }
        if isUrgent, place.broken != .renameIntent { try logIntentsInRename() }
        if let oldPath, let newPath { try logDeferred(at: oldPath, movingTo: newPath) }
        wakeTimer()
    }

    /// With `renames` held alone, or no name of what is logged about to change.
    private func logIntentsInRename() throws(VaultError) {
        try withRoom { () throws(VaultError) in phase.withReadLock { _ in logIntentsHolding() } }
    }

    /// Before a file that may be durable where it is gets a name in another directory: by then the
    /// journal has what is needed to read that name.
    func prepareMove(into directory: Inode) throws(VaultError) {
        guard place.broken != .nameSync else { return }
        let isNeeded = books.withLock { books in
            guard !books.unlogged.metadata.isEmpty else { return false }
            return directory.recordKeys.contains { books.unlogged.metadata.contains($0) }
        }
        if isNeeded { try logIntentsInRename() }
    }

    func makeRoomForNames() throws(VaultError) {
        guard books.withLock({ $0.former.isFull }) else { return }
        try checkpointForNames()
    }

    /// - Throws: when it was not done as far as names need it.
    func checkpointForNames(whenFull epoch: UInt64? = nil) throws(VaultError) {
        let isWanted = books.withLock { $0.former.isFull }
        do throws(VaultError) {
            try checkpoint(whenFull: epoch)
        } catch {
            guard isWanted, !books.withLock({ $0.former.isFull }) else { throw error }
        }
    }

    /// A file or directory has moved, or has a second name: the store may not keep it so.
    func noteMove(from old: [UInt8]?, to new: [UInt8]?, isExchange: Bool = false) {
        guard let old, let new else { return }
        books.withLock { books in
            books.former.note(old, new, isExchange: isExchange)
            // What is below it has as many at least.
            if !books.former.paths(of: new).isWhole { books.former.isWanting = true }
            books.moveDeferred(from: old, to: new, isExchange: isExchange)
        }
    }

    /// The journal's entries for the names that a file may be back under, newest last; nil when they
    /// are too many: behind a checkpoint there are none.
    func formerNames(of file: JournaledFile) -> [UInt8]? {
        let (found, isWhole) = books.withLock { $0.former.paths(of: file.path) }
        var body: [UInt8] = []
        guard !found.isEmpty else { return body }
        for path in found.reversed() where path.count <= journal.maximumPathBytes {
            JournalEntry(
                .write(sealedOffset: 0, bytes: []),
                of: JournaledFile(fileID: file.fileID, path: path)
            ).append(to: &body)
        }
        guard !isWhole || body.count > journal.maximumBodyBytes / 4 else { return body }
        books.withLock { $0.former.isWanting = true }
        return nil
    }

    /// Torn tails that wait for a key, by the names that they will have.
    private func logDeferred(at old: [UInt8], movingTo new: [UInt8]) throws(VaultError) {
        let entries = books.withLock { books in
            books.deferred.values.compactMap { tail in
                tail.file.path.moved(from: old, to: new).map { tail.moved(to: $0).entry }
            }
        }
        guard !entries.isEmpty else { return }
        try withRoom { () throws(VaultError) in phase.withReadLock { _ in commit(entries) } }
    }

    /// A file's last name is gone.
    func forget(_ gone: BackingID) {
        let dirty = books.withLock { books in
            let wasLive = books.live.removeValue(forKey: gone) != nil
            if wasLive || books.intents[gone] != nil { books.hasVanished = true }
            books.removeIntent(gone)
            books.deferred[gone] = nil
            books.unplaced[gone] = nil
            books.refused[gone] = nil
            return books.dirty.values.first { $0.inode.backing == gone }
        }
        guard let dirty else { return }
        dirty.content.noteUnlinked()
        discardUnlinked(dirty.content, of: dirty.inode)
    }

    /// A file without a name that nobody has open but us gives its space back at once.
    func discardUnlinked(_ content: SealedFile, of inode: Inode) {
        // The one pin is the books' own then, and nobody writes.
        let isWaiting = books.withLock { $0.dirty[ObjectIdentifier(content)] != nil }
        guard content.isUnlinked, isWaiting, inode.state.withLock({ $0.openHandles == 1 }) else {
            return
        }
        content.discardOverlay()
        noteCommitted(content)
    }
}

extension CommitBooks {
    /// Everything that the journal has is durable in the stored files, and these beside.
    mutating func beginEpoch(
        without files: [BackingID: Intent], _ records: Set<MetadataKey>, keepsIntents: Bool
    ) {
        wantsCheckpoint = false
        refused = [:]
        live = [:]
        metadata = metadata.filter { !records.contains($0.key) }
        for (backing, intent) in files where intents[backing]?.fileID == intent.fileID {
            removeIntent(backing)
        }
        unlogged.metadata = Set(metadata.keys)
        unlogged.intents = keepsIntents ? Set(intents.keys) : []
    }

    /// One entry of what is not durable in the journal, or a few: with its names before moves, as it
    /// is called, and as it may be called next. Recovery takes the last one that it finds for a path.
    enum UnloggedStep {
        case intent(BackingID)
        case formerNames(MetadataKey)
        case name(MetadataKey)
        case nextNames(MetadataKey)
    }

    /// Of all intents and metadata that are not durable in the journal, in their order.
    var unloggedSteps: ArraySlice<UnloggedStep> {
        let keys = Array(unlogged.metadata)
        let steps =
            unlogged.intents.map(UnloggedStep.intent)
            + (former.isEmpty ? [] : keys.map(UnloggedStep.formerNames))
            + keys.map(UnloggedStep.name) + keys.map(UnloggedStep.nextNames)
        return steps[...]
    }

    /// Takes steps until their entries have `maximumBytes`: each has its whole path, so all of them
    /// together may be much more than what is below them.
    func takeEntries(
        of steps: inout ArraySlice<UnloggedStep>, atMost maximumBytes: Int,
        where isFindable: (JournalEntry) -> Bool
    ) -> [JournalEntry] {
        var taken: [JournalEntry] = []
        var bytes = 0
        while bytes <= maximumBytes, let step = steps.popFirst() {
            for entry in entries(of: step) where isFindable(entry) {
                bytes += JournalEntry.fixedBytes + entry.file.path.count
                taken.append(entry)
            }
        }
        return taken
    }

    private func entries(of step: UnloggedStep) -> [JournalEntry] {
        switch step {
        case .intent(let backing): intents[backing]?.entries(former) ?? []
        case .formerNames(let key):
            entries(key) { $0.path.map { former.paths(of: $0).found.reversed() } ?? [] }
        case .name(let key): entries(key) { $0.path.map { [$0] } ?? [] }
        case .nextNames(let key): entries(key, \.nextPaths)
        }
    }

    private func entries(
        _ key: MetadataKey, _ paths: (Metadata) -> [[UInt8]]
    ) -> [JournalEntry] {
        guard let metadata = metadata[key] else { return [] }
        return paths(metadata).map {
            JournalEntry(.metadata(metadata.content), of: JournaledFile(metadata: $0))
        }
    }

    var deferredEntries: [JournalEntry] {
        deferred.values.flatMap { tail in
            (former.paths(of: tail.file.path).found.reversed() + [tail.file.path])
                .map { tail.moved(to: $0).entry }
        }
    }

    fileprivate mutating func moveDeferred(
        from old: [UInt8], to new: [UInt8], isExchange: Bool
    ) {
        for (backing, tail) in deferred {
            let path =
                tail.file.path.moved(from: old, to: new)
                ?? (isExchange ? tail.file.path.moved(from: new, to: old) : nil)
            if let path { deferred[backing] = tail.moved(to: path) }
        }
    }

    /// Notes where records and sidecars at or below `moved` will be.
    ///
    /// - Returns: whether there are any that a move takes with it.
    fileprivate mutating func renameMetadata(below moved: BackingID, to newPath: [UInt8]?) -> Bool {
        var isUrgent = false
        for (key, waiting) in metadata where waiting.directory.isBelow(moved) {
            unlogged.metadata.insert(key)
            guard newPath != nil else { continue }
            isUrgent = true
            metadata[key]?.pathsToCome = waiting.directory.paths(behind: moved, newPath)
        }
        return isUrgent
    }

    /// Notes the names to come of growing files at or below `moved`.
    ///
    /// - Returns: whether one of them holds synced bytes.
    fileprivate mutating func renameIntents(
        at moved: BackingID, isDirectory: Bool, to newPath: [UInt8]?
    ) -> Bool {
        var isUrgent = false
        // Below a file there is nothing.
        let below = isDirectory ? Array(intents.keys) : [moved]
        for backing in below {
            guard let intent = intents[backing], intent.inode.isBelow(moved) else { continue }
            unlogged.intents.insert(backing)
            intents[backing]?.pathsToCome = intent.inode.paths(behind: moved, newPath)
            if intent.firstBlock > 0 { isUrgent = true }
        }
        return isUrgent
    }

    /// Files with entries in the journal, at or below what is moved, which is at `path`: by names that
    /// are known, or by the one that the journal has.
    fileprivate func live(at moved: BackingID, _ path: [UInt8]?, isDirectory: Bool) -> [Live] {
        guard isDirectory else { return live[moved].map { [$0] } ?? [] }
        return live.values.filter { live in
            live.inode.isBelow(moved)
                || path.map { live.file.path.moved(from: $0, to: []) != nil } ?? false
        }
    }
}

extension CommitBooks.Intent {
    /// By all names under which a recovery is to look for the file, the likeliest last.
    fileprivate func entries(_ former: FormerNames) -> [JournalEntry] {
        let path = inode.storedPath
        let paths =
            (path.map { former.paths(of: $0).found.reversed() + [$0] } ?? [])
            + pathsToCome.filter { $0 != path }
        return paths.map { path in
            JournalEntry(
                .intent(firstBlock: firstBlock), of: JournaledFile(fileID: fileID, path: path))
        }
    }
}

extension CommitBooks.Metadata {
    private func path(in directory: [UInt8]) -> [UInt8] {
        directory + (directory.isEmpty ? [] : [UInt8(ascii: "/")]) + name.bytes
    }

    fileprivate var path: [UInt8]? { directory.storedPath.map(path(in:)) }
    fileprivate var nextPaths: [[UInt8]] { pathsToCome.map(path(in:)) }
}

extension Array<UInt8> {
    /// Where what is at this stored path is when `old` has become `new`; nil for what is not below.
    fileprivate func moved(from old: [UInt8], to new: [UInt8]) -> [UInt8]? {
        guard starts(with: old), count == old.count || self[old.count] == UInt8(ascii: "/") else {
            return nil
        }
        return new + self[old.count...]
    }
}

extension Inode {
    /// What the journal may have to make a name in this directory readable.
    fileprivate var recordKeys: [CommitBooks.MetadataKey] {
        var keys: [CommitBooks.MetadataKey] = []
        var current = self
        while current.id != .root, let link = current.links.first {
            keys.append(
                CommitBooks.MetadataKey(
                    directory: current.backing, name: FileName(ReservedName.directoryRecord)))
            if ReservedName.isLong(link.stored.string) {
                keys.append(
                    CommitBooks.MetadataKey(
                        directory: link.parent.backing,
                        name: FileName(ReservedName.sidecar(ofLong: link.stored.string))))
            }
            current = link.parent
        }
        return keys
    }

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
