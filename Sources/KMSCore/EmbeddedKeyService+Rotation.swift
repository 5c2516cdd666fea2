internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func enableKeyRotation(_ request: inout Request) throws(KMSError) -> Structure {
        let asked = request.input.number(.rotationPeriodInDays)
        let (operation, now) = (request.operation, request.now)
        try edit(group: .read, for: &request) { entry, snapshot, record throws(KMSError) in
            try refuseUnlessSymmetric(entry)
            try permitChange(of: entry, by: operation, in: snapshot)
            // Recorded from AWS: a key that rotates keeps its period where none is asked for, and
            // the same period again does not put the next rotation off.
            let days = asked ?? record.rotation?.periodDays ?? KMSLimit.defaultRotationPeriodDays
            if record.rotation?.periodDays != days {
                record.rotation = RotationSchedule(periodDays: days, base: now)
            }
        }
        return Structure()
    }

    func disableKeyRotation(_ request: inout Request) throws(KMSError) -> Structure {
        let operation = request.operation
        try edit(group: .read, for: &request) { entry, snapshot, record throws(KMSError) in
            // Recorded from AWS: what never rotates can be told not to.
            try permitChange(of: entry, by: operation, in: snapshot)
            record.rotation = nil
        }
        return Structure()
    }

    /// Only keys that were made here rotate by themselves; replicas follow their primary.
    private func permitChange(
        of entry: KeyEntry, by operation: KMSOperation, in snapshot: KeystoreSnapshot
    ) throws(KMSError) {
        try refuseUnlessMadeHere(entry)
        try refuseReplica(entry, operation)
        try snapshot.region(entry.arn.scope).state(of: entry)
            .permit(.changeRotation, on: entry.arn)
    }

    private func refuseUnlessSymmetric(_ entry: KeyEntry) throws(KMSError) {
        guard entry.record.spec == .symmetricDefault else {
            throw KMSError(.unsupportedOperation)
        }
    }

    private func refuseUnlessMadeHere(_ entry: KeyEntry) throws(KMSError) {
        guard entry.record.origin == .awsKms else {
            throw EmbeddedKeyService.wrongOrigin(of: entry)
        }
    }

    private func refuseCustomKeyStore(_ entry: KeyEntry) throws(KMSError) {
        guard entry.record.customKeyStoreID == nil else {
            throw EmbeddedKeyService.wrongOrigin(of: entry)
        }
    }

    static func wrongOrigin(of entry: KeyEntry) -> KMSError {
        .unsupportedOperation(
            "\(entry.arnText) origin is \(entry.record.origin.rawValue) which is not valid for "
                + "this operation.")
    }

    private func refuseReplica(
        _ entry: KeyEntry, _ operation: KMSOperation
    ) throws(KMSError) {
        guard !entry.record.id.isMultiRegion || entry.record.isPrimary else {
            throw .unsupportedOperation(
                "\(entry.arnText) is a multi-region replica key which is not valid for "
                    + "\(operation.rawValue).")
        }
    }

    func getKeyRotationStatus(_ request: inout Request) throws(KMSError) -> Structure {
        let snapshot = try state(for: request)
        let entry = try key(
            named: try request.text(.keyID), in: snapshot, group: .read, for: &request)
        try refuseCustomKeyStore(entry)
        // Replicas tell their primary's setting.
        let rotation =
            snapshot.siblings(of: entry.record.id).first { $0.record.isPrimary }?.record.rotation
            ?? entry.record.rotation
        let isEnabled = rotation != nil && !entry.record.state.hidesRotation
        return Structure([
            .keyID: .text(entry.arnText), .keyRotationEnabled: .flag(isEnabled),
            .rotationPeriodInDays: isEnabled ? rotation.map { .number($0.periodDays) } : nil,
            .nextRotationDate: isEnabled ? rotation.map { .time($0.next) } : nil,
        ])
    }

    func rotateKeyOnDemand(_ request: inout Request) throws(KMSError) -> Structure {
        let name = try request.text(.keyID)
        let work = DueWork(reading: request.reading)
        let entry = try change(for: &request) { snapshot, change, request throws(KMSError) in
            let entry = try self.key(named: name, in: snapshot, group: .read, for: &request)
            try refuseUnlessSymmetric(entry)
            try refuseCustomKeyStore(entry)
            try refuseReplica(entry, request.operation)
            try snapshot.region(scope).state(of: entry).permit(.rotateOnDemand, on: entry.arn)
            try refuseTooMany(entry)
            try refuseNearAutomatic(entry, now: work.now)
            let material = try nextMaterial(of: entry, work, snapshot, &change)
            request.note(material)
            request.serviceEvents.append(
                .rotation(of: entry, to: material, .onDemand, at: request.now))
            request.noteSynchronization(of: entry, by: change, in: snapshot)
            request.answer("keyId", entry.arnText)
            return entry
        }
        return Structure([.keyID: .text(entry.arnText)])
    }

    private func nextMaterial(
        of entry: KeyEntry, _ work: DueWork, _ snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange
    ) throws(KMSError) -> MaterialRecord {
        switch entry.record.origin {
        case .awsKms:
            return work.rotate(entry, .onDemand, in: snapshot, &change)
        case .external:
            guard let pending = entry.materials.last, pending.isPendingRotation,
                pending.material != nil, entry.isReadyToRotate(to: pending, in: snapshot)
            else {
                throw .invalidState(
                    "No available key material pending rotation for the key: \(entry.arnText).")
            }
            return work.makeCurrent(pending, of: entry, in: snapshot, &change)
        case .awsCloudhsm, .externalKeyStore:
            throw EmbeddedKeyService.wrongOrigin(of: entry)
        }
    }

    private func refuseTooMany(_ entry: KeyEntry) throws(KMSError) {
        let done = entry.materials.count { $0.rotationType == .onDemand }
        guard done < KMSLimit.onDemandRotations else {
            throw .limitExceeded(
                "The on-demand rotations limit has been reached for the given keyId. No more "
                    + "on-demand rotations can be performed for this key: \(entry.arnText)")
        }
    }

    private func refuseNearAutomatic(_ entry: KeyEntry, now: Timestamp) throws(KMSError) {
        guard let next = entry.record.rotation?.next,
            next <= now.advanced(byMilliseconds: KMSLimit.rotationDistanceMilliseconds)
        else { return }
        throw .conflict(
            "An automatic rotation of the key \(entry.arnText) is in progress or due within 20 "
                + "minutes.")
    }

    func listKeyRotations(_ request: inout Request) throws(KMSError) -> Structure {
        let snapshot = try state(for: request)
        let entry = try key(
            named: try request.text(.keyID), in: snapshot, group: .read, for: &request)
        try refuseCustomKeyStore(entry)
        // A key that never rotates has no list of its materials, and an empty one of rotations.
        guard entry.record.spec == .symmetricDefault || request.input[.includeKeyMaterial] == nil
        else {
            throw .validation(
                "Input parameter includeKeyMaterial can only be used with symmetric keys.")
        }
        let all = request.input.text(.includeKeyMaterial) == "ALL_KEY_MATERIAL"
        let materials = entry.materials.filter { all || $0.rotationType != nil }
        return try PageSize.rotations.answer(
            request, .rotations, materials, by: MaterialRecord.sortedName
        ) { material in
            material.rotation(of: entry, in: snapshot)
        }
    }
}

extension KeyState {
    /// A key that waits for its deletion reads as not rotating; cancelling brings the setting back.
    /// Recorded from AWS: while a primary key still waits for its replicas, the setting is shown.
    fileprivate var hidesRotation: Bool {
        if case .pendingDeletion = self { true } else { false }
    }
}

extension KeyEntry {
    /// Imported material takes over once all Regions of the key have it.
    fileprivate func isReadyToRotate(
        to pending: MaterialRecord, in snapshot: KeystoreSnapshot
    ) -> Bool {
        guard record.id.isMultiRegion else { return true }
        return snapshot.siblings(of: record.id).allSatisfy {
            $0.material(version: pending.version)?.material != nil
        }
    }
}

extension MaterialRecord {
    /// Ten digits, so that the order of the names is that of the versions.
    fileprivate static func sortedName(_ material: MaterialRecord) -> String {
        String(String(10_000_000_000 + UInt64(material.version)).dropFirst())
    }

    fileprivate func rotation(of entry: KeyEntry, in snapshot: KeystoreSnapshot) -> Structure {
        let state =
            if isPendingRotation {
                entry.isReadyToRotate(to: self, in: snapshot)
                    ? "PENDING_ROTATION" : "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
            } else {
                version == entry.current?.version ? "CURRENT" : "NON_CURRENT"
            }
        return Structure([
            .keyID: .text(entry.arnText),
            .keyMaterialID: .text(materialID.description),
            .keyMaterialDescription: imported?.description.map(Value.text),
            .importState: imported.map { _ in
                .text(material == nil ? "PENDING_IMPORT" : "IMPORTED")
            },
            .keyMaterialState: .text(state),
            .expirationModel: material == nil ? nil : imported.map { .choice($0.validity.model) },
            .validTo: expiry.map(Value.time),
            .rotationDate: rotationDate.map(Value.time),
            .rotationType: rotationType.map(Value.choice),
        ])
    }
}
