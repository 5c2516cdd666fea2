internal import Glibc

/// A lock that many readers or one writer hold (pthread_rwlock_t). Not recursive.
// SAFETY: the pointer is private, made in init and freed in deinit, when nobody can hold the lock.
@safe
package final class ReadWriteLock: Sendable {
    private nonisolated(unsafe) let lock: UnsafeMutablePointer<pthread_rwlock_t>

    package init() {
        unsafe lock = UnsafeMutablePointer.allocate(capacity: 1)
        let status = unsafe pthread_rwlock_init(lock, nil)
        precondition(status == 0, "BUG: pthread_rwlock_init answers \(status)")
    }

    deinit {
        unsafe pthread_rwlock_destroy(lock)
        unsafe lock.deallocate()
    }

    package func withReadLock<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_rwlock_rdlock(lock)
        defer { unsafe pthread_rwlock_unlock(lock) }
        return try body()
    }

    package func withWriteLock<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_rwlock_wrlock(lock)
        defer { unsafe pthread_rwlock_unlock(lock) }
        return try body()
    }
}
