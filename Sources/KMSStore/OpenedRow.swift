internal import Dispatch
internal import KMSModel
internal import Synchronization

/// A row of the database that was opened and read: what it says, and its digest. A reference, since
/// very many are handed around.
final class OpenedRow: Sendable {
    enum Content: Sendable {
        case slot(SlotRecord)
        case settings(KeystoreSettings)
        case key(KeyRecord)
        case material(MaterialRecord)
        case alias(AliasEntry)
        /// Not opened yet: see ``GrantPage``.
        case grants(KeyPlace, page: UInt32)
        case principal(PrincipalRecord)
        case token(TokenRecord)
        case keyStore(CustomKeyStoreRecord)
        case unlogged(UnloggedRecord)
    }

    let row: StoredRow
    let content: Content
    let digest: RowDigest

    /// - Throws: for a row that this keystore has not written there.
    init(
        _ row: StoredRow, sealer: RecordSealer, keys: KeystoreKeys
    ) throws(KeystoreModel.Inconsistency) {
        guard let content = OpenedRow.content(of: row, sealer, keys) else {
            throw KeystoreModel.Inconsistency(
                what: "the \(row.key.description) was edited or moved")
        }
        self.row = row
        self.content = content
        digest = keys.rowDigest(row)
    }

    private static func content(
        of row: StoredRow, _ sealer: RecordSealer, _ keys: KeystoreKeys
    ) -> Content? {
        switch row.key.kind {
        case .slot:
            guard let slot = try? SlotRecord(decoding: row.box), slot.rowKey == row.key else {
                return nil
            }
            return .slot(slot)
        case .settings:
            return record(row, sealer, KeystoreSettings.init(decoding:)) { _ in .settings }
                .map(Content.settings)
        case .key:
            return record(row, sealer, KeyRecord.init(decoding:), \.rowKey).map(Content.key)
        case .material:
            return record(row, sealer, MaterialRecord.init(decoding:), \.rowKey)
                .map(Content.material)
        case .alias:
            return record(row, sealer, AliasEntry.init(decoding:)) { $0.rowKey(keys) }
                .map(Content.alias)
        case .grants:
            return RowKey.numbered(row.key.id).map { .grants($0.0, page: $0.1) }
        case .principal:
            return record(row, sealer, PrincipalRecord.init(decoding:)) {
                .principal($0.accessKeyID, keys)
            }.map(Content.principal)
        case .token:
            return record(row, sealer, TokenRecord.init(decoding:)) { .token($0.clusterID) }
                .map(Content.token)
        case .keyStore:
            return record(row, sealer, CustomKeyStoreRecord.init(decoding:)) { .keyStore($0.id) }
                .map(Content.keyStore)
        case .unlogged:
            return record(row, sealer, UnloggedRecord.init(decoding:), \.rowKey)
                .map(Content.unlogged)
        case .segment, .manifest, .checkpoint, .tally:
            return nil
        }
    }

    /// A row's record, if it is the one that belongs there.
    private static func record<Record>(
        _ row: StoredRow, _ sealer: RecordSealer,
        _ decode: ([UInt8]) throws(MalformedRecord) -> Record, _ rowKey: (Record) -> RowKey
    ) -> Record? {
        guard let record = sealer.open(row, as: decode), rowKey(record) == row.key else {
            return nil
        }
        return record
    }
}

// MARK: - Very many rows

extension OpenedRow {
    private static let rowsPerPart = 1024

    /// Opens rows, where there are many by all processors at once.
    ///
    /// - Returns: them in parts, in their order.
    static func open(
        _ rows: [StoredRow], sealer: RecordSealer, keys: KeystoreKeys
    ) throws(KeystoreModel.Inconsistency) -> [[OpenedRow]] {
        guard rows.count > 2 * rowsPerPart else {
            return [try open(rows[...], sealer: sealer, keys: keys)]
        }
        let starts = Array(stride(from: 0, to: rows.count, by: rowsPerPart))
        let parts = Mutex(
            [Result<[OpenedRow], KeystoreModel.Inconsistency>?](
                repeating: nil, count: starts.count))
        DispatchQueue.concurrentPerform(iterations: starts.count) { number in
            let end = min(starts[number] + rowsPerPart, rows.count)
            let part: Result<[OpenedRow], KeystoreModel.Inconsistency>
            do throws(KeystoreModel.Inconsistency) {
                // A sealer is for one thread.
                part = .success(
                    try open(rows[starts[number]..<end], sealer: RecordSealer(keys), keys: keys))
            } catch {
                part = .failure(error)
            }
            parts.withLock { $0[number] = part }
        }
        var opened: [[OpenedRow]] = []
        for part in parts.withLock({ $0 }) { opened.append(try part?.get() ?? []) }
        return opened
    }

    private static func open(
        _ rows: ArraySlice<StoredRow>, sealer: RecordSealer, keys: KeystoreKeys
    ) throws(KeystoreModel.Inconsistency) -> [OpenedRow] {
        var opened: [OpenedRow] = []
        opened.reserveCapacity(rows.count)
        for row in rows { opened.append(try OpenedRow(row, sealer: sealer, keys: keys)) }
        return opened
    }
}
