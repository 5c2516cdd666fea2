internal import Cryptography
internal import KMSModel

/// Reads rows and verifies that they are all there, whole and of one revision.
struct KeystoreLoader {
    let paths: KeystorePaths
    let keys: KeystoreKeys
    let sealer: RecordSealer

    private func tampered(_ what: String) -> KeystoreError {
        .tampered(path: paths.directory, what: what)
    }

    func manifest(_ id: UInt8, in connection: KeystoreConnection) throws(KeystoreError) -> Manifest
    {
        let rows = try connection.rows(
            "SELECT revision, box FROM manifests WHERE id = ?", [.integer(Int64(id))])
        guard let row = rows.first, let revision = row[0].integer, revision >= 0,
            let box = row[1].bytes
        else { throw tampered("its manifest is missing") }
        let stored = StoredRow(
            key: RowKey(kind: .manifest, id: [id]), revision: UInt64(revision), box: box)
        guard let manifest = sealer.open(stored, as: Manifest.init(decoding:)),
            manifest.revision == stored.revision
        else { throw tampered("its manifest was edited") }
        return manifest
    }

    /// The model at the database's revision; nil when that is `revision` already.
    ///
    /// Rows written since are read alone; if they and the known ones do not add up to the
    /// manifest (rows were deleted), all are read.
    func newer(
        than revision: UInt64, _ model: KeystoreModel, in connection: KeystoreConnection
    ) throws(KeystoreError) -> (KeystoreModel, UInt64)? {
        // The number alone first: it says that nothing has changed at the price of one small row.
        let row = try connection.rows(
            "SELECT revision FROM manifests WHERE id = ?", [.integer(Int64(Manifest.keysID))]
        ).first
        guard let stored = row?.first?.integer else { throw tampered("its manifest is missing") }
        if stored == Int64(revision) { return nil }
        let manifest = try manifest(Manifest.keysID, in: connection)
        guard manifest.revision > revision else {
            throw tampered("it was rolled back while it was open")
        }
        if revision > 0 {
            let rows = try rows(since: revision, in: connection)
            if let next = try? adding(rows, to: model), next.matches(manifest) {
                return (next, manifest.revision)
            }
        }
        let rows = try rows(since: 0, in: connection)
        let next: KeystoreModel
        do throws(KeystoreModel.Inconsistency) {
            next = try adding(rows, to: KeystoreModel())
        } catch {
            throw tampered(error.what)
        }
        guard next.matches(manifest) else {
            throw tampered("a record was added, removed or rolled back")
        }
        return (next, manifest.revision)
    }

    private func adding(
        _ rows: [StoredRow], to model: KeystoreModel
    ) throws(KeystoreModel.Inconsistency) -> KeystoreModel {
        var model = model
        for row in rows {
            try model.insert(row, sealer: sealer, keys: keys)
        }
        try model.finish(keys: keys)
        return model
    }

    private func rows(
        since revision: UInt64, in connection: KeystoreConnection
    ) throws(KeystoreError) -> [StoredRow] {
        let stored =
            try connection.rows(
                "SELECT ?, id, revision, body FROM slots WHERE revision > ?",
                [.integer(Int64(RecordKind.slot.rawValue)), .integer(Int64(revision))])
            + (try connection.rows(
                "SELECT kind, id, revision, box FROM records WHERE revision > ?",
                [.integer(Int64(revision))]))
        var rows: [StoredRow] = []
        rows.reserveCapacity(stored.count)
        for row in stored {
            guard let number = row[0].integer, let kind = UInt8(exactly: number),
                let kind = RecordKind(rawValue: kind), let id = row[1].bytes,
                let revision = row[2].integer, revision > 0, let box = row[3].bytes
            else { throw tampered("a row of its database was edited") }
            rows.append(
                StoredRow(key: RowKey(kind: kind, id: id), revision: UInt64(revision), box: box))
        }
        return rows
    }
}
