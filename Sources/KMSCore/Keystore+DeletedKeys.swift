package import KMSModel
package import UsageLog

extension Keystore {
    /// The keys that are gone by now, as the bills of past months ask for them, from what the log
    /// has of their lives. The log is read only where the tally names such keys; one that deleted
    /// keys has named them, since somebody scheduled their deletion.
    ///
    /// Left out is a key whose making is not in the log.
    package func deletedKeys(in tally: UsageTally) throws(KeystoreError) -> [BilledKey] {
        let snapshot = try store.snapshot()
        let gone = tally.keys.keys.compactMap { KeyARN($0) }.filter {
            snapshot.region($0.scope).keys[$0.keyID] == nil
        }
        guard !gone.isEmpty else { return [] }
        // The log looks for each of them in each event: too long for many.
        let ids = gone.count <= 16 ? Set(gone.map(\.keyID.description)) : []
        var lives = KeyLives()
        do throws(UsageLogError) {
            for operation in KeyLives.operations {
                try usageLog().forEach(UsageLogFilter(keys: ids, eventName: operation)) {
                    lives.add($0)
                }
            }
        } catch {
            throw KeystoreError(error)
        }
        return gone.compactMap { lives.billed($0) }
    }
}

/// When keys were made, rotated and deleted, as the log's events tell it. Their order does not
/// matter.
private struct KeyLives {
    static let operations = [
        "CreateKey", "ReplicateKey", "RotateKey", "RotateKeyOnDemand", "ScheduleKeyDeletion",
        "DeleteKey",
    ]

    private var made: [String: Timestamp] = [:]
    private var scheduled: [String: Timestamp] = [:]
    private var deleted: [String: Timestamp] = [:]
    /// Of a multi-Region key's siblings alike, by version: a rotation may have two events.
    private var rotations: [KeyID: [UInt32: Timestamp]] = [:]

    mutating func add(_ event: LoggedEvent) {
        guard event.errorCode == nil, let arn = event.keyARNs.first else { return }
        let time = event.eventTime
        switch event.eventName {
        case "CreateKey": made[arn] = time
        // The primary key stands first.
        case "ReplicateKey": event.keyARNs.last.map { made[$0] = time }
        // The last one was not cancelled.
        case "ScheduleKeyDeletion": scheduled[arn] = max(time, scheduled[arn] ?? time)
        case "DeleteKey": deleted[arn] = time
        default:
            guard let id = KeyARN(arn)?.keyID, let version = event.keyVersion else { return }
            rotations[id, default: [:]][version] = time
        }
    }

    func billed(_ arn: KeyARN) -> BilledKey? {
        let name = arn.description
        guard let made = made[name], let deleted = deleted[name] else { return nil }
        return BilledKey(
            arn: name, manager: .customer, creationDate: made,
            freeSince: scheduled[name] ?? deleted,
            rotations: (rotations[arn.keyID] ?? [:]).values.filter { $0 < deleted }.sorted())
    }
}
