import Cryptography
import KMSCore
import KMSModel
import KMSStore

/// A keystore with very many keys and grants beside an empty one.
struct Scale {
    let keys: Int
    let grants: Int
    private static let batch = 1000

    func run() throws {
        let empty = try BenchKeystore()
        let large = try BenchKeystore()
        try fill(large)
        for (name, bench) in [("empty", empty), ("\(keys) keys, \(grants) grants", large)] {
            print(name)
            line("  open", try openingMilliseconds(bench, 5), "ms")
            try use(bench)
        }
    }

    func open() throws {
        let large = try BenchKeystore()
        try fill(large)
        line("open", try openingMilliseconds(large, 20), "ms")
    }

    /// Without closing.
    private func openingMilliseconds(_ bench: BenchKeystore, _ rounds: Int) throws -> Double {
        var best = Double.infinity
        for _ in 0..<rounds {
            var keystore: Keystore?
            best = min(best, try microseconds(1) { keystore = try bench.open() })
            keystore?.close()
        }
        return best / 1000
    }

    private func use(_ bench: BenchKeystore) throws {
        let keystore = try bench.open()
        defer { keystore.close() }
        let service = keystore.service
        let owner = BenchKeystore.owner
        let other = try bench.open()
        defer { other.close() }
        line(
            "  CreateKey",
            try microseconds(20) {
                _ = try service.createKey(CreateKeyRequest(), as: owner)
            }, "µs")
        let key = try service.createKey(CreateKeyRequest(), as: owner).arn.description
        line(
            "  CreateGrant",
            try microseconds(20) {
                _ = try service.answer(
                    .createGrant,
                    Structure([
                        .keyID: .text(key), .granteePrincipal: .text(owner.principalARN),
                        .operations: .texts(["Decrypt"]),
                    ]), as: owner)
            }, "µs")
        line(
            "  CreateKey, seen by another process",
            try microseconds(20) {
                _ = try service.createKey(CreateKeyRequest(), as: owner)
                _ = try other.service.describeKey(key, as: owner)
            }, "µs")
        line(
            "  ListKeys, a page",
            try microseconds(20) {
                _ = try service.answer(.listKeys, Structure(), as: owner)
            }, "µs")
        line(
            "  ListAliases of a key",
            try microseconds(20) {
                _ = try service.answer(.listAliases, Structure([.keyID: .text(key)]), as: owner)
            }, "µs")
        let blob = try service.encrypt(
            SecretBytes.random(count: 32), under: key, context: .empty, as: owner
        ).blob
        line(
            "  Decrypt",
            try callsPerSecond(
                2, service, .decrypt, Structure([.ciphertextBlob: .bytes(blob)])), "/s")
    }

    private func fill(_ bench: BenchKeystore) throws {
        let store = try bench.openStore()
        defer { store.close() }
        let now = Timestamp(secondsSinceEpoch: 1_800_000_000)
        for start in stride(from: 0, to: keys, by: Self.batch) {
            _ = try store.change { _, change in
                for number in start..<min(start + Self.batch, keys) {
                    let id = KeyID(
                        high: UInt64(number) << 20 | 0xabcd, low: 7, isMultiRegion: false)
                    change.keys.append(
                        KeyRecord(
                            id: id, creationDate: now, state: .enabled,
                            description: "key \(number)",
                            manager: .customer, tags: [Tag(key: "a", value: "b")], rotation: nil))
                    change.materials.append(
                        MaterialRecord(
                            keyID: id, version: 1, materialID: Self.materialID(number),
                            material: SecretBytes.random(count: 32), creationDate: now,
                            rotationType: nil))
                    if let alias = AliasName("alias/key-\(number)") {
                        change.aliases.append(
                            AliasEntry(
                                name: alias, target: id, creationDate: now, lastUpdatedDate: now))
                    }
                }
            }
        }
        try addGrants(store, now)
    }

    private static func materialID(_ number: Int) -> KeyMaterialID {
        let bytes = (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 % 4 * 8)) }
        guard let id = KeyMaterialID(bytes: bytes) else { preconditionFailure("32 bytes") }
        return id
    }

    /// The same number for each key.
    private func addGrants(_ store: KeystoreStore, _ now: Timestamp) throws {
        guard keys > 0, let account = AccountID("111122223333"),
            let grantee = Principal("arn:aws:iam::111122223333:user/local/uid-1000")
        else { return }
        let terms = GrantTerms(
            grantee: grantee, operations: KMSActionSet([.decrypt, .encrypt, .describeKey]))
        for start in stride(from: 0, to: keys, by: Self.batch) {
            _ = try store.change { snapshot, change in
                guard let region = snapshot.regions["us-east-1"] else { return }
                let entries = region.keys.values.filter { $0.record.description.hasPrefix("key ") }
                    .sorted { $0.record.id.high < $1.record.id.high }
                for entry in entries[start..<min(start + Self.batch, entries.count)] {
                    let added = (0..<grants / keys).compactMap { _ in
                        GrantID(bytes: Random.bytes(32)).map {
                            Grant(
                                id: $0, key: entry.arn, terms: terms, creationDate: now,
                                issuingAccount: account)
                        }
                    }
                    change.grants.append(GrantChange(key: entry, added: added))
                }
            }
        }
    }
}
