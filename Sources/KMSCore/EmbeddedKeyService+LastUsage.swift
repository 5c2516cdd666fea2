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
            .keyLastUsage: try lastUsage(of: entry).map(Value.structure),
            .trackingStartDate: .time(entry.record.creationDate),
            .keyCreationDate: .time(entry.record.creationDate),
        ])
    }

    private func lastUsage(of entry: KeyEntry) throws(KMSError) -> Structure? {
        var last: LoggedEvent?
        do throws(UsageLogError) {
            try shared.usageLog().forEach(UsageLogFilter(keys: [entry.arnText])) { event in
                let operation = KMSOperation(rawValue: event.eventName)
                if event.errorCode == nil, operation?.isCryptographic == true { last = event }
            }
        } catch {
            throw .internalFailure("\(error)")
        }
        return last.map { event in
            Structure([
                .operation: .text(event.eventName), .timestamp: .time(event.eventTime),
                .cloudTrailEventID: .text(event.eventID),
                .kmsRequestID: .text(event.eventID),
            ])
        }
    }
}
