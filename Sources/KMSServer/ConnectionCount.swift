internal import HummingbirdCore
internal import Synchronization

/// Counts a listener's connections, and accepts no more while there are as many as may be.
final class ConnectionCount: AvailableConnectionsDelegate {
    private let limit: Int
    private let count = Atomic<Int>(0)
    private let metrics: ServerMetrics

    init(limit: Int, _ metrics: ServerMetrics) {
        self.limit = limit
        self.metrics = metrics
    }

    func connectionOpened() {
        count.add(1, ordering: .relaxed)
        metrics.connectionOpened()
    }

    func connectionClosed() {
        count.subtract(1, ordering: .relaxed)
        metrics.connectionClosed()
    }

    func isAcceptingNewConnections() -> Bool { count.load(ordering: .relaxed) < limit }
}
