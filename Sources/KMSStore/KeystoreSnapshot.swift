package import Cryptography
package import KMSModel
internal import Synchronization

/// Everything that the keystore holds at one revision. Immutable, shared by all threads.
package final class KeystoreSnapshot: Sendable {
    package let revision: UInt64
    let settings: KeystoreSettings
    /// By name; the default Region is always there.
    package let regions: [String: RegionSnapshot]
    /// By access key id.
    package let principals: [String: PrincipalRecord]
    /// The ARNs of principals that are administrators.
    package let administratorARNs: Set<String>
    /// By cluster id.
    package let tokens: [String: TokenRecord]
    let slots: [String: SlotRecord]
    /// By place.
    package let unlogged: [UInt32: UnloggedRecord]
    /// Whether keys may be in tokens.
    package let hasKeyStores: Bool
    package let due: DueDates

    init(_ model: KeystoreModel, _ settings: KeystoreSettings, revision: UInt64) {
        self.revision = revision
        self.settings = settings
        let scope = settings.scope
        var regions: [String: RegionSnapshot] = [:]
        for (name, contents) in model.regions {
            let region = name.isEmpty ? scope.region : name
            guard let own = AccountScope(account: scope.account, region: region) else { continue }
            regions[region] = RegionSnapshot(own, storedAs: name, contents)
        }
        if regions[scope.region] == nil {
            regions[scope.region] = RegionSnapshot(scope, storedAs: "", RegionContents())
        }
        self.regions = regions
        principals = model.principals
        administratorARNs = model.administratorARNs
        tokens = model.tokens
        slots = model.slots
        unlogged = model.unlogged
        hasKeyStores = regions.values.contains { !$0.keyStores.isEmpty }
        var due = DueDates()
        for region in regions.values { due.add(region.due) }
        self.due = due
    }

    /// The account, and the default Region.
    package var scope: AccountScope { settings.scope }

    /// A Region that has nothing yet is an empty one.
    package func region(_ scope: AccountScope) -> RegionSnapshot {
        regions[scope.region]
            ?? RegionSnapshot(scope, storedAs: storedName(of: scope), RegionContents())
    }

    /// How records name a Region.
    package func storedName(of other: AccountScope) -> String {
        other.region == scope.region ? "" : other.region
    }

    /// The keys with one id in all Regions, sorted by Region.
    package func siblings(of id: KeyID) -> [KeyEntry] {
        regions.values.compactMap { $0.keys[id] }
            .sorted { $0.arn.scope.region < $1.arn.scope.region }
    }

    /// The replicas of a primary key, sorted by Region; none of other keys.
    package func replicas(of entry: KeyEntry) -> [KeyEntry] {
        guard entry.record.id.isMultiRegion, entry.record.isPrimary else { return [] }
        return siblings(of: entry.record.id).filter { !$0.record.isPrimary }
    }

    package var keyCount: Int { regions.values.reduce(0) { $0 + $1.keys.count } }
}

/// What one Region holds.
struct RegionContents {
    var keys = KeyTable()
    var aliases = AliasTable()
    var keyStores: [String: CustomKeyStoreRecord] = [:]
}

/// One Region of the keystore at one revision.
package final class RegionSnapshot: Sendable {
    package let scope: AccountScope
    /// How records name the Region: "" for the default one.
    package let storedName: String
    package let keys: KeyTable
    package let aliases: AliasTable
    /// By id.
    package let keyStores: [String: CustomKeyStoreRecord]
    let due: DueDates
    private let sorted = Mutex<[KeyEntry]?>(nil)

    init(_ scope: AccountScope, storedAs storedName: String, _ contents: RegionContents) {
        self.scope = scope
        self.storedName = storedName
        keys = contents.keys
        aliases = contents.aliases
        keyStores = contents.keyStores
        due = contents.keys.due
    }

    /// All keys in the order of their ids as texts; sorted at the first use.
    package func sortedKeys() -> [KeyEntry] {
        sorted.withLock { sorted in
            if let sorted { return sorted }
            let keys = keys.values.sorted { $0.record.id < $1.record.id }
            sorted = keys
            return keys
        }
    }

    /// The names of one key, sorted.
    package func aliases(of id: KeyID) -> [AliasEntry] {
        aliases.aliases(of: id)
    }

    /// The state that requests meet: a key of a store that is not connected is unavailable.
    package func state(of entry: KeyEntry) -> KeyState {
        guard let store = entry.record.customKeyStoreID, !entry.record.state.awaitsDeletion,
            keyStores[store]?.state != .connected
        else { return entry.record.state }
        return .unavailable
    }
}

/// A key and all its versions.
package final class KeyEntry: Sendable {
    package let record: KeyRecord
    /// By version: the first is version 1. Empty before the first import.
    package let materials: [MaterialRecord]
    package let arn: KeyARN
    /// `arn` as text, made once.
    package let arnText: String
    /// What new ciphertexts are made with: the newest that waits for no rotation.
    package let current: MaterialRecord?
    let shelf: GrantShelf
    private let parsedPolicy = Mutex<PolicyDocument?>(nil)
    /// By version, at most as many as there are: making one ready costs more than a use of it.
    private let derivations = Mutex<[UInt32: HMACKey]>([:])
    private let kept = Mutex<[UInt32: any Sendable]>([:])

    init(
        record: KeyRecord, materials: [MaterialRecord], scope: AccountScope, shelf: GrantShelf
    ) {
        self.shelf = shelf
        self.record = record
        self.materials = materials
        arn = KeyARN(scope: scope, keyID: record.id)
        arnText = arn.description
        current = materials.last { !$0.isPendingRotation }
    }

    /// A key that is being made, and has no grants.
    package convenience init(
        new record: KeyRecord, materials: [MaterialRecord], scope: AccountScope
    ) {
        self.init(record: record, materials: materials, scope: scope, shelf: GrantShelf())
    }

    /// The key policy that was put, read at its first use; nil for the default one.
    ///
    /// - Throws: when a stored policy is none any more, as a later version might judge.
    package func policy() throws(PolicyError) -> PolicyDocument? {
        guard let text = record.policy else { return nil }
        return try parsedPolicy.withLock { parsed throws(PolicyError) in
            if let parsed { return parsed }
            let policy = try PolicyDocument(parsing: text)
            parsed = policy
            return policy
        }
    }

    /// What the keys of ciphertexts are derived with, under one version's material; nil where
    /// that is not here. It goes with this entry, so that no later one works with what is gone.
    package func derivation(_ version: MaterialRecord) -> HMACKey? {
        guard let material = version.material else { return nil }
        return derivations.withLock { derivations in
            if let known = derivations[version.version] { return known }
            let made = HMACKey(material, .sha256)
            derivations[version.version] = made
            return made
        }
    }

    /// What somebody has made of a version's material: it, too, goes with this entry. Whoever keeps
    /// something sees to a bound over all keys.
    package func kept(ofVersion version: UInt32) -> (any Sendable)? {
        kept.withLock { $0[version] }
    }

    package func keep(_ made: any Sendable, ofVersion version: UInt32) {
        kept.withLock { $0[version] = made }
    }

    package func dropKept() { kept.withLock { $0.removeAll() } }

    /// Whether imported material is missing that the key has worked with, or was made for.
    package var lacksMaterial: Bool {
        record.origin == .external
            && (current == nil
                || materials.contains { !$0.isPendingRotation && $0.material == nil })
    }

    /// nil for a version that the key never had.
    package func material(version: UInt32) -> MaterialRecord? {
        version >= 1 && version <= materials.count ? materials[Int(version) - 1] : nil
    }

    /// When this key is to be rotated, its deletion begins to wait (``DeletionWait``), or material
    /// expires that it works with.
    package var nextDue: Timestamp? {
        switch record.state {
        case .pendingDeletion(let date):
            return record.deletionWait.firstSeen == nil ? date : nil
        case .pendingReplicaDeletion: return nil
        case .enabled, .disabled, .pendingImport, .unavailable: break
        }
        let expiry = materials.lazy.compactMap(\.endOfUse).min()
        guard record.state == .enabled, let rotation = record.rotation?.next else { return expiry }
        return expiry.map { min($0, rotation) } ?? rotation
    }
}

extension MaterialRecord {
    /// When material that is there expires.
    package var expiry: Timestamp? { material == nil ? nil : imported?.validity.validTo }

    /// When material that is there expires, and the key with it. Material that waits for a rotation
    /// takes nothing along, so it stays, even beyond its date, until a rotation makes it current.
    package var endOfUse: Timestamp? { isPendingRotation ? nil : expiry }
}

/// The settings that are fixed when a keystore is made.
struct KeystoreSettings: Hashable, Sendable {
    let scope: AccountScope
    let creationDate: Timestamp
    /// Whether an event of the usage log is on the disk before a key is used.
    var syncsLog = false

    /// Form 1, as it always was, while the settings of form 2 have their first values.
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(syncsLog ? RecordForm.second : RecordForm.first)
        writer.append(scope.account)
        writer.append(scope.region)
        writer.append(creationDate)
        if syncsLog { writer.append(syncsLog) }
        return writer.finish()
    }

    init(scope: AccountScope, creationDate: Timestamp) {
        self.scope = scope
        self.creationDate = creationDate
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        let form = try reader.number(UInt8.self)
        guard form == RecordForm.first || form == RecordForm.second else {
            throw MalformedRecord()
        }
        let account = try reader.text()
        let region = try reader.text()
        creationDate = try reader.time()
        if form == 2 { syncsLog = try reader.flag() }
        try reader.finish()
        guard let scope = AccountScope(account: account, region: region) else {
            throw MalformedRecord()
        }
        self.scope = scope
    }
}

/// What a transaction does to the keystore, as values: all of it or nothing.
package struct KeystoreChange: Sendable {
    package var keys: [KeyRecord] = []
    package var materials: [MaterialRecord] = []
    /// Each the newest version of its key, so that the others stay without a gap.
    package var deletedMaterials: [MaterialRecord] = []
    package var aliases: [AliasEntry] = []
    package var deletedAliases: [AliasPlace] = []
    /// Of each key at most one.
    package var grants: [GrantChange] = []
    /// Their materials, grants and aliases go too.
    package var deletedKeys: [KeyPlace] = []
    package var principals: [PrincipalRecord] = []
    /// By access key id.
    package var deletedPrincipals: [String] = []
    package var tokens: [TokenRecord] = []
    package var deletedTokens: [String] = []
    package var keyStores: [CustomKeyStoreRecord] = []
    package var deletedKeyStores: [CustomKeyStoreRecord] = []
    /// Each place at most once.
    package var unlogged: [UnloggedRecord] = []
    var settings: KeystoreSettings?
    var slots: [SlotRecord] = []
    var deletedSlots: [String] = []

    package init() {}

    package var isEmpty: Bool {
        keys.isEmpty && materials.isEmpty && deletedMaterials.isEmpty && aliases.isEmpty
            && deletedAliases.isEmpty
            && deletedKeys.isEmpty && grants.isEmpty && principals.isEmpty
            && deletedPrincipals.isEmpty
            && tokens.isEmpty && deletedTokens.isEmpty && keyStores.isEmpty
            && deletedKeyStores.isEmpty && settings == nil && slots.isEmpty
            && deletedSlots.isEmpty && unlogged.isEmpty
    }
}
