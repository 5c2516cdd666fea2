internal import Platform
internal import Synchronization

/// The threads that carry out the requests of one mount, by the rules of ``WorkerRoles``.
///
/// Locks: `roles` and `threads`, never both, and never over a system call.
final class WorkerPool: Sendable {
    /// How long a request may be carried out in place before somebody else reads.
    static let patienceMilliseconds = 2

    private static let interruptionMilliseconds = 10

    private static let limits = WorkerRoles.Limits()

    private let roles = Mutex(WorkerRoles(WorkerPool.limits))
    private let wakeUps: [Semaphore]
    private let watchdogWakeUp = Semaphore()
    private let ended = Semaphore()
    private let threads = Mutex([ThreadID?](repeating: nil, count: WorkerPool.limits.workers))
    private let body: @Sendable (WorkerPool, Int) -> Void

    /// `body` is a worker's life: it must end soon after ``cameBack(_:)`` answers `.leave`.
    init(body: @escaping @Sendable (WorkerPool, Int) -> Void) {
        self.body = body
        wakeUps = (0..<WorkerPool.limits.workers).map { _ in Semaphore() }
    }

    /// Starts the first worker and the watchdog.
    func start() throws(Errno) {
        try DetachedThread.start { [self] in runWatchdog() }
        do throws(Errno) {
            try startThread(of: 0)
        } catch {
            end()
            throw error
        }
    }

    /// The reader got a request; call before carrying it out.
    func received(by worker: Int, handsOn: Bool) {
        let (handOver, wakesWatchdog) = roles.withLock {
            $0.received(by: worker, handsOn: handsOn)
        }
        if wakesWatchdog { watchdogWakeUp.post() }
        carryOut(handOver)
    }

    /// A worker is done with its request.
    func cameBack(_ worker: Int) -> WorkerRoles.Next {
        roles.withLock { $0.cameBack(worker) }
    }

    /// Waits until somebody hands the role to `worker`, or the mount ends.
    func rest(_ worker: Int) {
        wakeUps[worker].wait()
    }

    /// Whether no worker carries out a request.
    var isIdle: Bool { roles.withLock { $0.isIdle } }

    var isEnding: Bool { roles.withLock { $0.isEnding } }

    /// The mount is gone, or must be given up: all workers leave after their present request.
    func end() {
        for worker in roles.withLock({ $0.end() }) { wakeUps[worker].post() }
        watchdogWakeUp.post()
    }

    /// Waits until the last worker has left, or ``abandon(afterMilliseconds:)`` gave up on it.
    func waitUntilEnded() {
        ended.wait()
    }

    /// Ends although the mount is still in use: interrupts the worker that waits for a request,
    /// and does not wait longer than the limit for those that are at work.
    func abandon(afterMilliseconds limitMilliseconds: Int) {
        end()
        for _ in 0..<limitMilliseconds / Self.interruptionMilliseconds {
            if roles.withLock({ $0.aliveCount }) == 0 { return }
            // Again and again: a signal just before read(2) is lost.
            for thread in threads.withLock({ $0 }) { thread?.interrupt() }
            sleep(milliseconds: Self.interruptionMilliseconds)
        }
        ended.post()
    }

    private func carryOut(_ handOver: WorkerRoles.HandOver) {
        switch handOver {
        case .none: break
        case .wake(let worker): wakeUps[worker].post()
        case .start(let worker):
            do throws(Errno) {
                try startThread(of: worker)
            } catch {
                // Slower, but nothing is lost: a worker that comes back reads.
                let (handOver, wasLast) = roles.withLock { $0.couldNotStart(worker) }
                carryOut(handOver)
                if wasLast { ended.post() }
            }
        }
    }

    private func startThread(of worker: Int) throws(Errno) {
        try DetachedThread.start { [self] in
            threads.withLock { $0[worker] = ThreadID.current }
            body(self, worker)
            threads.withLock { $0[worker] = nil }
            if roles.withLock({ $0.left(worker) }) { ended.post() }
        }
    }

    private func runWatchdog() {
        watchdogWakeUp.wait()
        while !isEnding {
            sleep(milliseconds: Self.patienceMilliseconds)
            let tick = roles.withLock { $0.tick() }
            carryOut(tick.handOver)
            if tick.mayRest, !isEnding { watchdogWakeUp.wait() }
        }
    }
}
