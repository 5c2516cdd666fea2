import KMSCore
import Testing

@testable import KMSStore

/// Tools/powercut shows what these settings are for: without them it finds lost keys.
@Suite struct DurabilityTests {
    /// PRAGMA synchronous: 2 is FULL, where every commit is synced (SQLite's documentation).
    private let full: Int64 = 2

    @Test func `every commit of an opened keystore is synced before it returns`() throws {
        let kms = try TestKeystore()
        kms.keystore.close()
        let database = try KeystoreDatabase.open(
            at: "\(kms.path)/keystore.db", keystore: kms.path
        ).database
        defer { database.close() }
        #expect(try setting("synchronous", of: database)?.integer == full)
        #expect(try setting("journal_mode", of: database)?.text == "wal")
    }

    @Test func `so is every commit of the process that makes a keystore`() throws {
        let place = try TemporaryDirectory()
        let database = try KeystoreDatabase.create(
            at: place.path("keystore.db"), keystoreID: [UInt8](repeating: 1, count: 16))
        defer { database.close() }
        #expect(try setting("synchronous", of: database)?.integer == full)
    }

    private func setting(
        _ name: String, of database: KeystoreDatabase
    ) throws -> KeystoreConnection.Value? {
        try database.transaction(.read) { connection throws(KeystoreError) in
            try connection.rows("PRAGMA \(name)").first?.first
        }
    }
}
