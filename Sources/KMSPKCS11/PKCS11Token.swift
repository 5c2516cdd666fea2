package import Cryptography
internal import Platform
internal import Synchronization

/// A token that is in use: logged in, with a bounded number of sessions, and connected again by
/// itself when it was gone and has come back.
///
/// Any thread may call; calls block for as long as the library takes, and for
/// ``Options/waitMilliseconds`` where all sessions are in use. A token has one user in a process.
///
/// A PIN is tried once. When the token refuses it, now or after a reconnection, it is never tried
/// again by this object, and it is not tried at all when a refusal would lock the token. Another
/// object would try it again: who gets the PIN from somewhere keeps this one for as long as that
/// PIN stands.
package final class PKCS11Token: Sendable {
    /// AES-256.
    package static let keyBytes = 32
    package static let nonceBytes = 12
    package static let tagBytes = 16
    /// What a box is longer than its plaintext.
    package static let overheadBytes = 28
    /// AWS KMS's limit of Encrypt.
    package static let maximumPlaintextBytes = 4096
    /// More than any encryption context needs; some tokens take less.
    package static let maximumAssociatedDataBytes = 65_536
    package static let maximumLabelBytes = 255
    /// More keys than this in one token are not listed.
    package static let maximumListedKeys = 65_536
    /// AWS KMS's limit of GenerateRandom.
    package static let maximumRandomBytes = 1024

    package struct Options: Sendable {
        /// Sessions that requests use at a time; one more holds the login. The token's own limit
        /// may be lower.
        package var sessionLimit = 8
        /// How long a request waits for a session.
        package var waitMilliseconds = 10_000
        /// For how long the error of an attempt to connect is the answer to all requests.
        package var reconnectPause = Duration.seconds(1)

        package init() {}
    }

    typealias Pool = SessionPool<Connection, Session>

    let module: PKCS11Module
    let owner: TokenClaims.Owner
    let options: Options
    let pool: Monitor<Pool>
    let identity: Mutex<Identity>
    /// True while somebody makes or destroys a key.
    let administration = Monitor(false)
    /// Whether the token makes the nonces of AES-GCM itself (see ``encrypt(_:authenticating:under:)``).
    let makesNonces = Atomic(false)

    private enum End {
        case none, begun, reached
    }

    private let end = Monitor(End.none)

    struct Identity: Sendable {
        /// By label and serial number once it was connected, so that the PIN goes to no other one.
        var selector: PKCS11TokenSelector
        var token: PKCS11TokenDescription?
        /// nil once the token is closed.
        var pin: SecretBytes?
    }

    /// A token that is still to be found and logged in to: the first request does that, as after a
    /// loss, and what it comes to is the others' answer, too. Calls nothing.
    ///
    /// - Parameter pin: kept for all connections until the token is closed.
    package init(
        _ module: PKCS11Module, _ selector: PKCS11TokenSelector, pin: SecretBytes,
        options: Options = Options()
    ) {
        self.module = module
        self.options = options
        owner = module.newOwner()
        identity = Mutex(Identity(selector: selector, token: nil, pin: pin))
        pool = Monitor(Pool(limit: options.sessionLimit, pause: options.reconnectPause))
    }

    deinit {
        // Whoever closed it has waited already.
        if beginEnd() { close() }
    }

    /// Makes sure that the token is there and logged in, without regard to how short ago that
    /// failed. A PIN that was refused is not tried again.
    ///
    /// - Throws: ``PKCS11Error``: that no, or no single, such token is there, or that it is in use,
    ///   unsuitable or unavailable, or that it refused the login.
    package func reconnect() throws(PKCS11Error) {
        withPool { $0.endPause() }
        try verify()
    }

    /// Whether the last request, or the last attempt to connect, found the token well.
    package var isConnected: Bool { withPool { $0.isConnected } }

    /// What the token told of itself when it was connected last.
    package var description: PKCS11TokenDescription? { identity.withLock { $0.token } }

    /// Logs out and ends the sessions, after the requests that run or
    /// ``Options/waitMilliseconds``; later requests get ``PKCS11Error/closed``.
    ///
    /// A thread of its own does that: a library that hangs keeps this thread and not the caller.
    ///
    /// - Parameter milliseconds: how long to wait for it; nil for as long as it takes where the
    ///   library answers.
    package func close(waitingMilliseconds milliseconds: Int? = nil) {
        beginEnd()
        let limit = options.waitMilliseconds + PKCS11Module.patienceMilliseconds
        _ = end.wait(milliseconds: milliseconds ?? limit) { $0 == .reached ? () : nil }
    }

    /// - Returns: false when somebody else has begun it.
    @discardableResult
    private func beginEnd() -> Bool {
        let isFirst = end.withLock { end in
            guard end == .none else { return false }
            end = .begun
            return true
        }
        guard isFirst else { return false }
        let (ending, end) = (TokenEnding(of: self), end)
        identity.withLock { $0.pin = nil }
        let run = { @Sendable in
            ending.run()
            end.withLock { $0 = .reached }
        }
        do throws(Errno) {
            try DetachedThread.start(run)
        } catch {
            run()
        }
        return true
    }
}
