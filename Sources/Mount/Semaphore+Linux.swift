internal import Glibc
internal import Platform

/// A counting semaphore (sem_t) that one thread waits for.
// SAFETY: the pointer is private, made in init and freed in deinit, when nobody can wait.
@safe
final class Semaphore: Sendable {
    private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>  // SAFETY: above

    init() {
        unsafe semaphore = UnsafeMutablePointer.allocate(capacity: 1)
        let status = unsafe sem_init(semaphore, 0, 0)
        precondition(status == 0, "BUG: sem_init of a private semaphore with value 0")
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    func post() {
        unsafe sem_post(semaphore)
    }

    func wait() {
        while unsafe sem_wait(semaphore) != 0 {}
    }

    /// - Returns: false when the time passed first.
    func wait(milliseconds: Int) -> Bool {
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &deadline)
        let nanoseconds = deadline.tv_nsec + milliseconds % 1000 * 1_000_000
        deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        while true {
            if unsafe sem_timedwait(semaphore, &deadline) == 0 { return true }
            if Errno.current != .interrupted { return false }
        }
    }
}

/// Sleeps, also past interruptions' remainder; only the watchdog and the end of a mount use it.
func sleep(milliseconds: Int) {
    var time = timespec(
        tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    unsafe nanosleep(&time, nil)
}
