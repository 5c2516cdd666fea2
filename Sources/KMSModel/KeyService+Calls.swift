package import Cryptography

/// The operations with arguments instead of documents, for whoever writes Swift.
///
/// A `key` is named as AWS KMS allows for that operation: cryptographic operations and DescribeKey
/// take key ids, key ARNs, alias names and alias ARNs; the others take key ids and key ARNs.
extension KeyService {
    /// An answer without a member that the service model promises.
    func incomplete(_ operation: KMSOperation) -> KMSError {
        .internalFailure("the service's answer to \(operation.rawValue) is not complete")
    }

    // MARK: Keys

    package func createKey(
        _ request: CreateKeyRequest, as caller: Caller
    ) throws(KMSError) -> KeyMetadata {
        let input = Structure([
            .description: request.description.isEmpty ? nil : .text(request.description),
            .tags: request.tags.isEmpty ? nil : .tags(request.tags),
            .keySpec: request.spec == .symmetricDefault ? nil : .choice(request.spec),
            .keyUsage: request.usage.map(Value.choice),
            .origin: request.origin == .awsKms ? nil : .choice(request.origin),
            .multiRegion: request.isMultiRegion ? .flag(true) : nil,
            .customKeyStoreID: request.customKeyStoreID.map(Value.text),
        ])
        return try metadata(in: try answer(.createKey, input, as: caller), of: .createKey)
    }

    private func metadata(
        in answer: Structure, of operation: KMSOperation
    ) throws(KMSError) -> KeyMetadata {
        guard let metadata = answer.structure(.keyMetadata).flatMap(KeyMetadata.init) else {
            throw incomplete(operation)
        }
        return metadata
    }

    package func describeKey(_ key: String, as caller: Caller) throws(KMSError) -> KeyMetadata {
        let input = Structure([.keyID: .text(key)])
        return try metadata(in: try answer(.describeKey, input, as: caller), of: .describeKey)
    }

    /// Sorted by key id.
    package func listKeys(_ page: PageRequest, as caller: Caller) throws(KMSError) -> Page<KeyARN> {
        try list(.listKeys, page, Structure(), .keys, as: caller) {
            $0.text(.keyARN).flatMap(KeyARN.init)
        }
    }

    package func updateKeyDescription(
        _ key: String, to description: String, as caller: Caller
    ) throws(KMSError) {
        let input = Structure([.keyID: .text(key), .description: .text(description)])
        _ = try answer(.updateKeyDescription, input, as: caller)
    }

    package func enableKey(_ key: String, as caller: Caller) throws(KMSError) {
        _ = try answer(.enableKey, Structure([.keyID: .text(key)]), as: caller)
    }

    package func disableKey(_ key: String, as caller: Caller) throws(KMSError) {
        _ = try answer(.disableKey, Structure([.keyID: .text(key)]), as: caller)
    }

    /// `windowDays`: 7…30, 30 when nil.
    ///
    /// - Returns: when; nil for a primary key that waits for its replicas first.
    @discardableResult
    package func scheduleKeyDeletion(
        _ key: String, windowDays: Int?, as caller: Caller
    ) throws(KMSError) -> Timestamp? {
        let input = Structure([
            .keyID: .text(key), .pendingWindowInDays: windowDays.map(Value.number),
        ])
        return try answer(.scheduleKeyDeletion, input, as: caller).time(.deletionDate)
    }

    package func cancelKeyDeletion(_ key: String, as caller: Caller) throws(KMSError) {
        _ = try answer(.cancelKeyDeletion, Structure([.keyID: .text(key)]), as: caller)
    }

    package func tagResource(_ key: String, tags: [Tag], as caller: Caller) throws(KMSError) {
        let input = Structure([.keyID: .text(key), .tags: .tags(tags)])
        _ = try answer(.tagResource, input, as: caller)
    }

    package func untagResource(
        _ key: String, tagKeys: [String], as caller: Caller
    ) throws(KMSError) {
        let input = Structure([.keyID: .text(key), .tagKeys: .texts(tagKeys)])
        _ = try answer(.untagResource, input, as: caller)
    }

    package func listResourceTags(
        _ key: String, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<Tag> {
        let input = Structure([.keyID: .text(key)])
        return try list(.listResourceTags, page, input, .tags, as: caller, Tag.init)
    }

    // MARK: Aliases

    package func createAlias(
        _ name: String, target: String, as caller: Caller
    ) throws(KMSError) {
        let input = Structure([.aliasName: .text(name), .targetKeyID: .text(target)])
        _ = try answer(.createAlias, input, as: caller)
    }

    package func updateAlias(
        _ name: String, target: String, as caller: Caller
    ) throws(KMSError) {
        let input = Structure([.aliasName: .text(name), .targetKeyID: .text(target)])
        _ = try answer(.updateAlias, input, as: caller)
    }

    package func deleteAlias(_ name: String, as caller: Caller) throws(KMSError) {
        _ = try answer(.deleteAlias, Structure([.aliasName: .text(name)]), as: caller)
    }

    /// Sorted by name; of one key when `key` is given.
    package func listAliases(
        of key: String?, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<AliasEntry> {
        let input = Structure([.keyID: key.map(Value.text)])
        return try list(.listAliases, page, input, .aliases, as: caller, AliasEntry.init)
    }

    // MARK: Rotation

    /// `periodDays`: 90…2560, 365 when nil.
    package func enableKeyRotation(
        _ key: String, periodDays: Int?, as caller: Caller
    ) throws(KMSError) {
        let input = Structure([
            .keyID: .text(key), .rotationPeriodInDays: periodDays.map(Value.number),
        ])
        _ = try answer(.enableKeyRotation, input, as: caller)
    }

    package func disableKeyRotation(_ key: String, as caller: Caller) throws(KMSError) {
        _ = try answer(.disableKeyRotation, Structure([.keyID: .text(key)]), as: caller)
    }

    package func keyRotationStatus(
        _ key: String, as caller: Caller
    ) throws(KMSError) -> KeyRotationStatus {
        let input = Structure([.keyID: .text(key)])
        let status = try answer(.getKeyRotationStatus, input, as: caller)
        return KeyRotationStatus(
            isEnabled: status.flag(.keyRotationEnabled),
            periodDays: status.number(.rotationPeriodInDays),
            nextRotationDate: status.time(.nextRotationDate))
    }

    package func rotateKeyOnDemand(_ key: String, as caller: Caller) throws(KMSError) {
        _ = try answer(.rotateKeyOnDemand, Structure([.keyID: .text(key)]), as: caller)
    }

    /// Oldest first; the first material, which no rotation made, only when asked for.
    package func listKeyRotations(
        _ key: String, includesFirstMaterial: Bool, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<KeyRotation> {
        let input = Structure([
            .keyID: .text(key),
            .includeKeyMaterial: includesFirstMaterial ? .text("ALL_KEY_MATERIAL") : nil,
        ])
        return try list(.listKeyRotations, page, input, .rotations, as: caller, KeyRotation.init)
    }

    // MARK: Lists

    private func list<Element>(
        _ operation: KMSOperation, _ page: PageRequest, _ input: Structure, _ member: Member,
        as caller: Caller, _ read: (Structure) -> Element?
    ) throws(KMSError) -> Page<Element> {
        var input = input
        input[.limit] = page.limit.map(Value.number)
        input[.marker] = page.marker.map(Value.text)
        let answer = try answer(operation, input, as: caller)
        let elements = answer.structures(member)
        let read = elements.compactMap(read)
        guard read.count == elements.count else { throw incomplete(operation) }
        return Page(
            elements: read, nextMarker: answer.flag(.truncated) ? answer.text(.nextMarker) : nil)
    }
}

// MARK: - Cryptography

extension KeyService {
    /// Of a symmetric key. `plaintext`: 1…4096 bytes.
    package func encrypt(
        _ plaintext: SecretBytes, under key: String, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> WrappedData {
        let input = Structure([
            .keyID: .text(key), .plaintext: .secret(plaintext),
            .encryptionContext: .optional(context),
        ])
        return try wrapped(try answer(.encrypt, input, as: caller), of: .encrypt)
    }

    package func decrypt(
        _ blob: [UInt8], under key: String?, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> UnwrappedData {
        let input = Structure([
            .ciphertextBlob: .bytes(blob), .keyID: key.map(Value.text),
            .encryptionContext: .optional(context),
        ])
        let answer = try answer(.decrypt, input, as: caller)
        guard let plaintext = answer.secret(.plaintext),
            let arn = answer.text(.keyID).flatMap(KeyARN.init)
        else { throw incomplete(.decrypt) }
        return UnwrappedData(
            plaintext: plaintext, keyARN: arn,
            materialID: answer.text(.keyMaterialID).flatMap(KeyMaterialID.init))
    }

    package func reEncrypt(
        _ request: ReEncryptRequest, as caller: Caller
    ) throws(KMSError) -> WrappedData {
        let input = Structure([
            .ciphertextBlob: .bytes(request.blob),
            .sourceKeyID: request.sourceKey.map(Value.text),
            .sourceEncryptionContext: .optional(request.sourceContext),
            .destinationKeyID: .text(request.destinationKey),
            .destinationEncryptionContext: .optional(request.destinationContext),
        ])
        let answer = try answer(.reEncrypt, input, as: caller)
        return try wrapped(answer, .destinationKeyMaterialID, of: .reEncrypt)
    }

    package func generateDataKey(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> GeneratedDataKey {
        let input = dataKeyRequest(under: key, byteCount: byteCount, context: context)
        let answer = try answer(.generateDataKey, input, as: caller)
        // Whoever answers may be another program: a key of another length is none.
        guard let plaintext = answer.secret(.plaintext), plaintext.count == byteCount else {
            throw incomplete(.generateDataKey)
        }
        return GeneratedDataKey(
            plaintext: plaintext, wrapped: try wrapped(answer, of: .generateDataKey))
    }

    package func generateDataKeyWithoutPlaintext(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> WrappedData {
        let input = dataKeyRequest(under: key, byteCount: byteCount, context: context)
        let operation = KMSOperation.generateDataKeyWithoutPlaintext
        return try wrapped(try answer(operation, input, as: caller), of: operation)
    }

    /// `byteCount`: 1…1024.
    package func generateRandom(byteCount: Int, as caller: Caller) throws(KMSError) -> SecretBytes {
        let input = Structure([.numberOfBytes: .number(byteCount)])
        let answer = try answer(.generateRandom, input, as: caller)
        guard let bytes = answer.secret(.plaintext) else { throw incomplete(.generateRandom) }
        return bytes
    }

    private func dataKeyRequest(
        under key: String, byteCount: Int, context: EncryptionContext
    ) -> Structure {
        Structure([
            .keyID: .text(key),
            .keySpec: byteCount == 32 ? .choice(DataKeySpec.aes256) : nil,
            .numberOfBytes: byteCount == 32 ? nil : .number(byteCount),
            .encryptionContext: .optional(context),
        ])
    }

    private func wrapped(
        _ answer: Structure, _ material: Member = .keyMaterialID, of operation: KMSOperation
    ) throws(KMSError) -> WrappedData {
        guard let blob = answer.bytes(.ciphertextBlob),
            let arn = answer.text(.keyID).flatMap(KeyARN.init)
        else { throw incomplete(operation) }
        return WrappedData(
            blob: blob, keyARN: arn,
            materialID: answer.text(material).flatMap(KeyMaterialID.init))
    }
}

// MARK: - Parts of documents

extension Value {
    package static func tags(_ tags: [Tag]) -> Value {
        .structures(
            tags.map { Structure([.tagKey: .text($0.key), .tagValue: .text($0.value)]) })
    }

    /// An empty context is left out.
    fileprivate static func optional(_ context: EncryptionContext) -> Value? {
        context.isEmpty ? nil : .context(context)
    }
}

extension Tag {
    package init?(_ structure: Structure) {
        guard let key = structure.text(.tagKey), let value = structure.text(.tagValue) else {
            return nil
        }
        self.init(key: key, value: value)
    }
}

extension AliasEntry {
    package init?(_ structure: Structure) {
        guard let name = structure.text(.aliasName).flatMap(AliasName.init),
            let target = structure.text(.targetKeyID).flatMap(KeyID.init),
            let creationDate = structure.time(.creationDate)
        else { return nil }
        self.init(
            name: name, target: target, creationDate: creationDate,
            lastUpdatedDate: structure.time(.lastUpdatedDate) ?? creationDate)
    }
}

extension KeyRotation {
    package init?(_ structure: Structure) {
        guard let material = structure.text(.keyMaterialID).flatMap(KeyMaterialID.init) else {
            return nil
        }
        self.init(
            materialID: material, rotationDate: structure.time(.rotationDate),
            rotationType: structure.choice(.rotationType),
            isCurrent: structure.text(.keyMaterialState) == "CURRENT")
    }
}
