/// Which of a bounded set of workers reads the next request: the rules, without threads.
///
/// At any time at most one worker holds the **reader's role**. It waits for a request and carries
/// it out itself; a long request hands the role on first. A worker that comes back finds the role
/// still its own, or vacant and takes it, or taken and rests.
struct WorkerRoles: Sendable {
    /// 0..<`limits.workers`
    typealias Worker = Int

    struct Limits: Sendable {
        /// Programs that wait for a key service hold one worker each, so there are many: what
        /// others do with files that are open goes on meanwhile.
        var workers = 256
        /// With one receive and one read buffer each, those who stay hold 32 MiB at most.
        var resting = 15
    }

    enum Reader: Equatable {
        case waiting(Worker)
        /// Carries out a request and still holds the role.
        case working(Worker)
        /// Every worker is busy; the first one that comes back reads.
        case vacant
    }

    /// What handing the role on asks of the pool.
    enum HandOver: Equatable {
        case none
        case wake(Worker)
        case start(Worker)
    }

    enum Next: Equatable { case read, rest, leave }

    /// A watchdog's answer to one tick.
    struct Tick: Equatable {
        var handOver: HandOver
        /// Nothing happened for a while: sleep until ``received(by:handsOn:)`` says otherwise.
        var mayRest: Bool
    }

    /// Quiet ticks after which the watchdog rests.
    static let quietTickLimit = 16

    private(set) var reader = Reader.waiting(0)
    /// The one that rested last is first: its caches are warm.
    private(set) var resting: [Worker] = []
    /// Workers that were started and have not left.
    private(set) var aliveCount = 1
    private(set) var isEnding = false
    private var startedCount = 1
    /// Numbers of those who left, or whose threads could not be made.
    private var free: [Worker] = []
    private let limits: Limits
    /// Counts requests, so that the watchdog sees whether one is still the same.
    private var sequence: UInt64 = 0
    private var lastSeenSequence: UInt64 = 0
    private var quietTicks = 0
    private var watchdogRests = true

    init(_ limits: Limits = Limits()) {
        self.limits = limits
    }

    /// One reads, or soon will, and all others rest.
    var isIdle: Bool {
        guard case .waiting = reader else { return false }
        return resting.count == aliveCount - 1
    }

    /// The reader got a request.
    ///
    /// - Returns: whom to call, and whether the watchdog has to wake up.
    mutating func received(
        by worker: Worker, handsOn: Bool
    ) -> (handOver: HandOver, wakesWatchdog: Bool) {
        precondition(reader == .waiting(worker), "BUG: a request was read without the role")
        sequence &+= 1
        if handsOn { return (handOn(), false) }
        reader = .working(worker)
        defer { watchdogRests = false }
        return (.none, watchdogRests)
    }

    /// A worker is done with its request, or woke up.
    mutating func cameBack(_ worker: Worker) -> Next {
        if isEnding { return .leave }
        switch reader {
        case .working(worker), .waiting(worker):
            reader = .waiting(worker)
            return .read
        case .vacant:
            reader = .waiting(worker)
            return .read
        case .working, .waiting:
            guard resting.count < limits.resting else { return .leave }
            resting.append(worker)
            return .rest
        }
    }

    /// The thread for a worker could not be made: somebody else reads.
    ///
    /// Who came back meanwhile found the role taken and rests; so one of those gets it now.
    ///
    /// - Returns: whom to call, and whether no worker is left.
    mutating func couldNotStart(_ worker: Worker) -> (handOver: HandOver, wasLast: Bool) {
        aliveCount -= 1
        free.append(worker)
        guard reader == .waiting(worker) else { return (.none, aliveCount == 0) }
        guard !isEnding, let other = resting.popLast() else {
            reader = .vacant
            return (.none, aliveCount == 0)
        }
        reader = .waiting(other)
        return (.wake(other), false)
    }

    /// The watchdog looks. The time between two ticks is what a request may hold up the others.
    mutating func tick() -> Tick {
        defer { lastSeenSequence = sequence }
        guard case .working = reader, !isEnding else {
            quietTicks = sequence == lastSeenSequence ? quietTicks + 1 : 0
            guard quietTicks >= Self.quietTickLimit || isEnding else {
                return Tick(handOver: .none, mayRest: false)
            }
            quietTicks = 0
            watchdogRests = true
            return Tick(handOver: .none, mayRest: true)
        }
        quietTicks = 0
        guard sequence == lastSeenSequence else { return Tick(handOver: .none, mayRest: false) }
        return Tick(handOver: handOn(), mayRest: false)
    }

    /// The mount is gone: everybody who comes back leaves.
    ///
    /// - Returns: the resting workers, who must be woken for that.
    mutating func end() -> [Worker] {
        isEnding = true
        defer { resting = [] }
        return resting
    }

    /// A worker's thread ends: another may get its number.
    ///
    /// - Returns: whether it was the last one.
    mutating func left(_ worker: Worker) -> Bool {
        aliveCount -= 1
        free.append(worker)
        return aliveCount == 0
    }

    private mutating func handOn() -> HandOver {
        if isEnding {
            reader = .vacant
            return .none
        }
        if let worker = resting.popLast() {
            reader = .waiting(worker)
            return .wake(worker)
        }
        guard let worker = nextToStart() else {
            reader = .vacant
            return .none
        }
        aliveCount += 1
        reader = .waiting(worker)
        return .start(worker)
    }

    private mutating func nextToStart() -> Worker? {
        if let worker = free.popLast() { return worker }
        guard startedCount < limits.workers else { return nil }
        defer { startedCount += 1 }
        return startedCount
    }
}
