internal import KMSModel
internal import Platform

/// How many threads of a process one custom key store may keep.
package struct KeyStoreLimits: Sendable, Hashable {
    /// Requests that are with its token at once. Where the token hangs, so do they, each with its
    /// thread. The first value is for a mount: a quarter of its workers.
    package var requests = 4
    /// Requests that are with the tokens of all custom key stores at once, so that several that hang
    /// leave threads to those that need none.
    package var together = 12
    /// How long another request waits for one of them to come back. It keeps its thread meanwhile,
    /// so nobody waits for a token that has let somebody wait this long.
    package var waitMilliseconds = 5_000

    package init() {}

    /// - Parameters:
    ///   - requests: at least 1.
    ///   - together: at least `requests`.
    package init(requests: Int, together: Int, waitMilliseconds: Int) {
        precondition(1...together ~= requests, "BUG: a key store that nobody may use")
        self.requests = requests
        self.together = together
        self.waitMilliseconds = waitMilliseconds
    }
}

/// Who is with the token of one custom key store, and whether it is worth waiting for them. A value
/// without threads and clocks; ``KeyStoreGates`` keeps it in a monitor.
struct KeyStoreGate: Sendable {
    typealias Ticket = UInt64

    private let limit: Int
    private let patience: Duration
    /// When they went in.
    private var inside: [Ticket: ContinuousClock.Instant] = [:]
    private var lastTicket: Ticket = 0
    /// Whether the last one who came back had been inside for longer than others wait.
    private var isSlow = false

    init(_ limits: KeyStoreLimits) {
        limit = limits.requests
        patience = .milliseconds(limits.waitMilliseconds)
    }

    /// Who is with the token.
    var count: Int { inside.count }

    /// - Returns: nil when as many are inside as may.
    mutating func enter(at now: ContinuousClock.Instant) -> Ticket? {
        guard inside.count < limit else { return nil }
        lastTicket += 1
        inside[lastTicket] = now
        return lastTicket
    }

    mutating func leave(_ ticket: Ticket, at now: ContinuousClock.Instant) {
        guard let began = inside.removeValue(forKey: ticket) else {
            preconditionFailure("BUG: nobody is inside with this ticket")
        }
        isSlow = now - began >= patience
    }

    /// Whether somebody may come back soon: the token was quick, as far as is known.
    func isWorthWaiting(at now: ContinuousClock.Instant) -> Bool {
        guard !isSlow, let newest = inside.values.max() else { return false }
        return now - newest < patience
    }
}

/// Lets only so many threads into each custom key store at once: PKCS#11 has no time limits, so
/// that one token that hangs would keep all threads of a server or a mount, also from requests that
/// have nothing to do with it.
///
/// One for a process. Threads wait at most ``KeyStoreLimits/waitMilliseconds``, and not at all once
/// the token is known to be slow.
final class KeyStoreGates: Sendable {
    private enum Step {
        case enter(KeyStoreGate.Ticket)
        case turnAway
    }

    private let limits: KeyStoreLimits
    /// By id of the key store; bounded by how many there ever were.
    private let gates = Monitor<[String: KeyStoreGate]>([:])

    init(_ limits: KeyStoreLimits) {
        self.limits = limits
    }

    /// Runs `body` as one of those that may be inside.
    ///
    /// - Throws: ThrottlingException, when too many are and none comes back soon; then `body` was
    ///   not run. AWS KMS answers so where a key store's cluster has too much to do, and its
    ///   clients try again (developer guide, "Throttling AWS KMS requests").
    func pass<Value>(
        _ id: String, _ body: () throws(KMSError) -> Value
    ) throws(KMSError) -> Value {
        let ticket = try enter(id)
        defer { gates.withLock { $0[id]?.leave(ticket, at: .now) } }
        return try body()
    }

    private func enter(_ id: String) throws(KMSError) -> KeyStoreGate.Ticket {
        let step = gates.wait(milliseconds: limits.waitMilliseconds) { gates -> Step? in
            let now = ContinuousClock.now
            guard gates.values.reduce(0, { $0 + $1.count }) < limits.together else {
                // Whoever comes back, of whichever store, makes room.
                let isWorthWaiting = gates.values.contains { $0.isWorthWaiting(at: now) }
                return isWorthWaiting ? nil : .turnAway
            }
            let isWorthWaiting = gates[id, default: KeyStoreGate(limits)].isWorthWaiting(at: now)
            if let ticket = gates[id, default: KeyStoreGate(limits)].enter(at: now) {
                return .enter(ticket)
            }
            return isWorthWaiting ? nil : .turnAway
        }
        guard case .enter(let ticket)? = step else {
            throw KMSError(
                .throttling,
                "The custom key store \(id) is busy: its token, or those of other key stores, have not "
                    + "answered the requests before this one. Try again later.")
        }
        return ticket
    }
}
