internal import Foundation
internal import Glibc

/// Lets a command say a last word when the person stops it with Control-C (or SIGTERM, SIGHUP).
///
/// The signals are blocked in every thread that starts after this, and one thread waits for them;
/// so the last word is ordinary code, not a signal handler. Make it before other threads start.
package final class Interruption: Sendable {
    private static let signals = [SIGINT, SIGTERM, SIGHUP]

    package init(_ lastWord: @escaping @Sendable (Int32) -> Void) {
        var set = Self.signalSet()
        // SAFETY: `set` outlives the call.
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        Thread.detachNewThread {
            var set = Self.signalSet()
            var signal: Int32 = 0
            // SAFETY: both outlive the call.
            if unsafe sigwait(&set, &signal) == 0 { lastWord(signal) }
        }
    }

    /// From now on the signals end the process as usual.
    package func end() {
        var set = Self.signalSet()
        // SAFETY: `set` outlives the call.
        unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    private static func signalSet() -> sigset_t {
        var set = sigset_t()
        // SAFETY: `set` outlives the calls.
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }
}
