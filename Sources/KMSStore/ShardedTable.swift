package import KMSModel

/// A dictionary in many small parts, for tables that are copied at every change: a changed copy
/// shares all parts but the one that differs.
package struct ShardedTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private static var shardCount: Int { 256 }

    private var shards = [[Key: Value]](repeating: [:], count: shardCount)
    package private(set) var count = 0

    init() {}

    package var isEmpty: Bool { count == 0 }

    static func shard(of key: Key) -> Int {
        // The low bits choose the place inside a dictionary.
        Int(truncatingIfNeeded: UInt64(truncatingIfNeeded: key.hashValue) >> 56)
    }

    package subscript(key: Key) -> Value? {
        get { shards[Self.shard(of: key)][key] }
        set {
            let shard = Self.shard(of: key)
            let before = shards[shard].count
            shards[shard][key] = newValue
            count += shards[shard].count - before
        }
    }

    /// In no order.
    package var values: some Sequence<Value> & LazySequenceProtocol {
        shards.lazy.flatMap(\.values)
    }

    func values(inShard shard: Int) -> some Collection<Value> { shards[shard].values }
}

/// The keys of a Region, and when the first of them are due.
package struct KeyTable: Sendable {
    private var table = ShardedTable<KeyID, KeyEntry>()
    private var dueOfShards = [DueDates](repeating: DueDates(), count: 256)

    init() {}

    package var count: Int { table.count }
    package subscript(id: KeyID) -> KeyEntry? { table[id] }
    /// In no order.
    package var values: some Sequence<KeyEntry> & LazySequenceProtocol { table.values }

    var due: DueDates {
        var all = DueDates()
        for due in dueOfShards { all.add(due) }
        return all
    }

    /// Puts entries in, or takes those out that are nil.
    mutating func update(_ changes: [(KeyID, KeyEntry?)]) {
        var touched: Set<Int> = []
        for (id, entry) in changes {
            table[id] = entry
            touched.insert(ShardedTable<KeyID, KeyEntry>.shard(of: id))
        }
        for shard in touched {
            dueOfShards[shard] = DueDates(table.values(inShard: shard))
        }
    }
}

/// The aliases of a Region, by name and by the key that they name.
package struct AliasTable: Sendable {
    private var table = ShardedTable<AliasName, AliasEntry>()
    private var names = ShardedTable<KeyID, [AliasName]>()

    init() {}

    package var count: Int { table.count }
    /// In no order.
    package var values: some Sequence<AliasEntry> & LazySequenceProtocol { table.values }

    package internal(set) subscript(name: AliasName) -> AliasEntry? {
        get { table[name] }
        set {
            if let old = table[name] {
                var others = names[old.target] ?? []
                others.removeAll { $0 == name }
                names[old.target] = others.isEmpty ? nil : others
            }
            table[name] = newValue
            if let newValue { names[newValue.target] = (names[newValue.target] ?? []) + [name] }
        }
    }

    /// Sorted by name.
    func aliases(of id: KeyID) -> [AliasEntry] {
        (names[id] ?? []).compactMap { table[$0] }.sorted { $0.name < $1.name }
    }
}
