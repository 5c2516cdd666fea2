internal import KMSModel
internal import KMSStore
internal import UsageLog

extension EmbeddedKeyService {
    func getKeyLastUsage(_ request: inout Request) throws(KMSError) -> Structure {
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .read,
            for: &request)
        return Structure([
            .keyID: .text(entry.arnText),
            // Empty for a key that was not used yet.
            .keyLastUsage: .structure(try lastUsage(of: entry) ?? Structure()),
            .trackingStartDate: .time(entry.record.creationDate),
            .keyCreationDate: .time(entry.record.creationDate),
        ])
    }

    private func lastUsage(of entry: KeyEntry) throws(KMSError) -> Structure? {
        // First, since a segment that ends meanwhile has its events in the totals then.
        let own = shared.log.lastUse(ofKey: entry.arnText)
        let anchored: UsageTally.LastUse?
        do throws(UsageLogError) {
            anchored = try shared.notary.usage(ofKey: entry.arnText)?.lastUse
        } catch {
            throw .internalFailure("\(error)")
        }
        return UsageTally.LastUse.latest(own, anchored).map { use in
            Structure([
                .operation: .text(use.operation), .timestamp: .time(use.time),
                .cloudTrailEventID: .text(use.eventID), .kmsRequestID: .text(use.requestID),
            ])
        }
    }
}
