internal import KMSStore
internal import Platform
internal import Synchronization

/// Ends logins that other processes have ended for all, also in a process that makes no requests.
///
/// A thread that looks at the keystore once a second, which then takes one read of its database at
/// most, while a token is open. It sleeps while there is none, and begins with the first one.
final class LoginWatch: Sendable {
    private enum State {
        case none, begun, ended
    }

    private static let intervalMilliseconds = 1_000

    private let thread: DelayedThread
    private let state = Mutex(State.none)

    init(_ tokens: OpenTokens, _ store: KeystoreStore) {
        thread = DelayedThread(
            intervalMilliseconds: 0,
            idle: { tokens.hasTokens ? LoginWatch.intervalMilliseconds : nil },
            body: {
                // What can't be read now may be in a second.
                if let snapshot = try? store.snapshot() { tokens.endUnwanted(in: snapshot) }
                return false
            })
    }

    /// A token was opened.
    func begin() {
        state.withLock { state in
            guard state == .none else { return }
            // Without a thread requests end the logins, as far as there are any; the next token
            // that is opened is another try.
            if (try? thread.start()) != nil { state = .begun }
        }
        thread.wake()
    }

    /// Waits for the thread, which a token that hangs does not keep. Nothing is watched afterwards.
    func end() {
        let wasBegun = state.withLock { state in
            defer { state = .ended }
            return state == .begun
        }
        if wasBegun { thread.stop() }
    }
}
