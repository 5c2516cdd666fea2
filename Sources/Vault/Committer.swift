import Platform
import SealedFormat
import Synchronization

/// Brings what the overlays of a mount hold to the journal, and from there into the store.
///
/// Lock order: `renames` shared, then a content's `commits`, then `phase` shared, then the content's
/// state or the journal; `books` is the last of all and held over no call. A checkpoint takes
/// `phase` alone, and holds nothing else when it does but `renames`, alone too, in a rename.
final class Committer: Sendable {
    /// Over all files: beyond it writers commit, and beyond twice as much writes wait for that.
    static let maximumOverlayBytes = 64 << 20
    /// Of one file.
    private static let maximumFileBytes = 4 << 20
    /// Files that wait, each with a descriptor; with more, whoever writes commits its own.
    private static let maximumDirty = max(16, min(1024, OpenFileLimit.current / 4))
    /// Blocks that a file grows by through its overlay; more go straight into the store.
    static let spillBlocks: UInt64 = 256
    private static let intervalMilliseconds = 1000

    /// Not the closure alone: each read of a closure out of a generic `Mutex` wraps it, and what is
    /// put back, once more.
    struct IdleHandler: Sendable {
        let call: @Sendable (Inode) -> Void
    }

    struct Place: Sendable {
        let root: Descriptor
        let layout: BlockLayout
        let onIncident: @Sendable (String) -> Void
        let broken: BrokenOrdering?
    }

    let journal: Journal
    let place: Place
    let overlayBytes = Atomic<Int>(0)
    let renames: ReadWriteMutex<Void>
    let phase = ReadWriteMutex(())
    let books = Mutex(CommitBooks())
    /// Told of an inode that is not pinned any more.
    let onIdle = Mutex<IdleHandler?>(nil)
    private let timer = Mutex<DelayedThread?>(nil)

    init(journal: Journal, place: Place, renames: ReadWriteMutex<Void>) {
        self.journal = journal
        self.place = place
        self.renames = renames
    }

    var maximumFileOverlayBytes: Int { min(Self.maximumFileBytes, journal.byteCount / 4) }

    // MARK: What waits

    /// Behind every write that left blocks in an overlay.
    func noteDirty(_ content: SealedFile, of inode: Inode) {
        let isNew = books.withLock { books in
            let id = ObjectIdentifier(content)
            guard books.dirty[id] == nil else { return false }
            inode.pinContent()
            books.dirty[id] = CommitBooks.Dirty(inode: inode, content: content)
            return true
        }
        if isNew { wakeTimer() }
    }

    /// A file whose first blocks went straight into the store.
    func noteNewFile(_ fileID: FileID, of inode: Inode) {
        let isFull = books.withLock { books in
            books.intents[inode.backing] = CommitBooks.Intent(
                inode: inode, fileID: fileID, firstBlock: 0)
            books.unlogged.intents.insert(inode.backing)
            return books.hasTooMuch
        }
        if isFull { _ = try? checkpoint() }
        wakeTimer()
    }

    /// A directory record or a sidecar that is not durable in the store yet.
    ///
    /// - Parameter isMade: it is in the store; else ``noteMade(_:in:)`` follows.
    func noteMetadata(
        _ content: [UInt8], _ name: FileName, in directory: Inode, isMade: Bool = true
    ) {
        guard place.broken != .nameSync else { return }
        let key = CommitBooks.MetadataKey(directory: directory.backing, name: name)
        let isFull = books.withLock { books in
            books.metadata[key] = CommitBooks.Metadata(
                directory: directory, name: name, content: content, isMade: isMade)
            books.unlogged.metadata.insert(key)
            return books.hasTooMuch
        }
        if isFull { _ = try? checkpoint() }
        wakeTimer()
    }

    func noteMade(_ name: FileName, in directory: Inode) {
        let key = CommitBooks.MetadataKey(directory: directory.backing, name: name)
        books.withLock { $0.metadata[key]?.isMade = true }
    }

    /// It is durable in the store, or gone.
    func forgetMetadata(_ name: FileName, in directory: Inode) {
        let key = CommitBooks.MetadataKey(directory: directory.backing, name: name)
        books.withLock { books in
            books.metadata[key] = nil
            books.unlogged.metadata.remove(key)
        }
    }

    /// Before a sync of the store, which makes more durable than was asked for: names above all.
    /// What is needed to read those is durable in the journal then.
    func prepareStoreSync(of inode: Inode) throws(VaultError) {
        let isNeeded = books.withLock { books in
            let own = books.unlogged.intents.contains(inode.backing) ? 1 : 0
            return books.unlogged.count > own
        }
        if isNeeded { try logIntents() }
    }

    /// The overlay of a content may be empty now.
    func noteCommitted(_ content: SealedFile) {
        let id = ObjectIdentifier(content)
        guard content.isCommitted, let entry = books.withLock({ $0.dirty.removeValue(forKey: id) })
        else { return }
        // A write may have come between; it found the entry and left it to us.
        if !content.isCommitted { noteDirty(content, of: entry.inode) }
        entry.inode.unpinContent()
        onIdle.withLock { $0 }?.call(entry.inode)
    }

    /// Whether contents wait for their commits.
    var hasDirty: Bool { books.withLock { !$0.dirty.isEmpty } }

    func wakeTimer() {
        timer.withLock { timer in
            if timer == nil {
                let thread = DelayedThread(intervalMilliseconds: Self.intervalMilliseconds) {
                    [weak self] in self?.commitAll().isLeft ?? false
                }
                // Without a thread the overlays are committed by syncs and by their bound.
                guard (try? thread.start()) != nil else { return }
                timer = thread
            }
            timer?.wake()
        }
    }

    /// What is left of one round of commits.
    struct Round {
        let isLeft: Bool
        /// The last one.
        let failure: VaultError?
    }

    /// Commits every overlay and logs every intent; failures wait for the files' next sync.
    @discardableResult
    func commitAll() -> Round {
        var failure: VaultError?
        do throws(VaultError) { try logIntents() } catch { failure = error }
        let waiting = books.withLock { Array($0.dirty.values) }
        for entry in waiting {
            do throws(VaultError) {
                try commit(entry.content, of: entry.inode, .background)
            } catch {
                entry.content.noteFailure(error)
                failure = error
            }
        }
        return Round(isLeft: books.withLock { !$0.dirty.isEmpty }, failure: failure)
    }

    /// Before a write that may add to an overlay.
    func makeRoom() throws(VaultError) {
        guard overlayBytes.load(ordering: .relaxed) > 2 * Self.maximumOverlayBytes else { return }
        commitAll()
        guard overlayBytes.load(ordering: .relaxed) > 2 * Self.maximumOverlayBytes else { return }
        throw .system(.noSpace)
    }

    /// Behind a write: commits what has grown too large.
    func settle(_ content: SealedFile, of inode: Inode) {
        let purpose: CommitPurpose
        switch content.pressure {
        case .none:
            guard overlayBytes.load(ordering: .relaxed) <= Self.maximumOverlayBytes else {
                commitAll()
                return
            }
            guard books.withLock({ $0.dirty.count > Self.maximumDirty }) else { return }
            purpose = .background
        case .large: purpose = .background
        case .growing: purpose = .spill
        }
        do throws(VaultError) {
            try commit(content, of: inode, purpose)
        } catch {
            content.noteFailure(error)
        }
    }

    // MARK: The end

    /// Commits everything and takes the journal away. What can't be committed is told and lost;
    /// what only the journal has stays there for the next mount.
    func close() {
        let thread = timer.withLock { timer in
            defer { timer = nil }
            return timer
        }
        thread?.stop()
        commitAll()
        let (lost, isNeeded) = books.withLock { books in
            (
                books.dirty.values.map(\.inode),
                books.isStuck || !books.unplaced.isEmpty || !books.refused.isEmpty
            )
        }
        for inode in lost {
            let path = inode.storedPath.map { String(decoding: $0, as: UTF8.self) }
            place.onIncident(
                "\(path ?? "a file without a name"): its last changes could not be written and "
                    + "are lost")
        }
        let isSynced = (try? place.root.synchronizeFileSystem()) != nil
        if isNeeded || !isSynced {
            place.onIncident("the journal stays for the next mount, which puts its content right")
            journal.abandon()
        } else if keepsDeferredTails() {
            journal.abandon()
        } else {
            journal.remove()
        }
    }
}

/// What a ``Committer`` knows of the mount's files.
struct CommitBooks {
    /// A file whose overlay is not empty; its content is pinned.
    struct Dirty {
        let inode: Inode
        let content: SealedFile
    }

    /// A file with entries in the journal's epoch.
    struct Live {
        let inode: Inode
        /// As the journal has it.
        let file: JournaledFile
        /// The stored file, while what the journal has of it is not durable there.
        var unsynced: Descriptor?

        var fileID: FileID { file.fileID }
    }

    /// A file whose new blocks went straight into the store and were not synced since.
    struct Intent {
        let inode: Inode
        let fileID: FileID
        var firstBlock: UInt64
        /// What it may be called when the rename or unlink that is under way has happened.
        var pathsToCome: [[UInt8]] = []
    }

    /// A directory record or a sidecar that was made and not synced.
    struct Metadata {
        let directory: Inode
        let name: FileName
        let content: [UInt8]
        /// A sync of the store makes it durable, since it is there.
        var isMade: Bool
        /// Where it may be when the rename that is under way has happened.
        var pathsToCome: [[UInt8]] = []
    }

    /// Intents and metadata that are not durable in the journal yet.
    struct Unlogged {
        var intents: Set<BackingID> = []
        var metadata: Set<MetadataKey> = []

        var count: Int { intents.count + metadata.count }
    }

    struct MetadataKey: Hashable {
        let directory: BackingID
        let name: FileName
    }

    /// Blocks that are durable in the journal and could not be put in their places.
    struct Unplaced {
        let content: SealedFile
        var plan: CommitPlan
    }

    /// With more, the store is synced.
    static let maximumIntents = 65_536

    var hasTooMuch: Bool {
        live.count > Self.maximumLive || intents.count + metadata.count > Self.maximumIntents
            || former.isFull
    }
    /// Their descriptors are kept open.
    static let maximumLive = 128

    var dirty: [ObjectIdentifier: Dirty] = [:]
    /// Torn tails that wait for their files' key.
    var deferred: [BackingID: Recovery.DeferredTail] = [:]
    var live: [BackingID: Live] = [:]
    var intents: [BackingID: Intent] = [:]
    var metadata: [MetadataKey: Metadata] = [:]
    var unlogged = Unlogged()
    var former = FormerNames()
    var unplaced: [BackingID: Unplaced] = [:]
    /// Files of which the journal has actions that do not count: the store refused them, or it has a
    /// part only of a commit that has not ended well. How many, its last ones. All
    /// are void of a file that was emptied.
    var refused: [BackingID: Int] = [:]

    /// Beside those that already wait, of which it may have newer content.
    mutating func noteUnplaced(_ plan: CommitPlan, _ content: SealedFile, _ backing: BackingID) {
        var plan = plan
        if let waiting = unplaced[backing]?.plan {
            plan.runs = Overlay.runs(waiting.runs, without: plan.runs) + plan.runs
            plan.placedSize = max(waiting.placedSize, plan.placedSize)
        }
        unplaced[backing] = Unplaced(content: content, plan: plan)
    }

    /// What else waits of the file goes on waiting.
    mutating func notePlaced(_ plan: CommitPlan, _ backing: BackingID) {
        guard var waiting = unplaced[backing] else { return }
        // The journal has blocks behind it by now, perhaps.
        waiting.plan.intent = nil
        waiting.plan.runs = Overlay.runs(waiting.plan.runs, without: plan.runs)
        unplaced[backing] = waiting.plan.runs.isEmpty ? nil : waiting
    }

    /// The file is whole in the store without its intent, or gone.
    mutating func removeIntent(_ backing: BackingID) {
        intents[backing] = nil
        unlogged.intents.remove(backing)
    }

    /// Syncs in the store that failed: what only the journal has for sure must be put in its places
    /// again before anything else is called durable, and before the journal begins anew.
    var failedSyncs = 0
    /// Those of them that this was done for.
    var settledSyncs = 0
    var isStuck: Bool { failedSyncs > settledSyncs }
    /// There are too many live files.
    var wantsCheckpoint = false
    /// A live file went, and the store may not know it yet: after a power cut it would be back, with
    /// what only the journal has of it.
    var hasVanished = false
}

/// An ordering that a test leaves out, to see that the power-cut suite finds it.
package enum BrokenOrdering: String, Sendable, CaseIterable {
    /// The journal is written and not flushed.
    case journalFlush = "journal-flush"
    /// Blocks go to their places before the journal is durable.
    case placeFirst = "place-first"
    /// A file's own new blocks are not synced before the journal.
    case storeSync = "store-sync"
    /// The journal begins anew before the stored files are synced.
    case checkpointSync = "checkpoint-sync"
    /// Large growth goes into the store before its intent is durable.
    case intentFlush = "intent-flush"
    /// A file is renamed while the journal knows it by its old name.
    case renameSync = "rename-sync"
    /// A growing file is renamed before its intent is durable under the new name.
    case renameIntent = "rename-intent"
    /// A file is cut in the store without the journal.
    case truncateRecord = "truncate-record"
    /// A hole is punched in the store without the journal.
    case punchRecord = "punch-record"
    /// A file that journal entries know is emptied without a word in the journal.
    case cleanRecord = "clean-record"
    /// A hole is durable in the journal before the header says that there are holes.
    case holeFlag = "hole-flag"
    /// A header is changed in two writes.
    case headerWrite = "header-write"
    /// Growth in several steps comes without its intent.
    case stepIntent = "step-intent"
    /// A new epoch begins without the intents of files that go on growing.
    case checkpointIntents = "checkpoint-intents"
    /// fsync leaves out times that the store was not synced for.
    case timesRecord = "times-record"
    /// Directory records and long names are not synced with what is below them.
    case nameSync = "name-sync"
    /// Recovery is left out.
    case recovery
}
