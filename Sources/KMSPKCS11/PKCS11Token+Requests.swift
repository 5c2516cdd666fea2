extension PKCS11Token {
    /// What a request works with.
    struct Use: Sendable {
        let connection: Connection
        let session: UInt
        let number: Pool.LinkNumber

        var slot: UInt { connection.slot }
    }

    private struct Turn {
        let connection: Connection
        let number: Pool.LinkNumber
        /// nil when it is yet to be opened.
        var waiting: Session?
        /// Whether there is, or was, a session.
        var isOpen: Bool
    }

    private enum Judgement {
        case stands(PKCS11Error)
        case lost(PKCS11Failure)
        case full(PKCS11Failure)
    }

    /// How often a request is made in all: with the session that was there, with a new connection,
    /// and with one for which the module was started again.
    private static let maximumAttempts = 3

    /// Runs a request with a session, again where the connection turned out to be lost.
    ///
    /// - Parameter isRepeatable: false for what must not happen twice.
    func perform<Value>(
        isRepeatable: Bool = true, _ body: (Cryptoki, Use) throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> Value {
        var attempt = 1
        while true {
            var turn = try takeTurn()
            do throws(PKCS11Error) {
                let (value, isKept) = try carryOut(&turn, body)
                if !isKept { withPool { $0.discard(turn.number) } }
                return value
            } catch {
                let isLast = attempt == Self.maximumAttempts || !isRepeatable
                if try settle(error, turn, isLast: isLast) { attempt += 1 }
            }
        }
    }

    /// Asks the token whether it is well, and connects again where it is not.
    func verify() throws(PKCS11Error) {
        try perform { cryptoki, use throws(PKCS11Error) in
            guard try cryptoki.isLoggedIn(use.session, in: use.slot) else {
                throw .failed(PKCS11Failure(.getSessionInfo, .userNotLoggedIn))
            }
            _ = try cryptoki.token(in: use.slot)
        }
    }

    /// The session, unless it is kept for the next request, has ended when this returns or throws.
    private func carryOut<Value>(
        _ turn: inout Turn, _ body: (Cryptoki, Use) throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> (Value, isKept: Bool) {
        // The only reference.
        let waiting = turn.waiting.take()
        let session = if let waiting { waiting } else { try Session.open(turn.connection) }
        turn.isOpen = true
        let use = Use(
            connection: turn.connection, session: session.handle, number: turn.number)
        let value = try turn.connection.call { cryptoki throws(PKCS11Error) in
            try body(cryptoki, use)
        }
        return (value, withPool { $0.giveBack(session, turn.number) })
    }

    /// What becomes of a request that failed: it may be made again, or the error is thrown.
    ///
    /// The session is not used again in any case: an operation may still be active in it.
    ///
    /// - Returns: whether this was an attempt; a session for which there was no room is none.
    private func settle(
        _ error: PKCS11Error, _ turn: Turn, isLast: Bool
    ) throws(PKCS11Error) -> Bool {
        switch judge(error, turn) {
        case .stands(let error):
            withPool { $0.discard(turn.number) }
            throw error
        case .full(let failure):
            // Each time the pool is smaller, or waits.
            guard withPool({ $0.discardForWantOfRoom(turn.number) }) else {
                throw .unavailable(failure)
            }
            return false
        case .lost(let failure):
            lose(turn)
            withPool { $0.discard(turn.number) }
            guard isLast else { return true }
            withPool { $0.requestFailed(.unavailable(failure), at: .now) }
            throw .unavailable(failure)
        }
    }

    private func judge(_ error: PKCS11Error, _ turn: Turn) -> Judgement {
        switch error {
        case .failed(let failure) where failure.value == .sessionCount && !turn.isOpen:
            return .full(failure)
        case .failed(let failure) where failure.value == .sessionCount:
            // A second session, for a change of keys, had no room.
            return .stands(.unavailable(failure))
        case .failed(let failure):
            switch failure.value.verdict {
            case .lost: return .lost(failure)
            case .login, .request: return .stands(error)
            case .unclear, .staleKey:
                return turn.connection.trouble() == nil ? .stands(error) : .lost(failure)
            }
        case .unavailable(let failure):
            return .lost(failure)
        case .keyMissing:
            // A token that is gone has no keys either, and SoftHSM says so.
            return turn.connection.trouble().map { .lost($0) } ?? .stands(error)
        default:
            return .stands(error)
        }
    }

    private func lose(_ turn: Turn) {
        guard let lost = withPool({ $0.lose(turn.number) }) else { return }
        lost.abandon()
        module.disconnect(owner)
    }

    /// A session, or leave to open one.
    private func takeTurn() throws(PKCS11Error) -> Turn {
        while true {
            let generation = module.generation
            let next = pool.wait(milliseconds: options.waitMilliseconds) { pool in
                let step = pool.next(at: .now, generation: generation)
                if case .wait = step { return nil as (Pool.Step, [Session])? }
                return (step, pool.takeDropped())
            }
            guard let (step, _) = next else { throw .busy }
            switch step {
            case .use(let session, let number):
                return Turn(
                    connection: session.connection, number: number, waiting: session, isOpen: true)
            case .open(let connection, let number):
                return Turn(connection: connection, number: number, waiting: nil, isOpen: false)
            case .connect(let attempt): try connect(attempt)
            case .fail(let error): throw error
            case .wait: continue
            }
        }
    }

    var waitMilliseconds: Int { options.waitMilliseconds }

    func withPool<Value>(_ body: (inout Pool) -> Value) -> Value {
        // What was dropped ends here, outside of the lock.
        let (value, _) = pool.withLock { pool in (body(&pool), pool.takeDropped()) }
        return value
    }
}
