internal import KMSModel

/// The rows of the database as records, with the digest of each row; the working copy that one
/// process keeps, changed only by what the database holds.
struct KeystoreModel {
    private(set) var settings: KeystoreSettings?
    private(set) var keys: [KeyID: KeyEntry] = [:]
    private(set) var aliases: [AliasName: AliasEntry] = [:]
    private(set) var slots: [String: SlotRecord] = [:]
    private(set) var digests: [RowKey: RowDigest] = [:]
    private(set) var total = RowDigest.zero

    private var keyRecords: [KeyID: KeyRecord] = [:]
    private var materials: [KeyID: [UInt32: MaterialRecord]] = [:]
    private var aliasNames: [RowKey: AliasName] = [:]
    /// Keys whose entries are to be made anew by ``finish()``.
    private var touched: Set<KeyID> = []

    /// Why a set of rows makes no keystore.
    struct Inconsistency: Error { let what: String }

    /// Whether the rows are exactly those that the manifest names.
    func matches(_ manifest: Manifest) -> Bool {
        manifest.digest == total && manifest.rowCount == UInt64(digests.count)
    }

    mutating func insert(
        _ row: StoredRow, sealer: RecordSealer, keys rootKeys: KeystoreKeys
    ) throws(Inconsistency) {
        try decode(row, sealer: sealer, keys: rootKeys)
        if let old = digests[row.key] { total -= old }
        let digest = rootKeys.rowDigest(row)
        digests[row.key] = digest
        total += digest
    }

    mutating func remove(_ key: RowKey) {
        guard let digest = digests.removeValue(forKey: key) else { return }
        total -= digest
        switch key.kind {
        case .slot: slots[SlotRecord.text(id: key.id)] = nil
        case .alias: if let name = aliasNames.removeValue(forKey: key) { aliases[name] = nil }
        case .key:
            guard let id = RowKey.keyID(key.id) else { return }
            keyRecords[id] = nil
            touched.insert(id)
        case .material:
            guard let (id, version) = RowKey.material(key.id) else { return }
            materials[id]?[version] = nil
            touched.insert(id)
        case .settings, .segment, .manifest, .checkpoint, .tally: break
        }
    }

    private mutating func decode(
        _ row: StoredRow, sealer: RecordSealer, keys rootKeys: KeystoreKeys
    ) throws(Inconsistency) {
        let refusal = Inconsistency(what: "the \(row.key.description) was edited or moved")
        switch row.key.kind {
        case .slot:
            guard let slot = try? SlotRecord(decoding: row.box), slot.rowKey == row.key else {
                throw refusal
            }
            slots[slot.id] = slot
        case .settings:
            guard let value = sealer.open(row, as: KeystoreSettings.init(decoding:)) else {
                throw refusal
            }
            settings = value
        case .key:
            guard let record = sealer.open(row, as: KeyRecord.init(decoding:)),
                record.rowKey == row.key
            else { throw refusal }
            keyRecords[record.id] = record
            touched.insert(record.id)
        case .material:
            guard let record = sealer.open(row, as: MaterialRecord.init(decoding:)),
                record.rowKey == row.key
            else { throw refusal }
            materials[record.keyID, default: [:]][record.version] = record
            touched.insert(record.keyID)
        case .alias:
            guard let alias = sealer.open(row, as: AliasEntry.init(decoding:)),
                alias.rowKey(rootKeys) == row.key
            else { throw refusal }
            aliases[alias.name] = alias
            aliasNames[row.key] = alias.name
        case .segment, .manifest, .checkpoint, .tally:
            throw refusal
        }
    }

    /// Puts keys and their versions together after a batch of rows.
    mutating func finish() throws(Inconsistency) {
        guard let scope = settings?.scope else {
            throw Inconsistency(what: "its settings are missing")
        }
        for id in touched {
            let versions = materials[id] ?? [:]
            guard let record = keyRecords[id] else {
                guard versions.isEmpty else {
                    throw Inconsistency(what: "the key \(id) is missing")
                }
                materials[id] = nil
                keys[id] = nil
                continue
            }
            let sorted = versions.values.sorted { $0.version < $1.version }
            guard !sorted.isEmpty, sorted.last?.version == UInt32(sorted.count) else {
                throw Inconsistency(what: "a version of the key \(id) is missing")
            }
            keys[id] = KeyEntry(record: record, materials: sorted, scope: scope)
        }
        touched.removeAll()
    }
}

extension RowKey {
    static let settings = RowKey(kind: .settings, id: [0])

    static func key(_ id: KeyID) -> RowKey {
        RowKey(kind: .key, id: [id.isMultiRegion ? 1 : 0] + id.bytes)
    }

    static func material(_ id: KeyID, version: UInt32) -> RowKey {
        var writer = RecordWriter()
        writer.append(id)
        writer.append(version)
        return RowKey(kind: .material, id: writer.finish())
    }

    static func keyID(_ id: [UInt8]) -> KeyID? {
        guard id.count == 17 else { return nil }
        return KeyID(bytes: id[1...], isMultiRegion: id[0] == 1)
    }

    static func material(_ id: [UInt8]) -> (KeyID, UInt32)? {
        guard id.count == 21, let key = keyID(Array(id.prefix(17))) else { return nil }
        return (key, id.suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }

    /// For messages: the kind, and the key's id where the row has one.
    var description: String {
        switch kind {
        case .key: "record of the key \(RowKey.keyID(id)?.description ?? hexText(id))"
        case .material:
            RowKey.material(id).map { "record of version \($0.1) of the key \($0.0)" }
                ?? "record of the key material \(hexText(id))"
        case .settings: "settings record"
        default: "record of the \(kind.name) \(hexText(id))"
        }
    }
}

extension KeyRecord {
    var rowKey: RowKey { .key(id) }
}

extension MaterialRecord {
    var rowKey: RowKey { .material(keyID, version: version) }
}

extension AliasEntry {
    func rowKey(_ keys: KeystoreKeys) -> RowKey {
        RowKey(kind: .alias, id: keys.aliasRowID(name.description))
    }
}
