internal import Cryptography
internal import KMSModel
internal import KMSPKCS11
internal import KMSStore

/// What custom key stores do with their tokens.
///
/// Which stores are connected is the keystore's state and the same for all processes; each opens
/// the token for itself when it first needs it.
final class CustomKeyStores: Sendable {
    let tokens: OpenTokens
    private let watch: LoginWatch
    private let gates: SlowWorkGates

    /// - Parameter store: what says which logins are wanted.
    init(
        _ store: KeystoreStore, options: PKCS11Token.Options = PKCS11Token.Options(),
        gates: SlowWorkGates = SlowWorkGates(SlowWorkLimits())
    ) {
        tokens = OpenTokens(options: options)
        watch = LoginWatch(tokens, store)
        self.gates = gates
    }

    deinit { watch.end() }

    /// Ends all logins; those that hang are left behind after two seconds.
    func close() {
        tokens.closeAll()
        watch.end()
    }

    // MARK: Tokens

    /// Uses the token of a connected store, with as many others as may at once.
    ///
    /// - Parameter key: the key that is to be used; nil where the store itself is asked for
    ///   something.
    /// - Throws: ``KMSError`` with the exception of ``failure(of:_:isOutage:)`` for one that is not
    ///   connected, and for one whose token is away; ThrottlingException where too many use it.
    private func withToken<Value>(
        of id: String, for key: KeyARN?, _ region: RegionSnapshot, _ snapshot: KeystoreSnapshot,
        _ body: (PKCS11Token) throws(PKCS11Error) -> Value
    ) throws(KMSError) -> Value {
        tokens.endUnwanted(in: snapshot)
        let store = try CustomKeyStores.connectedStore(id, for: key, in: region)
        guard let place = snapshot.tokens[store.clusterID] else {
            throw CustomKeyStores.failure(
                of: key, "The token of the custom key store \(id) is not known.", isOutage: true)
        }
        return try gates.pass(id) { () throws(KMSError) in
            do throws(PKCS11Error) {
                return try body(
                    try token(of: id, at: place, store.password, for: snapshot.revision))
            } catch {
                if case .notAuthentic = error { throw .invalidCiphertext }
                throw CustomKeyStores.failure(of: key, error)
            }
        }
    }

    /// - Throws: ``KMSError`` as ``withToken(of:for:_:_:_:)`` does for one that is not there, or not
    ///   connected.
    static func connectedStore(
        _ id: String, for key: KeyARN?, in region: RegionSnapshot
    ) throws(KMSError) -> CustomKeyStoreRecord {
        guard let store = region.keyStores[id] else {
            throw KMSError(.keyStoreNotFound, "The custom key store \(id) does not exist.")
        }
        guard store.state == .connected else {
            throw failure(
                of: key, "The custom key store \(id) is not connected.", isOutage: false)
        }
        return store
    }

    private func token(
        of id: String, at place: TokenRecord, _ password: SecretBytes, for revision: UInt64
    ) throws(PKCS11Error) -> PKCS11Token {
        let (token, isNew) = try tokens.token(of: id, at: place, password, for: revision)
        if isNew { watch.begin() }
        return token
    }

    /// Logs in, as ConnectCustomKeyStore does, whatever came of it before.
    ///
    /// Requests that come meanwhile have the same token, so it gets the PIN once.
    ///
    /// The keystore does not know yet that the store is connected:
    /// ``OpenTokens/settle(_:at:)`` says when it does.
    ///
    /// - Returns: nil, or what came instead.
    /// - Throws: ThrottlingException where too many requests are with the token already; then nothing
    ///   has changed.
    func connect(
        _ store: CustomKeyStoreRecord, _ place: TokenRecord?
    ) throws(KMSError) -> ConnectionFailure? {
        guard let place else {
            return ConnectionFailure(
                code: .clusterNotFound, reason: "the keystore has no such token")
        }
        return try gates.pass(store.id) { () throws(KMSError) in
            tokens.disconnect(store.id)
            do throws(PKCS11Error) {
                try token(of: store.id, at: place, store.password, for: .max).reconnect()
                return nil
            } catch {
                return ConnectionFailure(
                    code: ConnectionErrorCode(error), reason: String("\(error)".prefix(512)))
            }
        }
    }

    /// Whether a token that no store has yet holds one of the keys of `store`, which is not connected.
    ///
    /// - Parameter password: gets one try.
    /// - Throws: ``KMSError``: CloudHsmClusterNotActiveException for a token that is away,
    ///   CloudHsmClusterInvalidConfigurationException for one that refuses, ThrottlingException where
    ///   too many requests are with the store already.
    func holdsAny(
        of keys: Set<KeyID>, of store: CustomKeyStoreRecord, in place: TokenRecord,
        _ password: SecretBytes
    ) throws(KMSError) -> Bool {
        try gates.pass(store.id) { () throws(KMSError) in
            do throws(PKCS11Error) {
                let token = try tokens.passingToken(at: place, password)
                defer { token.close(waitingMilliseconds: 0) }
                return try token.listKeys().contains { name in
                    KeyID(bytes: name.id.bytes, isMultiRegion: false).map(keys.contains) ?? false
                }
            } catch {
                let isAway = error.condition == .unavailable
                throw KMSError(
                    isAway ? .clusterNotActive : .clusterInvalidConfiguration,
                    "The token of the cluster \(place.clusterID), where the keys of the custom key "
                        + "store \(store.id) should be, cannot be looked into: \(error)",
                    isOutage: isAway)
            }
        }
    }

    // MARK: Keys

    /// Makes the key of `record` in its store's token.
    func makeKey(
        _ record: KeyRecord, in snapshot: KeystoreSnapshot, _ region: RegionSnapshot,
        now: Timestamp
    ) throws(KMSError) -> MaterialRecord {
        let name = CustomKeyStores.name(of: record.id)
        try withToken(of: record.customKeyStoreID ?? "", for: nil, region, snapshot) {
            (token) throws(PKCS11Error) in
            _ = try token.makeKey(
                try CustomKeyStores.keyID(name), label: CustomKeyStores.label(of: record.id))
        }
        var bytes = name
        var material = MaterialRecord(
            keyID: record.id, version: 1, materialID: .random(),
            material: SecretBytes(consuming: &bytes), creationDate: now, rotationType: nil)
        material.region = record.region
        return material
    }

    /// After the keystore has forgotten a key, its token may, too. Best effort: a token that is away,
    /// or has too much to do, keeps the key.
    func destroyKey(_ record: KeyRecord, in snapshot: KeystoreSnapshot, _ region: RegionSnapshot) {
        guard let store = record.customKeyStoreID else { return }
        try? withToken(of: store, for: nil, region, snapshot) { (token) throws(PKCS11Error) in
            try token.destroyKey(try CustomKeyStores.keyID(CustomKeyStores.name(of: record.id)))
        }
    }

    /// The keys in a connected store's token that CreateKey made, of this keystore or another one.
    func madeKeys(
        in store: CustomKeyStoreRecord, _ region: RegionSnapshot, _ snapshot: KeystoreSnapshot
    ) throws(KMSError) -> [KeyID] {
        try withToken(of: store.id, for: nil, region, snapshot) { (token) throws(PKCS11Error) in
            try token.listKeys().compactMap { name in
                let id = KeyID(bytes: name.id.bytes, isMultiRegion: false)
                return id.flatMap { CustomKeyStores.label(of: $0) == name.label ? $0 : nil }
            }
        }
    }

    /// The token's object is named by the key's id: 16 bytes.
    private static func name(of id: KeyID) -> [UInt8] { id.bytes }

    /// Tells people, and ``madeKeys(in:_:_:)``, whose it is.
    private static func label(of id: KeyID) -> String { "keyfold \(id)" }

    private static func keyID(_ name: [UInt8]) throws(PKCS11Error) -> PKCS11KeyID {
        guard let id = PKCS11KeyID(name) else { throw .invalidLength("key id") }
        return id
    }

    // MARK: Cryptography

    /// The token makes nonce, ciphertext and tag; the blob's salt is random and only bound.
    func encrypt(
        _ plaintext: SecretBytes, under entry: KeyEntry, _ current: MaterialRecord,
        _ snapshot: KeystoreSnapshot, _ context: EncryptionContext
    ) throws(KMSError) -> [UInt8] {
        let salt = Random.bytes(SymmetricBlob.saltBytes)
        let head = SymmetricBlob(
            keyID: entry.record.id, keyVersion: current.version, salt: salt, box: [])
        let aad = head.authenticatedData(materialID: current.materialID, context: context)
        let box = try withToken(of: entry, snapshot) { (token) throws(PKCS11Error) in
            try token.encrypt(
                plaintext, authenticating: aad,
                under: try CustomKeyStores.keyID(CustomKeyStores.name(of: entry.record.id)))
        }
        return SymmetricBlob(
            keyID: entry.record.id, keyVersion: current.version, salt: salt, box: box
        ).bytes
    }

    func decrypt(
        _ blob: SymmetricBlob, under entry: KeyEntry, _ version: MaterialRecord,
        _ snapshot: KeystoreSnapshot, _ context: EncryptionContext
    ) throws(KMSError) -> SecretBytes {
        let aad = blob.authenticatedData(materialID: version.materialID, context: context)
        return try withToken(of: entry, snapshot) { (token) throws(PKCS11Error) in
            try token.decrypt(
                blob.box, authenticating: aad,
                under: try CustomKeyStores.keyID(CustomKeyStores.name(of: entry.record.id)))
        }
    }

    func random(
        _ count: Int, from store: String, _ snapshot: KeystoreSnapshot, _ region: RegionSnapshot
    ) throws(KMSError) -> SecretBytes {
        try withToken(of: store, for: nil, region, snapshot) { (token) throws(PKCS11Error) in
            try token.randomBytes(count: count)
        }
    }

    private func withToken<Value>(
        of entry: KeyEntry, _ snapshot: KeystoreSnapshot,
        _ body: (PKCS11Token) throws(PKCS11Error) -> Value
    ) throws(KMSError) -> Value {
        try withToken(
            of: entry.record.customKeyStoreID ?? "", for: entry.arn,
            snapshot.region(entry.arn.scope), snapshot, body)
    }

    // MARK: Failures

    private static func failure(of key: KeyARN?, _ error: PKCS11Error) -> KMSError {
        failure(
            of: key, key == nil ? "The custom key store's token: \(error)" : "\(error)",
            isOutage: error.condition != .request)
    }

    /// What a key, or a key store, whose token does not serve is at AWS. KMSInvalidStateException
    /// is there "a general failure with many possible causes" of keys in custom key stores, and
    /// the message names the cause (API reference, Decrypt, "Errors").
    private static func failure(of key: KeyARN?, _ cause: String, isOutage: Bool) -> KMSError {
        guard let key else { return KMSError(.keyStoreInvalidState, cause, isOutage: isOutage) }
        return KMSError(.invalidState, "\(key) is unavailable: \(cause)", isOutage: isOutage)
    }
}

/// Why a custom key store could not be connected.
struct ConnectionFailure {
    /// What DescribeCustomKeyStores is to tell.
    let code: ConnectionErrorCode
    /// For the usage log, at most 512 characters.
    let reason: String
}

extension ConnectionErrorCode {
    init(_ error: PKCS11Error) {
        switch error {
        case .loginRefused(let failure) where failure.value == .pinLocked: self = .userLockedOut
        case .loginRefused: self = .invalidCredentials
        case .lastPINTry: self = .userLockedOut
        case .tokenInUse: self = .userLoggedIn
        default: self = error.condition == .unavailable ? .networkErrors : .internalError
        }
    }
}
