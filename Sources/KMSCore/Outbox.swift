internal import KMSModel
internal import KMSStore
internal import Synchronization
internal import UsageLog

/// The events of changes on their way from the keystore into the usage log.
///
/// An event is written in the change's own transaction, and to the log when that is durable. When a
/// process dies in between, another one finds the event in the keystore and logs it. May be used
/// from any thread.
final class Outbox: Sendable {
    private struct State {
        /// Made before this process's first change.
        var lock: WriterLock?
        /// The ids of this process's events that may not be in the log yet: their places are not
        /// used again. Bounded by the requests under way, each with an event for each Region at
        /// most, and one more, and by what a full log holds back.
        var waiting: Set<String> = []
    }

    private let store: KeystoreStore
    private let state = Mutex(State())

    init(store: KeystoreStore) {
        self.store = store
    }

    /// The number under which this process writes events.
    func writer() throws(KeystoreError) -> UInt64 {
        try state.withLock { state throws(KeystoreError) in
            if let lock = state.lock { return lock.writer }
            let lock = try store.lockAsWriter()
            state.lock = lock
            return lock.writer
        }
    }

    /// Adds events to a change that is being made; ``forget(_:)`` them when they are logged, or
    /// the change came to nothing.
    func put(
        _ events: [EncodedEvent], by writer: UInt64, _ snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange
    ) {
        state.withLock { state in
            var free: [UInt32] = []
            for record in snapshot.unlogged.values where Outbox.isFree(record, of: writer, state) {
                free.append(record.place)
            }
            free.sort(by: >)
            var next = snapshot.unlogged.keys.max().map { $0 + 1 } ?? 0
            for event in events {
                var place = next
                if let known = free.popLast() { place = known } else { next += 1 }
                change.unlogged.append(
                    UnloggedRecord(
                        place: place,
                        event: .init(
                            eventID: event.id, time: event.time, json: event.json, writer: writer)))
            }
            state.waiting.formUnion(events.map(\.id))
        }
    }

    private static func isFree(
        _ record: UnloggedRecord, of writer: UInt64, _ state: State
    ) -> Bool {
        guard let event = record.event else { return true }
        return event.writer == writer && !state.waiting.contains(event.eventID)
    }

    /// What is in the log needs its place no more.
    func forget(_ ids: [String]) {
        state.withLock { $0.waiting.subtract(ids) }
    }

    /// Makes the events of dead processes this process's own.
    ///
    /// - Returns: them; some may be in the log already.
    func takeStrays() throws(KeystoreError) -> [EncodedEvent] {
        let records = try store.snapshot().unlogged.values
        let own = state.withLock { $0.lock?.writer }
        let dead = Set(records.compactMap(\.event?.writer)).filter {
            $0 != own && !store.isAlive($0)
        }
        guard !dead.isEmpty else { return [] }
        let writer = try writer()
        let outcome = try store.change { snapshot, change throws(Never) in
            for record in snapshot.unlogged.values {
                guard var event = record.event, dead.contains(event.writer) else { continue }
                event.writer = writer
                change.unlogged.append(UnloggedRecord(place: record.place, event: event))
            }
            let taken = change.unlogged.compactMap { record in
                record.event.map { (place: record.place, event: $0) }
            }
            // Before anybody can take their places for free.
            state.withLock { $0.waiting.formUnion(taken.map(\.event.eventID)) }
            return taken
        }
        // Events of one change have one time, and places in their order.
        return outcome.get().sorted { ($0.event.time, $0.place) < ($1.event.time, $1.place) }
            .compactMap { EncodedEvent(json: $0.event.json, time: $0.event.time) }
    }

    /// Frees the places of what is logged. What is not is left to others.
    ///
    /// - Parameter isLogged: false where the log could not take all to the disk; then nobody knows
    ///   which events are, and all are left.
    func close(isLogged: Bool) {
        defer { state.withLock { $0.lock = nil } }
        guard isLogged, let writer = state.withLock({ $0.lock?.writer }) else { return }
        _ = try? store.change { snapshot, change throws(Never) in
            state.withLock { state in
                for record in snapshot.unlogged.values
                where record.event != nil && Outbox.isFree(record, of: writer, state) {
                    change.unlogged.append(UnloggedRecord(place: record.place, event: nil))
                }
            }
        }
    }
}
