/// What a token's sessions are doing, and what the next request has to do: a value without threads,
/// clocks or calls. ``PKCS11Token`` keeps it in a ``Monitor``.
///
/// `Link` is a connection to the token, `Lease` a session of it.
struct SessionPool<Link: Sendable, Lease: Sendable>: Sendable {
    /// Which connection something belongs to; each gets a number of its own.
    typealias LinkNumber = Int

    /// What a request does next.
    enum Step: Sendable {
        /// Use a session that waited.
        case use(Lease, LinkNumber)
        /// Open a session. It counts from now on.
        case open(Link, LinkNumber)
        /// Connect to the token, as the only one. Tell ``connected(_:generation:limit:)`` or
        /// ``connectFailed(_:at:previous:isFinal:)``.
        case connect(Attempt)
        case fail(PKCS11Error)
        /// Ask again after a change.
        case wait
    }

    struct Attempt: Sendable {
        /// The connection before, whose sessions are to be ended first.
        let previous: Link?
        /// The last connection was lost before anything came of it, so connecting alone won't do.
        let mustRestart: Bool
    }

    private enum Phase {
        case disconnected(previous: Link?)
        case connecting
        case connected(Link)
        case closed
    }

    /// For how long a failure to connect is every request's answer.
    private let pause: Duration
    private let configuredLimit: Int

    private var phase = Phase.disconnected(previous: nil)
    private var number: LinkNumber = 0
    private var generation = 0
    private var hasServed = true
    private var lastFailure: (error: PKCS11Error, at: ContinuousClock.Instant)?
    /// Stays until the token is closed.
    private var finalFailure: PKCS11Error?

    private var limit = 0
    private var idle: [Lease] = []
    /// Sessions that are of no use any more; see ``takeDropped()``.
    private var dropped: [Lease] = []
    /// Sessions that exist, idle or not, of this connection.
    private var openCount = 0
    /// Sessions in use, of any connection, and an attempt to connect.
    private(set) var busyCount = 0

    /// Handles of keys, by id. They hold for one connection.
    private var keyHandles: [PKCS11KeyID: UInt] = [:]
    private static var maximumKeyHandles: Int { 4096 }

    /// - Parameter limit: of sessions at a time, at least 1.
    init(limit: Int, pause: Duration) {
        precondition(limit >= 1, "BUG: a pool of \(limit) sessions")
        configuredLimit = limit
        self.pause = pause
    }

    /// - Parameter generation: the module's. A connection of an earlier one is gone.
    mutating func next(at now: ContinuousClock.Instant, generation: Int) -> Step {
        if case .connected(let link) = phase, self.generation != generation {
            disconnect(from: link)
        }
        switch phase {
        case .closed: return .fail(.closed)
        case .connecting: return .wait
        case .connected(let link): return nextSession(of: link)
        case .disconnected(let previous):
            if let finalFailure { return .fail(finalFailure) }
            if let lastFailure, now < lastFailure.at + pause { return .fail(lastFailure.error) }
            phase = .connecting
            busyCount += 1
            return .connect(Attempt(previous: previous, mustRestart: !hasServed))
        }
    }

    private mutating func nextSession(of link: Link) -> Step {
        if let lease = idle.popLast() {
            busyCount += 1
            return .use(lease, number)
        }
        guard openCount < limit else { return .wait }
        openCount += 1
        busyCount += 1
        return .open(link, number)
    }

    // MARK: Connecting

    /// - Parameter limit: how many sessions the token can have; nil when it doesn't say.
    /// - Returns: false when the token was closed meanwhile: then the connection is to be ended, and
    ///   ``connectFailed(_:at:previous:isFinal:)`` to be told.
    mutating func connected(_ link: Link, generation: Int, limit: Int?) -> Bool {
        guard case .connecting = phase else { return false }
        busyCount -= 1
        phase = .connected(link)
        number += 1
        self.generation = generation
        self.limit = max(1, min(configuredLimit, limit ?? configuredLimit))
        openCount = 0
        hasServed = false
        lastFailure = nil
        return true
    }

    /// - Parameters:
    ///   - previous: the attempt's, if its sessions are still to be ended.
    ///   - isFinal: later requests must not try it again, whatever the time.
    mutating func connectFailed(
        _ error: PKCS11Error, at now: ContinuousClock.Instant, previous: Link?, isFinal: Bool
    ) {
        busyCount -= 1
        guard case .connecting = phase else { return }
        phase = .disconnected(previous: previous)
        lastFailure = (error, now)
        if isFinal { finalFailure = error }
    }

    /// A request connected in vain: the next ones are answered at once for a while.
    mutating func requestFailed(_ error: PKCS11Error, at now: ContinuousClock.Instant) {
        guard case .disconnected = phase else { return }
        lastFailure = (error, now)
    }

    // MARK: Sessions

    /// A session did what it was to do.
    ///
    /// - Returns: false when it is of no use any more: then it is to be ended and discarded.
    mutating func giveBack(_ lease: Lease, _ link: LinkNumber) -> Bool {
        guard link == number, case .connected = phase else { return false }
        busyCount -= 1
        hasServed = true
        idle.append(lease)
        return true
    }

    /// A session has ended.
    mutating func discard(_ link: LinkNumber) {
        busyCount -= 1
        if link == number { openCount -= 1 }
    }

    /// A session could not be opened, since the token allows no more than are open now.
    ///
    /// - Returns: false when there is none to wait for.
    mutating func discardForWantOfRoom(_ link: LinkNumber) -> Bool {
        discard(link)
        guard link == number else { return true }
        guard openCount > 0 else { return false }
        limit = openCount
        return true
    }

    /// The connection is of no use any more.
    ///
    /// - Returns: it, when it was still the current one.
    mutating func lose(_ link: LinkNumber) -> Link? {
        guard link == number, case .connected(let current) = phase else { return nil }
        disconnect(from: current)
        return current
    }

    private mutating func disconnect(from link: Link) {
        phase = .disconnected(previous: link)
        forgetSessions()
    }

    private mutating func forgetSessions() {
        number += 1
        dropped += idle
        idle = []
        openCount = 0
        keyHandles = [:]
    }

    /// Sessions end with their last reference, which takes a call: outside of the lock.
    mutating func takeDropped() -> [Lease] {
        defer { dropped = [] }
        return dropped
    }

    /// No request begins any more, and an earlier failure is told no longer.
    ///
    /// - Returns: the connection, or the one before, whose sessions are to be ended.
    mutating func close() -> (current: Link?, previous: Link?) {
        defer {
            phase = .closed
            forgetSessions()
        }
        switch phase {
        case .connected(let link): return (link, nil)
        case .disconnected(let previous): return (nil, previous)
        case .connecting, .closed: return (nil, nil)
        }
    }

    /// The next request tries to connect, however short ago the last one tried.
    mutating func endPause() {
        lastFailure = nil
    }

    var isConnected: Bool {
        if case .connected = phase { true } else { false }
    }

    // MARK: Keys

    func keyHandle(_ id: PKCS11KeyID, _ link: LinkNumber) -> UInt? {
        link == number ? keyHandles[id] : nil
    }

    mutating func remember(_ handle: UInt, of id: PKCS11KeyID, _ link: LinkNumber) {
        guard link == number else { return }
        // Which keys are in use changes rarely: starting anew is cheap enough.
        if keyHandles.count >= Self.maximumKeyHandles { keyHandles = [:] }
        keyHandles[id] = handle
    }

    mutating func forgetKey(_ id: PKCS11KeyID) {
        keyHandles[id] = nil
    }
}
