/// A function of a PKCS#11 module that did not answer CKR_OK.
package struct PKCS11Failure: Hashable, Sendable {
    package let function: PKCS11Function
    package let value: ReturnValue

    package init(_ function: PKCS11Function, _ value: ReturnValue) {
        self.function = function
        self.value = value
    }
}

extension PKCS11Failure: CustomStringConvertible {
    package var description: String { "\(function) answered \(value)" }
}

/// Why a token did not do what it was asked for. No case holds a secret.
package enum PKCS11Error: Error, Hashable, Sendable {
    // MARK: The module
    /// The file at this path is missing, or no shared library that can be loaded here.
    case cannotLoad(path: String, reason: String)
    /// The library at this path lacks what PKCS#11 2.x modules have.
    case notAModule(path: String, reason: String)
    /// The function's answer contradicts the standard: a length or a handle that cannot be.
    case malformedAnswer(PKCS11Function)

    // MARK: The token
    /// No token in any slot of the module has this name.
    case tokenAbsent(PKCS11TokenSelector)
    /// Several tokens of the module have this name.
    case ambiguousToken(PKCS11TokenSelector)
    /// The token cannot encrypt and decrypt with AES-GCM.
    case unsuitableToken(PKCS11TokenSelector)
    /// Somebody in this process works with the token already. A login is the process's, so a
    /// second one could not even tell whether its PIN is right.
    case tokenInUse(PKCS11TokenSelector)
    /// The token, its sessions or the login are gone, and a new attempt to connect failed.
    case unavailable(PKCS11Failure)
    /// All sessions stayed in use for as long as a request waits; or the library hangs in a call
    /// that others have to wait for: its start, or the end of all sessions.
    case busy
    /// The token refused the login. It is not tried again with the same PIN.
    case loginRefused(PKCS11Failure)
    /// One more wrong PIN would lock the token, so it was not tried. A right one, entered with the
    /// token's own tool, resets its counter.
    case lastPINTry
    case closed

    // MARK: The request
    /// The token is well and refused.
    case failed(PKCS11Failure)
    case keyMissing(PKCS11KeyID)
    /// Several AES keys in the token have this id.
    case ambiguousKey(PKCS11KeyID)
    case keyExists(PKCS11KeyID)
    /// The token made a key that could leave it, or another one than was asked for. It was
    /// destroyed.
    case keyUnprotected(PKCS11KeyID)
    /// The ciphertext was not made by this key with this associated data.
    case notAuthentic
    /// The named input is shorter or longer than it may be.
    case invalidLength(String)
}

/// What an error means for a key store.
package enum PKCS11Condition: Hashable, Sendable {
    /// The key store is disconnected; later requests may find it connected again.
    case unavailable
    /// The key store cannot be connected before a person changes something.
    case refused
    /// The key store is well; this request cannot be done.
    case request
    /// The library breaks the standard, and nothing it says can be relied on.
    case faulty
}

extension PKCS11Error {
    package var condition: PKCS11Condition {
        switch self {
        case .tokenAbsent, .unavailable, .busy, .closed:
            .unavailable
        case .cannotLoad, .notAModule, .ambiguousToken, .unsuitableToken, .tokenInUse,
            .loginRefused, .lastPINTry:
            .refused
        case .failed, .keyMissing, .ambiguousKey, .keyExists, .keyUnprotected, .notAuthentic,
            .invalidLength:
            .request
        case .malformedAnswer:
            .faulty
        }
    }
}

extension PKCS11Error: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotLoad(let path, let reason): "cannot load \(path): \(reason)"
        case .notAModule(let path, let reason): "\(path) is no PKCS#11 module: \(reason)"
        case .malformedAnswer(let function):
            "the PKCS#11 module is faulty: \(function) gave an impossible answer"
        case .tokenAbsent(let selector): "no token with \(selector) is there"
        case .ambiguousToken(let selector): "there are several tokens with \(selector)"
        case .unsuitableToken(let selector): "the token with \(selector) has no AES-GCM"
        case .tokenInUse(let selector): "the token with \(selector) is in use already"
        case .unavailable(let failure): "the token is unavailable: \(failure)"
        case .busy: "all sessions of the token are in use, or its library does not answer"
        case .loginRefused(let failure): "the token refused the login: \(failure)"
        case .lastPINTry:
            "one more wrong PIN would lock the token: log in once with the token's own tool"
        case .closed: "the token was closed"
        case .failed(let failure): "the token refused: \(failure)"
        case .keyMissing(let id): "the token has no AES-256 key \(id)"
        case .ambiguousKey(let id): "the token has several keys \(id)"
        case .keyExists(let id): "the token has a key \(id) already"
        case .keyUnprotected(let id): "the token would not protect a new key \(id)"
        case .notAuthentic: "the ciphertext was not made by this key with this data"
        case .invalidLength(let what): "\(what) is too short or too long"
        }
    }
}
