internal import Cryptography
internal import KMSModel
internal import KMSStore

/// What the service does by itself when its time has come: automatic rotations and deletions.
struct DueWork {
    let scope: AccountScope
    let now: Timestamp

    /// - Returns: the service's events, to be logged once the change is made.
    func plan(_ snapshot: KeystoreSnapshot, _ change: inout KeystoreChange) -> [UsageEvent] {
        var events: [UsageEvent] = []
        for entry in snapshot.keys.values {
            guard let due = entry.nextDue, due <= now else { continue }
            switch entry.record.state {
            case .enabled:
                let material = rotate(entry, .automatic, &change)
                events.append(event("RotateKey", entry, material))
            case .pendingDeletion:
                change.deletedKeys.append(entry.record.id)
                events.append(event("DeleteKey", entry, nil))
            case .disabled: break
            }
        }
        return events
    }

    /// Adds a version to a key.
    @discardableResult
    func rotate(
        _ entry: KeyEntry, _ type: RotationType, _ change: inout KeystoreChange
    ) -> MaterialRecord {
        let material = MaterialRecord.new(
            for: entry.record.id, version: entry.current.version + 1, type: type, now: now)
        change.materials.append(material)
        if type == .automatic {
            // On-demand rotations leave the schedule alone.
            var record = entry.record
            record.rotation?.base = now
            change.keys.append(record)
        }
        return material
    }

    private func event(
        _ name: String, _ entry: KeyEntry, _ material: MaterialRecord?
    ) -> UsageEvent {
        var event = UsageEvent(
            eventID: EventID.make(), eventTime: now, eventName: name, scope: scope,
            caller: Caller(
                principalARN: scope.rootPrincipalARN, process: nil,
                userAgent: UsageEvent.eventSource))
        event.isReadOnly = false
        event.resources = [entry.arnText]
        event.keyMaterialID = material?.materialID
        event.keyVersion = material?.version
        if material != nil {
            event.requestParameters = [
                .init("rotationType", .text(RotationType.automatic.rawValue))
            ]
        }
        return event
    }
}

extension MaterialRecord {
    /// 256 random bits of material under a random id.
    static func new(
        for key: KeyID, version: UInt32, type: RotationType?, now: Timestamp
    ) -> MaterialRecord {
        guard let id = KeyMaterialID(bytes: Random.bytes(32)) else {
            preconditionFailure("BUG: a material id has 32 bytes")
        }
        return MaterialRecord(
            keyID: key, version: version, materialID: id,
            material: SecretBytes.random(count: 32), creationDate: now, rotationType: type)
    }
}

extension KeyID {
    /// A random UUID (RFC 9562, version 4).
    static func random() -> KeyID {
        var bytes = Random.bytes(16)
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        guard let id = KeyID(bytes: bytes, isMultiRegion: false) else {
            preconditionFailure("BUG: a key id has 16 bytes")
        }
        return id
    }
}
