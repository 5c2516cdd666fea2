internal import Synchronization

/// How many bytes of bodies may lie in memory at once, over all connections.
final class BodyBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limitBytes: Int) {
        limit = limitBytes
    }

    /// - Returns: false when there is no room; nothing is taken then.
    func take(_ byteCount: Int) -> Bool {
        guard used.add(byteCount, ordering: .relaxed).newValue <= limit else {
            give(byteCount)
            return false
        }
        return true
    }

    func give(_ byteCount: Int) {
        used.subtract(byteCount, ordering: .relaxed)
    }
}
