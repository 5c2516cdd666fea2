internal import Glibc

/// A thread that runs `body` a while after each ``wake()``, and sleeps otherwise: without end, or
/// until so much time went by idly that `body` is to look whether there is anything to do. That
/// time begins anew with each run.
///
/// One run serves all wakes of the interval before it. ``stop()`` must be called before the last
/// reference goes; after a fork the child's copy is dead and is left alone.
// SAFETY: `mutex` and `condition` are made in init, freed by the last reference, and used by the
// pthread calls only; `flags` is read and written under `mutex`, `thread` by start and stop, which
// one owner calls in turn.
@safe
package final class DelayedThread: @unchecked Sendable {  // SAFETY: above
    private struct Flags {
        var isWoken = false
        /// The interval runs.
        var isCounting = false
        var isStopped = false
    }

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let intervalMilliseconds: Int
    private let idle: @Sendable () -> Int?
    /// Answers whether it wants to run again.
    private let body: @Sendable () -> Bool
    private var flags = Flags()
    private var thread: pthread_t?

    package let processID: Int32 = getpid()

    package convenience init(
        intervalMilliseconds: Int, idleMilliseconds: Int? = nil,
        body: @escaping @Sendable () -> Bool
    ) {
        self.init(
            intervalMilliseconds: intervalMilliseconds, idle: { idleMilliseconds }, body: body)
    }

    /// `idle` tells before each sleep how many milliseconds it may take at most; nil for no end.
    /// It may take locks under which ``wake()`` is called.
    package init(
        intervalMilliseconds: Int, idle: @escaping @Sendable () -> Int?,
        body: @escaping @Sendable () -> Bool
    ) {
        self.intervalMilliseconds = intervalMilliseconds
        self.idle = idle
        self.body = body
        var attributes = pthread_condattr_t()
        // SAFETY: all four objects outlive the calls, which fail for invalid arguments only.
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        // SAFETY: the thread holds a reference, so it has ended or never was.
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// - Throws: `EAGAIN` when the system has no thread left.
    package func start() throws(Errno) {
        var started = pthread_t()
        // SAFETY: the reference that the context carries is taken over by the thread.
        let context = unsafe Unmanaged.passRetained(self)
        let code = unsafe pthread_create(
            &started, nil,
            { context in
                // SAFETY: this is the retained reference from above, taken once.
                if let context = unsafe context {
                    unsafe Unmanaged<DelayedThread>.fromOpaque(context).takeRetainedValue().run()
                }
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            // SAFETY: no thread took the reference.
            unsafe context.release()
            throw Errno(rawValue: code)
        }
        thread = started
    }

    /// Costs a system call only when the thread sleeps without end.
    package func wake() {
        lock()
        let isIdle = !flags.isWoken && !flags.isCounting
        flags.isWoken = true
        // SAFETY: made in init.
        if isIdle { unsafe pthread_cond_signal(condition) }
        unlock()
    }

    /// Waits for a running `body`, then for the thread's end. Not to be called by `body`.
    package func stop() {
        guard let thread, processID == getpid() else { return }
        lock()
        flags.isStopped = true
        // SAFETY: made in init.
        unsafe pthread_cond_signal(condition)
        unlock()
        // The thread is joined once: `thread` is cleared.
        pthread_join(thread, nil)
        self.thread = nil
    }

    private func run() {
        while waitForWork() {
            if body() { wake() }
        }
    }

    /// Until an interval after a wake, or an idle time; false when it is time to end.
    private func waitForWork() -> Bool {
        // Asked without the lock; who wakes the thread meanwhile is found below.
        let idleMilliseconds = idle()
        lock()
        defer { unlock() }
        var idleEnd = idleMilliseconds.map { DelayedThread.time(afterMilliseconds: $0) }
        while !flags.isWoken, !flags.isStopped {
            guard var end = idleEnd else {
                // SAFETY: made in init, and the mutex is held.
                unsafe pthread_cond_wait(condition, mutex)
                continue
            }
            // SAFETY: as above, and `end` outlives the call.
            if unsafe pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT { return true }
            idleEnd = end
        }
        flags.isCounting = true
        defer { flags.isCounting = false }
        var deadline = DelayedThread.time(afterMilliseconds: intervalMilliseconds)
        while !flags.isStopped {
            // SAFETY: as above.
            if unsafe pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { break }
        }
        flags.isWoken = false
        return !flags.isStopped
    }

    /// As pthread_cond_timedwait(3) takes it.
    private static func time(afterMilliseconds milliseconds: Int) -> timespec {
        var time = timespec()
        // SAFETY: `time` outlives the call; the clock exists.
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        let nanoseconds = time.tv_nsec + milliseconds % 1000 * 1_000_000
        time.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        time.tv_nsec = nanoseconds % 1_000_000_000
        return time
    }

    private func lock() {
        // SAFETY: made in init.
        unsafe pthread_mutex_lock(mutex)
    }

    private func unlock() {
        // SAFETY: made in init.
        unsafe pthread_mutex_unlock(mutex)
    }
}
