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

    /// Brings a model to the database's revision.
    ///
    /// Rows written since are read alone. If they and the known ones do not add up to the manifest,
    /// rows were deleted: the ids of all are read then, and if that does not help, all rows. When
    /// this throws, the model is of no use.
    ///
    /// - Parameter revision: of the model, or 0 to read all. What the database holds is never older
    ///   than `floor`.
    /// - Returns: the new revision.
    func advance(
        _ model: inout KeystoreModel, from revision: UInt64, floor: UInt64,
        in connection: KeystoreConnection
    ) throws(KeystoreError) -> UInt64 {
        // The number alone first: it says that nothing has changed at the price of one small row.
        let row = try connection.rows(
            "SELECT revision FROM manifests WHERE id = ?", [.integer(Int64(Manifest.keysID))]
        ).first
        guard let stored = row?.first?.integer else { throw tampered("its manifest is missing") }
        if revision > 0, stored == Int64(revision) { return revision }
        let manifest = try manifest(Manifest.keysID, in: connection)
        guard manifest.revision > revision, manifest.revision >= floor else {
            throw tampered("it was rolled back while it was open")
        }
        if revision > 0, try follow(manifest, &model, since: revision, in: connection) {
            return manifest.revision
        }
        let rows = try rows(since: 0, in: connection)
        model = KeystoreModel()
        model.reserve(rowCount: rows.count)
        do throws(KeystoreModel.Inconsistency) {
            try insert(rows, into: &model)
            try model.finish(keys: keys)
        } catch {
            throw tampered(error.what)
        }
        guard model.matches(manifest) else {
            throw tampered("a record was added, removed or rolled back")
        }
        return manifest.revision
    }

    /// - Returns: false when the model is of no use.
    private func follow(
        _ manifest: Manifest, _ model: inout KeystoreModel, since revision: UInt64,
        in connection: KeystoreConnection
    ) throws(KeystoreError) -> Bool {
        let rows = try rows(since: revision, in: connection)
        guard (try? insert(rows, into: &model)) != nil else { return false }
        if !model.matches(manifest) { model.removeAll(but: try rowKeys(in: connection)) }
        return model.matches(manifest) && (try? model.finish(keys: keys)) != nil
    }

    private func insert(
        _ rows: [StoredRow], into model: inout KeystoreModel
    ) throws(KeystoreModel.Inconsistency) {
        for part in try OpenedRow.open(rows, sealer: sealer, keys: keys) {
            for row in part { model.insert(row) }
        }
    }

    private func rowKeys(in connection: KeystoreConnection) throws(KeystoreError) -> Set<RowKey> {
        let stored =
            try connection.rowKeys(
                "SELECT ?, id FROM slots", [.integer(Int64(RecordKind.slot.rawValue))])
            + (try connection.rowKeys("SELECT kind, id FROM records"))
        let keys = stored.compactMap(\.self)
        guard keys.count == stored.count else {
            throw tampered("a row of its database was edited")
        }
        return Set(keys)
    }

    private func rows(
        since revision: UInt64, in connection: KeystoreConnection
    ) throws(KeystoreError) -> [StoredRow] {
        let stored =
            try connection.storedRows(
                "SELECT ?, id, revision, body FROM slots WHERE revision > ?",
                [.integer(Int64(RecordKind.slot.rawValue)), .integer(Int64(revision))])
            + (try connection.storedRows(
                // For all rows the index on revisions is a detour, which the sign forbids.
                "SELECT kind, id, revision, box FROM records "
                    + (revision > 0 ? "WHERE revision > ?" : "WHERE +revision > ?"),
                [.integer(Int64(revision))]))
        let rows = stored.compactMap(\.self)
        guard rows.count == stored.count else {
            throw tampered("a row of its database was edited")
        }
        return rows
    }
}
