internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func createKey(
        _ creation: CreateKeyRequest, as caller: Caller
    ) throws(KMSError) -> KeyMetadata {
        try perform(.createKey, as: caller) { request throws(KMSError) in
            request.note("keySpec", "SYMMETRIC_DEFAULT")
            request.note("keyUsage", "ENCRYPT_DECRYPT")
            request.note("origin", "AWS_KMS")
            if !creation.description.isEmpty { request.note("description", creation.description) }
            var validation = Validation()
            validation.length(
                of: creation.description, at: "description", KMSLimit.descriptionCharacters)
            validation.tags(creation.tags)
            try validation.check()
            let tags = try TagSet().adding(creation.tags)
            try authorizer.authorize(caller, .createKey)

            let record = KeyRecord(
                id: .random(), creationDate: request.now, state: .enabled,
                description: creation.description, manager: .customer, tags: tags.sorted,
                rotation: nil)
            let material = MaterialRecord.new(
                for: record.id, version: 1, type: nil, now: request.now)
            try change(for: request) { snapshot, change throws(KMSError) in
                guard snapshot.keys.count < KMSLimit.keys else {
                    throw .limitExceeded(
                        "The account has reached its quota of \(KMSLimit.keys) keys.")
                }
                change.keys = [record]
                change.materials = [material]
            }
            let arn = KeyARN(scope: scope, keyID: record.id)
            request.event.resources = [arn.description]
            request.event.keyMaterialID = material.materialID
            request.event.keyVersion = material.version
            request.answer("keyId", record.id.description)
            request.answer("arn", arn.description)
            request.answer("keyState", record.state.name)
            request.answer("keyManager", record.manager.rawValue)
            return KeyMetadata(
                arn: arn, creationDate: record.creationDate, state: record.state,
                description: record.description, manager: record.manager,
                currentMaterialID: material.materialID, currentVersion: 1)
        }
    }

    func describeKey(
        _ key: String, as caller: Caller
    ) throws(KMSError) -> KeyMetadata {
        try perform(.describeKey, as: caller) { request throws(KMSError) in
            try named(key, in: &request)
            return try self.key(
                named: key, in: try state(for: request), group: .read, for: &request
            ).metadata
        }
    }

    func listKeys(
        _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<KeyARN> {
        try perform(.listKeys, as: caller) { request throws(KMSError) in
            try check(page, .keys, in: &request)
            let snapshot = try state(for: request)
            try authorizer.authorize(caller, .listKeys)
            let keys = snapshot.keys.values.map { (name: $0.record.id.description, arn: $0.arn) }
                .sorted { $0.name < $1.name }
            let found = try PageSize.keys.page(page, of: keys) { $0.name }
            return Page(elements: found.elements.map(\.arn), nextMarker: found.nextMarker)
        }
    }

    func updateKeyDescription(
        _ key: String, to description: String, as caller: Caller
    ) throws(KMSError) {
        try perform(.updateKeyDescription, as: caller) { request throws(KMSError) in
            request.note("description", description)
            var validation = Validation()
            validation.length(of: description, at: "description", KMSLimit.descriptionCharacters)
            try edit(key, group: .changeAttributes, validation, for: &request) {
                entry, record throws(KMSError) in
                record.description = description
            }
        }
    }

    func enableKey(_ key: String, as caller: Caller) throws(KMSError) {
        try perform(.enableKey, as: caller) { request throws(KMSError) in
            try apply(.enable, to: key, for: &request)
        }
        // A rotation that came due while the key was disabled happens at once.
        doOverdueWork()
    }

    func disableKey(_ key: String, as caller: Caller) throws(KMSError) {
        try perform(.disableKey, as: caller) { request throws(KMSError) in
            try apply(.disable, to: key, for: &request)
        }
    }

    func scheduleKeyDeletion(
        _ key: String, windowDays: Int?, as caller: Caller
    ) throws(KMSError) -> KeyMetadata {
        try perform(.scheduleKeyDeletion, as: caller) { request throws(KMSError) in
            let days = windowDays ?? KMSLimit.defaultPendingWindowDays
            request.note("pendingWindowInDays", days)
            var validation = Validation()
            validation.value(days, at: "pendingWindowInDays", KMSLimit.modelPendingWindowDays)
            validation.key(key)
            try validation.check()
            guard KMSLimit.pendingWindowDays.contains(days) else {
                throw .validation("PendingWindowInDays must be between 7 and 30 (inclusive).")
            }
            let metadata = try apply(.scheduleDeletion(windowDays: days), to: key, for: &request)
            request.answer("keyId", metadata.arn.description)
            request.answer("keyState", metadata.state.name)
            if case .pendingDeletion(let date) = metadata.state {
                request.answer("deletionDate", date.iso8601)
            }
            return metadata
        }
    }

    func cancelKeyDeletion(
        _ key: String, as caller: Caller
    ) throws(KMSError) -> KeyARN {
        try perform(.cancelKeyDeletion, as: caller) { request throws(KMSError) in
            let metadata = try apply(.cancelDeletion, to: key, for: &request)
            request.answer("keyId", metadata.arn.description)
            return metadata.arn
        }
    }

    // MARK: Shared steps

    /// Notes and checks the text that names a key.
    func named(_ key: String, in request: inout Request) throws(KMSError) {
        request.note("keyId", key)
        var validation = Validation()
        validation.key(key)
        try validation.check()
    }

    func check(
        _ page: PageRequest, _ size: PageSize, in request: inout Request
    ) throws(KMSError) {
        request.note("limit", page.limit)
        var validation = Validation()
        validation.page(page, size)
        try validation.check()
    }

    /// Changes one key's record, in one transaction.
    ///
    /// - Parameter group: nil where the body asks the state itself.
    @discardableResult
    func edit(
        _ key: String, group: KeyOperationGroup?, _ validation: Validation = Validation(),
        for request: inout Request,
        _ body: (KeyEntry, inout KeyRecord) throws(KMSError) -> Void
    ) throws(KMSError) -> KeyMetadata {
        request.note("keyId", key)
        var validation = validation
        validation.key(key)
        try validation.check()
        var edited = request
        defer { request = edited }
        return try change(for: request) { snapshot, change throws(KMSError) in
            let entry = try self.key(
                named: key, in: snapshot, group: group ?? .read, for: &edited)
            var record = entry.record
            try body(entry, &record)
            if record != entry.record { change.keys = [record] }
            var metadata = entry.metadata
            metadata.state = record.state
            metadata.description = record.description
            return metadata
        }
    }

    @discardableResult
    private func apply(
        _ event: KeyEvent, to key: String, for request: inout Request
    ) throws(KMSError) -> KeyMetadata {
        let now = request.now
        return try edit(key, group: nil, for: &request) { entry, record throws(KMSError) in
            record.state = try record.state.applying(event, to: entry.arn, now: now)
        }
    }
}
