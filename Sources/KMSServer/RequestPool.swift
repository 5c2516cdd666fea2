internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Carries blocking work out on a few threads of its own, and never more of it than agreed.
///
/// As long as work goes on, only as many threads take it as there are processors: more would but
/// wait for each other, at the usage log's lock and for a processor. When they are all held up (by
/// a disk, a token, an RSA key), one more begins every few milliseconds.
final class RequestPool: Sendable {
    private struct Work {
        let run: @Sendable (_ isActive: Bool) -> Void
    }

    private struct State {
        var queue = CircularBuffer<Work>()
        /// Threads that are at it.
        var runners = 0
        /// Requests that were taken from the queue, ever.
        var begun: UInt64 = 0
        /// Whether somebody will look whether they are held up.
        var isWatched = false
    }

    private static let patience = TimeAmount.milliseconds(2)
    private static let companyLasts = 256

    private let pool: NIOThreadPool
    private let limit: Int
    private let threads: Int
    private let fewThreads: Int
    private let timeout: TimeAmount
    private let count = Atomic<Int>(0)
    /// For how many requests it counts that two of them were there at once. Not exact: it is about
    /// speed alone.
    private let company = Atomic<Int>(0)
    private let state = Mutex(State())
    private let metrics: ServerMetrics

    init(_ limits: ServerLimits, _ metrics: ServerMetrics) {
        pool = NIOThreadPool(numberOfThreads: limits.workers)
        threads = limits.workers
        fewThreads = min(limits.workers, System.coreCount)
        limit = limits.requestsInFlight
        timeout = .seconds(Int64(limits.answerSeconds))
        self.metrics = metrics
        pool.start()
    }

    /// Waits for the threads' present work, as long as an answer may take.
    ///
    /// - Returns: whether all of it has ended.
    func shutDown() async -> Bool {
        let pool = pool
        return await withCheckedContinuation { continuation in
            let waiter = Waiter(continuation)
            let timer = MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: timeout) {
                _ = waiter.resume(false)
            }
            pool.shutdownGracefully { _ in
                timer.cancel()
                _ = waiter.resume(true)
            }
        }
    }

    /// Has a thread work, and then tell of it.
    ///
    /// - Parameters:
    ///   - loop: where time is kept.
    ///   - work: told whether the pool is still at work; if not, there is no time for it.
    ///   - end: called when the work counts no more, on the same thread.
    /// - Returns: false when there is too much already; then neither is called.
    func run<Outcome>(
        on loop: any EventLoop, _ work: @escaping @Sendable (_ isActive: Bool) -> Outcome,
        then end: @escaping @Sendable (Outcome) -> Void
    ) -> Bool {
        guard count.add(1, ordering: .relaxed).newValue <= limit else {
            count.subtract(1, ordering: .relaxed)
            metrics.requestOverloaded()
            return false
        }
        if count.load(ordering: .relaxed) > 1 {
            company.store(Self.companyLasts, ordering: .relaxed)
        }
        metrics.requestBegan()
        let whole = Work { [self] isActive in
            let outcome = work(isActive)
            count.subtract(1, ordering: .relaxed)
            metrics.requestEnded()
            end(outcome)
        }
        enqueue(whole, on: loop)
        return true
    }

    /// Works on the calling thread, as long as requests come one at a time: when there are more,
    /// threads for reading and threads for working are better at it.
    ///
    /// - Returns: nil when there are others, or were lately; then `work` was not called.
    func runAlone<Outcome>(_ work: () -> Outcome) -> Outcome? {
        let last = company.load(ordering: .relaxed)
        guard last == 0 else {
            company.store(last - 1, ordering: .relaxed)
            return nil
        }
        guard count.compareExchange(expected: 0, desired: 1, ordering: .relaxed).exchanged else {
            company.store(Self.companyLasts, ordering: .relaxed)
            return nil
        }
        metrics.requestBegan()
        defer {
            count.subtract(1, ordering: .relaxed)
            metrics.requestEnded()
        }
        return work()
    }

    private enum Need {
        case nothing, runner, watch
    }

    private func enqueue(_ work: Work, on loop: any EventLoop) {
        let (need, begun) = state.withLock { state in
            state.queue.append(work)
            if state.runners < fewThreads {
                state.runners += 1
                return (Need.runner, state.begun)
            }
            guard !state.isWatched else { return (Need.nothing, state.begun) }
            state.isWatched = true
            return (Need.watch, state.begun)
        }
        switch need {
        case .nothing: break
        case .runner: begin()
        case .watch: watch(begun, on: loop)
        }
    }

    private func begin() {
        pool.submit { [self] state in
            var turn: UInt64?
            while let (work, number) = next(after: turn) {
                work.run(state == .active)
                turn = number
            }
        }
    }

    /// What a thread is to do next; nil when it is to rest: there is nothing, or there are more
    /// than a few threads and others get on, too.
    ///
    /// - Parameter turn: the number of the thread's work before.
    private func next(after turn: UInt64?) -> (work: Work, turn: UInt64)? {
        state.withLock { state in
            let isTooMany = state.runners > fewThreads && turn != nil && turn != state.begun
            guard !isTooMany, let work = state.queue.popFirst() else {
                state.runners -= 1
                return nil
            }
            state.begun += 1
            return (work, state.begun)
        }
    }

    /// Looks a little later whether anything was begun since, and keeps looking while work waits.
    private func watch(_ begun: UInt64, on loop: any EventLoop) {
        loop.scheduleTask(in: Self.patience) { [self] in
            let (need, now) = state.withLock { state in
                guard !state.queue.isEmpty else {
                    state.isWatched = false
                    return (Need.nothing, state.begun)
                }
                guard state.begun == begun, state.runners < threads else {
                    return (Need.watch, state.begun)
                }
                state.runners += 1
                return (Need.runner, state.begun)
            }
            if need == .runner { begin() }
            if need != .nothing { watch(now, on: loop) }
        }
    }
}

/// Whoever comes first resumes; the other finds that out.
private final class Waiter<Outcome: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Outcome, Never>?>

    init(_ continuation: CheckedContinuation<Outcome, Never>) {
        self.continuation = Mutex(continuation)
    }

    func resume(_ outcome: Outcome) -> Bool {
        let continuation = continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
        continuation?.resume(returning: outcome)
        return continuation != nil
    }
}
