internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import UsageLog

extension EmbeddedKeyService {
    func describeKey(_ request: inout Request) throws(KMSError) -> Structure {
        try grantTokens.check(request)
        let snapshot = try state(for: request)
        let entry = try key(
            named: try request.text(.keyID), in: snapshot, group: .read, for: &request)
        return Structure([.keyMetadata: .structure(entry.metadata(in: snapshot).structure)])
    }

    /// With the version's number, which the protocol does not carry.
    func describeKey(_ key: String, as caller: Caller) throws(KMSError) -> KeyMetadata {
        let answer = try answer(.describeKey, Structure([.keyID: .text(key)]), as: caller)
        guard var metadata = answer.structure(.keyMetadata).flatMap(KeyMetadata.init) else {
            throw .internalFailure("a key's metadata cannot be read")
        }
        let snapshot: KeystoreSnapshot
        do throws(KeystoreError) {
            snapshot = try store.snapshot()
        } catch {
            throw KMSError(error)
        }
        metadata.currentVersion =
            snapshot.region(scope).keys[metadata.arn.keyID]?.current?.version
        return metadata
    }

    func listKeys(_ request: inout Request) throws(KMSError) -> Structure {
        let snapshot = try state(for: request)
        try authorizer.authorize(request, in: snapshot)
        // Keys of other accounts are shared with nobody here.
        let owners = request.input.texts(.resourceOwners)
        let areOwnWanted = owners.isEmpty || owners.contains("SELF")
        let keys = areOwnWanted ? snapshot.region(scope).sortedKeys() : []
        return try PageSize.keys.answer(request, .keys, keys, by: \.record.id.description) { key in
            Structure([.keyID: .text(key.record.id.description), .keyARN: .text(key.arnText)])
        }
    }

    func updateKeyDescription(_ request: inout Request) throws(KMSError) -> Structure {
        let description = try request.text(.description)
        try edit(group: .changeAttributes, for: &request) { _, _, record throws(KMSError) in
            record.description = description
        }
        return Structure()
    }

    func enableKey(_ request: inout Request) throws(KMSError) -> Structure {
        try apply(.enable, for: &request)
        // A rotation that came due while the key was disabled happens at once.
        doOverdueWork()
        return Structure()
    }

    func disableKey(_ request: inout Request) throws(KMSError) -> Structure {
        try apply(.disable, for: &request)
        return Structure()
    }

    func scheduleKeyDeletion(_ request: inout Request) throws(KMSError) -> Structure {
        let days = request.input.number(.pendingWindowInDays) ?? KMSLimit.defaultPendingWindowDays
        guard KMSLimit.pendingWindowDays.contains(days) else {
            throw .validation("PendingWindowInDays must be between 7 and 30 (inclusive).")
        }
        let now = request.now
        // First, so that a keystore that is closed says so.
        _ = try state(for: request)
        let lastSeal = try lastSeal()
        let (entry, record) = try edit(group: nil, for: &request) {
            entry, snapshot, record throws(KMSError) in
            let hasReplicas =
                record.isPrimary && snapshot.siblings(of: record.id).count > 1
            record.state = try snapshot.region(entry.arn.scope).state(of: entry).applying(
                .scheduleDeletion(windowDays: days, hasReplicas: hasReplicas), to: entry.arn,
                now: now)
            try refuse(clock: now, behind: lastSeal, entry)
            if case .pendingDeletion = record.state {
                record.deletionWait = entry.deletionWait(windowDays: days, from: now)
            }
        }
        var answer = Structure([
            .keyID: .text(entry.arnText), .keyState: .text(record.state.name),
            .pendingWindowInDays: .number(days),
        ])
        request.answer("keyId", entry.arnText)
        request.answer("keyState", record.state.name)
        request.answer("pendingWindowInDays", .number(days))
        if case .pendingDeletion(let date) = record.state {
            request.answer("deletionDate", date.iso8601)
            answer[.deletionDate] = .time(date)
        }
        return answer
    }

    /// By a clock that is behind a window may end in the past. Where it was ahead when the log was
    /// sealed, the next checkpoint says so, a quarter of an hour later at most.
    private func refuse(
        clock now: Timestamp, behind lastSeal: Timestamp?, _ entry: KeyEntry
    ) throws(KMSError) {
        guard let lastSeal,
            now.advanced(byMilliseconds: KMSLimit.clockToleranceMilliseconds) < lastSeal
        else { return }
        throw .invalidState(
            "The deletion of \(entry.arnText) is not scheduled: the clock is behind. It says "
                + "\(now.iso8601), and the keystore has records of \(lastSeal.iso8601).")
    }

    private func lastSeal() throws(KMSError) -> Timestamp? {
        do throws(UsageLogError) {
            return try shared.notary.lastSeal()
        } catch {
            throw KMSError(error)
        }
    }

    func cancelKeyDeletion(_ request: inout Request) throws(KMSError) -> Structure {
        let entry = try apply(.cancelDeletion, for: &request)
        request.answer("keyId", entry.arnText)
        return Structure([.keyID: .text(entry.arnText)])
    }

    // MARK: Shared steps

    /// Changes one key's record, in one transaction.
    ///
    /// - Parameter group: nil where the body asks the state itself.
    /// - Returns: the key as it was, and its new record.
    @discardableResult
    func edit(
        group: KeyOperationGroup?, for request: inout Request,
        _ body: (KeyEntry, KeystoreSnapshot, inout KeyRecord) throws(KMSError) -> Void
    ) throws(KMSError) -> (KeyEntry, KeyRecord) {
        let name = try request.text(.keyID)
        return try change(for: &request) { snapshot, change, request throws(KMSError) in
            let entry = try self.key(
                named: name, in: snapshot, group: group ?? .read, for: &request)
            var record = entry.record
            try body(entry, snapshot, &record)
            if record != entry.record { change.keys = [record] }
            if record.rotation != entry.record.rotation {
                request.noteSynchronization(of: snapshot.replicas(of: entry))
            }
            return (entry, record)
        }
    }

    @discardableResult
    private func apply(
        _ event: KeyEvent, for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        let now = request.now
        return try edit(group: nil, for: &request) { entry, snapshot, record throws(KMSError) in
            // The custom key store's state is not the record's.
            let state = snapshot.region(entry.arn.scope).state(of: entry)
            record.state = try state.applying(event, to: entry.arn, now: now)
            // Its material may have gone while the key waited for its deletion.
            if entry.lacksMaterial { record.state = .pendingImport }
        }.0
    }
}

extension KeyEntry {
    /// What DescribeKey answers.
    func metadata(in snapshot: KeystoreSnapshot) -> KeyMetadata {
        var metadata = KeyMetadata(
            arn: arn, creationDate: record.creationDate,
            state: snapshot.region(arn.scope).state(of: self), description: record.description,
            manager: record.manager, spec: record.spec, usage: record.usage,
            origin: record.origin)
        if record.spec == .symmetricDefault, record.origin == .awsKms || record.origin == .external
        {
            metadata.currentMaterialID = current?.materialID
        }
        if record.origin == .external, !lacksMaterial {
            // The key ends with the first of all the material that it works with.
            metadata.validity = MaterialValidity(
                validTo: materials.lazy.compactMap(\.endOfUse).min())
        }
        metadata.customKeyStoreID = record.customKeyStoreID
        metadata.clusterID = record.customKeyStoreID.flatMap {
            snapshot.region(arn.scope).keyStores[$0]?.clusterID
        }
        if record.id.isMultiRegion {
            let siblings = snapshot.siblings(of: record.id)
            metadata.multiRegion = MultiRegionView(
                isPrimary: record.isPrimary,
                primary: siblings.first { $0.record.isPrimary }?.arn ?? arn,
                replicas: siblings.filter { !$0.record.isPrimary }.map(\.arn))
        }
        return metadata
    }
}
