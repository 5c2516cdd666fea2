import Cryptography
import Foundation
import KMSCore
import KMSModel
import Testing

@testable import KMSStore

/// What somebody does who can write the database and has no key.
@Suite struct TamperingTests {
    /// Raw SQL on a keystore that no process has open.
    private func edit(_ kms: TestKeystore, _ statements: String...) throws {
        let database = try KeystoreDatabase.open(
            at: "\(kms.path)/keystore.db", keystore: kms.path
        ).database
        try database.transaction { connection throws(KeystoreError) in
            for statement in statements { try connection.run(statement) }
        }
        database.close()
    }

    private func refusal(
        _ kms: TestKeystore, _ method: UnlockMethod? = nil
    ) throws -> String? {
        let failure = failure(
            kms.path, method ?? .passphrase(secret(TestKeystore.passphrase)))
        guard case .tampered(let path, let what) = failure else {
            if let failure { throw failure }
            return nil
        }
        #expect(path == kms.path)
        return what
    }

    private func failure(_ path: String, _ method: UnlockMethod) -> KeystoreError? {
        do {
            let keystore = try Keystore.open(at: path, unlocking: method, clock: ManualClock())
            keystore.close()
            return nil
        } catch {
            return error
        }
    }

    /// A closed keystore with two customer keys, an alias and a rotation.
    private func filled() throws -> (TestKeystore, KeyID, KeyID) {
        let kms = try TestKeystore()
        let first = try kms.newKey().arn
        let second = try kms.newKey().arn
        try kms.service.createAlias("alias/a", target: first.description, as: kms.owner)
        _ = try kms.service.rotateKeyOnDemand(first.description, as: kms.owner)
        kms.keystore.close()
        return (kms, first.keyID, second.keyID)
    }

    private func blob(_ bytes: [UInt8]) -> String { "x'\(hexText(bytes))'" }

    @Test func `an untouched keystore opens`() throws {
        let (kms, _, _) = try filled()
        #expect(try refusal(kms) == nil)
    }

    @Test(arguments: ["key", "material", "alias", "settings"])
    func `an edited record is refused and named`(_ table: String) throws {
        let (kms, _, _) = try filled()
        let kind = try #require(RecordKind.allCases.first { "\($0)" == table })
        try edit(
            kms,
            """
            UPDATE records SET box = CAST(box || x'00' AS BLOB) WHERE kind = \(kind.rawValue)
            """)
        let what = try #require(try refusal(kms))
        #expect(what.hasSuffix("was edited or moved"))
    }

    @Test func `two swapped records are refused`() throws {
        let (kms, first, second) = try filled()
        let one = blob(RowKey.key(place(first)).id)
        let two = blob(RowKey.key(place(second)).id)
        try edit(
            kms, "CREATE TABLE spare AS SELECT box, revision FROM records WHERE id = \(one)",
            "UPDATE records SET box = (SELECT box FROM records WHERE id = \(two)) WHERE id = \(one)",
            "UPDATE records SET box = (SELECT box FROM spare) WHERE id = \(two)")
        #expect(try #require(try refusal(kms)).contains("was edited or moved"))
    }

    @Test func `a deleted record is refused`() throws {
        for statement in [
            "DELETE FROM records WHERE kind = 5",
            "DELETE FROM slots WHERE id = (SELECT max(id) FROM slots)",
        ] {
            let (kms, _, _) = try filled()
            try edit(kms, statement)
            #expect(
                try refusal(kms, try remaining(kms))
                    == "a record was added, removed or rolled back")
        }
    }

    /// A way in through whichever slot is left.
    private func remaining(_ kms: TestKeystore) throws -> UnlockMethod {
        let database = try KeystoreDatabase.open(
            at: "\(kms.path)/keystore.db", keystore: kms.path
        ).database
        defer { database.close() }
        let bodies = try database.transaction(.read) { connection throws(KeystoreError) in
            try connection.rows("SELECT body FROM slots")
        }
        let kinds = try bodies.map { try SlotRecord(decoding: try #require($0[0].bytes)).kind }
        return kinds.contains(.passphrase)
            ? .passphrase(secret(TestKeystore.passphrase)) : .recoveryKey(kms.recoveryKey)
    }

    @Test func `a missing version of a key is refused`() throws {
        let (kms, first, _) = try filled()
        try edit(
            kms,
            "DELETE FROM records WHERE id = \(blob(RowKey.material(place(first), version: 1).id))")
        #expect(try refusal(kms) == "a version of the key \(first) is missing")
    }

    @Test func `a record that was rolled back alone is refused`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn
        let id = blob(RowKey.key(place(key.keyID)).id)
        try kms.service.disableKey(key.description, as: kms.owner)
        kms.keystore.close()
        try edit(kms, "CREATE TABLE old AS SELECT * FROM records WHERE id = \(id)")
        let again = try kms.again()
        try again.service.enableKey(key.description, as: kms.owner)
        try again.service.disableKey(key.description, as: kms.owner)
        try again.service.enableKey(key.description, as: kms.owner)
        again.close()
        try edit(kms, "INSERT OR REPLACE INTO records SELECT * FROM old")
        #expect(try refusal(kms) == "a record was added, removed or rolled back")
    }

    @Test func `a record that was added back is refused`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn
        try kms.service.createAlias("alias/a", target: key.description, as: kms.owner)
        kms.keystore.close()
        try edit(kms, "CREATE TABLE old AS SELECT * FROM records WHERE kind = 5")
        let again = try kms.again()
        try again.service.deleteAlias("alias/a", as: kms.owner)
        again.close()
        try edit(kms, "INSERT OR REPLACE INTO records SELECT * FROM old")
        #expect(try refusal(kms) == "a record was added, removed or rolled back")
    }

    @Test func `a missing or edited manifest is refused`() throws {
        let (kms, _, _) = try filled()
        try edit(kms, "UPDATE manifests SET revision = revision + 1")
        #expect(try refusal(kms) == "its manifest was edited")
        try edit(kms, "DELETE FROM manifests")
        #expect(try refusal(kms) == "its manifest is missing")
    }

    @Test func `an edited log anchor is refused by the log's reader`() throws {
        let (kms, _, _) = try filled()
        try edit(kms, "UPDATE segments SET revision = revision + 100")
        let again = try kms.again()
        defer { again.close() }
        #expect(throws: (any Error).self) { try again.usageLog().forEach(.init()) { _ in } }
    }

    @Test func `values of other types are an error and no crash`() throws {
        let (kms, _, _) = try filled()
        try edit(
            kms, "ALTER TABLE records RENAME TO kept",
            "CREATE TABLE records (kind, id, revision, box)",
            "INSERT INTO records VALUES ('key', 7, 1.5, NULL)")
        #expect(try refusal(kms) == "a row of its database was edited")
    }

    @Test func `what is no keystore is told from one that is missing`() throws {
        let place = try TemporaryDirectory()
        func failure(_ path: String) -> KeystoreError? {
            self.failure(path, .passphrase(secret("x")))
        }
        let missing = place.path("none")
        #expect(failure(missing) == .missing(path: missing))
        let file = place.path("file")
        try Data("x".utf8).write(to: URL(fileURLWithPath: file))
        #expect(failure(file) == .notAKeystore(path: file, reason: "it is not a directory"))
        #expect(
            failure(place.path)
                == .notAKeystore(path: place.path, reason: "it holds no keystore.db"))
        let garbage = place.path("keystore.db")
        try Data(repeating: 7, count: 8192).write(to: URL(fileURLWithPath: garbage))
        #expect(
            failure(place.path)
                == .notAKeystore(path: garbage, reason: "it is not an SQLite database"))
    }

    @Test func `another format is named`() throws {
        let (kms, _, _) = try filled()
        try edit(kms, "PRAGMA user_version = 2")
        #expect(throws: KeystoreError.unsupportedVersion(path: kms.path, version: 2)) {
            try kms.again()
        }
    }
}

private func place(_ id: KeyID) -> KeyPlace { KeyPlace(region: "", id: id) }
