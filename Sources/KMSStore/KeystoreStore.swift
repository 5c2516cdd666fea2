internal import Cryptography
internal import KMSModel
internal import Platform
internal import Synchronization

/// The durable state of a keystore: opened, verified, read and changed by any number of threads
/// and processes.
///
/// Lock order: `working`, then `current`. `working` is held while the database is used, so it
/// also orders this process's transactions; nothing else is called under it.
package final class KeystoreStore: Sendable {
    package let paths: KeystorePaths
    package let keys: KeystoreKeys

    /// The verified rows, and the cipher that opens them.
    struct Working: Sendable {
        var model: KeystoreModel
        /// Never goes back.
        var revision: UInt64
        let sealer: RecordSealer
        /// Whether the model is the one of the revision: not after a change that came to nothing
        /// halfway. Then all is read again.
        var isWhole = true
    }

    private struct Current {
        var snapshot: KeystoreSnapshot
        /// The commit counter when the snapshot was the newest one; nil while a commit was under
        /// way.
        var counter: UInt64?
        /// When the database is asked even if the counter says nothing.
        var checkAgain: ContinuousClock.Instant
        var isClosed = false
    }

    /// The counter of commits is shared memory; should it fail (a replaced file), this bounds
    /// how long a change stays unseen.
    private static let recheckInterval = Duration.seconds(1)
    /// For how long a snapshot is good at least that ``quietSnapshot`` gives out: looks that
    /// follow at once find it, too.
    private static let quietMargin = Duration.milliseconds(10)

    let database: KeystoreDatabase
    let working: Mutex<Working>
    private let current: Mutex<Current>
    let commits: CommitCounter

    /// Takes a keystore whose rows were loaded and verified.
    init(
        paths: KeystorePaths, keys: KeystoreKeys, database: KeystoreDatabase,
        commits: CommitCounter, loaded: Working
    ) throws(KeystoreError) {
        self.paths = paths
        self.keys = keys
        self.database = database
        self.commits = commits
        let snapshot = try KeystoreStore.snapshot(of: loaded, paths: paths)
        working = Mutex(loaded)
        current = Mutex(
            Current(
                snapshot: snapshot, counter: nil, checkAgain: ContinuousClock.now))
    }

    private static func snapshot(
        of working: borrowing Working, paths: KeystorePaths
    ) throws(KeystoreError) -> KeystoreSnapshot {
        guard let settings = working.model.settings else {
            throw .tampered(path: paths.directory, what: "its settings are missing")
        }
        return KeystoreSnapshot(working.model, settings, revision: working.revision)
    }

    // MARK: Reading

    /// The newest committed state, of whichever process. Costs no system call while nobody
    /// changes anything.
    ///
    /// - Throws: ``KeystoreError/tampered(path:what:)`` and the database's errors, when the state
    ///   has to be read again.
    package func snapshot() throws(KeystoreError) -> KeystoreSnapshot {
        let counter = commits.quiet
        let now = ContinuousClock.now
        let known = cached(counter, at: now)
        return if let known { known } else { try readAgain(counter: counter, now: now) }
    }

    /// The same for who must not wait: nil where the database would have to be asked, now or within
    /// milliseconds. Takes neither `working` nor a system call.
    package var quietSnapshot: KeystoreSnapshot? {
        cached(commits.quiet, at: ContinuousClock.now + KeystoreStore.quietMargin)
    }

    private func cached(
        _ counter: UInt64?, at time: ContinuousClock.Instant
    ) -> KeystoreSnapshot? {
        current.withLock { current in
            guard let counter, counter == current.counter, time < current.checkAgain else {
                return nil
            }
            return current.snapshot
        }
    }

    private func readAgain(
        counter: UInt64?, now: ContinuousClock.Instant
    ) throws(KeystoreError) -> KeystoreSnapshot {
        try working.withLock { working throws(KeystoreError) in
            try refuseWhenClosed()
            try database.transaction(.read) { connection throws(KeystoreError) in
                try catchUp(&working, connection)
            }
            return try install(working, counter: counter, now: now)
        }
    }

    private func install(
        _ working: borrowing Working, counter: UInt64?, now: ContinuousClock.Instant
    ) throws(KeystoreError) -> KeystoreSnapshot {
        let old = current.withLock { $0.snapshot }
        let snapshot =
            old.revision == working.revision
            ? old : try KeystoreStore.snapshot(of: working, paths: paths)
        current.withLock { current in
            current.snapshot = snapshot
            current.counter = counter
            current.checkAgain = now + KeystoreStore.recheckInterval
        }
        return snapshot
    }

    private func refuseWhenClosed() throws(KeystoreError) {
        if current.withLock({ $0.isClosed }) { throw .locked(path: paths.directory) }
    }

    /// Brings the working copy to what the database holds.
    private func catchUp(
        _ working: inout Working, _ connection: KeystoreConnection
    ) throws(KeystoreError) {
        let loader = KeystoreLoader(paths: paths, keys: keys, sealer: working.sealer)
        let from = working.isWhole ? working.revision : 0
        working.isWhole = false
        working.revision = try loader.advance(
            &working.model, from: from, floor: working.revision, in: connection)
        working.isWhole = true
    }

    // MARK: Changing

    /// Changes the keystore in one transaction: `decide` sees the newest state and says what is
    /// to be different. What it says is durable when this returns; an empty change writes nothing.
    ///
    /// - Returns: what `decide` returned, or the error with which it called the change off.
    package func change<Value: Sendable, Refusal: Error>(
        _ decide: (KeystoreSnapshot, inout KeystoreChange) throws(Refusal) -> Value
    ) throws(KeystoreError) -> Result<Value, Refusal> {
        try working.withLock { working throws(KeystoreError) in
            try refuseWhenClosed()
            var isChanged = false
            let outcome = try database.transaction(
                .write,
                aroundCommit: { commit in
                    guard isChanged else { return try commit() }
                    commits.begin()
                    defer { commits.end() }
                    try commit()
                }
            ) { connection throws(KeystoreError) -> Result<Value, Refusal> in
                commits.repair()
                try catchUp(&working, connection)
                let snapshot = try install(working, counter: nil, now: ContinuousClock.now)
                var change = KeystoreChange()
                let value: Value
                do throws(Refusal) {
                    value = try decide(snapshot, &change)
                } catch {
                    return .failure(error)
                }
                guard !change.isEmpty else { return .success(value) }
                isChanged = true
                // In place, since a copy costs time for every key. It is not whole until the
                // commit has succeeded.
                working.isWhole = false
                let writer = KeystoreWriter(
                    keys: keys, sealer: working.sealer, revision: working.revision + 1)
                try writer.apply(change, to: &working.model, in: connection)
                return .success(value)
            }
            if isChanged {
                working.revision += 1
                working.isWhole = true
                _ = try install(working, counter: nil, now: ContinuousClock.now)
            }
            return outcome
        }
    }

    /// Closes the database; every call after that throws ``KeystoreError/locked(path:)``.
    package func close() {
        working.withLock { _ in
            current.withLock { $0.isClosed = true }
            database.close()
        }
    }
}

/// Counts the commits of all processes, so that a reader sees without a system call that nothing
/// has changed.
///
/// The upper half of the shared word counts commits that began, the lower half those that ended;
/// a process adds to the one right before COMMIT and to the other right after. Equal halves, equal
/// to what they were, say that no commit was or is under way. A process that dies in between
/// leaves them unequal: readers then ask the database each time, until the next transaction that
/// writes, also one of the usage log, makes them equal again.
struct CommitCounter: Sendable {
    private let word: SharedWord

    init(_ paths: KeystorePaths) throws(KeystoreError) {
        let file = try paths.openOrMakeCommits()
        word = try onSystem(paths.commits) { () throws(Errno) in try SharedWord(file) }
    }

    /// The counter, or nil while a commit is under way.
    var quiet: UInt64? {
        let value = word.load()
        return value >> 32 == value & 0xffff_ffff ? value : nil
    }

    func begin() { word.add(1 << 32) }

    func end() { word.add(1) }

    /// Only while holding the database's write lock. A commit that ended in another process but
    /// is not counted yet unbalances the halves once more, and the next repair mends that.
    func repair() {
        let value = word.load()
        let next = ((value >> 32) &+ 1) & 0xffff_ffff
        if value >> 32 != value & 0xffff_ffff { word.replace(value, with: next << 32 | next) }
    }
}
