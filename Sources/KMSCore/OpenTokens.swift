internal import Cryptography
internal import KMSModel
internal import KMSPKCS11
internal import KMSStore
internal import Synchronization

/// The tokens behind custom key stores, as this process has them open.
///
/// A token that could not be opened is kept as well: a new one for each request would bring the
/// refused PIN to the token again each time, until that is locked.
final class OpenTokens: Sendable {
    /// A token with what opens it: another process may give the store another one.
    private struct Opened {
        /// The token, which says for itself that it is away or refused the PIN; or why its library
        /// was not started.
        let outcome: Result<PKCS11Token, PKCS11Error>
        let place: TokenRecord
        let password: SecretBytes
        let time = ContinuousClock.now
        /// The newest state of the keystore that is known to want the token open; the last one
        /// there can be while the store is being connected.
        var revision: UInt64

        var hasToken: Bool {
            if case .success = outcome { true } else { false }
        }

        func belongs(to place: TokenRecord, _ password: SecretBytes) -> Bool {
            self.place == place && self.password.isEqual(to: password)
        }

        /// - Parameter milliseconds: as in ``PKCS11Token/close(waitingMilliseconds:)``.
        func close(waitingMilliseconds milliseconds: Int? = nil) {
            guard case .success(let token) = outcome else { return }
            token.close(waitingMilliseconds: milliseconds)
        }
    }

    /// How long logins may take to end that nobody has asked to end just now.
    private static let endingPatience = Duration.seconds(2)

    /// By id of the custom key store.
    private let open = Mutex<[String: Opened]>([:])
    private let options: PKCS11Token.Options

    init(options: PKCS11Token.Options) {
        self.options = options
    }

    /// Whether there may be a login.
    var hasTokens: Bool { open.withLock { $0.values.contains(where: \.hasToken) } }

    /// Whether this process has the store's token open.
    func hasLogin(_ id: String) -> Bool {
        open.withLock { $0[id]?.hasToken ?? false }
    }

    // MARK: Opening

    /// The token as it was left, or a new one, which its first request connects.
    ///
    /// - Parameter revision: of the state of the keystore that wants it.
    func token(
        of id: String, at place: TokenRecord, _ password: SecretBytes, for revision: UInt64
    ) throws(PKCS11Error) -> (PKCS11Token, isNew: Bool) {
        if let known = opened(id, at: place, password, for: revision),
            known.hasToken || ContinuousClock.now < known.time + options.reconnectPause
        {
            return (try known.outcome.get(), isNew: false)
        }
        let outcome = Result { () throws(PKCS11Error) in try passingToken(at: place, password) }
        let new = Opened(
            outcome: outcome, place: place, password: password, revision: revision)
        return (try keep(new, for: id).get(), isNew: true)
    }

    /// A token that is not kept: who gets it closes it. The library is started; the token is not
    /// looked for.
    func passingToken(
        at place: TokenRecord, _ password: SecretBytes
    ) throws(PKCS11Error) -> PKCS11Token {
        guard let selector = PKCS11TokenSelector(label: place.tokenLabel) else {
            throw .invalidLength("token label")
        }
        return PKCS11Token(
            try PKCS11Module.load(path: place.modulePath), selector, pin: password,
            options: options)
    }

    /// What is known of the store's token. One of another place or password is closed.
    private func opened(
        _ id: String, at place: TokenRecord, _ password: SecretBytes, for revision: UInt64
    ) -> Opened? {
        let (known, foreign) = open.withLock { open -> (Opened?, Opened?) in
            guard var known = open[id] else { return (nil, nil) }
            if known.belongs(to: place, password) {
                known.revision = max(known.revision, revision)
                open[id] = known
                return (known, nil)
            }
            open[id] = nil
            return (nil, known)
        }
        foreign?.close()
        return known
    }

    /// Two threads may make a token at once: the first one wins, also over a failure.
    private func keep(_ opened: Opened, for id: String) -> Result<PKCS11Token, PKCS11Error> {
        // What is replaced ends outside of the lock, since a token's end takes calls.
        let (kept, _) = open.withLock { open -> (Opened, Opened?) in
            if var known = open[id], known.hasToken,
                known.belongs(to: opened.place, opened.password)
            {
                known.revision = max(known.revision, opened.revision)
                open[id] = known
                return (known, nil)
            }
            return (opened, open.updateValue(opened, forKey: id))
        }
        return kept.outcome
    }

    /// The store is connected, or not, as the keystore says at `revision` or later.
    func settle(_ id: String, at revision: UInt64) {
        open.withLock { $0[id]?.revision = revision }
    }

    // MARK: Ending

    func disconnect(_ id: String) {
        open.withLock { $0.removeValue(forKey: id) }?.close()
    }

    /// Ends the logins of stores that another process has disconnected, deleted, or given another
    /// cluster. A state that is older than a use of the token says nothing about it.
    func endUnwanted(in snapshot: KeystoreSnapshot) {
        // They end outside of the lock, since a token's end takes calls.
        let unwanted = open.withLock { open -> [Opened] in
            let ids = open.filter { id, opened in
                opened.revision < snapshot.revision
                    && !snapshot.wantsToken(of: id, at: opened.place.clusterID)
            }.map(\.key)
            return ids.compactMap { open.removeValue(forKey: $0) }
        }
        OpenTokens.end(unwanted)
    }

    /// Ends all logins; those that hang are left to the threads that end them.
    func closeAll() {
        let all = open.withLock { open in
            defer { open = [:] }
            return Array(open.values)
        }
        OpenTokens.end(all)
    }

    /// Ends them side by side, and waits for all together.
    private static func end(_ opened: [Opened]) {
        for one in opened { one.close(waitingMilliseconds: 0) }
        let deadline = ContinuousClock.now + endingPatience
        for one in opened {
            let left = max(.zero, deadline - .now)
            one.close(waitingMilliseconds: Int(left / .milliseconds(1)))
        }
    }
}

extension KeystoreSnapshot {
    fileprivate func wantsToken(of id: String, at clusterID: String) -> Bool {
        regions.values.contains { region in
            guard let store = region.keyStores[id] else { return false }
            return store.state == .connected && store.clusterID == clusterID
        }
    }
}
