internal import CPKCS11

/// A place for a token, and the token in it.
package struct PKCS11Slot: Hashable, Sendable {
    /// The module's number for it (CK_SLOT_ID); may change when the module is started again.
    package let number: UInt
    package let description: String
    /// nil for an empty slot, and for a token that did not tell about itself.
    package let token: PKCS11TokenDescription?
}

/// What a token says of itself. The texts are the token's: characters that steer a terminal are
/// replaced.
package struct PKCS11TokenDescription: Hashable, Sendable {
    package let label: String
    package let serial: String
    package let model: String
    package let manufacturer: String
    package let flags: PKCS11TokenFlags
    /// nil when it has no limit, or doesn't say.
    package let maximumSessions: Int?
}

/// CK_TOKEN_INFO's flags, those that matter here.
package struct PKCS11TokenFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt

    package init(rawValue: UInt) {
        self.rawValue = rawValue
    }

    package static var isInitialized: Self { Self(rawValue: CKF_TOKEN_INITIALIZED) }
    package static var isWriteProtected: Self { Self(rawValue: CKF_WRITE_PROTECTED) }
    package static var hasUserPIN: Self { Self(rawValue: CKF_USER_PIN_INITIALIZED) }
    /// A wrong PIN was entered since the last right one.
    package static var pinTriesAreLow: Self { Self(rawValue: CKF_USER_PIN_COUNT_LOW) }
    package static var isLastPINTry: Self { Self(rawValue: CKF_USER_PIN_FINAL_TRY) }
    package static var isPINLocked: Self { Self(rawValue: CKF_USER_PIN_LOCKED) }
}

/// An AES-256 key in a token.
package struct PKCS11Key: Hashable, Sendable {
    package let id: PKCS11KeyID
    package let label: String
    /// Whether the token never gives the key out, not even wrapped; nil when it doesn't say.
    package let isProtected: Bool?
    /// Whether the token made it and protected it from the start; nil when it doesn't say.
    package let wasAlwaysProtected: Bool?
}
