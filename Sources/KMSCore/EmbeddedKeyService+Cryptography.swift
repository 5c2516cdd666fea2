internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func encrypt(_ request: inout Request) throws(KMSError) -> Structure {
        let plaintext = try request.secret(.plaintext)
        let algorithm = request.input.encryptionAlgorithm(.encryptionAlgorithm)
        request.note(implied: algorithm, .encryptionAlgorithm)
        let entry = try destination(
            try request.text(.keyID), algorithm, plaintextBytes: plaintext.count, for: &request)
        let context = request.input.context(.encryptionContext)
        try EmbeddedKeyService.refuseContext(context, for: algorithm)
        try request.endDryRun()
        let blob = try seal(plaintext, under: entry, algorithm, context, for: &request)
        return Structure([
            .ciphertextBlob: .bytes(blob), .keyID: .text(entry.arnText),
            .encryptionAlgorithm: .choice(algorithm),
        ])
    }

    func decrypt(_ request: inout Request) throws(KMSError) -> Structure {
        try refuseRecipient(request)
        let algorithm = request.input.encryptionAlgorithm(.encryptionAlgorithm)
        request.note(implied: algorithm, .encryptionAlgorithm)
        if try ignoresCiphertext(request) {
            _ = try source(request.input.text(.keyID), .keyID, algorithm, for: &request)
            try request.endDryRun()
        }
        let opened = try open(
            request.input.bytes(.ciphertextBlob), under: request.input.text(.keyID), algorithm,
            request.input.context(.encryptionContext), member: .ciphertextBlob, for: &request)
        try request.endDryRun()
        return Structure([
            .keyID: .text(opened.entry.arnText), .plaintext: .secret(opened.plaintext),
            .encryptionAlgorithm: .choice(algorithm),
            .keyMaterialID: opened.material.map { .text($0.materialID.description) },
        ])
    }

    func reEncrypt(_ request: inout Request) throws(KMSError) -> Structure {
        let input = request.input
        let from = input.encryptionAlgorithm(.sourceEncryptionAlgorithm)
        let to = input.encryptionAlgorithm(.destinationEncryptionAlgorithm)
        request.note(implied: from, .sourceEncryptionAlgorithm)
        request.note(implied: to, .destinationEncryptionAlgorithm)
        // An alias that is pointed elsewhere meanwhile must not make one key of two, or two of one.
        request.snapshot = try state(for: request)
        request.facts.isSameKey = try isSameKey(request)
        request.facts.action = .reEncryptFrom
        request.facts.context = input.context(.sourceEncryptionContext)
        if try ignoresCiphertext(request) {
            _ = try source(input.text(.sourceKeyID), .sourceKeyID, from, for: &request)
            _ = try reEncryptDestination(to, plaintextBytes: 1, for: &request)
            try request.endDryRun()
        }
        let opened = try open(
            input.bytes(.ciphertextBlob), under: input.text(.sourceKeyID), from,
            input.context(.sourceEncryptionContext), member: .ciphertextBlob, for: &request)
        let entry = try reEncryptDestination(
            to, plaintextBytes: opened.plaintext.count, for: &request)
        try request.endDryRun()
        let blob = try seal(
            opened.plaintext, under: entry, to, input.context(.destinationEncryptionContext),
            for: &request)
        return Structure([
            .ciphertextBlob: .bytes(blob),
            .sourceKeyID: .text(opened.entry.arnText),
            .keyID: .text(entry.arnText),
            .sourceEncryptionAlgorithm: .choice(from),
            .destinationEncryptionAlgorithm: .choice(to),
            .sourceKeyMaterialID: opened.material.map { .text($0.materialID.description) },
            .destinationKeyMaterialID: to == .symmetricDefault
                ? entry.current.map { .text($0.materialID.description) } : nil,
        ])
    }

    private func reEncryptDestination(
        _ algorithm: EncryptionAlgorithm, plaintextBytes: Int, for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        let context = request.input.context(.destinationEncryptionContext)
        request.facts.action = .reEncryptTo
        request.facts.context = context
        let entry = try destination(
            try request.text(.destinationKeyID), algorithm, plaintextBytes: plaintextBytes,
            for: &request)
        try EmbeddedKeyService.refuseContext(context, for: algorithm)
        return entry
    }

    /// Whether the request asks for permissions alone, without a ciphertext.
    private func ignoresCiphertext(_ request: Request) throws(KMSError) -> Bool {
        guard request.input.texts(.dryRunModifiers).contains("IGNORE_CIPHERTEXT") else {
            return false
        }
        guard request.input.flag(.dryRun) else {
            throw .validation("DryRunModifiers can be specified only when DryRun is true.")
        }
        return true
    }

    /// The key that a ciphertext would be opened with, when there is none to tell.
    private func source(
        _ name: String?, _ member: Member, _ algorithm: EncryptionAlgorithm,
        for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        guard let name else { throw .validation("\(member.rawValue) is required.") }
        let entry = try encryptionKey(name, for: &request)
        guard entry.record.spec.encryptionAlgorithms.contains(algorithm) else {
            throw EmbeddedKeyService.incompatible(algorithm.rawValue, entry)
        }
        return entry
    }

    /// Whether ReEncrypt's two keys are one, as far as the request tells before it is looked at.
    private func isSameKey(_ request: Request) throws(KMSError) -> Bool {
        let region = try state(for: request).region(scope)
        let named = { (text: String) -> KeyID? in
            switch KeyReference(text) {
            case .keyID(let id): id
            case .keyARN(let arn): arn.keyID
            case .alias(let name), .aliasARN(_, let name): region.aliases[name]?.target
            case nil: nil
            }
        }
        let source =
            request.input.text(.sourceKeyID).flatMap(named)
            ?? request.input.bytes(.ciphertextBlob).flatMap(SymmetricBlob.init(decoding:))?.keyID
        let destination = named(try request.text(.destinationKeyID))
        return source != nil && source == destination
    }

    func generateRandom(_ request: inout Request) throws(KMSError) -> Structure {
        try refuseRecipient(request)
        guard let count = request.input.number(.numberOfBytes) else {
            throw .validation("NumberOfBytes is required.")
        }
        let snapshot = try state(for: request)
        try authorizer.authorize(request, in: snapshot)
        let bytes: SecretBytes
        if let store = request.input.text(.customKeyStoreID) {
            request.event.customKeyStoreID = store
            bytes = try keyStores.random(count, from: store, snapshot, snapshot.region(scope))
        } else {
            bytes = SecretBytes.random(count: count)
        }
        return Structure([.plaintext: .secret(bytes)])
    }

    /// Answers sealed for an attested enclave need AWS's own hardware.
    func refuseRecipient(_ request: Request) throws(KMSError) {
        guard request.input[.recipient] == nil else {
            throw .unsupportedOperation("Recipient (AWS Nitro Enclaves) is not supported.")
        }
    }

    // MARK: Keys

    /// The key that is to encrypt.
    func destination(
        _ name: String, _ algorithm: EncryptionAlgorithm, plaintextBytes: Int,
        for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        let entry = try encryptionKey(name, for: &request)
        guard let maximum = entry.record.spec.maximumPlaintextBytes(algorithm) else {
            throw EmbeddedKeyService.incompatible(algorithm.rawValue, entry)
        }
        guard plaintextBytes <= maximum else {
            throw .validation(
                "Algorithm \(algorithm.rawValue) and key spec \(entry.record.spec.rawValue) "
                    + "cannot encrypt data larger than \(maximum) bytes.")
        }
        return entry
    }

    /// A key that is for encryption; of which spec is not looked at.
    func encryptionKey(_ name: String, for request: inout Request) throws(KMSError) -> KeyEntry {
        try check(contexts: request)
        try grantTokens.check(request)
        let entry = try key(
            named: name, in: try state(for: request), group: .cryptographic, for: &request)
        try refuseUsage(of: entry, other: .encryptDecrypt, for: request)
        return entry
    }

    static func incompatible(_ algorithm: String, _ entry: KeyEntry) -> KMSError {
        .invalidKeyUsage(
            "Algorithm \(algorithm) is incompatible with key spec \(entry.record.spec.rawValue).")
    }

    func refuseUsage(
        of entry: KeyEntry, other usage: KeyUsage, for request: Request
    ) throws(KMSError) {
        guard entry.record.usage == usage else {
            throw .invalidKeyUsage(
                "\(entry.arnText) key usage is \(entry.record.usage.rawValue) which is not valid "
                    + "for \(request.operation.rawValue).")
        }
    }

    /// A context goes into the log with every use: it has a bound of Keyfold's own.
    private func check(contexts request: Request) throws(KMSError) {
        for (_, value) in request.input.members {
            guard case .context(let context) = value else { continue }
            guard context.sizeBytes <= KMSLimit.encryptionContextBytes else {
                throw .validation(
                    "EncryptionContext must not be longer than "
                        + "\(KMSLimit.encryptionContextBytes) bytes")
            }
        }
    }

    // MARK: Sealing and opening

    /// A ciphertext by the key's current version.
    ///
    /// - Precondition: an asymmetric algorithm has no context (``refuseContext(_:for:)``).
    func seal(
        _ plaintext: SecretBytes, under entry: KeyEntry, _ algorithm: EncryptionAlgorithm,
        _ context: EncryptionContext, for request: inout Request
    ) throws(KMSError) -> [UInt8] {
        let current = try currentMaterial(of: entry)
        guard algorithm == .symmetricDefault else {
            return try keyPairs.encrypt(plaintext, with: current, of: entry, algorithm)
        }
        request.note(current)
        if entry.record.origin == .awsCloudhsm {
            return try keyStores.encrypt(
                plaintext, under: entry, current, try state(for: request), context)
        }
        guard let material = entry.derivation(current) else {
            throw .invalidState("\(entry.arnText) is pending import.")
        }
        return seal(plaintext, under: entry, current, material, context: context)
    }

    private static func refuseContext(
        _ context: EncryptionContext, for algorithm: EncryptionAlgorithm
    ) throws(KMSError) {
        guard algorithm == .symmetricDefault || context.isEmpty else {
            throw .validation(
                "EncryptionContext is not supported when encrypting/decrypting with asymmetric "
                    + "CMKs.")
        }
    }

    struct Opened {
        let plaintext: SecretBytes
        let entry: KeyEntry
        /// nil for asymmetric keys.
        let material: MaterialRecord?
    }

    /// - Parameter name: nil where the ciphertext is to name its key.
    private func open(
        _ bytes: [UInt8]?, under name: String?, _ algorithm: EncryptionAlgorithm,
        _ context: EncryptionContext, member: Member, for request: inout Request
    ) throws(KMSError) -> Opened {
        guard let bytes else { throw .validation("\(member.rawValue) is required.") }
        try check(contexts: request)
        try grantTokens.check(request)
        guard algorithm == .symmetricDefault else {
            return try openAsymmetric(bytes, under: name, algorithm, context, for: &request)
        }
        let snapshot = try state(for: request)
        var wanted: KeyEntry?
        if let name { wanted = try find(name, toOpen: bytes, in: snapshot, for: &request) }
        guard let blob = SymmetricBlob(decoding: bytes) else {
            // Recorded from AWS: an RSA ciphertext under its key, too, where no algorithm is named.
            if let wanted {
                try permit(wanted, in: snapshot, group: .cryptographic, for: &request)
            }
            throw .invalidCiphertext
        }
        if let wanted,
            wanted.record.id != blob.keyID || wanted.record.usage != .encryptDecrypt
                || wanted.record.spec != .symmetricDefault
        {
            // Recorded from AWS: this comes before the check of the usage.
            try permit(wanted, in: snapshot, group: .cryptographic, for: &request)
            throw .incorrectKey
        }
        let entry: KeyEntry
        if let wanted {
            entry = wanted
            try permit(entry, in: snapshot, group: .cryptographic, for: &request)
        } else {
            entry = try permittedKey(blob.keyID, in: snapshot, for: &request)
        }
        guard let material = entry.material(version: blob.keyVersion) else {
            throw .invalidCiphertext
        }
        request.note(material)
        let plaintext =
            if entry.record.origin == .awsCloudhsm {
                try keyStores.decrypt(blob, under: entry, material, snapshot, context)
            } else {
                try open(blob, of: entry, with: material, context: context)
            }
        return Opened(plaintext: plaintext, entry: entry, material: material)
    }

    /// Finds the key that a request names for a ciphertext.
    ///
    /// Recorded from AWS: a multi-Region key's ARN in another Region is the wrong key for a
    /// ciphertext that the key of this Region opens, and not one that is not found.
    private func find(
        _ name: String, toOpen bytes: [UInt8], in snapshot: KeystoreSnapshot,
        for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        do throws(KMSError) {
            return try find(name, in: snapshot, for: &request)
        } catch {
            guard case .keyARN(let arn) = KeyReference(name), arn.keyID.isMultiRegion,
                arn.scope.account == scope.account, arn.scope.region != scope.region,
                SymmetricBlob(decoding: bytes)?.keyID == arn.keyID,
                snapshot.region(scope).keys[arn.keyID] != nil
            else { throw error }
            _ = try permittedKey(arn.keyID, in: snapshot, for: &request)
            throw .incorrectKey
        }
    }

    /// The key that only a ciphertext names, for a caller who may use it.
    ///
    /// - Throws: to all others the same, whatever the key is; the usage log has the cause.
    private func permittedKey(
        _ id: KeyID, in snapshot: KeystoreSnapshot, for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        guard let entry = snapshot.region(scope).keys[id] else {
            throw try denialOfCiphertext(nil, request, snapshot)
        }
        do throws(KMSError) {
            try permit(entry, in: snapshot, group: .cryptographic, for: &request)
            return entry
        } catch {
            guard error.code == .accessDenied else { throw error }
            throw try denialOfCiphertext(error, request, snapshot)
        }
    }

    private func denialOfCiphertext(
        _ cause: KMSError?, _ request: Request, _ snapshot: KeystoreSnapshot
    ) throws(KMSError) -> KMSError {
        let principal = try authorizer.principal(of: request.caller)
        return .denialOfCiphertext(
            KMSAction(request), to: principal.arn,
            isTrusted: authorizer.isTrusted(principal, in: snapshot), cause: cause)
    }

    private func openAsymmetric(
        _ bytes: [UInt8], under name: String?, _ algorithm: EncryptionAlgorithm,
        _ context: EncryptionContext, for request: inout Request
    ) throws(KMSError) -> Opened {
        guard let name else {
            let member: Member = request.operation == .reEncrypt ? .sourceKeyID : .keyID
            throw .validation("\(member.rawValue) must not be null")
        }
        try EmbeddedKeyService.refuseContext(context, for: algorithm)
        let entry = try key(
            named: name, in: try state(for: request), group: .cryptographic, for: &request)
        try refuseUsage(of: entry, other: .encryptDecrypt, for: request)
        guard entry.record.spec.encryptionAlgorithms.contains(algorithm) else {
            throw EmbeddedKeyService.incompatible(algorithm.rawValue, entry)
        }
        guard let current = entry.current else { throw .invalidCiphertext }
        let plaintext = try keyPairs.decrypt(bytes, with: current, of: entry, algorithm)
        return Opened(plaintext: plaintext, entry: entry, material: nil)
    }
}

extension Structure {
    /// One that is not named is the symmetric one.
    fileprivate func encryptionAlgorithm(_ member: Member) -> EncryptionAlgorithm {
        choice(member) ?? .symmetricDefault
    }
}
