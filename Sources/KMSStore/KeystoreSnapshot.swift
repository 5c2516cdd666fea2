package import KMSModel

/// Everything that the keystore holds at one revision. Immutable, shared by all threads.
package final class KeystoreSnapshot: Sendable {
    package let revision: UInt64
    package let scope: AccountScope
    package let keys: [KeyID: KeyEntry]
    package let aliases: [AliasName: AliasEntry]
    let slots: [String: SlotRecord]
    /// The first instant at which a key is to be rotated or deleted.
    package let nextDue: Timestamp?

    init(_ model: KeystoreModel, scope: AccountScope, revision: UInt64) {
        self.revision = revision
        self.scope = scope
        keys = model.keys
        aliases = model.aliases
        slots = model.slots
        nextDue = model.keys.values.lazy.compactMap(\.nextDue).min()
    }

    /// The names of one key, sorted.
    package func aliases(of id: KeyID) -> [AliasEntry] {
        aliases.values.filter { $0.target == id }.sorted { $0.name < $1.name }
    }
}

/// A key and all its versions.
package final class KeyEntry: Sendable {
    package let record: KeyRecord
    /// By version: the first is version 1. Never empty.
    package let materials: [MaterialRecord]
    package let arn: KeyARN
    /// `arn` as text, made once.
    package let arnText: String

    init(record: KeyRecord, materials: [MaterialRecord], scope: AccountScope) {
        precondition(!materials.isEmpty, "BUG: a key has at least one version")
        self.record = record
        self.materials = materials
        arn = KeyARN(scope: scope, keyID: record.id)
        arnText = arn.description
    }

    package var current: MaterialRecord { materials[materials.count - 1] }

    /// nil for a version that the key never had.
    package func material(version: UInt32) -> MaterialRecord? {
        version >= 1 && version <= materials.count ? materials[Int(version) - 1] : nil
    }

    /// When this key is to be rotated or deleted next.
    package var nextDue: Timestamp? {
        switch record.state {
        case .enabled: record.rotation?.next
        case .disabled: nil
        case .pendingDeletion(let date): date
        }
    }
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
        writer.append(UInt8(syncsLog ? 2 : 1))
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
        guard form == 1 || form == 2 else { throw MalformedRecord() }
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
    package var aliases: [AliasEntry] = []
    package var deletedAliases: [AliasName] = []
    /// Their materials and aliases go too.
    package var deletedKeys: [KeyID] = []
    var settings: KeystoreSettings?
    var slots: [SlotRecord] = []
    var deletedSlots: [String] = []

    package init() {}

    var isEmpty: Bool {
        keys.isEmpty && materials.isEmpty && aliases.isEmpty && deletedAliases.isEmpty
            && deletedKeys.isEmpty && settings == nil && slots.isEmpty && deletedSlots.isEmpty
    }
}
