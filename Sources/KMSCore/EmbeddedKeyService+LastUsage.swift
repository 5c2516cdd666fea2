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
        let use: UsageTally.LastUse?
        do throws(UsageLogError) {
            // The totals are those of what is anchored: up to now.
            try shared.log.synchronize()
            use = try shared.notary.usage(ofKey: entry.arnText)?.lastUse
        } catch {
            throw .internalFailure("\(error)")
        }
        return use.map { use in
            Structure([
                .operation: .text(use.operation), .timestamp: .time(use.time),
                .cloudTrailEventID: .text(use.eventID), .kmsRequestID: .text(use.requestID),
            ])
        }
    }
}
