import KMSModel
import Testing

@testable import KMSCore
@testable import KMSStore

/// What is deleted by one process, and what the others do about it.
@Suite struct DeletedRowTests {
    struct Deletion: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Makes something and returns what deletes it.
        let make: @Sendable (TestKeystore) throws -> (() throws -> Void)

        init(
            _ name: String, _ make: @escaping @Sendable (TestKeystore) throws -> (() throws -> Void)
        ) {
            testDescription = name
            self.make = make
        }
    }

    static let deletions: [Deletion] = [
        Deletion("an alias") { kms in
            let alias = Structure([.aliasName: .text("alias/a")])
            try kms.ask(.createAlias, alias.with(.targetKeyID, .text(try kms.key())))
            return { try kms.ask(.deleteAlias, alias) }
        },
        Deletion("a grant") { kms in
            let key = Structure([.keyID: .text(try kms.key())])
            let grant = try kms.ask(
                .createGrant, StateTableTests.granting.with(.keyID, key[.keyID]))
            return { try kms.ask(.revokeGrant, key.with(.grantID, grant[.grantID])) }
        },
        Deletion("a key with all that is its own") { kms in
            let key = try kms.newKey(.pendingDeletion(at: kms.clock.now())).description
            kms.waitForDeletion(days: 7)
            return {
                kms.keystore.runDueWork()
                #expect(throws: KMSError.self) { try kms.metadata(key) }
            }
        },
        Deletion("an access key") { kms in
            _ = try kms.newUser("bob")
            return { try kms.keystore.deletePrincipal(name: "bob", as: kms.owner) }
        },
        Deletion("a token") { kms in
            let token = try kms.keystore.addToken(
                modulePath: "/nowhere.so", tokenLabel: "none", as: kms.owner)
            return { try kms.keystore.removeToken(token, as: kms.owner) }
        },
        Deletion("a slot") { kms in
            let slot = try kms.keystore.addSlot(.newRecoveryKey, label: "", as: kms.owner)
            return { try kms.keystore.removeSlot(slot.id, as: kms.owner) }
        },
        Deletion("a custom key store") { kms in
            let cluster = try kms.keystore.addToken(
                modulePath: "/nowhere.so", tokenLabel: "none", as: kms.owner)
            let store = try kms.ask(
                .createCustomKeyStore,
                Structure([
                    .customKeyStoreName: .text("store"), .cloudHsmClusterID: .text(cluster),
                    .trustAnchorCertificate: .text("anchor"),
                    .keyStorePassword: .secret(secret("password")),
                ]))
            return { try kms.ask(.deleteCustomKeyStore, store) }
        },
    ]

    /// How much there is of everything.
    private func counts(_ keystore: Keystore) throws -> [Int] {
        let snapshot = try keystore.store.snapshot()
        let region = snapshot.region(TestKeystore.scope)
        return [
            region.keys.count, region.aliases.count, region.keyStores.count,
            region.keys.values.count(where: \.hasGrants), snapshot.principals.count,
            snapshot.tokens.count, snapshot.slots.count,
        ]
    }

    @Test(arguments: deletions)
    func `other processes take out what is gone, and open nothing else again`(
        _ deletion: Deletion
    ) throws {
        let kms = try TestKeystore()
        let untouched = try kms.newKey().arn.keyID
        let other = try kms.again()
        defer { other.close() }
        func entry(_ keystore: Keystore) throws -> KeyEntry {
            let region = try keystore.store.snapshot().region(TestKeystore.scope)
            return try #require(region.keys[untouched])
        }
        let known = try entry(other)
        let delete = try deletion.make(kms)
        #expect(try entry(other) === known)
        let before = try counts(other)
        try delete()
        #expect(try entry(other) === known)
        let after = try counts(other)
        #expect(after != before)
        let fresh = try kms.again()
        defer { fresh.close() }
        #expect(try after == counts(fresh))
        #expect(
            try other.store.snapshot().revision == kms.keystore.store.snapshot().revision)
    }

    @Test func `a page of grants whose last one goes waits for the next one`() throws {
        let kms = try TestKeystore()
        let other = try kms.again()
        defer { other.close() }
        let key = Structure([.keyID: .text(try kms.key())])
        let id = try #require(KeyARN(key.text(.keyID) ?? "")).keyID
        func entry() throws -> KeyEntry {
            try #require(try other.store.snapshot().region(TestKeystore.scope).keys[id])
        }
        for _ in 0..<2 {
            #expect(try !entry().hasGrants)
            let grant = try kms.ask(
                .createGrant, StateTableTests.granting.with(.keyID, key[.keyID]))
            #expect(try entry().hasGrants)
            #expect(try entry().grants().grants.count == 1)
            try kms.ask(.revokeGrant, key.with(.grantID, grant[.grantID]))
            #expect(try entry().grants().grants.isEmpty)
            #expect(try kms.ask(.listGrants, key).structures(.grants).isEmpty)
            #expect(try Array(entry().shelf.rows.keys) == [0])
        }
        // It opens with the keystore, and goes with its key.
        try kms.again().close()
        _ = try kms.ask(.scheduleKeyDeletion, key)
        kms.waitForDeletion(days: 30)
        _ = try kms.ask(.listKeys)
        let rows = try other.store.database.transaction(.read) { connection throws(KeystoreError) in
            try connection.rows(
                "SELECT id FROM records WHERE kind = ?",
                [.integer(Int64(RecordKind.grants.rawValue))])
        }
        #expect(rows.isEmpty)
    }
}
