internal import Glibc

/// A value that one thread at a time may use, and that threads may wait for (pthread_cond_t).
/// Not recursive.
// SAFETY: both pointers are private, made in init and freed in deinit, when nobody can hold the
// lock or wait; the value is used under the lock only.
@safe
package final class Monitor<Value: Sendable>: Sendable {
    private nonisolated(unsafe) let mutex: UnsafeMutablePointer<pthread_mutex_t>  // SAFETY: above
    private nonisolated(unsafe) let changed: UnsafeMutablePointer<pthread_cond_t>  // SAFETY: above
    private nonisolated(unsafe) var value: Value  // SAFETY: above

    package init(_ value: Value) {
        unsafe self.value = value
        unsafe mutex = UnsafeMutablePointer.allocate(capacity: 1)
        unsafe changed = UnsafeMutablePointer.allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        // SAFETY: the attributes are made, used and destroyed here.
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        let status = unsafe pthread_mutex_init(mutex, nil) | pthread_cond_init(changed, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        precondition(status == 0, "BUG: a mutex and a condition by the clock that never jumps")
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(mutex)
        unsafe changed.deallocate()
        unsafe mutex.deallocate()
    }

    /// Uses the value, and wakes whoever waits for it to change.
    package func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_cond_broadcast(changed)
            unsafe pthread_mutex_unlock(mutex)
        }
        return try unsafe body(&value)
    }

    /// Asks for an answer under the lock, again after each ``withLock(_:)``, until there is one.
    package func wait<Result>(for answer: (inout Value) -> Result?) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = unsafe answer(&value) { return result }
            unsafe pthread_cond_wait(changed, mutex)
        }
    }

    /// Asks as ``wait(for:)`` does, and gives up after some time.
    ///
    /// - Returns: nil when there was no answer for `milliseconds`.
    package func wait<Result>(
        milliseconds: Int, until answer: (inout Value) -> Result?
    ) -> Result? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        if let result = unsafe answer(&value) { return result }
        var deadline = timespec()
        // SAFETY: `deadline` outlives the calls; the clock exists.
        unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + milliseconds % 1000 * 1_000_000
        deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        while true {
            let code = unsafe pthread_cond_timedwait(changed, mutex, &deadline)
            if let result = unsafe answer(&value) { return result }
            if code == ETIMEDOUT { return nil }
        }
    }
}
