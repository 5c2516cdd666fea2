internal import Synchronization

/// How many bytes of bodies may lie in memory at once, over all connections.
///
/// Each body has its first bytes (``ServerLimits/uncountedBodyBytes``) outside of it: whoever fills
/// the rest, small requests come through.
final class BodyBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limitBytes: Int) {
        limit = limitBytes
    }

    /// Makes room for a body that grows from one size to another.
    ///
    /// - Returns: false when there is no room; nothing is taken then.
    func grow(from oldCount: Int, to newCount: Int) -> Bool {
        let more = Self.counted(newCount) - Self.counted(oldCount)
        guard more > 0 else { return true }
        guard used.add(more, ordering: .relaxed).newValue <= limit else {
            used.subtract(more, ordering: .relaxed)
            return false
        }
        return true
    }

    /// Takes back what a body of this size was given.
    func give(_ byteCount: Int) {
        used.subtract(Self.counted(byteCount), ordering: .relaxed)
    }

    private static func counted(_ byteCount: Int) -> Int {
        max(0, byteCount - ServerLimits.uncountedBodyBytes)
    }
}
