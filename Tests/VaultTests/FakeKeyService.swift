import Cryptography
import KMSModel
import Synchronization

/// A key service in memory: a key, whose versions and state a test sets, and another one.
final class FakeKeyService: KeyService {
    struct State {
        var version: UInt32 = 1
        var failure: KMSError?
        /// How many more calls are answered before one fails, alone, with ``mishap``.
        var callsBeforeMishap: Int?
        var mishap = KMSError.keyUnavailable("away")
        /// Only the keys of domains open.
        var refusesFiles = false
        /// The key of the domain with this id is switched off.
        var refusedDomain: String?
        var calls = 0
        /// Runs before each decryption.
        var onDecrypt: (@Sendable () -> Void)?
    }

    let arn: KeyARN
    let secondARN: KeyARN
    let state = Mutex(State())
    private let material = SecretBytes.random(count: 32)
    private static let material = [UInt8](repeating: 1, count: 32)

    init() throws {
        guard let scope = AccountScope(account: "123456789012", region: "us-east-1") else {
            throw KMSError.validation("scope")
        }
        arn = KeyARN(scope: scope, keyID: KeyID(high: 1, low: 2, isMultiRegion: false))
        secondARN = KeyARN(scope: scope, keyID: KeyID(high: 1, low: 3, isMultiRegion: false))
    }

    private func find(_ key: String) throws(KMSError) -> KeyARN {
        guard let found = [arn, secondARN].first(where: { "\($0)" == key }) else {
            throw .notFound("no such key")
        }
        return found
    }

    private func count() throws(KMSError) -> UInt32 {
        let (failure, version) = state.withLock { state in
            state.calls += 1
            guard let left = state.callsBeforeMishap else { return (state.failure, state.version) }
            state.callsBeforeMishap = left > 0 ? left - 1 : nil
            return (left > 0 ? state.failure : state.mishap, state.version)
        }
        if let failure { throw failure }
        return version
    }

    private func materialID() throws(KMSError) -> KeyMaterialID {
        guard let id = KeyMaterialID(bytes: Self.material) else { throw .validation("material") }
        return id
    }

    private func seal(
        _ plaintext: SecretBytes, _ context: EncryptionContext, under key: String, version: UInt32
    ) throws(KMSError) -> WrappedData {
        let arn = try find(key)
        let cipher = AESGCM256()
        cipher.use(material)
        // SAFETY: the buffer is copied before it goes.
        let bytes = plaintext.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        }
        let salt = Random.bytes(SymmetricBlob.saltBytes)
        let box = cipher.seal(bytes, authenticating: context.canonicalBytes + salt)
        let blob = SymmetricBlob(keyID: arn.keyID, keyVersion: version, salt: salt, box: box)
        return WrappedData(blob: blob.bytes, keyARN: arn, materialID: try materialID())
    }

    func decrypt(
        _ blob: [UInt8], under key: String?, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> UnwrappedData {
        let version = try count()
        state.withLock { $0.onDecrypt }?()
        if context["keyfold:file"] != nil, state.withLock({ $0.refusesFiles }) {
            throw .disabled("off")
        }
        if let domain = context["keyfold:domain"], context["keyfold:file"] == nil,
            state.withLock({ $0.refusedDomain }) == domain
        {
            throw .disabled("off")
        }
        guard let parsed = SymmetricBlob(decoding: blob) else { throw .invalidCiphertext }
        let arn = try find(key ?? "\(arn)")
        guard parsed.keyID == arn.keyID else { throw .incorrectKey }
        guard parsed.keyVersion <= version else { throw .invalidCiphertext }
        let cipher = AESGCM256()
        cipher.use(material)
        do {
            var plain = try cipher.open(
                parsed.box, authenticating: context.canonicalBytes + parsed.salt)
            return UnwrappedData(
                plaintext: SecretBytes(consuming: &plain), keyARN: arn,
                materialID: try materialID())
        } catch {
            throw .invalidCiphertext
        }
    }

    func generateDataKey(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> GeneratedDataKey {
        let version = try count()
        let plaintext = SecretBytes.random(count: byteCount)
        return GeneratedDataKey(
            plaintext: plaintext,
            wrapped: try seal(plaintext, context, under: key, version: version))
    }

    func reEncrypt(_ request: ReEncryptRequest, as caller: Caller) throws(KMSError) -> WrappedData {
        let version = try count()
        let opened = try decrypt(
            request.blob, under: request.sourceKey, context: request.sourceContext, as: caller)
        return try seal(
            opened.plaintext, request.destinationContext, under: request.destinationKey,
            version: version)
    }

    func describeKey(_ key: String, as caller: Caller) throws(KMSError) -> KeyMetadata {
        var metadata = KeyMetadata(
            arn: try find(key), creationDate: Timestamp(secondsSinceEpoch: 0), state: .enabled,
            description: "", manager: .customer, currentMaterialID: try materialID())
        metadata.currentVersion = state.withLock { $0.version }
        return metadata
    }
}

// A vault asks for nothing else.
extension FakeKeyService {
    func answer(
        _: KMSOperation, _: Structure, as _: Caller
    ) throws(KMSError) -> Structure {
        throw .unsupportedOperation("not here")
    }
}
