internal import Glibc

/// A value that one thread uses at a time, and whose changes others can wait for.
///
/// Not recursive. Nothing may block under the lock.
// SAFETY: `mutex` and `condition` are private, made in init and freed in deinit, when nobody can
// hold or wait; `state` is used under `mutex` only.
@safe
final class Monitor<State: Sendable>: @unchecked Sendable {  // SAFETY: above
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State

    init(_ state: State) {
        self.state = state
        var attributes = pthread_condattr_t()
        // SAFETY: all objects outlive the calls, which fail for invalid arguments only.
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        // SAFETY: made in init; the last reference is gone, so nobody uses them.
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` with the value, and wakes whoever waits for a change of it.
    func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        lock()
        defer {
            // SAFETY: made in init.
            unsafe pthread_cond_broadcast(condition)
            unlock()
        }
        return try body(&state)
    }

    /// Runs `body` until it answers something: at once, then after each change.
    ///
    /// - Returns: nil when it had nothing to answer for `milliseconds`.
    func wait<Result>(
        milliseconds: Int, until body: (inout State) -> Result?
    ) -> Result? {
        lock()
        defer { unlock() }
        if let result = body(&state) { return result }
        var deadline = timespec()
        // SAFETY: `deadline` outlives the call; the clock exists.
        unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + milliseconds % 1000 * 1_000_000
        deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        while true {
            // SAFETY: made in init, and the mutex is held.
            let code = unsafe pthread_cond_timedwait(condition, mutex, &deadline)
            if let result = body(&state) { return result }
            if code == ETIMEDOUT { return nil }
        }
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
