internal import Glibc
internal import KMSModel
internal import Platform
internal import Synchronization

/// What ``UsageLogWriter`` and its background thread share.
///
/// Lock order: `control`, then `state`. `control` orders syncs, rotations and the end; only it is
/// held while a file is synced or the anchor store is asked by a sync.
final class SegmentWriter: Sendable {
    private struct State: ~Copyable {
        var segment: OpenSegment?
        var thread: DelayedThread?
        /// Events that no sync has taken yet.
        var isDirty = false
        /// Events of this writer, over all its segments.
        var writtenCount: UInt64 = 0
        /// The last sync could not anchor: the next event must.
        var mustSynchronize = false
        /// What a later event cannot mend.
        var failure: UsageLogError?
        var isClosed = false
    }

    private enum Outcome {
        /// With its number among all events of this writer.
        case written(UInt64)
        /// The first one since the last sync: the thread sleeps.
        case writtenFirst(UInt64, DelayedThread?)
        case needsPreparation
    }

    /// What one sync makes durable.
    private struct Snapshot {
        let segment: SegmentID
        let sync: SegmentSync
        let path: String
        let head: SegmentHead
        let tally: UsageTally
    }

    private static let registrationAttempts = 1000

    private let directory: String
    private let keys: UsageLogKeys
    private let ledger: LogLedger
    private let clock: any WallClock
    private let durability: UsageLogDurability
    private let formatVersion: UInt32
    private let segmentLimitBytes: UInt64
    private let syncIntervalMilliseconds: Int
    private let buffers = EventBufferPool()
    private let control = Mutex(())
    /// How many events are on the disk for sure. Locked before `state`, and never with `control`.
    private let committed = Mutex<UInt64>(0)
    private let state = Mutex(State())
    /// When the ledger is to be asked whether a checkpoint is due, in ``Boot``'s time.
    private let nextSealMilliseconds = Atomic<UInt64>(0)

    init(
        directory: String, keys: UsageLogKeys, anchors: any LogAnchorStore, clock: any WallClock,
        durability: UsageLogDurability, formatVersion: UInt32, segmentLimitBytes: UInt64,
        syncIntervalMilliseconds: Int,
        bootMilliseconds: @escaping @Sendable () -> UInt64 = { Boot.milliseconds() }
    ) {
        self.durability = durability
        self.directory = directory
        self.keys = keys
        ledger = LogLedger(store: anchors, clock: clock, bootMilliseconds: bootMilliseconds)
        self.formatVersion = formatVersion
        self.clock = clock
        self.segmentLimitBytes = segmentLimitBytes
        self.syncIntervalMilliseconds = syncIntervalMilliseconds
    }

    // MARK: Events

    func append(_ event: some LoggableEvent) throws(UsageLogError) {
        let leaf = buffers.take()
        defer { buffers.giveBack(leaf) }
        leaf.reset(toZeros: SegmentFormat.leafPrefixBytes)
        event.appendPlaintext(to: leaf)
        let plaintextBytes = leaf.count - SegmentFormat.leafPrefixBytes
        guard plaintextBytes <= SegmentFormat.maximumPlaintextBytes else {
            throw .eventTooLarge(byteCount: plaintextBytes)
        }
        while true {
            switch try write(leaf, event) {
            case .written(let number):
                return try commit(number)
            case .writtenFirst(let number, let thread):
                thread?.wake()
                return try commit(number)
            case .needsPreparation:
                try prepare(forPlaintextBytes: plaintextBytes)
            }
        }
    }

    private func write(
        _ leaf: EventBuffer, _ event: some LoggableEvent
    ) throws(UsageLogError) -> Outcome {
        try state.withLock { state throws(UsageLogError) -> Outcome in
            try SegmentWriter.refuseWhenUnusable(state)
            guard !state.mustSynchronize, let segment = state.segment,
                isUsable(
                    segment, forPlaintextBytes: leaf.count - SegmentFormat.leafPrefixBytes)
            else { return .needsPreparation }
            do throws(UsageLogError) {
                try segment.append(leaf: leaf, event: event)
            } catch {
                if !error.canBeMended { state.failure = error }
                throw error
            }
            state.writtenCount += 1
            if state.isDirty { return .written(state.writtenCount) }
            state.isDirty = true
            return .writtenFirst(state.writtenCount, state.thread)
        }
    }

    /// Returns when the event is as durable as it has to be.
    ///
    /// Who waits for the mutex while another thread syncs finds its own event synced by that, or
    /// syncs for all that came meanwhile. Called by ``append(_:)``, and by tests.
    func commit(_ number: UInt64) throws(UsageLogError) {
        guard durability == .beforeRelease else { return }
        try committed.withLock { committed throws(UsageLogError) in
            guard committed < number else { return }
            let target = state.withLock {
                state -> (count: UInt64, sync: SegmentSync, path: String)? in
                guard let segment = state.segment, segment.process.isCurrent,
                    !segment.hasClosingRecord
                else { return nil }
                return (state.writtenCount, segment.sync, segment.path)
            }
            // The segment was ended meanwhile, which synced it, or the writer failed.
            guard let target else {
                return try state.withLock { state throws(UsageLogError) in
                    if let failure = state.failure { throw failure }
                }
            }
            try run(target.sync, path: target.path)
            committed = target.count
        }
    }

    /// A sync of the open segment, not called with `state` locked. One that fails is the writer's
    /// end: a second fdatasync would prove nothing.
    private func run(_ sync: SegmentSync, path: String) throws(UsageLogError) {
        do throws(Errno) {
            try sync.synchronize(dataOnly: true)
        } catch {
            let failure = UsageLogError.system(error, path: path)
            state.withLock { $0.failure = failure }
            throw failure
        }
    }

    private static func refuseWhenUnusable(_ state: borrowing State) throws(UsageLogError) {
        if state.isClosed { throw .closed }
        if let failure = state.failure { throw failure }
    }

    private func isUsable(_ segment: OpenSegment, forPlaintextBytes count: Int) -> Bool {
        segment.process.isCurrent && !segment.hasClosingRecord
            && segment.hasRoom(forPlaintextBytes: count, limitBytes: segmentLimitBytes)
    }

    /// Among the events of the open segment, anchored or not.
    func lastUse(ofKey arn: String) -> UsageTally.LastUse? {
        state.withLock { $0.segment?.tally[arn]?.lastUse }
    }

    // MARK: Segments

    /// Whether an event of any size is written without ``prepare(forPlaintextBytes:)``.
    var isPrepared: Bool {
        let isPrepared = state.withLockIfAvailable { state in
            guard !state.isClosed, state.failure == nil, !state.mustSynchronize,
                let segment = state.segment
            else { return false }
            return isUsable(segment, forPlaintextBytes: SegmentFormat.maximumPlaintextBytes)
        }
        return isPrepared ?? false
    }

    /// Gets ready for an event: a segment with room, nothing left that a sync could not anchor.
    private func prepare(forPlaintextBytes count: Int) throws(UsageLogError) {
        try control.withLock { _ throws(UsageLogError) in
            if state.withLock({ $0.mustSynchronize }) { try synchronizeUnderControl() }
            try state.withLock { state throws(UsageLogError) in
                try SegmentWriter.refuseWhenUnusable(state)
                if let segment = state.segment {
                    if isUsable(segment, forPlaintextBytes: count) { return }
                    if segment.process.isCurrent { try endOwn(segment, .rotated, &state) }
                    state.segment = nil
                    state.isDirty = false
                }
                try startThread(&state)
                state.segment = try beginSegment()
            }
        }
    }

    /// A thread of this process; a forked child has none of its parent's.
    private func startThread(_ state: inout State) throws(UsageLogError) {
        if let thread = state.thread, thread.processID == getpid() { return }
        putOffSeal()
        let thread = DelayedThread(
            intervalMilliseconds: syncIntervalMilliseconds,
            idle: { [self] in idleMilliseconds() },
            body: { [self] in synchronizeInBackground() })
        do throws(Errno) {
            try thread.start()
        } catch {
            throw .system(error, path: directory)
        }
        state.thread = thread
    }

    /// A new segment behind all that are registered. Other processes may be doing the same: the
    /// store lets one of them have the ordinal.
    private func beginSegment() throws(UsageLogError) -> OpenSegment {
        let folder = try LogDirectory.openOrMake(directory)
        endDeadSegments(try ledger.place().open, in: folder)
        for _ in 0..<SegmentWriter.registrationAttempts {
            let record = SegmentRecord(
                at: try ledger.place().place, createdAt: clock.now(), version: formatVersion)
            let segment = try OpenSegment(record, in: folder, keys: keys)
            do throws(UsageLogError) {
                if try ledger.register(record) { return segment }
            } catch {
                segment.remove()
                throw error
            }
            segment.remove()
        }
        throw .anchorStore(Errno.resourceBusy)
    }

    /// Signs and seals what processes that died left behind, so that its end can't be cut off
    /// unseen from here on. What cannot be mended now, or is not in order, stays as it is.
    private func endDeadSegments(_ open: [SegmentRecord], in folder: LogDirectory) {
        for record in open {
            do throws(UsageLogError) {
                guard
                    let segment = try OpenSegment(recovering: record, in: folder, keys: keys)
                else { continue }
                try segment.writeAgain()
                try end(segment, .recovered)
            } catch {
                continue
            }
        }
    }

    /// Closing record, sync, final anchor. May be called again when it threw: after a failed sync it
    /// throws again.
    private func end(
        _ segment: OpenSegment, _ reason: ClosingRecord.Reason
    ) throws(UsageLogError) {
        try segment.appendClosingRecord(reason, at: clock.now(), keys: keys)
        do throws(Errno) {
            try segment.sync.synchronize(dataOnly: true)
        } catch {
            throw .system(error, path: segment.path)
        }
        try ledger.close(segment.record.id, at: segment.head, tally: segment.tally)
        segment.saveIndex(keys)
    }

    /// Ends the open segment. The writer fails with it where that can't be mended, so that who
    /// waits for this sync learns of it.
    private func endOwn(
        _ segment: OpenSegment, _ reason: ClosingRecord.Reason, _ state: inout State
    ) throws(UsageLogError) {
        do throws(UsageLogError) {
            try end(segment, reason)
        } catch {
            if segment.sync.hasFailed || !error.canBeMended { state.failure = error }
            throw error
        }
    }

    /// Ends a segment again that has its closing record and could not be closed in the anchor store:
    /// its events can't be anchored in any other way.
    private func endAgain() throws(UsageLogError) {
        try state.withLock { state throws(UsageLogError) in
            guard state.failure == nil, let segment = state.segment, segment.process.isCurrent,
                segment.hasClosingRecord
            else { return }
            try endOwn(segment, .rotated, &state)
            state.segment = nil
            state.isDirty = false
        }
    }

    // MARK: Syncs

    func synchronize() throws(UsageLogError) {
        try control.withLock { _ throws(UsageLogError) in try synchronizeUnderControl() }
    }

    /// What the thread does. Also called by tests.
    ///
    /// - Returns: whether to try again.
    @discardableResult
    func synchronizeInBackground() -> Bool {
        do throws(UsageLogError) {
            try synchronize()
        } catch {
            guard !error.canBeMended else { return true }
            // Nothing will be sealed any more; without a later time the thread would not rest.
            putOffSeal()
            return false
        }
        sealWhenDue()
        return false
    }

    private func synchronizeUnderControl() throws(UsageLogError) {
        do throws(UsageLogError) {
            try endAgain()
            guard let snapshot = try takeSnapshot() else {
                return state.withLock { $0.mustSynchronize = false }
            }
            try run(snapshot.sync, path: snapshot.path)
            try ledger.advance(snapshot.segment, to: snapshot.head, tally: snapshot.tally)
            state.withLock { $0.mustSynchronize = false }
        } catch {
            state.withLock { state in
                if state.failure != nil { return }
                if error.canBeMended {
                    state.isDirty = true
                    state.mustSynchronize = true
                } else {
                    state.failure = error
                }
            }
            throw error
        }
    }

    private static func isSealing(_ state: borrowing State) -> Bool {
        guard state.failure == nil, !state.isClosed, let segment = state.segment else {
            return false
        }
        return segment.process.isCurrent
    }

    private func putOffSeal() {
        nextSealMilliseconds.store(
            ledger.bootMilliseconds() + LogLedger.epochMilliseconds, ordering: .relaxed)
    }

    /// How long the thread may sleep while nothing happens: until a checkpoint may be due. Takes no
    /// lock, which in a forked child its starter may hold.
    func idleMilliseconds() -> Int {
        let next = nextSealMilliseconds.load(ordering: .relaxed)
        return Int(next - min(ledger.bootMilliseconds(), next))
    }

    /// Sees to it that no epoch of this process's segment goes by without a checkpoint, whether
    /// there were events or not: an epoch after the last one, whoever made that, or a moment after
    /// an attempt that failed.
    private func sealWhenDue() {
        guard idleMilliseconds() == 0 else { return }
        let now = ledger.bootMilliseconds()
        let isSealing = state.withLock { SegmentWriter.isSealing($0) }
        let sealedAt: UInt64? =
            isSealing ? control.withLock { _ in try? ledger.sealWhenDue() } : now
        let next =
            sealedAt.map { min($0, now) + LogLedger.epochMilliseconds }
            ?? now + LogLedger.sealRetryMilliseconds
        nextSealMilliseconds.store(next, ordering: .relaxed)
    }

    private func takeSnapshot() throws(UsageLogError) -> Snapshot? {
        try state.withLock { state throws(UsageLogError) -> Snapshot? in
            if let failure = state.failure { throw failure }
            guard state.isDirty, let segment = state.segment, segment.process.isCurrent,
                !segment.hasClosingRecord
            else { return nil }
            try segment.checkName()
            try segment.checkDirectory()
            state.isDirty = false
            return Snapshot(
                segment: segment.record.id, sync: segment.sync, path: segment.path,
                head: segment.head, tally: segment.tally)
        }
    }

    // MARK: End

    /// - Returns: whether all that was logged is on the disk.
    @discardableResult
    func close() -> Bool {
        stopThread()
        return control.withLock { _ in
            state.withLock { state in
                defer { state.segment = nil }
                guard state.failure == nil else { return false }
                guard let segment = state.segment, segment.process.isCurrent else { return true }
                do throws(UsageLogError) {
                    try endOwn(segment, .closed, &state)
                } catch {
                    anchorRest(of: segment, &state)
                }
                return state.failure == nil
            }
        }
    }

    /// Of a segment that could not be ended, as after a crash: what surely is on the disk.
    private func anchorRest(of segment: OpenSegment, _ state: inout State) {
        do throws(Errno) {
            try segment.sync.synchronize(dataOnly: true)
        } catch {
            state.failure = .system(error, path: segment.path)
            return
        }
        try? ledger.advance(segment.record.id, to: segment.head, tally: segment.tally)
    }

    func abandon() {
        stopThread()
        state.withLock { $0.segment = nil }
    }

    private func stopThread() {
        let thread = state.withLock { state in
            state.isClosed = true
            defer { state.thread = nil }
            return state.thread
        }
        thread?.stop()
    }
}

extension UsageLogError {
    /// Whether the same call may work later.
    fileprivate var canBeMended: Bool {
        switch self {
        case .full, .anchorStore, .eventTooLarge: true
        case .system(let errno, _): errno != .ioError
        case .tampered, .closed, .signing, .damaged, .interrupted: false
        }
    }
}
