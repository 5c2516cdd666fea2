internal import KMSModel
internal import KMSStore
internal import UsageLog

/// Keeps what the usage log needs to be kept in the keystore: UsageLog's values as KMSStore's rows.
struct LogAnchors: LogAnchorStore {
    let store: KeystoreStore

    func read<Value: Sendable>(_ body: (any LogView) throws -> Value) throws -> Value {
        try store.readLog { try body(LogRowsView(rows: $0, directory: store.paths.directory)) }
    }

    func change<Value: Sendable>(_ body: (any LogTransaction) throws -> Value) throws -> Value {
        try store.changeLog { try body(LogRowsView(rows: $0, directory: store.paths.directory)) }
    }

    func eraseOldStates() { store.eraseOldPages() }
}

private struct LogRowsView: LogTransaction {
    let rows: LogRows
    let directory: String

    func state() throws -> [UInt8] { rows.state }

    func setState(_ state: [UInt8]) throws { try rows.setState(state) }

    func segment(_ id: SegmentID) throws -> SegmentRecord? {
        try rows.segment(id.bytes).map(record)
    }

    func segments() throws -> [SegmentRecord] { try rows.segments().map(record) }

    func insert(_ segment: SegmentRecord) throws { try rows.insert(row(segment)) }

    func replace(_ segment: SegmentRecord) throws { try rows.replace(row(segment)) }

    func checkpoints() throws -> [[UInt8]] { try rows.checkpoints() }

    func checkpoint(_ number: UInt64) throws -> [UInt8]? { try rows.checkpoint(number) }

    func appendCheckpoint(_ number: UInt64, _ bytes: [UInt8]) throws {
        try rows.appendCheckpoint(number, bytes)
    }

    func tally(_ id: [UInt8]) throws -> [UInt8]? { try rows.tally(id) }

    func tallies() throws -> [[UInt8]] { try rows.allTallies() }

    func setTally(_ id: [UInt8], _ bytes: [UInt8]) throws { try rows.setTally(id, bytes) }

    private func row(_ segment: SegmentRecord) -> SegmentRow {
        SegmentRow(
            id: segment.id.bytes, ordinal: segment.ordinal, createdAt: segment.createdAt,
            previousDigest: segment.previousDigest, eventCount: segment.head.eventCount,
            chainHash: segment.head.chainHash, isClosed: segment.isClosed,
            version: segment.version, bootID: segment.bootID, treeRoot: segment.head.treeRoot,
            tally: segment.tally)
    }

    private func record(_ row: SegmentRow) throws -> SegmentRecord {
        guard let id = SegmentID(bytes: row.id), row.version == 1 || row.bootID.count == 16 else {
            throw KeystoreError.tampered(path: directory, what: "a log segment has no id")
        }
        return SegmentRecord(
            id: id, version: row.version, ordinal: row.ordinal, createdAt: row.createdAt,
            previousDigest: row.previousDigest, bootID: row.bootID,
            head: SegmentHead(
                eventCount: row.eventCount, chainHash: row.chainHash, treeRoot: row.treeRoot),
            isClosed: row.isClosed, tally: row.tally)
    }
}

extension KeystoreError {
    /// What is wrong with the keystore itself stays what it is.
    init(_ error: UsageLogError) {
        if case .anchorStore(let cause as KeystoreError) = error {
            self = cause
        } else {
            self = .log("\(error)")
        }
    }
}
