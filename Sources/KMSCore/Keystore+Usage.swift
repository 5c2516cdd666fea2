package import KMSModel
package import UsageLog

extension Keystore {
    /// What the log's events add up to, by key.
    package func usageTally() throws(KeystoreError) -> UsageTally {
        do throws(UsageLogError) {
            return try logNotary.usage()
        } catch {
            throw KeystoreError(error)
        }
    }

    /// The last successful use of a key in a cryptographic operation; nil when it was never used
    /// since metering began.
    package func lastUse(ofKey arn: String) throws(KeystoreError) -> UsageTally.LastUse? {
        do throws(UsageLogError) {
            return try logNotary.usage(ofKey: arn)?.lastUse
        } catch {
            throw KeystoreError(error)
        }
    }

    /// All keys that there are, as a bill asks for them. Of those that are to be deleted the log
    /// says since when.
    package func billedKeys() throws(KeystoreError) -> [BilledKey] {
        var keys: [BilledKey] = []
        let snapshot = try store.snapshot()
        for entry in snapshot.regions.values.flatMap(\.keys.values) {
            var freeSince: Timestamp?
            if case .pendingDeletion = entry.record.state {
                freeSince = try lastScheduledDeletion(of: entry.arnText)
            }
            keys.append(
                BilledKey(
                    arn: entry.arnText, manager: entry.record.manager,
                    creationDate: entry.record.creationDate, freeSince: freeSince,
                    rotations: entry.materials.compactMap(\.rotationDate)))
        }
        return keys
    }

    private func lastScheduledDeletion(of arn: String) throws(KeystoreError) -> Timestamp? {
        var last: Timestamp?
        do throws(UsageLogError) {
            let filter = UsageLogFilter(keys: [arn], eventName: "ScheduleKeyDeletion")
            try usageLog().forEach(filter) { event in
                if event.errorCode == nil { last = event.eventTime }
            }
        } catch {
            throw KeystoreError(error)
        }
        return last
    }
}
