/// Keys are found by their CKA_ID only. Whoever gives the ids keeps them unique, also between
/// processes: two keys with one id cannot be told apart, and are not used.
extension PKCS11Token {
    /// Makes an AES-256 key that lives in the token, cannot leave it, and can encrypt and decrypt
    /// only.
    ///
    /// - Parameter label: for people; at most 255 bytes of UTF-8.
    /// - Throws: ``PKCS11Error/keyExists(_:)``, ``PKCS11Error/keyUnprotected(_:)``. After
    ///   ``PKCS11Error/unavailable(_:)`` the key may be there or not; ``findKey(_:)`` tells.
    package func makeKey(
        _ id: PKCS11KeyID, label: String
    ) throws(PKCS11Error) -> PKCS11Key {
        let labelBytes = Array(label.utf8)
        guard labelBytes.count <= Self.maximumLabelBytes else { throw .invalidLength("key label") }
        return try administer { () throws(PKCS11Error) in
            guard try findKey(id) == nil else { throw .keyExists(id) }
            return try change { cryptoki, session throws(PKCS11Error) in
                let handle = try cryptoki.generateKey(id, label: labelBytes, session)
                let made = Result { () throws(PKCS11Error) in
                    try cryptoki.describeKey(handle, id, session)
                }
                guard case .success(let key) = made, key.isProtected == true,
                    key.wasAlwaysProtected != false
                else {
                    try? cryptoki.destroy(handle, session)
                    if case .failure(let error) = made, error != .keyMissing(id) { throw error }
                    throw .keyUnprotected(id)
                }
                return key
            }
        }
    }

    /// - Returns: nil when the token has no such key; a key of another size than 256 bits is none.
    /// - Throws: ``PKCS11Error/ambiguousKey(_:)``.
    package func findKey(_ id: PKCS11KeyID) throws(PKCS11Error) -> PKCS11Key? {
        do throws(PKCS11Error) {
            return try perform { cryptoki, use throws(PKCS11Error) in
                guard let handle = try cryptoki.findKey(id, use.session) else {
                    throw .keyMissing(id)
                }
                return try cryptoki.describeKey(handle, id, use.session)
            }
        } catch {
            guard case .keyMissing = error else { throw error }
            return nil
        }
    }

    /// The AES keys in the token that have an id, whoever made them, up to ``maximumListedKeys``. Takes
    /// some calls for each.
    package func listKeys() throws(PKCS11Error) -> [PKCS11KeyName] {
        try perform { cryptoki, use throws(PKCS11Error) in try cryptoki.listKeys(use.session) }
    }

    /// Destroys the key for good: what it encrypted can never be read again.
    ///
    /// - Throws: ``PKCS11Error/keyMissing(_:)``, ``PKCS11Error/ambiguousKey(_:)``.
    package func destroyKey(_ id: PKCS11KeyID) throws(PKCS11Error) {
        try administer { () throws(PKCS11Error) in
            guard try findKey(id) != nil else { throw .keyMissing(id) }
            defer { withPool { $0.forgetKey(id) } }
            try change { cryptoki, session throws(PKCS11Error) in
                guard let handle = try cryptoki.findKey(id, session) else { throw .keyMissing(id) }
                try cryptoki.destroy(handle, session)
                guard try cryptoki.findKey(id, session) == nil else {
                    throw .malformedAnswer(.destroyObject)
                }
            }
        }
    }

    /// One change of the token's keys at a time, so that no id is given twice.
    private func administer<Value>(
        _ body: () throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> Value {
        let hasTurn = administration.wait(milliseconds: waitMilliseconds) { isTaken in
            guard !isTaken else { return nil as Bool? }
            isTaken = true
            return true
        }
        guard hasTurn != nil else { throw .busy }
        defer { administration.withLock { $0 = false } }
        return try body()
    }

    /// Runs `body` once, with a session of its own that may change the token.
    private func change<Value>(
        _ body: (Cryptoki, UInt) throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> Value {
        // What is lost already shows here, and is mended.
        try verify()
        return try perform(isRepeatable: false) { cryptoki, use throws(PKCS11Error) in
            let session = try cryptoki.openSession(use.slot, isReadWrite: true)
            defer { try? cryptoki.closeSession(session) }
            return try body(cryptoki, session)
        }
    }
}
