internal import KMSModel
internal import Synchronization

/// The usage log's anchors: their own manifest and revision, since they move with every sync of
/// the log and nobody keeps them in memory.
extension KeystoreStore {
    /// Keeps a new segment, durably.
    ///
    /// - Throws: ``KeystoreError/database(code:message:path:)`` when the id or the ordinal is
    ///   taken.
    package func registerSegment(_ segment: SegmentRow) throws(KeystoreError) {
        try changeSegments { editor throws(KeystoreError) in
            try editor.insert(segment)
        }
    }

    /// Moves a segment's head, durably.
    package func advanceSegment(
        _ id: [UInt8], eventCount: UInt64, chainHash: [UInt8], isClosed: Bool
    ) throws(KeystoreError) {
        try changeSegments { editor throws(KeystoreError) in
            var segment = try editor.segment(id)
            segment.eventCount = eventCount
            segment.chainHash = chainHash
            segment.isClosed = isClosed
            try editor.replace(segment)
        }
    }

    /// In the order of registration, verified as a whole.
    package func segments() throws(KeystoreError) -> [SegmentRow] {
        try working.withLock { working throws(KeystoreError) in
            let sealer = working.sealer
            return try database.transaction(.read) { connection throws(KeystoreError) in
                try SegmentReader(paths: paths, keys: keys, sealer: sealer).all(in: connection)
            }
        }
    }

    private func changeSegments(
        _ body: (inout SegmentEditor) throws(KeystoreError) -> Void
    ) throws(KeystoreError) {
        try working.withLock { working throws(KeystoreError) in
            let sealer = working.sealer
            try database.transaction(.write) { connection throws(KeystoreError) in
                commits.repair()
                let reader = SegmentReader(paths: paths, keys: keys, sealer: sealer)
                var manifest = try reader.manifest(in: connection)
                manifest.revision += 1
                var editor = SegmentEditor(
                    reader: reader, connection: connection, manifest: manifest)
                try body(&editor)
                let writer = KeystoreWriter(
                    keys: keys, sealer: sealer, revision: editor.manifest.revision)
                try writer.store(editor.manifest, as: Manifest.segmentsID, in: connection)
            }
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

/// One change of the segments: the manifest's sum is moved by what goes and what comes. A row
/// that was edited before leaves the sum wrong for good, so reading all rows finds it.
private struct SegmentEditor {
    let reader: SegmentReader
    let connection: KeystoreConnection
    var manifest: Manifest

    private func row(_ id: [UInt8]) throws(KeystoreError) -> StoredRow {
        let rows = try connection.rows(
            "SELECT id, revision, box FROM segments WHERE id = ?", [.bytes(id)])
        guard let row = rows.first else {
            throw .tampered(
                path: reader.paths.directory,
                what: "the \(RowKey(kind: .segment, id: id).description) is missing")
        }
        return try reader.stored(row)
    }

    func segment(_ id: [UInt8]) throws(KeystoreError) -> SegmentRow {
        try reader.segment(try row(id))
    }

    mutating func insert(_ segment: SegmentRow) throws(KeystoreError) {
        try add(segment)
        manifest.rowCount += 1
    }

    mutating func replace(_ segment: SegmentRow) throws(KeystoreError) {
        manifest.digest -= reader.keys.rowDigest(try row(segment.id))
        try connection.run("DELETE FROM segments WHERE id = ?", [.bytes(segment.id)])
        try add(segment)
    }

    private mutating func add(_ segment: SegmentRow) throws(KeystoreError) {
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
    }
}
