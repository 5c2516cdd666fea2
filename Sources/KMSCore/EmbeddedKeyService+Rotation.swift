internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func enableKeyRotation(
        _ key: String, periodDays: Int?, as caller: Caller
    ) throws(KMSError) {
        try perform(.enableKeyRotation, as: caller) { request throws(KMSError) in
            let days = periodDays ?? KMSLimit.defaultRotationPeriodDays
            request.note("rotationPeriodInDays", days)
            var validation = Validation()
            validation.value(days, at: "rotationPeriodInDays", KMSLimit.rotationPeriodDays)
            let now = request.now
            try edit(key, group: .changeRotation, validation, for: &request) {
                _, record throws(KMSError) in
                // The same period again does not put the next rotation off.
                if record.rotation?.periodDays != days {
                    record.rotation = RotationSchedule(periodDays: days, base: now)
                }
            }
        }
    }

    func disableKeyRotation(_ key: String, as caller: Caller) throws(KMSError) {
        try perform(.disableKeyRotation, as: caller) { request throws(KMSError) in
            try edit(key, group: .changeRotation, for: &request) { _, record throws(KMSError) in
                record.rotation = nil
            }
        }
    }

    func keyRotationStatus(
        _ key: String, as caller: Caller
    ) throws(KMSError) -> KeyRotationStatus {
        try perform(.getKeyRotationStatus, as: caller) { request throws(KMSError) in
            try named(key, in: &request)
            let entry = try self.key(
                named: key, in: try state(for: request), group: .read, for: &request)
            guard let rotation = entry.record.rotation else {
                return KeyRotationStatus(isEnabled: false, periodDays: nil, nextRotationDate: nil)
            }
            // A key that waits for its deletion reads false; cancelling brings the setting back.
            if case .pendingDeletion = entry.record.state {
                return KeyRotationStatus(isEnabled: false, periodDays: nil, nextRotationDate: nil)
            }
            return KeyRotationStatus(
                isEnabled: true, periodDays: rotation.periodDays, nextRotationDate: rotation.next)
        }
    }

    func rotateKeyOnDemand(
        _ key: String, as caller: Caller
    ) throws(KMSError) -> KeyARN {
        try perform(.rotateKeyOnDemand, as: caller) { request throws(KMSError) in
            try named(key, in: &request)
            var edited = request
            defer { request = edited }
            let work = DueWork(scope: scope, now: request.now)
            return try change(for: request) { snapshot, change throws(KMSError) in
                let entry = try self.key(
                    named: key, in: snapshot, group: .rotateOnDemand, for: &edited)
                try refuseTooMany(entry)
                try refuseNearAutomatic(entry, now: work.now)
                let material = work.rotate(entry, .onDemand, &change)
                edited.event.keyMaterialID = material.materialID
                edited.event.keyVersion = material.version
                edited.answer("keyId", entry.arnText)
                return entry.arn
            }
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

    func listKeyRotations(
        _ key: String, includesFirstMaterial: Bool, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<KeyRotation> {
        try perform(.listKeyRotations, as: caller) { request throws(KMSError) in
            try named(key, in: &request)
            request.note(
                "includeKeyMaterial",
                includesFirstMaterial ? "ALL_KEY_MATERIAL" : "ROTATIONS_ONLY")
            try check(page, .rotations, in: &request)
            let entry = try self.key(
                named: key, in: try state(for: request), group: .read, for: &request)
            let current = entry.current.version
            let rotations = entry.materials.dropFirst(includesFirstMaterial ? 0 : 1).map {
                KeyRotation(
                    version: $0.version, materialID: $0.materialID,
                    rotationDate: $0.rotationType == nil ? nil : $0.creationDate,
                    rotationType: $0.rotationType, isCurrent: $0.version == current)
            }
            return try PageSize.rotations.page(page, of: rotations) { rotation in
                // Ten digits, so that the order of the names is that of the numbers.
                String(String(10_000_000_000 + UInt64(rotation.version)).dropFirst())
            }
        }
    }
}
