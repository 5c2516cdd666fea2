internal import CFUSE
internal import CLinux
internal import Glibc

/// The signals that a mount listens to.
enum Signals {
    /// They end the mount in order.
    private static let ending = [SIGTERM, SIGINT, SIGHUP]
    /// Interrupts a worker that waits in read(2); nobody else sends it.
    fileprivate static let kick = SIGUSR1

    /// Keeps the ending signals for ``waitForEnding()``, and makes a broken pipe, and a file that is
    /// larger than this process may write, an error of the write instead of the process's end. Threads that are made later inherit this.
    static func block() {
        var set = endingSet
        unsafe sigaddset(&set, SIGPIPE)
        unsafe sigaddset(&set, SIGXFSZ)
        // SAFETY: the set outlives the call.
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        var action = sigaction()
        // An empty handler without SA_RESTART: read(2) ends with EINTR.
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        unsafe sigaction(kick, &action, nil)
    }

    private static var endingSet: sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in ending { unsafe sigaddset(&set, signal) }
        return set
    }

    /// Waits for SIGTERM, SIGINT or SIGHUP; ``block()`` must have been called in every thread.
    static func waitForEnding() -> Int32 {
        var set = endingSet
        var signal: Int32 = 0
        while unsafe sigwait(&set, &signal) != 0 {}
        return signal
    }

    /// Makes ``waitForEnding()`` return.
    static func sendEnding() {
        kill(getpid(), SIGTERM)
    }
}

/// A thread of this process, as the kernel numbers it.
struct ThreadID: Sendable, Hashable {
    private let rawValue: Int32

    static var current: ThreadID { ThreadID(rawValue: Int32(keyfold_gettid())) }

    /// Ends a system call that the thread waits in; nothing happens when it has ended.
    func interrupt() {
        _ = keyfold_tgkill(getpid(), rawValue, Signals.kick)
    }
}
