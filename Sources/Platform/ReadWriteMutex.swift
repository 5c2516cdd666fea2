internal import Glibc

/// A value that many readers or one writer may use at a time (pthread_rwlock_t). Not recursive.
// SAFETY: the pointer is private, made in init and freed in deinit, when nobody can hold the lock;
// the value is read under the shared lock and changed under the exclusive one.
@safe
package final class ReadWriteMutex<Value: Sendable>: Sendable {
    private nonisolated(unsafe) let lock: UnsafeMutablePointer<pthread_rwlock_t>  // SAFETY: above
    private nonisolated(unsafe) var value: Value  // SAFETY: above

    package init(_ value: Value) {
        unsafe self.value = value
        unsafe lock = UnsafeMutablePointer.allocate(capacity: 1)
        // Writers first, or a steady stream of readers would keep them out for ever.
        var attributes = pthread_rwlockattr_t()
        unsafe pthread_rwlockattr_init(&attributes)
        unsafe pthread_rwlockattr_setkind_np(
            &attributes, Int32(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
        let status = unsafe pthread_rwlock_init(lock, &attributes)
        unsafe pthread_rwlockattr_destroy(&attributes)
        precondition(status == 0, "BUG: pthread_rwlock_init answers \(status)")
    }

    deinit {
        unsafe pthread_rwlock_destroy(lock)
        unsafe lock.deallocate()
    }

    package func withReadLock<Result, Failure: Error>(
        _ body: (borrowing Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_rwlock_rdlock(lock)
        defer { unsafe pthread_rwlock_unlock(lock) }
        return try unsafe body(value)
    }

    package func withWriteLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_rwlock_wrlock(lock)
        defer { unsafe pthread_rwlock_unlock(lock) }
        return try unsafe body(&value)
    }
}
