internal import KMSModel

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
        // It takes the plaintext over: another reference to it would keep it from being wiped.
        func seal(_ plain: consuming [UInt8], _ key: RowKey) {
            rows.append(sealer.seal(plain, as: key, revision: revision))
        }
        if let settings = change.settings { seal(settings.encoded(), .settings) }
        for key in change.keys { seal(key.encoded(), key.rowKey) }
        for material in change.materials { seal(material.encoded(), material.rowKey) }
        for alias in change.aliases { seal(alias.encoded(), alias.rowKey(keys)) }
        for principal in change.principals {
            seal(principal.encoded(), .principal(principal.accessKeyID, keys))
        }
        for token in change.tokens { seal(token.encoded(), .token(token.clusterID)) }
        for store in change.keyStores { seal(store.encoded(), .keyStore(store.id)) }
        for record in change.unlogged { seal(record.encoded(), record.rowKey) }
        for grants in change.grants {
            for page in try grants.pages() {
                seal(page.encoded(), .grants(page.place, page: page.number))
            }
        }
        do throws(KeystoreModel.Inconsistency) {
            for row in rows { model.insert(try OpenedRow(row, sealer: sealer, keys: keys)) }
            try model.finish(keys: keys)
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
        var gone = change.deletedAliases.map { RowKey.alias($0, keys) }
        gone += change.deletedSlots.compactMap { model.slots[$0]?.rowKey }
        gone += change.deletedPrincipals.map { RowKey.principal($0, keys) }
        gone += change.deletedTokens.map(RowKey.token)
        gone += change.deletedKeyStores.map { RowKey.keyStore($0.id) }
        gone += change.deletedMaterials.map(\.rowKey)
        for place in change.deletedKeys {
            gone.append(.key(place))
            gone += (model.key(place)?.materials ?? []).map(\.rowKey)
            gone += (model.key(place)?.shelf.rows.values.map(\.key)) ?? []
            let aliases = model.regions[place.region]?.aliases.aliases(of: place.id) ?? []
            gone += aliases.map { $0.rowKey(keys) }
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
