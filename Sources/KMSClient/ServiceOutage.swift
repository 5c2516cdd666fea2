internal import KMSModel
internal import Synchronization

/// Keeps callers from waiting one after the other for a service that is gone.
///
/// After a call that nobody answered, others fail at once with the same error for a while; then one
/// of them tries, and the others go on failing until it knows. Thread-safe.
package final class ServiceOutage: Sendable {
    /// How long nobody tries after a failure.
    static let pause: Duration = .seconds(1)

    /// One call that was let through.
    struct Ticket: Sendable {
        fileprivate let isProbe: Bool
    }

    private struct State {
        var failure: KMSError?
        var nextProbe: ContinuousClock.Instant?
        var isProbing = false
    }

    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())

    package init(now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.now = now
    }

    /// - Throws: why the last call failed, while it is too early to try again.
    func begin() throws(KMSError) -> Ticket {
        let time = now()
        return try state.withLock { state throws(KMSError) in
            guard let failure = state.failure, let nextProbe = state.nextProbe else {
                return Ticket(isProbe: false)
            }
            guard !state.isProbing, nextProbe <= time else { throw failure }
            state.isProbing = true
            return Ticket(isProbe: true)
        }
    }

    /// - Parameter failure: nil when the service answered, whatever it said.
    func end(_ ticket: Ticket, _ failure: KMSError?) {
        let time = now()
        state.withLock { state in
            if ticket.isProbe { state.isProbing = false }
            state.failure = failure
            state.nextProbe = failure == nil ? nil : time.advanced(by: Self.pause)
        }
    }
}
