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
        try model.finish()
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

/// Writes the rows of one change and the manifest that goes with them.
struct KeystoreWriter {
    let keys: KeystoreKeys
    let sealer: RecordSealer
    let revision: UInt64

    /// Applies `change` to the database and to `model`.
    func apply(
        _ change: KeystoreChange, to model: inout KeystoreModel, in connection: KeystoreConnection
    ) throws(KeystoreError) {
        try delete(change, from: &model, in: connection)
        var rows: [StoredRow] = change.slots.map {
            StoredRow(key: $0.rowKey, revision: revision, box: $0.encoded())
        }
        func seal(_ plain: [UInt8], _ key: RowKey) {
            rows.append(sealer.seal(plain, as: key, revision: revision))
        }
        if let settings = change.settings { seal(settings.encoded(), .settings) }
        for key in change.keys { seal(key.encoded(), key.rowKey) }
        for material in change.materials { seal(material.encoded(), material.rowKey) }
        for alias in change.aliases { seal(alias.encoded(), alias.rowKey(keys)) }
        do throws(KeystoreModel.Inconsistency) {
            for row in rows { try model.insert(row, sealer: sealer, keys: keys) }
            try model.finish()
        } catch {
            preconditionFailure("BUG: a change makes no keystore: \(error.what)")
        }
        for row in rows { try store(row, in: connection) }
        try store(
            Manifest(
                revision: revision, rowCount: UInt64(model.digests.count), digest: model.total),
            as: Manifest.keysID, in: connection)
    }

    private func delete(
        _ change: KeystoreChange, from model: inout KeystoreModel,
        in connection: KeystoreConnection
    ) throws(KeystoreError) {
        var gone = change.deletedAliases.map { name in
            RowKey(kind: .alias, id: keys.aliasRowID(name.description))
        }
        gone += change.deletedSlots.compactMap { model.slots[$0]?.rowKey }
        for id in change.deletedKeys {
            gone.append(.key(id))
            gone += (model.keys[id]?.materials ?? []).map(\.rowKey)
            gone += model.aliases.values.filter { $0.target == id }.map { $0.rowKey(keys) }
        }
        for key in gone {
            model.remove(key)
            if key.kind == .slot {
                try connection.run("DELETE FROM slots WHERE id = ?", [.bytes(key.id)])
            } else {
                try connection.run(
                    "DELETE FROM records WHERE kind = ? AND id = ?",
                    [.integer(Int64(key.kind.rawValue)), .bytes(key.id)])
            }
        }
    }

    private func store(_ row: StoredRow, in connection: KeystoreConnection) throws(KeystoreError) {
        if row.key.kind == .slot {
            try connection.run(
                "INSERT OR REPLACE INTO slots (id, revision, body) VALUES (?, ?, ?)",
                [.bytes(row.key.id), .integer(Int64(row.revision)), .bytes(row.box)])
        } else {
            try connection.run(
                "INSERT OR REPLACE INTO records (kind, id, revision, box) VALUES (?, ?, ?, ?)",
                [
                    .integer(Int64(row.key.kind.rawValue)), .bytes(row.key.id),
                    .integer(Int64(row.revision)), .bytes(row.box),
                ])
        }
    }

    func store(
        _ manifest: Manifest, as id: UInt8, in connection: KeystoreConnection
    ) throws(KeystoreError) {
        let row = sealer.seal(
            manifest.encoded(), as: RowKey(kind: .manifest, id: [id]), revision: manifest.revision)
        try connection.run(
            "INSERT OR REPLACE INTO manifests (id, revision, box) VALUES (?, ?, ?)",
            [.integer(Int64(id)), .integer(Int64(row.revision)), .bytes(row.box)])
    }
}
