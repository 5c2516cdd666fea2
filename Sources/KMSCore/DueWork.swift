internal import Cryptography
internal import KMSModel
internal import KMSStore

/// What the service does by itself when its time has come: automatic rotations, deletions, and
/// imported material that expires.
struct DueWork {
    let reading: ClockReading

    var now: Timestamp { reading.wall }

    /// Whether there is anything to plan. Looks at all keys.
    func isDue(_ snapshot: KeystoreSnapshot) -> Bool {
        if snapshot.due.areReached(at: reading) { return true }
        return snapshot.regions.values.contains { region in
            region.keys.values.contains { isPlannedTooLate($0.record) }
        }
    }

    /// - Returns: the service's events, to be logged once the change is made.
    func plan(_ snapshot: KeystoreSnapshot, _ change: inout KeystoreChange) -> [UsageEvent] {
        var events: [UsageEvent] = []
        for region in snapshot.regions.values {
            for entry in region.keys.values {
                if isPlannedTooLate(entry.record) {
                    var record = entry.record
                    record.rotation?.base = now
                    change.keys.append(record)
                }
                plan(entry, in: snapshot, &change, &events)
            }
        }
        // A primary key's rotation reaches replicas that go at the same time, in whichever order
        // the two come: a version without its key would make no keystore.
        let gone = Set(change.deletedKeys)
        change.materials.removeAll { gone.contains($0.place) }
        change.keys.removeAll { gone.contains($0.place) }
        return events
    }

    /// Whether the rotation counts from a time that is still to come, since the clock was ahead: the
    /// key would rotate late by as much. Where the key itself is from later than now, the clock is
    /// rather behind, and the schedule right.
    private func isPlannedTooLate(_ record: KeyRecord) -> Bool {
        guard let rotation = record.rotation, !record.state.awaitsDeletion else { return false }
        let latest = now.advanced(byMilliseconds: KMSLimit.clockToleranceMilliseconds)
        return rotation.base > latest && record.creationDate <= latest
    }

    private func plan(
        _ entry: KeyEntry, in snapshot: KeystoreSnapshot, _ change: inout KeystoreChange,
        _ events: inout [UsageEvent]
    ) {
        if case .pendingDeletion(let date) = entry.record.state {
            return planDeletion(of: entry, at: date, in: snapshot, &change, &events)
        }
        guard let due = entry.nextDue, due <= now else { return }
        let expired = entry.materials.filter { $0.endOfUse.map { $0 <= now } ?? false }
        if !expired.isEmpty {
            for var material in expired {
                material.material = nil
                change.materials.append(material)
                events.append(
                    .ofService("DeleteExpiredKeyMaterial", on: entry, material, at: now))
            }
            var record = entry.record
            if record.state == .enabled || record.state == .disabled {
                record.state = .pendingImport
            }
            change.keys.append(record)
            return
        }
        if entry.record.state == .enabled, let next = entry.record.rotation?.next, next <= now {
            let material = rotate(entry, .automatic, in: snapshot, &change)
            events.append(.rotation(of: entry, to: material, .automatic, at: now))
            events += snapshot.replicas(of: entry).filter { !isDueForDeletion($0) }.map {
                .synchronization(of: $0, at: now)
            }
        }
    }

    /// Whether the key's wait for its deletion is over, and it goes with this work.
    private func isDueForDeletion(_ entry: KeyEntry) -> Bool {
        guard case .pendingDeletion(let date) = entry.record.state, date <= now,
            let end = entry.record.deletionWait.end
        else { return false }
        return reading.hasReached(end)
    }

    /// A key goes when its ``DeletionWait`` is over.
    private func planDeletion(
        of entry: KeyEntry, at date: Timestamp, in snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange, _ events: inout [UsageEvent]
    ) {
        var record = entry.record
        if date > now {
            guard record.deletionWait.firstSeen != nil else { return }
            record.deletionWait.firstSeen = nil
            change.keys.append(record)
        } else if let end = record.deletionWait.end {
            guard reading.hasReached(end) else { return }
            delete(entry, in: snapshot, &change)
            events.append(.ofService("DeleteKey", on: entry, at: now))
        } else {
            record.deletionWait.firstSeen = reading
            change.keys.append(record)
        }
    }

    /// A key goes; the wait of a primary key begins when its last replica has gone.
    private func delete(
        _ entry: KeyEntry, in snapshot: KeystoreSnapshot, _ change: inout KeystoreChange
    ) {
        change.deletedKeys.append(entry.record.place)
        guard entry.record.id.isMultiRegion, !entry.record.isPrimary else { return }
        let gone = Set(change.deletedKeys)
        let left = snapshot.siblings(of: entry.record.id).filter {
            !gone.contains($0.record.place)
        }
        if left.count == 1, let primary = left.first,
            case .pendingReplicaDeletion(let days) = primary.record.state
        {
            var record = primary.record
            record.state = .pendingDeletion(at: now.advanced(byDays: days))
            record.deletionWait = primary.deletionWait(windowDays: days, from: now)
            change.keys.append(record)
        }
    }

    /// Adds a version to a key, and the same to its replicas.
    @discardableResult
    func rotate(
        _ entry: KeyEntry, _ type: RotationType, in snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange
    ) -> MaterialRecord {
        let material = MaterialRecord(
            keyID: entry.record.id, version: UInt32(entry.materials.count) + 1,
            materialID: .random(), material: SecretBytes.random(count: 32), creationDate: now,
            rotationType: type)
        let siblings =
            entry.record.id.isMultiRegion ? snapshot.siblings(of: entry.record.id) : [entry]
        for sibling in siblings {
            var copy = material
            copy.region = sibling.record.region
            change.materials.append(copy)
        }
        if type == .automatic {
            // On-demand rotations leave the schedule alone.
            var record = entry.record
            record.rotation?.base = now
            change.keys.append(record)
        }
        return material
    }

    /// Imported material that waited for this becomes the current one.
    func makeCurrent(
        _ pending: MaterialRecord, of entry: KeyEntry, in snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange
    ) -> MaterialRecord {
        let siblings =
            entry.record.id.isMultiRegion ? snapshot.siblings(of: entry.record.id) : [entry]
        for sibling in siblings {
            guard let own = sibling.material(version: pending.version) else { continue }
            change.materials.append(current(own))
        }
        return current(pending)
    }

    private func current(_ pending: MaterialRecord) -> MaterialRecord {
        var material = pending
        material.rotationType = .onDemand
        material.imported?.isPendingRotation = false
        material.imported?.rotationDate = now
        return material
    }
}

extension KeyEntry {
    /// How a deletion waits whose window begins now.
    ///
    /// Where the key has dates that are still to come, either a clock was ahead then, or it is behind
    /// now, and the window is over as soon as it is right. Nothing here tells the two apart, so the
    /// key stays for a whole window more once its date has come.
    func deletionWait(windowDays days: Int, from now: Timestamp) -> DeletionWait {
        let latest = now.advanced(byMilliseconds: KMSLimit.clockToleranceMilliseconds)
        let dates = materials.map(\.creationDate) + [record.creationDate]
        return DeletionWait(days: dates.contains { $0 > latest } ? days : DeletionWait.usualDays)
    }
}
