internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    private static let algorithm = "SYMMETRIC_DEFAULT"

    func encrypt(
        _ plaintext: SecretBytes, under key: String, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> WrappedData {
        try perform(.encrypt, as: caller) { request throws(KMSError) in
            request.event.encryptionContext = context
            request.note("keyId", key)
            request.note("encryptionAlgorithm", EmbeddedKeyService.algorithm)
            var validation = Validation()
            validation.key(key)
            validation.length(ofBytes: plaintext.count, at: "plaintext", KMSLimit.plaintextBytes)
            try validation.check()
            try check(context)
            return try wrap(plaintext, under: key, context: context, for: &request)
        }
    }

    func decrypt(
        _ blob: [UInt8], under key: String?, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> UnwrappedData {
        try perform(.decrypt, as: caller) { request throws(KMSError) in
            request.event.encryptionContext = context
            request.note("encryptionAlgorithm", EmbeddedKeyService.algorithm)
            request.note("keyId", key)
            return try unwrap(blob, under: key, context: context, for: &request)
        }
    }

    func reEncrypt(
        _ reEncryption: ReEncryptRequest, as caller: Caller
    ) throws(KMSError) -> WrappedData {
        try perform(.reEncrypt, as: caller) { request throws(KMSError) in
            request.event.encryptionContext = reEncryption.destinationContext
            request.note("sourceKeyId", reEncryption.sourceKey)
            request.note("destinationKeyId", reEncryption.destinationKey)
            request.note("sourceEncryptionAlgorithm", EmbeddedKeyService.algorithm)
            request.note("destinationEncryptionAlgorithm", EmbeddedKeyService.algorithm)
            if reEncryption.sourceContext != reEncryption.destinationContext {
                request.note("sourceEncryptionContext", reEncryption.sourceContext.logText)
            }
            try check(reEncryption.destinationContext)
            var validation = Validation()
            validation.key(reEncryption.destinationKey, at: "destinationKeyId")
            try validation.check()
            let plain = try unwrap(
                reEncryption.blob, under: reEncryption.sourceKey,
                context: reEncryption.sourceContext, action: "ReEncryptFrom",
                members: (key: "sourceKeyId", blob: "ciphertextBlob"), for: &request)
            return try wrap(
                plain.plaintext, under: reEncryption.destinationKey,
                context: reEncryption.destinationContext, action: "ReEncryptTo", for: &request)
        }
    }

    func generateDataKey(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> GeneratedDataKey {
        try perform(.generateDataKey, as: caller) { request throws(KMSError) in
            try generate(under: key, byteCount: byteCount, context: context, for: &request)
        }
    }

    func generateDataKeyWithoutPlaintext(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> WrappedData {
        try perform(.generateDataKeyWithoutPlaintext, as: caller) { request throws(KMSError) in
            try generate(under: key, byteCount: byteCount, context: context, for: &request).wrapped
        }
    }

    func generateRandom(
        byteCount: Int, as caller: Caller
    ) throws(KMSError) -> SecretBytes {
        try perform(.generateRandom, as: caller) { request throws(KMSError) in
            request.note("numberOfBytes", byteCount)
            var validation = Validation()
            validation.value(byteCount, at: "numberOfBytes", KMSLimit.dataKeyBytes)
            try validation.check()
            _ = try state(for: request)
            try authorizer.authorize(caller, .generateRandom)
            return SecretBytes.random(count: byteCount)
        }
    }

    // MARK: Shared steps

    private func generate(
        under key: String, byteCount: Int, context: EncryptionContext, for request: inout Request
    ) throws(KMSError) -> GeneratedDataKey {
        request.event.encryptionContext = context
        request.note("keyId", key)
        if byteCount == 32 {
            request.note("keySpec", "AES_256")
        } else {
            request.note("numberOfBytes", byteCount)
        }
        var validation = Validation()
        validation.key(key)
        validation.value(byteCount, at: "numberOfBytes", KMSLimit.dataKeyBytes)
        try validation.check()
        try check(context)
        let dataKey = SecretBytes.random(count: byteCount)
        return GeneratedDataKey(
            plaintext: dataKey,
            wrapped: try wrap(dataKey, under: key, context: context, for: &request))
    }

    private func wrap(
        _ plaintext: SecretBytes, under key: String, context: EncryptionContext,
        action: String? = nil, for request: inout Request
    ) throws(KMSError) -> WrappedData {
        let snapshot = try state(for: request)
        let entry = try self.key(
            named: key, in: snapshot, group: .cryptographic, action: action, for: &request)
        request.event.keyMaterialID = entry.current.materialID
        request.event.keyVersion = entry.current.version
        return seal(plaintext, under: entry, context: context)
    }

    private func unwrap(
        _ bytes: [UInt8], under key: String?, context: EncryptionContext, action: String? = nil,
        members: (key: String, blob: String) = ("keyId", "ciphertextBlob"),
        for request: inout Request
    ) throws(KMSError) -> UnwrappedData {
        var validation = Validation()
        if let key { validation.key(key, at: members.key) }
        validation.length(ofBytes: bytes.count, at: members.blob, KMSLimit.blobBytes)
        try validation.check()

        let snapshot = try state(for: request)
        var wanted: KeyEntry?
        if let key {
            wanted = try self.key(
                named: key, in: snapshot, group: .cryptographic, action: action, for: &request)
        }
        guard let blob = SymmetricBlob(decoding: bytes) else { throw .invalidCiphertext }
        if let wanted, wanted.record.id != blob.keyID { throw .incorrectKey }
        guard let entry = wanted ?? snapshot.keys[blob.keyID] else {
            throw .accessDenied(EmbeddedKeyService.unknownKeyMessage)
        }
        if wanted == nil {
            try permit(entry, group: .cryptographic, action: action, for: &request)
        }
        guard let material = entry.material(version: blob.keyVersion) else {
            throw .invalidCiphertext
        }
        let plaintext = try open(blob, with: material, context: context)
        request.event.keyMaterialID = material.materialID
        request.event.keyVersion = material.version
        return UnwrappedData(
            plaintext: plaintext, keyARN: entry.arn, materialID: material.materialID)
    }

    private static let unknownKeyMessage =
        "The ciphertext refers to a customer master key that does not exist, does not exist in "
        + "this region, or you are not allowed to access."

    /// A context goes into the log with every use: it has a bound of Keyfold's own.
    private func check(_ context: EncryptionContext) throws(KMSError) {
        let size = context.pairs.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        guard size <= KMSLimit.encryptionContextBytes else {
            throw .validation(
                "EncryptionContext must not be longer than \(KMSLimit.encryptionContextBytes) bytes"
            )
        }
    }
}

extension EncryptionContext {
    /// For the log, which has room for one context an event: `name=value` pairs, quoted.
    fileprivate var logText: String {
        pairs.map { "\($0.name.debugDescription)=\($0.value.debugDescription)" }
            .joined(separator: ",")
    }
}
