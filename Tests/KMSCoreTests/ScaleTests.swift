import Cryptography
import KMSModel
import KMSStore
import Testing

@testable import KMSCore

/// Large keystores; `KMSBench` says what they cost.
@Suite struct ScaleTests {
    @Test func `a list goes over thousands of keys, each once, while others come and go`() throws {
        let kms = try TestKeystore()
        let now = kms.clock.now()
        let count = 2600
        _ = try kms.keystore.store.change { _, change in
            for number in 0..<count {
                let isMultiRegion = number % 5 == 0
                var record = KeyRecord(
                    id: .random(isMultiRegion: isMultiRegion), creationDate: now, state: .enabled,
                    description: "", manager: .customer, tags: [], rotation: nil)
                record.isPrimary = isMultiRegion
                change.keys.append(record)
                change.materials.append(
                    MaterialRecord(
                        keyID: record.id, version: 1, materialID: .random(),
                        material: .random(count: 32), creationDate: now, rotationType: nil))
            }
        }
        var seen: [String] = []
        var marker: Value?
        repeat {
            let page = try kms.ask(
                .listKeys, Structure([.limit: .number(300), .marker: marker]))
            seen += page.structures(.keys).compactMap { $0.text(.keyID) }
            marker = page[.nextMarker]
            _ = try kms.key()
        } while marker != nil
        #expect(seen == seen.sorted())
        #expect(Set(seen).count == seen.count && seen.count > count)
        // More rows than are opened by one thread.
        let again = try kms.again()
        defer { again.close() }
        let key = try #require(seen.first)
        #expect(try again.service.describeKey(key, as: kms.owner).arn.keyID.description == key)
    }

    @Test func `a change that fails at its commit leaves the state as it was`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let other = try kms.again()
        defer { other.close() }
        struct Stop: Error {}
        // A record that no key belongs to makes no keystore.
        let before = try kms.keystore.store.snapshot().revision
        let outcome = try kms.keystore.store.change { _, change throws(Stop) in
            change.deletedAliases = []
            throw Stop()
        }
        #expect(throws: Stop.self) { try outcome.get() }
        #expect(try kms.keystore.store.snapshot().revision == before)
        try kms.ask(.disableKey, Structure([.keyID: .text(key)]))
        #expect(try other.service.describeKey(key, as: kms.owner).state == .disabled)
    }

    @Test func `aliases are found by their key wherever they move`() throws {
        let kms = try TestKeystore()
        let (key, other) = (try kms.key(), try kms.key())
        func names(_ key: String) throws -> [String] {
            try kms.ask(.listAliases, Structure([.keyID: .text(key)])).structures(.aliases)
                .compactMap { $0.text(.aliasName) }
        }
        for name in ["alias/b", "alias/a", "alias/c"] {
            try kms.ask(
                .createAlias, Structure([.aliasName: .text(name), .targetKeyID: .text(key)]))
        }
        #expect(try names(key) == ["alias/a", "alias/b", "alias/c"])
        try kms.ask(
            .updateAlias, Structure([.aliasName: .text("alias/b"), .targetKeyID: .text(other)]))
        try kms.ask(
            .updateAlias, Structure([.aliasName: .text("alias/b"), .targetKeyID: .text(other)]))
        #expect(try names(key) == ["alias/a", "alias/c"])
        #expect(try names(other) == ["alias/b"])
        try kms.ask(.deleteAlias, Structure([.aliasName: .text("alias/a")]))
        #expect(try names(key) == ["alias/c"])
        let again = try kms.again()
        defer { again.close() }
        #expect(
            try again.service.listAliases(of: key, PageRequest(), as: kms.owner).elements.map(
                \.name.description) == ["alias/c"])
    }
}
