internal import KMSModel
internal import KMSStore
internal import UsageLog

/// Keeps the usage log's segments in the keystore: UsageLog's values as KMSStore's rows.
struct LogAnchors: LogAnchorStore {
    let store: KeystoreStore

    func register(_ segment: SegmentRecord) throws {
        try store.registerSegment(
            SegmentRow(
                id: segment.id.bytes, ordinal: segment.ordinal, createdAt: segment.createdAt,
                previousDigest: segment.previousDigest, eventCount: segment.head.eventCount,
                chainHash: segment.head.chainHash, isClosed: segment.isClosed))
    }

    func advance(_ segment: SegmentID, to head: SegmentHead, isClosed: Bool) throws {
        try store.advanceSegment(
            segment.bytes, eventCount: head.eventCount, chainHash: head.chainHash,
            isClosed: isClosed)
    }

    func segments() throws -> [SegmentRecord] {
        try store.segments().map { row in
            guard let id = SegmentID(bytes: row.id) else {
                throw KeystoreError.tampered(
                    path: store.paths.directory, what: "a log segment has no id")
            }
            return SegmentRecord(
                id: id, ordinal: row.ordinal, createdAt: row.createdAt,
                previousDigest: row.previousDigest,
                head: SegmentHead(eventCount: row.eventCount, chainHash: row.chainHash),
                isClosed: row.isClosed)
        }
    }
}
