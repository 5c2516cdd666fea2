internal import Platform
internal import Synchronization

/// What is left to do for a token that is closed: all of it takes calls into the library, which may
/// hang. It has the last references to the sessions that wait, so that nobody else ends them.
final class TokenEnding: Sendable {
    private struct Rest: Sendable {
        var current: Connection?
        /// One that was lost, whose sessions are still to be ended.
        var previous: Connection?
        var sessions: [Session]
    }

    private let module: PKCS11Module
    private let owner: TokenClaims.Owner
    private let pool: Monitor<PKCS11Token.Pool>
    private let waitMilliseconds: Int
    private let rest: Mutex<Rest?>

    /// No request of the token begins from now on.
    init(of token: PKCS11Token) {
        module = token.module
        owner = token.owner
        pool = token.pool
        waitMilliseconds = token.options.waitMilliseconds
        rest = Mutex(
            token.pool.withLock { pool in
                let (current, previous) = pool.close()
                return Rest(current: current, previous: previous, sessions: pool.takeDropped())
            })
    }

    /// Logs out after the requests that run, or when they took too long. Call it once.
    func run() {
        guard var rest = rest.withLock({ $0.take() }) else { return }
        rest.sessions = []
        _ = pool.wait(milliseconds: waitMilliseconds) { $0.busyCount == 0 ? () : nil }
        if let previous = rest.previous { try? module.end(previous, for: owner) }
        rest.current?.logOut()
        module.endClaim(owner)
    }
}
