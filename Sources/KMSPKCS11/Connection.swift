internal import Cryptography
internal import Synchronization

/// A token in which we are logged in. The login lasts as long as this object: it hangs on a session
/// that nothing else uses.
final class Connection: Sendable {
    let module: PKCS11Module
    let slot: UInt
    let token: PKCS11TokenDescription
    let generation: Int
    private let anchor: UInt
    private let isLost = Atomic(false)

    /// - Parameter anchor: a session that is logged in.
    init(
        module: PKCS11Module, slot: UInt, token: PKCS11TokenDescription, generation: Int,
        anchor: UInt
    ) {
        self.module = module
        self.slot = slot
        self.token = token
        self.generation = generation
        self.anchor = anchor
    }

    deinit { logOut() }

    /// Ends the login; the connection is of no use afterwards.
    func logOut() {
        // A token that fails now is gone, and the login with it.
        try? call { cryptoki throws(PKCS11Error) in
            try? cryptoki.logout(anchor)
            try cryptoki.closeSession(anchor)
        }
        abandon()
    }

    /// The sessions are dead: nobody may use their numbers again, not even to close them.
    func abandon() {
        isLost.store(true, ordering: .releasing)
    }

    func call<Value>(
        _ body: (Cryptoki) throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> Value {
        try module.call(generation: generation) { cryptoki throws(PKCS11Error) in
            // Asked inside the call: whoever ends the sessions waits until no call is under way.
            guard !isLost.load(ordering: .acquiring) else {
                throw .failed(PKCS11Failure(.openSession, .sessionHandleInvalid))
            }
            return try body(cryptoki)
        }
    }

    /// What is wrong with the token or the login; nil when all is well.
    func trouble() -> PKCS11Failure? {
        do throws(PKCS11Error) {
            return try call { cryptoki throws(PKCS11Error) in
                guard try cryptoki.isLoggedIn(anchor, in: slot) else {
                    return PKCS11Failure(.getSessionInfo, .userNotLoggedIn)
                }
                guard try cryptoki.token(in: slot).isSameToken(as: token) else {
                    return PKCS11Failure(.getTokenInfo, .tokenNotPresent)
                }
                return nil
            }
        } catch {
            switch error {
            case .failed(let failure), .unavailable(let failure): return failure
            default: return PKCS11Failure(.getTokenInfo, .tokenNotPresent)
            }
        }
    }
}

/// A session with a token. One thread at a time.
final class Session: Sendable {
    let connection: Connection
    let handle: UInt

    private init(_ connection: Connection, _ handle: UInt) {
        self.connection = connection
        self.handle = handle
    }

    static func open(
        _ connection: Connection, isReadWrite: Bool = false
    ) throws(PKCS11Error) -> Session {
        let handle = try connection.call { cryptoki throws(PKCS11Error) in
            try cryptoki.openSession(connection.slot, isReadWrite: isReadWrite)
        }
        return Session(connection, handle)
    }

    deinit {
        try? connection.call { cryptoki throws(PKCS11Error) in try cryptoki.closeSession(handle) }
    }
}
