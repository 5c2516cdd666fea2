internal import KMSModel
internal import Synchronization

/// The usage log's anchors: their own manifest and revision, since they move with every sync of
/// the log and nobody keeps them in memory.
extension KeystoreStore {
    /// In the order of registration, verified as a whole.
    package func segments() throws(KeystoreError) -> [SegmentRow] {
        try working.withLock { working throws(KeystoreError) in
            let sealer = working.sealer
            return try database.transaction(.read) { connection throws(KeystoreError) in
                try SegmentReader(paths: paths, keys: keys, sealer: sealer).all(in: connection)
            }
        }
    }

    /// Runs `body` over one state of the log's rows.
    package func readLog<Value: Sendable>(_ body: (LogRows) throws -> Value) throws -> Value {
        try withLogRows(.read, body)
    }

    /// Runs `body` in one transaction: what it changes is durable when this returns, and nothing of
    /// it is when `body` throws.
    package func changeLog<Value: Sendable>(_ body: (LogRows) throws -> Value) throws -> Value {
        try withLogRows(.write, body)
    }

    private func withLogRows<Value: Sendable>(
        _ kind: KeystoreDatabase.TransactionKind, _ body: (LogRows) throws -> Value
    ) throws -> Value {
        // A transaction knows its own kind of errors only: another one goes around it.
        var refusal: (any Error)?
        do throws(KeystoreError) {
            return try working.withLock { working throws(KeystoreError) in
                let sealer = working.sealer
                return try database.transaction(kind) { connection throws(KeystoreError) in
                    if kind == .write { commits.repair() }
                    let reader = SegmentReader(paths: paths, keys: keys, sealer: sealer)
                    let rows = try LogRows(reader: reader, connection: connection)
                    let value: Value
                    do {
                        value = try body(rows)
                    } catch {
                        refusal = error
                        throw .log("the change was called off")
                    }
                    try rows.finish()
                    return value
                }
            }
        } catch {
            throw refusal ?? error
        }
    }
}

struct SegmentReader {
    let paths: KeystorePaths
    let keys: KeystoreKeys
    let sealer: RecordSealer

    func manifest(in connection: KeystoreConnection) throws(KeystoreError) -> Manifest {
        try KeystoreLoader(paths: paths, keys: keys, sealer: sealer)
            .manifest(Manifest.segmentsID, in: connection)
    }

    func stored(_ row: [KeystoreConnection.Value]) throws(KeystoreError) -> StoredRow {
        guard let id = row[0].bytes, let revision = row[1].integer, revision > 0,
            let box = row[2].bytes
        else { throw .tampered(path: paths.directory, what: "a log segment's row was edited") }
        return StoredRow(
            key: RowKey(kind: .segment, id: id), revision: UInt64(revision), box: box)
    }

    func segment(_ row: StoredRow) throws(KeystoreError) -> SegmentRow {
        guard let segment = sealer.open(row, as: SegmentRow.init(decoding:)),
            segment.id == row.key.id
        else {
            throw .tampered(
                path: paths.directory, what: "the \(row.key.description) was edited or moved")
        }
        return segment
    }

    func all(in connection: KeystoreConnection) throws(KeystoreError) -> [SegmentRow] {
        let manifest = try manifest(in: connection)
        var total = RowDigest.zero
        var segments: [SegmentRow] = []
        for row in try connection.rows("SELECT id, revision, box FROM segments") {
            let row = try stored(row)
            total += keys.rowDigest(row)
            segments.append(try segment(row))
        }
        guard total == manifest.digest, manifest.rowCount == UInt64(segments.count) else {
            throw .tampered(
                path: paths.directory,
                what: "a record of a log segment was added, removed or rolled back")
        }
        return segments.sorted { $0.ordinal < $1.ordinal }
    }
}

/// The usage log's rows inside one transaction. Not to be kept.
///
/// A change moves the manifests' sums by what goes and what comes. A row that was edited before
/// leaves the sum wrong for good, so reading all rows finds it.
package final class LogRows {
    private let reader: SegmentReader
    private let connection: KeystoreConnection
    private var manifest: Manifest
    /// Read when it is needed.
    private var talliesManifest: Manifest?
    private var isChanged = false

    init(
        reader: SegmentReader, connection: KeystoreConnection
    ) throws(KeystoreError) {
        self.reader = reader
        self.connection = connection
        manifest = try reader.manifest(in: connection)
        manifest.revision += 1
    }

    private func tampered(_ what: String) -> KeystoreError {
        .tampered(path: reader.paths.directory, what: what)
    }

    // MARK: State

    /// The log's own state; empty before the first checkpoint.
    package var state: [UInt8] { manifest.logState }

    package func setState(_ state: [UInt8]) throws(KeystoreError) {
        if manifest.logState.isEmpty { try connection.run(KeystoreDatabase.logSchema) }
        manifest.logState = state
        isChanged = true
    }

    /// Whether there are tables of checkpoints and totals.
    private var hasTables: Bool { !manifest.logState.isEmpty }

    fileprivate func finish() throws(KeystoreError) {
        guard isChanged else { return }
        let writer = KeystoreWriter(
            keys: reader.keys, sealer: reader.sealer, revision: manifest.revision)
        try writer.store(manifest, as: Manifest.segmentsID, in: connection)
        if let talliesManifest {
            try writer.store(talliesManifest, as: Manifest.talliesID, in: connection)
        }
    }

    // MARK: Segments

    private func row(_ id: [UInt8]) throws(KeystoreError) -> StoredRow? {
        let rows = try connection.rows(
            "SELECT id, revision, box FROM segments WHERE id = ?", [.bytes(id)])
        guard let row = rows.first else { return nil }
        return try reader.stored(row)
    }

    package func segment(_ id: [UInt8]) throws(KeystoreError) -> SegmentRow? {
        guard let row = try row(id) else { return nil }
        return try reader.segment(row)
    }

    /// In the order of registration, verified as a whole.
    package func segments() throws(KeystoreError) -> [SegmentRow] {
        try reader.all(in: connection)
    }

    /// - Throws: ``KeystoreError/database(code:message:path:)`` when the id or the ordinal is taken.
    package func insert(_ segment: SegmentRow) throws(KeystoreError) {
        try add(segment)
        manifest.rowCount += 1
    }

    package func replace(_ segment: SegmentRow) throws(KeystoreError) {
        guard let old = try row(segment.id) else {
            throw tampered("the \(RowKey(kind: .segment, id: segment.id).description) is missing")
        }
        manifest.digest -= reader.keys.rowDigest(old)
        try connection.run("DELETE FROM segments WHERE id = ?", [.bytes(segment.id)])
        try add(segment)
    }

    private func add(_ segment: SegmentRow) throws(KeystoreError) {
        let row = reader.sealer.seal(
            segment.encoded(), as: RowKey(kind: .segment, id: segment.id),
            revision: manifest.revision)
        manifest.digest += reader.keys.rowDigest(row)
        try connection.run(
            "INSERT INTO segments (id, ordinal, revision, box) VALUES (?, ?, ?, ?)",
            [
                .bytes(segment.id), .integer(Int64(clamping: segment.ordinal)),
                .integer(Int64(row.revision)), .bytes(row.box),
            ])
        isChanged = true
    }

    // MARK: Checkpoints

    private func checkpointKey(_ number: UInt64) -> RowKey {
        var writer = RecordWriter()
        writer.append(number)
        return RowKey(kind: .checkpoint, id: writer.finish())
    }

    /// Their chain says whether they are all there; here each is only opened.
    package func checkpoints() throws(KeystoreError) -> [[UInt8]] {
        guard hasTables else { return [] }
        let rows = try connection.rows("SELECT number, box FROM checkpoints ORDER BY number")
        var checkpoints: [[UInt8]] = []
        for row in rows { checkpoints.append(try checkpoint(row)) }
        return checkpoints
    }

    package func checkpoint(_ number: UInt64) throws(KeystoreError) -> [UInt8]? {
        guard hasTables, let number = Int64(exactly: number) else { return nil }
        let rows = try connection.rows(
            "SELECT number, box FROM checkpoints WHERE number = ?", [.integer(number)])
        guard let row = rows.first else { return nil }
        return try checkpoint(row)
    }

    private func checkpoint(
        _ row: [KeystoreConnection.Value]
    ) throws(KeystoreError) -> [UInt8] {
        guard let number = row[0].integer, number > 0, let box = row[1].bytes else {
            throw tampered("a log checkpoint's row was edited")
        }
        let stored = StoredRow(key: checkpointKey(UInt64(number)), revision: 1, box: box)
        guard
            let bytes = reader.sealer.open(
                stored, as: { bytes throws(MalformedRecord) in Array(bytes[...]) })
        else { throw tampered("the \(stored.key.description) was edited or moved") }
        return bytes
    }

    /// A checkpoint never changes: its number is all of its revision.
    package func appendCheckpoint(
        _ number: UInt64, _ bytes: [UInt8]
    ) throws(KeystoreError) {
        if !hasTables { try connection.run(KeystoreDatabase.logSchema) }
        let row = reader.sealer.seal(bytes, as: checkpointKey(number), revision: 1)
        try connection.run(
            "INSERT INTO checkpoints (number, box) VALUES (?, ?)",
            [.integer(Int64(clamping: number)), .bytes(row.box)])
        isChanged = true
    }

    // MARK: Totals

    private func tallies() throws(KeystoreError) -> Manifest {
        if let talliesManifest { return talliesManifest }
        let known = try connection.rows(
            "SELECT revision FROM manifests WHERE id = ?", [.integer(Int64(Manifest.talliesID))])
        guard !known.isEmpty else { return .empty }
        return try KeystoreLoader(paths: reader.paths, keys: reader.keys, sealer: reader.sealer)
            .manifest(Manifest.talliesID, in: connection)
    }

    private func stored(_ row: [KeystoreConnection.Value]) throws(KeystoreError) -> StoredRow {
        guard let id = row[0].bytes, let revision = row[1].integer, revision > 0,
            let box = row[2].bytes
        else { throw tampered("a log total's row was edited") }
        return StoredRow(key: RowKey(kind: .tally, id: id), revision: UInt64(revision), box: box)
    }

    private func tally(_ row: StoredRow) throws(KeystoreError) -> [UInt8] {
        guard
            let bytes = reader.sealer.open(
                row, as: { bytes throws(MalformedRecord) in Array(bytes[...]) })
        else { throw tampered("the \(row.key.description) was edited or moved") }
        return bytes
    }

    private func tallyRow(_ id: [UInt8]) throws(KeystoreError) -> StoredRow? {
        guard hasTables else { return nil }
        let rows = try connection.rows(
            "SELECT id, revision, box FROM tallies WHERE id = ?", [.bytes(id)])
        guard let row = rows.first else { return nil }
        return try stored(row)
    }

    package func tally(_ id: [UInt8]) throws(KeystoreError) -> [UInt8]? {
        guard let row = try tallyRow(id) else { return nil }
        return try tally(row)
    }

    /// All of them, verified as a whole.
    package func allTallies() throws(KeystoreError) -> [[UInt8]] {
        guard hasTables else { return [] }
        let manifest = try tallies()
        var total = RowDigest.zero
        var tallies: [[UInt8]] = []
        for row in try connection.rows("SELECT id, revision, box FROM tallies") {
            let row = try stored(row)
            total += reader.keys.rowDigest(row)
            tallies.append(try tally(row))
        }
        guard total == manifest.digest, manifest.rowCount == UInt64(tallies.count) else {
            throw tampered("a log total was added, removed or rolled back")
        }
        return tallies
    }

    package func setTally(_ id: [UInt8], _ bytes: [UInt8]) throws(KeystoreError) {
        if !hasTables { try connection.run(KeystoreDatabase.logSchema) }
        var tallies = try tallies()
        if talliesManifest == nil { tallies.revision += 1 }
        if let old = try tallyRow(id) {
            tallies.digest -= reader.keys.rowDigest(old)
            tallies.rowCount -= 1
        }
        let row = reader.sealer.seal(
            bytes, as: RowKey(kind: .tally, id: id), revision: tallies.revision)
        tallies.digest += reader.keys.rowDigest(row)
        tallies.rowCount += 1
        talliesManifest = tallies
        try connection.run(
            "INSERT OR REPLACE INTO tallies (id, revision, box) VALUES (?, ?, ?)",
            [.bytes(id), .integer(Int64(row.revision)), .bytes(row.box)])
        isChanged = true
    }
}
