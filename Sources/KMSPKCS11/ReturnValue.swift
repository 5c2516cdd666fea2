internal import CPKCS11

/// What a function of a PKCS#11 module answered (CK_RV).
package struct ReturnValue: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt

    package init(rawValue: UInt) {
        self.rawValue = rawValue
    }
}

extension ReturnValue: CustomStringConvertible {
    /// The standard's name and the number; of a vendor's own values the number alone.
    package var description: String {
        let number = "0x" + String(rawValue, radix: 16)
        guard let name = ReturnValue.names[rawValue] else { return number }
        return "\(name) (\(number))"
    }
}

/// What a refusal says about the token.
enum Verdict: Hashable, Sendable {
    /// The token, its sessions or the login are gone.
    case lost
    /// The handle names no object any more, or the whole token is gone.
    case staleKey
    /// Modules give these for a token that is gone as well as for damaged ciphertext; only asking
    /// the token tells.
    case unclear
    /// The PIN was not taken.
    case login
    /// The request itself cannot be done.
    case request
}

extension ReturnValue {
    /// CKR_AEAD_DECRYPT_FAILED of PKCS#11 3.0, which modules of that version also give through the
    /// function list of 2.40.
    private static let aeadDecryptFailed: UInt = 0x42

    /// Values that are in no list, a vendor's own for instance, are ``Verdict/unclear``.
    var verdict: Verdict {
        switch rawValue {
        case CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_TOKEN_NOT_RECOGNIZED,
            CKR_SLOT_ID_INVALID, CKR_SESSION_CLOSED, CKR_SESSION_HANDLE_INVALID,
            CKR_USER_NOT_LOGGED_IN, CKR_CRYPTOKI_NOT_INITIALIZED:
            .lost
        case CKR_KEY_HANDLE_INVALID, CKR_OBJECT_HANDLE_INVALID:
            .staleKey
        case CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, CKR_PIN_EXPIRED, CKR_PIN_LOCKED,
            CKR_PIN_TOO_WEAK, CKR_USER_PIN_NOT_INITIALIZED, CKR_USER_TYPE_INVALID,
            CKR_USER_ANOTHER_ALREADY_LOGGED_IN, CKR_USER_TOO_MANY_TYPES:
            .login
        case CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_READ_ONLY, CKR_ATTRIBUTE_SENSITIVE,
            CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID, CKR_ACTION_PROHIBITED,
            CKR_BUFFER_TOO_SMALL, CKR_CANT_LOCK, CKR_DATA_INVALID, CKR_DATA_LEN_RANGE,
            CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE, ReturnValue.aeadDecryptFailed,
            CKR_FUNCTION_NOT_SUPPORTED, CKR_FUNCTION_REJECTED, CKR_KEY_FUNCTION_NOT_PERMITTED,
            CKR_KEY_SIZE_RANGE, CKR_KEY_TYPE_INCONSISTENT, CKR_MECHANISM_INVALID,
            CKR_MECHANISM_PARAM_INVALID, CKR_NEED_TO_CREATE_THREADS, CKR_OPERATION_ACTIVE,
            CKR_OPERATION_NOT_INITIALIZED, CKR_RANDOM_NO_RNG, CKR_SESSION_COUNT,
            CKR_SESSION_READ_ONLY, CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT,
            CKR_TOKEN_WRITE_PROTECTED, CKR_USER_ALREADY_LOGGED_IN, CKR_HOST_MEMORY,
            CKR_DEVICE_MEMORY:
            .request
        default:
            .unclear
        }
    }

    /// Whether C_Decrypt, on a token that is well, says with this that the ciphertext is not what
    /// this key made with this data. SoftHSM answers CKR_GENERAL_ERROR, others anything of these.
    var deniesAuthenticity: Bool {
        switch rawValue {
        case CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE,
            ReturnValue.aeadDecryptFailed, CKR_DATA_INVALID, CKR_DATA_LEN_RANGE,
            CKR_SIGNATURE_INVALID, CKR_GENERAL_ERROR,
            CKR_FUNCTION_FAILED:
            true
        default:
            false
        }
    }

    /// Whether a module that makes the IVs itself says with this that it wants none of ours.
    var deniesInitializationVector: Bool {
        rawValue == CKR_ARGUMENTS_BAD || rawValue == CKR_MECHANISM_PARAM_INVALID
    }

    static var cryptokiNotInitialized: ReturnValue {
        ReturnValue(rawValue: CKR_CRYPTOKI_NOT_INITIALIZED)
    }
    static var cryptokiAlreadyInitialized: ReturnValue {
        ReturnValue(rawValue: CKR_CRYPTOKI_ALREADY_INITIALIZED)
    }
    static var userAlreadyLoggedIn: ReturnValue {
        ReturnValue(rawValue: CKR_USER_ALREADY_LOGGED_IN)
    }
    static var sessionHandleInvalid: ReturnValue {
        ReturnValue(rawValue: CKR_SESSION_HANDLE_INVALID)
    }
    static var sessionCount: ReturnValue { ReturnValue(rawValue: CKR_SESSION_COUNT) }
    static var userNotLoggedIn: ReturnValue { ReturnValue(rawValue: CKR_USER_NOT_LOGGED_IN) }
    static var tokenNotPresent: ReturnValue { ReturnValue(rawValue: CKR_TOKEN_NOT_PRESENT) }
    package static var pinLocked: ReturnValue { ReturnValue(rawValue: CKR_PIN_LOCKED) }
}
