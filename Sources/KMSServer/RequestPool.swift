internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Carries blocking work out on a few threads of its own, and never more of it than agreed.
final class RequestPool: Sendable {
    private let pool: NIOThreadPool
    private let limit: Int
    private let timeout: TimeAmount
    private let count = Atomic<Int>(0)
    private let metrics: ServerMetrics

    init(_ limits: ServerLimits, _ metrics: ServerMetrics) {
        pool = NIOThreadPool(numberOfThreads: limits.workers)
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

    enum Outcome: Sendable {
        case answered(ServerAnswer)
        case overloaded
        /// The work goes on; nobody waits for it any more.
        case timedOut
    }

    /// - Parameter loop: where time is kept.
    func run(
        on loop: any EventLoop, _ work: @escaping @Sendable () -> ServerAnswer
    ) async -> Outcome {
        guard count.add(1, ordering: .relaxed).newValue <= limit else {
            count.subtract(1, ordering: .relaxed)
            metrics.requestOverloaded()
            return .overloaded
        }
        metrics.requestBegan()
        return await withCheckedContinuation { continuation in
            let waiter = Waiter(continuation)
            let timer = loop.scheduleTask(in: timeout) { _ = waiter.resume(.timedOut) }
            pool.submit { state in
                let outcome: Outcome = state == .active ? .answered(work()) : .overloaded
                self.count.subtract(1, ordering: .relaxed)
                self.metrics.requestEnded()
                timer.cancel()
                // An answer that nobody waits for is wiped with its last reference.
                _ = waiter.resume(outcome)
            }
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
