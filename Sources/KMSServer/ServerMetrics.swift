internal import CoreMetrics
internal import KMSModel
internal import Synchronization

/// What the server counts. Its labels are the operations and a few words: no name of a key, a
/// principal or an address.
final class ServerMetrics: Sendable {
    private struct RequestName: Hashable {
        let operation: KMSOperation?
        let outcome: String
    }

    private let factory: any MetricsFactory
    private let connections: Meter
    private let requestsInFlight: Meter
    private let refusedForLoad: Counter
    private let requests = Mutex<[RequestName: Counter]>([:])
    private let durations = Mutex<[KMSOperation?: Timer]>([:])

    init(_ factory: any MetricsFactory) {
        self.factory = factory
        connections = Meter(label: "keyfold_connections", factory: factory)
        requestsInFlight = Meter(label: "keyfold_requests_in_flight", factory: factory)
        refusedForLoad = Counter(label: "keyfold_overload_total", factory: factory)
    }

    func connectionOpened() { connections.increment() }
    func connectionClosed() { connections.decrement() }
    func requestBegan() { requestsInFlight.increment() }
    func requestEnded() { requestsInFlight.decrement() }
    func requestOverloaded() { refusedForLoad.increment() }

    func count(_ record: RequestRecord, took duration: Duration) {
        let name = RequestName(operation: record.operation, outcome: record.outcome)
        let operation = record.operation?.rawValue ?? "none"
        let counter = requests.withLock { requests in
            if let known = requests[name] { return known }
            let made = Counter(
                label: "keyfold_requests_total",
                dimensions: [("operation", operation), ("outcome", record.outcome)],
                factory: factory)
            requests[name] = made
            return made
        }
        let timer = durations.withLock { durations in
            if let known = durations[record.operation] { return known }
            let made = Timer(
                label: "keyfold_request_duration_seconds", dimensions: [("operation", operation)],
                factory: factory)
            durations[record.operation] = made
            return made
        }
        counter.increment()
        timer.recordNanoseconds(duration.nanoseconds)
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
