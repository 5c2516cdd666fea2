internal import KMSModel
internal import KMSWire

/// The rules of ``DataKeyCache``, without threads and clocks.
struct DataKeyTable: Sendable {
    /// A request that somebody makes, and others may wait for.
    struct Flight: Sendable, Hashable {
        fileprivate let number: Int
        fileprivate let name: [UInt8]
        fileprivate let generation: Int
    }

    enum Answer {
        case found(UnwrappedData)
        /// The caller asks the service, and then calls ``end(_:_:started:)``.
        case absent(Flight)
        /// The caller waits until ``takeResult(of:)`` has one.
        case underWay(Flight)
    }

    private struct Entry {
        let data: UnwrappedData
        let end: ContinuousClock.Instant
    }

    private let limits: DataKeyCache.Limits
    private var entries: BoundedCache<[UInt8], Entry>
    private var flights: [[UInt8]: Flight] = [:]
    private var flightCount = 0
    /// How many wait for a flight, and what came of it.
    private var waiting: [Flight: (count: Int, result: Result<UnwrappedData, KMSError>?)] = [:]
    /// Grows with each ``removeAll()``.
    private var generation = 0

    init(_ limits: DataKeyCache.Limits) {
        self.limits = limits
        entries = BoundedCache(capacity: limits.maximumEntries)
    }

    var count: Int { entries.count }

    mutating func begin(_ name: [UInt8], now: ContinuousClock.Instant) -> Answer {
        if let entry = entries.value(for: name) {
            if now < entry.end { return .found(entry.data) }
            entries.removeValue(for: name)
        }
        if let flight = flights[name] {
            waiting[flight, default: (0, nil)].count += 1
            return .underWay(flight)
        }
        flightCount += 1
        let flight = Flight(number: flightCount, name: name, generation: generation)
        flights[name] = flight
        return .absent(flight)
    }

    /// The age counts from the request's start: then the service may have decided.
    mutating func end(
        _ flight: Flight, _ result: Result<UnwrappedData, KMSError>,
        started: ContinuousClock.Instant
    ) {
        waiting[flight]?.result = result
        if flights[flight.name] == flight { flights[flight.name] = nil }
        guard case .success(let data) = result, flight.generation == generation else { return }
        keep(data, flight.name, since: started)
    }

    /// For each that waits, once; nil while the flight is under way.
    mutating func takeResult(of flight: Flight) -> Result<UnwrappedData, KMSError>? {
        guard let (count, result) = waiting[flight], let result else { return nil }
        waiting[flight] = count > 1 ? (count - 1, result) : nil
        return result
    }

    mutating func keep(
        _ data: UnwrappedData, _ name: [UInt8], since start: ContinuousClock.Instant
    ) {
        let end = start.advanced(by: limits.maximumAge)
        entries.insert(Entry(data: data, end: end), for: name)
    }

    mutating func removeExpired(now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        var next: ContinuousClock.Instant?
        entries.removeAll { entry in
            if entry.end <= now { return true }
            next = next.map { min($0, entry.end) } ?? entry.end
            return false
        }
        return next
    }

    mutating func removeAll() {
        entries.removeAll()
        flights = [:]
        generation += 1
    }
}
