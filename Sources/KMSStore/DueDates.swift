package import KMSModel

/// When the service has something to do by itself, over many keys: found out once for each state of
/// the keystore, and asked by each request.
package struct DueDates: Sendable {
    /// The first instant at which a key is to be rotated or its deletion begins to wait, or material
    /// expires.
    private var first: Timestamp?
    /// Of keys whose deletion waits (``DeletionWait``): the last of their dates. A clock that shows
    /// less takes a note back.
    private var lastSeen: Timestamp?
    /// When the first of those keys goes: for each boot in which one was noted one moment, with the
    /// least that each clock has to show.
    private var ends: [ClockReading] = []

    init() {}

    init(_ keys: some Sequence<KeyEntry>) {
        for key in keys { add(key) }
    }

    /// Whether there is something to do.
    package func areReached(at reading: ClockReading) -> Bool {
        first.map { $0 <= reading.wall } ?? false
            || lastSeen.map { $0 > reading.wall } ?? false
            || ends.contains(where: reading.hasReached)
    }

    private mutating func add(_ key: KeyEntry) {
        add(first: key.nextDue)
        guard case .pendingDeletion(let date) = key.record.state,
            let end = key.record.deletionWait.end
        else { return }
        add(seen: date, end)
    }

    mutating func add(_ other: DueDates) {
        add(first: other.first)
        guard let lastSeen = other.lastSeen else { return }
        for end in other.ends { add(seen: lastSeen, end) }
    }

    private mutating func add(first date: Timestamp?) {
        guard let date else { return }
        first = first.map { min($0, date) } ?? date
    }

    private mutating func add(seen date: Timestamp, _ end: ClockReading) {
        lastSeen = lastSeen.map { max($0, date) } ?? date
        guard let index = ends.firstIndex(where: { $0.bootID == end.bootID }) else {
            return ends.append(end)
        }
        ends[index].wall = min(ends[index].wall, end.wall)
        ends[index].bootMilliseconds = min(ends[index].bootMilliseconds, end.bootMilliseconds)
    }
}
