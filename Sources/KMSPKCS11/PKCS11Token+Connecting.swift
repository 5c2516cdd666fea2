internal import Cryptography
internal import Synchronization

extension PKCS11Token {
    /// Connects as the only one, and tells the pool how that went.
    func connect(_ attempt: Pool.Attempt) throws(PKCS11Error) {
        var previous = attempt.previous
        do throws(PKCS11Error) {
            if let lost = previous { try module.end(lost, for: owner) }
            previous = nil
            let connection = try establish(mustRestart: attempt.mustRestart)
            // One session holds the login.
            let limit = connection.token.maximumSessions.map { $0 - 1 }
            let isWanted = withPool {
                $0.connected(connection, generation: connection.generation, limit: limit)
            }
            guard isWanted else { throw .closed }
        } catch {
            // Only who had the token keeps it from others, and only while it may come back. Of a
            // connection that came too late the last reference is gone by now.
            if error == .closed || error.isAboutThePIN || description == nil {
                module.endClaim(owner)
            } else {
                module.disconnect(owner)
            }
            let kept = previous
            withPool { pool in
                pool.connectFailed(error, at: .now, previous: kept, isFinal: error.isAboutThePIN)
            }
            throw error
        }
    }

    private func establish(mustRestart: Bool) throws(PKCS11Error) -> Connection {
        let seen = module.generation
        if mustRestart, try module.restart(for: owner, seen: seen) { return try logIn() }
        do throws(PKCS11Error) {
            return try logIn()
        } catch {
            guard error.mayPassWithRestart, try module.restart(for: owner, seen: seen) else {
                throw error
            }
            return try logIn()
        }
    }

    private func logIn() throws(PKCS11Error) -> Connection {
        do throws(PKCS11Error) {
            let (selector, pin) = identity.withLock { ($0.selector, $0.pin) }
            guard let pin else { throw PKCS11Error.closed }
            let generation = module.generation
            let (slot, token) = try module.find(selector)
            guard module.claim(token, in: slot, by: owner) else {
                throw PKCS11Error.tokenInUse(selector)
            }
            try check(token, slot, generation)
            let anchor = try logIn(slot, generation, pin)
            let exact = PKCS11TokenSelector(label: token.label, serial: token.serial)
            identity.withLock { identity in
                identity.token = token
                identity.selector = exact ?? identity.selector
            }
            return Connection(
                module: module, slot: slot, token: token, generation: generation, anchor: anchor)
        } catch {
            throw error.whileConnecting
        }
    }

    private func check(
        _ token: PKCS11TokenDescription, _ slot: UInt, _ generation: Int
    ) throws(PKCS11Error) {
        guard !token.flags.contains(.isPINLocked) else {
            throw .loginRefused(PKCS11Failure(.login, .pinLocked))
        }
        guard !token.flags.contains(.isLastPINTry) else { throw .lastPINTry }
        let hasAESGCM = try module.call(generation: generation) { cryptoki throws(PKCS11Error) in
            try cryptoki.hasAESGCM(slot)
        }
        guard hasAESGCM else { throw .unsuitableToken(identity.withLock { $0.selector }) }
    }

    /// - Returns: a session that is logged in.
    private func logIn(
        _ slot: UInt, _ generation: Int, _ pin: SecretBytes
    ) throws(PKCS11Error) -> UInt {
        if let session = try logInOnce(slot, generation, pin) { return session }
        // A login without a user: a connection was lost and its login was not. With one login
        // standing the token would not look at the PIN.
        try module.endSessions(in: slot, generation: generation, for: owner)
        if let session = try logInOnce(slot, generation, pin) { return session }
        throw .tokenInUse(identity.withLock { $0.selector })
    }

    /// - Returns: nil when a user is logged in already.
    private func logInOnce(
        _ slot: UInt, _ generation: Int, _ pin: SecretBytes
    ) throws(PKCS11Error) -> UInt? {
        try module.call(generation: generation) { cryptoki throws(PKCS11Error) in
            let session = try cryptoki.openSession(slot, isReadWrite: false)
            do throws(PKCS11Error) {
                try cryptoki.login(session, pin: pin)
                return session
            } catch {
                try? cryptoki.closeSession(session)
                guard case .failed(let failure) = error, failure.value == .userAlreadyLoggedIn
                else { throw error }
                return nil
            }
        }
    }
}

extension PKCS11Error {
    fileprivate var isAboutThePIN: Bool {
        switch self {
        case .loginRefused, .lastPINTry: true
        default: false
        }
    }

    fileprivate var mayPassWithRestart: Bool {
        switch self {
        case .tokenAbsent, .unavailable: true
        default: false
        }
    }

    /// What a failure means that came in the way of a connection.
    fileprivate var whileConnecting: PKCS11Error {
        guard case .failed(let failure) = self else { return self }
        switch failure.value.verdict {
        case .lost, .unclear, .staleKey: return .unavailable(failure)
        case .login: return .loginRefused(failure)
        case .request: return failure.value == .sessionCount ? .unavailable(failure) : self
        }
    }
}
