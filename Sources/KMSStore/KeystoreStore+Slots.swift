internal import Cryptography
package import KMSModel
internal import Platform

/// A slot that is not in the keystore yet.
package struct NewSlot: Sendable {
    fileprivate let record: SlotRecord
    package let view: UnlockSlot
}

extension KeystoreStore {
    /// Oldest first.
    package func slots() throws(KeystoreError) -> [UnlockSlot] {
        try snapshot().slots.values.map(\.publicView).sorted {
            ($0.createdAt, $0.id) < ($1.createdAt, $1.id)
        }
    }

    /// Wraps the root key once more. Slow for a passphrase, as it must be.
    package func newSlot(
        _ secret: SlotSecret, label: String, now: Timestamp, cost: ScryptCost
    ) throws(KeystoreError) -> NewSlot {
        let label = String(decoding: label.utf8.prefix(SlotRecord.maximumLabelBytes), as: UTF8.self)
        func wrap(_ kind: SlotKind, _ secret: SecretBytes) throws(KeystoreError) -> SlotRecord {
            try onSystem(paths.directory) { () throws(Errno) -> SlotRecord in
                try SlotRecord.wrap(
                    keys, kind: kind, secret: secret, label: label, now: now, cost: cost)
            }
        }
        switch secret {
        case .passphrase(let passphrase):
            guard passphrase.count > 0 else { throw .emptyPassphrase }
            let slot = try wrap(.passphrase, passphrase)
            return NewSlot(record: slot, view: slot.publicView)
        case .keyFile(let contents):
            try SlotRecord.checkKeyFile(contents)
            let slot = try wrap(.keyFile, contents)
            return NewSlot(record: slot, view: slot.publicView)
        case .newRecoveryKey:
            let key = SecretBytes.random(count: RecoveryKey.byteCount)
            let slot = try wrap(.recoveryKey, key)
            return NewSlot(
                record: slot, view: slot.publicView(newRecoveryKey: RecoveryKey.text(of: key)))
        }
    }
}

extension KeystoreChange {
    /// Adds a way to unlock. No key and no file is touched.
    package mutating func add(
        _ slot: NewSlot, to snapshot: KeystoreSnapshot
    ) throws(KeystoreError) {
        guard snapshot.slots.count < SlotRecord.maximumCount else {
            throw .tooManySlots(limit: SlotRecord.maximumCount)
        }
        slots.append(slot.record)
    }

    /// - Returns: what goes.
    /// - Throws: ``KeystoreError/noSuchSlot(_:)``, ``KeystoreError/lastSlot(_:)``.
    package mutating func removeSlot(
        _ id: String, from snapshot: KeystoreSnapshot
    ) throws(KeystoreError) -> UnlockSlot {
        guard let slot = snapshot.slots[id] else { throw .noSuchSlot(id) }
        guard snapshot.slots.count > 1 else { throw .lastSlot(id) }
        deletedSlots.append(id)
        return slot.publicView
    }
}
