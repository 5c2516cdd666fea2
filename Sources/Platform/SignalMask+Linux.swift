internal import Glibc

package enum SignalMask {
    /// Runs `body` so that a write to a broken connection in it fails with `EPIPE`, and no more.
    ///
    /// For this thread alone, and whatever the process does with SIGPIPE; libraries that write to
    /// sockets do not all ask the system for silence.
    package static func withoutBrokenPipes<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var pipes = sigset_t()
        var before = sigset_t()
        // SAFETY: the sets outlive the calls, which fail for invalid arguments only.
        unsafe sigemptyset(&pipes)
        unsafe sigaddset(&pipes, SIGPIPE)
        unsafe pthread_sigmask(SIG_BLOCK, &pipes, &before)
        let wasBlocked = unsafe sigismember(&before, SIGPIPE) == 1
        defer {
            if !wasBlocked {
                // A signal that came meanwhile is this thread's own; it is taken, not delivered.
                var none = timespec()
                // SAFETY: as above.
                while unsafe sigtimedwait(&pipes, nil, &none) == -1, Errno.current == .interrupted {
                }
                unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
            }
        }
        return try body()
    }
}
