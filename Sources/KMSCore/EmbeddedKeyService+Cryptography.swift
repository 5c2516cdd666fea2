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
        try request.endDryRun()
        let blob = try seal(
            plaintext, under: entry, algorithm, request.input.context(.encryptionContext),
            for: &request)
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
        request.facts.action = .reEncryptTo
        request.facts.context = request.input.context(.destinationEncryptionContext)
        return try destination(
            try request.text(.destinationKeyID), algorithm, plaintextBytes: plaintextBytes,
            for: &request)
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
        try check(contexts: request)
        try grantTokens.check(request)
        let entry = try key(
            named: name, in: try state(for: request), group: .cryptographic, for: &request)
        try refuseUsage(of: entry, other: .encryptDecrypt, for: request)
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
        try check(contexts: request)
        try grantTokens.check(request)
        let entry = try key(
            named: name, in: try state(for: request), group: .cryptographic, for: &request)
        try refuseUsage(of: entry, other: .encryptDecrypt, for: request)
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
    func seal(
        _ plaintext: SecretBytes, under entry: KeyEntry, _ algorithm: EncryptionAlgorithm,
        _ context: EncryptionContext, for request: inout Request
    ) throws(KMSError) -> [UInt8] {
        let current = try currentMaterial(of: entry)
        guard algorithm == .symmetricDefault else {
            guard context.isEmpty else { throw EmbeddedKeyService.contextNotAllowed }
            return try asymmetric.encrypt(plaintext, with: current, entry.record, algorithm)
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

    private static let contextNotAllowed = KMSError.validation(
        "EncryptionContext is not valid for asymmetric encryption algorithms.")

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
        if let name { wanted = try find(name, in: snapshot, for: &request) }
        if let wanted,
            wanted.record.usage != .encryptDecrypt
                || wanted.record.spec != .symmetricDefault
        {
            // Recorded from AWS: this comes before the check of the usage.
            try permit(wanted, in: snapshot, group: .cryptographic, for: &request)
            throw .incorrectKey
        }
        guard let blob = SymmetricBlob(decoding: bytes) else {
            if let wanted {
                try permit(wanted, in: snapshot, group: .cryptographic, for: &request)
            }
            throw .invalidCiphertext
        }
        if let wanted, wanted.record.id != blob.keyID {
            try permit(wanted, in: snapshot, group: .cryptographic, for: &request)
            throw .incorrectKey
        }
        guard let entry = wanted ?? snapshot.region(scope).keys[blob.keyID] else {
            throw .accessDenied(EmbeddedKeyService.unknownKeyMessage)
        }
        try permit(entry, in: snapshot, group: .cryptographic, for: &request)
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

    private func openAsymmetric(
        _ bytes: [UInt8], under name: String?, _ algorithm: EncryptionAlgorithm,
        _ context: EncryptionContext, for request: inout Request
    ) throws(KMSError) -> Opened {
        guard let name else {
            throw .validation(
                "KeyId is required for asymmetric encryption algorithms.")
        }
        guard context.isEmpty else { throw EmbeddedKeyService.contextNotAllowed }
        let entry = try key(
            named: name, in: try state(for: request), group: .cryptographic, for: &request)
        try refuseUsage(of: entry, other: .encryptDecrypt, for: request)
        guard entry.record.spec.encryptionAlgorithms.contains(algorithm) else {
            throw EmbeddedKeyService.incompatible(algorithm.rawValue, entry)
        }
        guard let current = entry.current else { throw .invalidCiphertext }
        let plaintext = try asymmetric.decrypt(bytes, with: current, entry.record, algorithm)
        return Opened(plaintext: plaintext, entry: entry, material: nil)
    }

    static let unknownKeyMessage =
        "The ciphertext refers to a customer master key that does not exist, does not exist in "
        + "this region, or you are not allowed to access."
}

extension Structure {
    /// One that is not named is the symmetric one.
    fileprivate func encryptionAlgorithm(_ member: Member) -> EncryptionAlgorithm {
        choice(member) ?? .symmetricDefault
    }
}
