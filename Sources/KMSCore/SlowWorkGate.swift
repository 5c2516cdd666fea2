internal import KMSModel
internal import Platform

/// How many threads of a process work may keep that takes long: one custom key store, or making keys
/// of RSA.
package struct SlowWorkLimits: Sendable, Hashable {
    /// Requests that are with its token at once. Where the token hangs, so do they, each with its
    /// thread. The first value is for a mount: a quarter of its workers.
    package var requests = 4
    /// Requests that are at all such work at once, so that several tokens that hang leave threads to
    /// those that need none.
    package var together = 12
    /// How long another request waits for one of them to come back. It keeps its thread meanwhile,
    /// so nobody waits for a token that has let somebody wait this long.
    package var waitMilliseconds = 5_000

    package init() {}

    /// - Parameters:
    ///   - requests: at least 1.
    ///   - together: at least `requests`.
    package init(requests: Int, together: Int, waitMilliseconds: Int) {
        precondition(1...together ~= requests, "BUG: work that nobody may do")
        self.requests = requests
        self.together = together
        self.waitMilliseconds = waitMilliseconds
    }
}

/// Who is at one kind of work, as with the token of a custom key store, and whether it is worth
/// waiting for them. A value without threads and clocks; ``SlowWorkGates`` keeps it in a monitor.
struct SlowWorkGate: Sendable {
    typealias Ticket = UInt64

    private let limit: Int
    private let patience: Duration
    /// When they went in.
    private var inside: [Ticket: ContinuousClock.Instant] = [:]
    private var lastTicket: Ticket = 0
    /// Whether the last one who came back had been inside for longer than others wait.
    private var isSlow = false

    init(_ limits: SlowWorkLimits) {
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

/// Lets only so many threads do one kind of work at once. PKCS#11 has no time limits, so that one
/// token that hangs would keep all threads of a server or a mount, also from requests that have
/// nothing to do with it; and a key of RSA takes seconds.
///
/// One for a process. Threads wait at most ``SlowWorkLimits/waitMilliseconds``, and not at all once
/// the token is known to be slow.
final class SlowWorkGates: Sendable {
    private enum Step {
        case enter(SlowWorkGate.Ticket)
        case turnAway
    }

    /// No key store's id.
    private static let keysOfRSA = "RSA"

    private let limits: SlowWorkLimits
    /// By id of the key store, or ``keysOfRSA``; bounded by how many there ever were.
    private let gates = Monitor<[String: SlowWorkGate]>([:])

    init(_ limits: SlowWorkLimits) {
        self.limits = limits
    }

    /// Runs `body` as one of those that may be with the token of a custom key store.
    ///
    /// - Throws: ThrottlingException, when too many are and none comes back soon; then `body` was
    ///   not run. AWS KMS answers so where a key store's cluster has too much to do, and its
    ///   clients try again (developer guide, "Throttling AWS KMS requests").
    func pass<Value>(
        _ id: String, _ body: () throws(KMSError) -> Value
    ) throws(KMSError) -> Value {
        try pass(
            id,
            or: "The custom key store \(id) is busy: its token, or those of other key stores, "
                + "have not answered the requests before this one. Try again later.", body)
    }

    /// Makes material, RSA's as one of those that may at once.
    ///
    /// - Throws: ThrottlingException as above: AWS KMS has request quotas of their own for key pairs
    ///   (developer guide, "Request quotas").
    func make<Value>(
        _ spec: KeySpec, _ body: () throws(KMSError) -> Value
    ) throws(KMSError) -> Value {
        guard spec.family == .rsa else { return try body() }
        return try pass(
            Self.keysOfRSA, or: "Too many RSA keys are being made just now. Try again later.", body)
    }

    private func pass<Value>(
        _ kind: String, or message: @autoclosure () -> String, _ body: () throws(KMSError) -> Value
    ) throws(KMSError) -> Value {
        guard let ticket = enter(kind) else { throw KMSError(.throttling, message()) }
        defer { gates.withLock { $0[kind]?.leave(ticket, at: .now) } }
        return try body()
    }

    private func enter(_ kind: String) -> SlowWorkGate.Ticket? {
        let step = gates.wait(milliseconds: limits.waitMilliseconds) { gates -> Step? in
            let now = ContinuousClock.now
            guard gates.values.reduce(0, { $0 + $1.count }) < limits.together else {
                // Whoever comes back, of whichever kind, makes room.
                let isWorthWaiting = gates.values.contains { $0.isWorthWaiting(at: now) }
                return isWorthWaiting ? nil : .turnAway
            }
            let isWorthWaiting = gates[kind, default: SlowWorkGate(limits)].isWorthWaiting(at: now)
            if let ticket = gates[kind, default: SlowWorkGate(limits)].enter(at: now) {
                return .enter(ticket)
            }
            return isWorthWaiting ? nil : .turnAway
        }
        guard case .enter(let ticket)? = step else { return nil }
        return ticket
    }
}
