internal import KMSModel

/// The rows of the database as records, with the digest of each row; the working copy that one
/// process keeps, changed only by what the database holds.
struct KeystoreModel {
    private(set) var settings: KeystoreSettings?
    /// By the name that records have for the Region.
    private(set) var regions: [String: RegionContents] = [:]
    private(set) var principals: [String: PrincipalRecord] = [:]
    private(set) var administratorARNs: Set<String> = []
    private(set) var tokens: [String: TokenRecord] = [:]
    private(set) var slots: [String: SlotRecord] = [:]
    /// By place.
    private(set) var unlogged: [UInt32: UnloggedRecord] = [:]
    private(set) var digests: [RowKey: RowDigest] = [:]
    private(set) var total = RowDigest.zero

    /// What the rows say about one key.
    private struct KeyRows {
        var record: KeyRecord?
        var materials: [MaterialRecord] = []
        var grantPages: [UInt32: StoredRow] = [:]
    }

    private var keyRows: [KeyPlace: KeyRows] = [:]
    private var aliasPlaces: [RowKey: AliasPlace] = [:]
    private var principalIDs: [RowKey: String] = [:]
    /// What is to be made anew by ``finish()``: entries of keys, the administrators.
    private var touched: Set<KeyPlace> = []
    private var hasNewPrincipals = false

    /// Why a set of rows makes no keystore.
    struct Inconsistency: Error { let what: String }

    func key(_ place: KeyPlace) -> KeyEntry? { regions[place.region]?.keys[place.id] }

    /// For very many rows at once.
    mutating func reserve(rowCount: Int) {
        digests.reserveCapacity(rowCount)
        keyRows.reserveCapacity(rowCount / 3)
        touched.reserveCapacity(rowCount / 3)
    }

    /// Whether the rows are exactly those that the manifest names.
    func matches(_ manifest: Manifest) -> Bool {
        manifest.digest == total && manifest.rowCount == UInt64(digests.count)
    }

    mutating func insert(_ opened: OpenedRow) {
        take(opened.content, of: opened.row)
        if let old = digests.updateValue(opened.digest, forKey: opened.row.key) { total -= old }
        total += opened.digest
    }

    mutating func removeAll(but kept: Set<RowKey>) {
        for key in digests.keys.filter({ !kept.contains($0) }) { remove(key) }
    }

    mutating func remove(_ key: RowKey) {
        guard let digest = digests.removeValue(forKey: key) else { return }
        total -= digest
        switch key.kind {
        case .slot: slots[SlotRecord.text(id: key.id)] = nil
        case .alias:
            if let place = aliasPlaces.removeValue(forKey: key) {
                regions[place.region]?.aliases[place.name] = nil
            }
        case .key:
            guard let place = RowKey.keyPlace(key.id) else { return }
            keyRows[place]?.record = nil
            touched.insert(place)
        case .material:
            guard let (place, version) = RowKey.numbered(key.id) else { return }
            keyRows[place]?.materials.removeAll { $0.version == version }
            touched.insert(place)
        case .grants:
            guard let (place, number) = RowKey.numbered(key.id) else { return }
            keyRows[place]?.grantPages[number] = nil
            touched.insert(place)
        case .principal:
            if let id = principalIDs.removeValue(forKey: key) { principals[id] = nil }
            hasNewPrincipals = true
        case .token: tokens[String(decoding: key.id, as: UTF8.self)] = nil
        case .keyStore:
            let id = String(decoding: key.id, as: UTF8.self)
            for region in regions.keys { regions[region]?.keyStores[id] = nil }
        case .unlogged:
            if let place = RowKey.unloggedPlace(key.id) { unlogged[place] = nil }
        case .settings, .segment, .manifest, .checkpoint, .tally: break
        }
    }

    private mutating func take(_ content: OpenedRow.Content, of row: StoredRow) {
        switch content {
        case .slot(let slot): slots[slot.id] = slot
        case .settings(let record): settings = record
        case .key(let record):
            let place = record.place
            keyRows[place, default: KeyRows()].record = record
            touched.insert(place)
        case .material(let record):
            let place = record.place
            keyRows[place, default: KeyRows()].materials.put(record)
            touched.insert(place)
        case .alias(let alias):
            regions[alias.region, default: RegionContents()].aliases[alias.name] = alias
            aliasPlaces[row.key] = alias.place
        case .grants(let place, let number):
            keyRows[place, default: KeyRows()].grantPages[number] = row
            touched.insert(place)
        case .principal(let principal):
            principals[principal.accessKeyID] = principal
            principalIDs[row.key] = principal.accessKeyID
            hasNewPrincipals = true
        case .token(let token): tokens[token.clusterID] = token
        case .keyStore(let store):
            regions[store.region, default: RegionContents()].keyStores[store.id] = store
        case .unlogged(let record): unlogged[record.place] = record
        }
    }

    /// Puts keys and their versions together after a batch of rows.
    mutating func finish(keys rootKeys: KeystoreKeys) throws(Inconsistency) {
        guard let settings else { throw Inconsistency(what: "its settings are missing") }
        var changes: [String: [(KeyID, KeyEntry?)]] = [:]
        for place in touched {
            let entry = try entry(at: place, settings, rootKeys)
            if entry == nil { keyRows[place] = nil }
            changes[place.region, default: []].append((place.id, entry))
        }
        for (region, changes) in changes {
            regions[region, default: RegionContents()].keys.update(changes)
        }
        if hasNewPrincipals {
            administratorARNs = Set(
                principals.values.lazy.filter(\.isAdministrator).map {
                    settings.scope.userARN(name: $0.name)
                })
            hasNewPrincipals = false
        }
        touched.removeAll()
    }

    /// A key with its versions; nil for one of which nothing is left.
    private func entry(
        at place: KeyPlace, _ settings: KeystoreSettings, _ rootKeys: KeystoreKeys
    ) throws(Inconsistency) -> KeyEntry? {
        guard let rows = keyRows[place] else { return nil }
        guard let record = rows.record else {
            guard rows.materials.isEmpty, rows.grantPages.isEmpty else {
                throw Inconsistency(what: "the key \(place.id) is missing")
            }
            return nil
        }
        // Only imported material may be still to come.
        guard !rows.materials.isEmpty || record.origin == .external,
            rows.materials.last?.version ?? 0 == UInt32(rows.materials.count)
        else {
            throw Inconsistency(what: "a version of the key \(place.id) is missing")
        }
        guard let scope = settings.scope(ofRegion: place.region) else {
            throw Inconsistency(what: "the Region of the key \(place.id) is none")
        }
        return KeyEntry(
            record: record, materials: rows.materials, scope: scope,
            shelf: GrantShelf(rows.grantPages, keys: rootKeys))
    }
}

extension Array<MaterialRecord> {
    /// Keeps the versions in order, each once.
    fileprivate mutating func put(_ record: MaterialRecord) {
        let place = firstIndex { $0.version >= record.version } ?? endIndex
        if place < endIndex, self[place].version == record.version {
            self[place] = record
        } else {
            insert(record, at: place)
        }
    }
}

extension KeystoreSettings {
    /// "" is the default Region; nil for what is no Region's name.
    fileprivate func scope(ofRegion name: String) -> AccountScope? {
        name.isEmpty ? scope : AccountScope(account: scope.account, region: name)
    }
}

extension RowKey {
    static let settings = RowKey(kind: .settings, id: [0])
    private static let keyBytes = 17

    static func key(_ place: KeyPlace) -> RowKey {
        RowKey(
            kind: .key,
            id: [place.id.isMultiRegion ? 1 : 0] + place.id.bytes + Array(place.region.utf8))
    }

    /// The Region stands behind the version, so that rows without one are as they always were.
    static func material(_ place: KeyPlace, version: UInt32) -> RowKey {
        numbered(.material, place, version)
    }

    static func grants(_ place: KeyPlace, page: UInt32) -> RowKey {
        numbered(.grants, place, page)
    }

    private static func numbered(
        _ kind: RecordKind, _ place: KeyPlace, _ number: UInt32
    ) -> RowKey {
        var writer = RecordWriter()
        writer.append(place.id)
        writer.append(number)
        return RowKey(kind: kind, id: writer.finish() + Array(place.region.utf8))
    }

    /// Access key ids are private: their rows are found by a keyed hash.
    static func principal(_ accessKeyID: String, _ keys: KeystoreKeys) -> RowKey {
        RowKey(kind: .principal, id: keys.nameRowID("principal " + accessKeyID))
    }

    static func token(_ clusterID: String) -> RowKey {
        RowKey(kind: .token, id: Array(clusterID.utf8))
    }

    static func keyStore(_ id: String) -> RowKey {
        RowKey(kind: .keyStore, id: Array(id.utf8))
    }

    static func keyPlace(_ id: [UInt8]) -> KeyPlace? { keyPlace(id, regionFrom: keyBytes) }

    private static func keyPlace(_ id: [UInt8], regionFrom start: Int) -> KeyPlace? {
        guard id.count >= start, id[0] <= 1,
            let key = KeyID(bytes: id[1..<keyBytes], isMultiRegion: id[0] == 1)
        else { return nil }
        let region = id.count == start ? "" : String(decoding: id[start...], as: UTF8.self)
        return KeyPlace(region: region, id: key)
    }

    /// Of a material's version, or a page of grants: the key and the number.
    static func numbered(_ id: [UInt8]) -> (KeyPlace, UInt32)? {
        let numberEnd = keyBytes + 4
        guard let place = keyPlace(id, regionFrom: numberEnd) else { return nil }
        var number: UInt32 = 0
        for byte in id[keyBytes..<numberEnd] { number = number << 8 | UInt32(byte) }
        return (place, number)
    }

    /// For messages: the kind, and the key's id where the row has one.
    var description: String {
        switch kind {
        case .key: "record of the key \(RowKey.keyPlace(id)?.id.description ?? hexText(id))"
        case .material:
            RowKey.numbered(id).map { "record of version \($0.1) of the key \($0.0.id)" }
                ?? "record of the key material \(hexText(id))"
        case .grants:
            RowKey.numbered(id).map { "record of grants of the key \($0.0.id)" }
                ?? "record of the grants \(hexText(id))"
        case .settings: "settings record"
        case .token, .keyStore:
            "record of the \(kind.name) \(String(decoding: id, as: UTF8.self))"
        default: "record of the \(kind.name) \(hexText(id))"
        }
    }
}

extension KeyRecord {
    var rowKey: RowKey { .key(place) }
}

extension MaterialRecord {
    var rowKey: RowKey { .material(place, version: version) }
}

extension AliasEntry {
    func rowKey(_ keys: KeystoreKeys) -> RowKey { .alias(place, keys) }
}

extension RowKey {
    static func alias(_ place: AliasPlace, _ keys: KeystoreKeys) -> RowKey {
        RowKey(kind: .alias, id: keys.nameRowID(place.text))
    }
}
