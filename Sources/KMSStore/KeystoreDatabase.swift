internal import Foundation
internal import GRDB
internal import KMSModel
internal import Platform

/// The SQLite file of a keystore: tables, statements and SQLite's errors, and no keys.
///
/// One connection, used by one thread at a time. Other processes have theirs.
final class KeystoreDatabase: Sendable {
    /// "KFKS", in the file's header (PRAGMA application_id).
    static let applicationID: Int64 = 0x4b46_4b53
    static let format = 1

    let path: String
    private let queue: DatabaseQueue

    private static let schema = """
        CREATE TABLE header (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            keystore_id BLOB NOT NULL
        ) STRICT;
        CREATE TABLE slots (
            id BLOB PRIMARY KEY,
            revision INTEGER NOT NULL,
            body BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE records (
            kind INTEGER NOT NULL,
            id BLOB NOT NULL,
            revision INTEGER NOT NULL,
            box BLOB NOT NULL,
            PRIMARY KEY (kind, id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX records_by_revision ON records (revision);
        CREATE TABLE segments (
            id BLOB PRIMARY KEY,
            ordinal INTEGER NOT NULL UNIQUE,
            revision INTEGER NOT NULL,
            box BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        \(logSchema)
        CREATE TABLE manifests (
            id INTEGER PRIMARY KEY,
            revision INTEGER NOT NULL,
            box BLOB NOT NULL
        ) STRICT;
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(format);
        """

    /// Tables that keystores of earlier versions get when their log has its first checkpoint.
    static let logSchema = """
        CREATE TABLE IF NOT EXISTS checkpoints (
            number INTEGER PRIMARY KEY,
            box BLOB NOT NULL
        ) STRICT;
        CREATE TABLE IF NOT EXISTS tallies (
            id BLOB PRIMARY KEY,
            revision INTEGER NOT NULL,
            box BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    private init(path: String, queue: DatabaseQueue) {
        self.path = path
        self.queue = queue
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(30)
        configuration.foreignKeysEnabled = false
        configuration.prepareDatabase { connection in
            try connection.execute(
                sql: """
                    PRAGMA trusted_schema = OFF;
                    PRAGMA cell_size_check = ON;
                    PRAGMA secure_delete = ON;
                    """)
        }
        return configuration
    }

    /// Makes the file (mode 0600; SQLite gives its companions the same) and its tables.
    static func create(at path: String, keystoreID: [UInt8]) throws(KeystoreError)
        -> KeystoreDatabase
    {
        do throws(Errno) {
            _ = try Descriptor.open(path: path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            throw error == .fileExists ? .exists(path: path) : KeystoreError(error, path: path)
        }
        let database = try connect(path)
        try database.transaction { connection throws(KeystoreError) in
            try connection.run(schema)
            try connection.run(
                "INSERT INTO header (id, keystore_id) VALUES (1, ?)", [.bytes(keystoreID)])
        }
        return database
    }

    /// Opens the file and checks that it is a keystore's.
    static func open(at path: String, keystore: String) throws(KeystoreError) -> (
        database: KeystoreDatabase, keystoreID: [UInt8]
    ) {
        let database = try connect(path)
        let id: [UInt8] = try database.transaction { connection throws(KeystoreError) in
            func pragma(_ name: String) throws(KeystoreError) -> Int64? {
                try connection.rows("PRAGMA \(name)").first?.first?.integer
            }
            guard try pragma("application_id") == applicationID else {
                throw .notAKeystore(path: keystore, reason: "keystore.db was not made by Keyfold")
            }
            let version = try pragma("user_version") ?? 0
            guard version == format else {
                throw .unsupportedVersion(path: keystore, version: Int(version))
            }
            guard
                let id = try connection.rows("SELECT keystore_id FROM header").first?.first?.bytes,
                id.count == 16
            else { throw .tampered(path: keystore, what: "its header is missing") }
            return id
        }
        return (database, id)
    }

    private static func connect(_ path: String) throws(KeystoreError) -> KeystoreDatabase {
        let sharedMemory = try SharedMemorySpace(ofDatabase: path)
        do {
            let queue = try DatabaseQueue(path: path, configuration: configuration())
            // Here, not in the configuration: GRDB sets NORMAL when it turns to WAL, after that
            // has run, and with NORMAL a commit is not synced.
            try queue.inDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try sharedMemory.reserve()
            return KeystoreDatabase(path: path, queue: queue)
        } catch {
            throw KeystoreError(error, path: path)
        }
    }

    // MARK: Transactions

    enum TransactionKind { case read, write }

    /// Runs `body` in one transaction that is committed (and durable, when it wrote) when this
    /// returns, and rolled back when `body` throws. Write transactions exclude all others from
    /// their start.
    ///
    /// - Parameter aroundCommit: called with a closure that commits.
    func transaction<Result>(
        _ kind: TransactionKind = .write,
        aroundCommit: (() throws -> Void) throws -> Void = { try $0() },
        _ body: (KeystoreConnection) throws(KeystoreError) -> Result
    ) throws(KeystoreError) -> Result {
        do {
            return try queue.writeWithoutTransaction { database in
                try database.beginTransaction(kind == .read ? .deferred : .immediate)
                do {
                    let result = try body(KeystoreConnection(database: database, path: path))
                    try aroundCommit { try database.commit() }
                    return result
                } catch {
                    if database.isInsideTransaction { try? database.rollback() }
                    throw error
                }
            }
        } catch {
            throw KeystoreError(error, path: path)
        }
    }

    /// A consistent copy, while others write; `path` must not exist.
    func copy(to path: String) throws(KeystoreError) {
        do {
            var configuration = Configuration()
            configuration.prepareDatabase { connection in
                try connection.execute(sql: "PRAGMA synchronous = FULL")
            }
            let destination = try DatabaseQueue(path: path, configuration: configuration)
            try queue.backup(to: destination)
            // The copy is one file: without a journal beside it.
            try destination.writeWithoutTransaction { connection in
                try connection.execute(sql: "PRAGMA journal_mode = DELETE")
            }
            try destination.close()
        } catch {
            throw KeystoreError(error, path: path)
        }
    }

    /// Brings the journal's pages into the database and cuts it to nothing, unless it is in use.
    /// What the pages lost on the way is overwritten (`secure_delete`).
    func emptyJournal() {
        _ = try? queue.writeWithoutTransaction { connection in
            try connection.execute(sql: "PRAGMA busy_timeout = 0")
            defer { try? connection.execute(sql: "PRAGMA busy_timeout = 30000") }
            _ = try connection.checkpoint(.truncate)
        }
    }

    /// SQLite's own check of the whole file; nil when it finds nothing.
    func integrityProblem() throws(KeystoreError) -> String? {
        let answer = try transaction(.read) { connection throws(KeystoreError) in
            try connection.rows("PRAGMA integrity_check(1)").first?.first?.text
        }
        return answer == "ok" ? nil : answer ?? "no answer"
    }

    func close() {
        try? queue.close()
    }
}

/// A connection inside a transaction.
struct KeystoreConnection {
    fileprivate let database: Database
    fileprivate let path: String

    /// A value as SQLite stores it. Whoever edits the file can put any type anywhere.
    enum Value {
        case integer(Int64)
        case bytes([UInt8])
        case text(String)
        case other

        var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
        var bytes: [UInt8]? { if case .bytes(let value) = self { value } else { nil } }
        var text: String? { if case .text(let value) = self { value } else { nil } }

        fileprivate init(_ value: DatabaseValue) {
            switch value.storage {
            case .int64(let number): self = .integer(number)
            case .blob(let data): self = .bytes(Array(data))
            case .string(let text): self = .text(text)
            case .null, .double: self = .other
            }
        }

        fileprivate var argument: DatabaseValue {
            switch self {
            case .integer(let number): number.databaseValue
            case .bytes(let bytes): Data(bytes).databaseValue
            case .text(let text): text.databaseValue
            case .other: .null
            }
        }
    }

    func run(_ sql: String, _ arguments: [Value] = []) throws(KeystoreError) {
        do {
            try database.execute(
                sql: sql, arguments: StatementArguments(arguments.map(\.argument)))
        } catch {
            throw KeystoreError(error, path: path)
        }
    }

    func rows(_ sql: String, _ arguments: [Value] = []) throws(KeystoreError) -> [[Value]] {
        do {
            let statement = try database.cachedStatement(sql: sql)
            let cursor = try Row.fetchCursor(
                statement, arguments: StatementArguments(arguments.map(\.argument)))
            var rows: [[Value]] = []
            while let row = try cursor.next() {
                rows.append(row.databaseValues.map(Value.init))
            }
            return rows
        } catch {
            throw KeystoreError(error, path: path)
        }
    }

    /// As ``rows(_:_:)`` for the columns kind, id, revision, box, of which there are very many: each
    /// is copied once.
    ///
    /// - Returns: nil for a row that is no record's.
    func storedRows(
        _ sql: String, _ arguments: [Value] = []
    ) throws(KeystoreError) -> [StoredRow?] {
        do {
            let statement = try database.cachedStatement(sql: sql)
            let cursor = try Row.fetchCursor(
                statement, arguments: StatementArguments(arguments.map(\.argument)))
            var rows: [StoredRow?] = []
            while let row = try cursor.next() { rows.append(try StoredRow(row)) }
            return rows
        } catch {
            throw KeystoreError(error, path: path)
        }
    }

    /// The same for the columns kind, id.
    func rowKeys(
        _ sql: String, _ arguments: [Value] = []
    ) throws(KeystoreError) -> [RowKey?] {
        do {
            let statement = try database.cachedStatement(sql: sql)
            let cursor = try Row.fetchCursor(
                statement, arguments: StatementArguments(arguments.map(\.argument)))
            var keys: [RowKey?] = []
            while let row = try cursor.next() { keys.append(try RowKey(row)) }
            return keys
        } catch {
            throw KeystoreError(error, path: path)
        }
    }
}

extension RowKey {
    fileprivate init?(_ row: Row) throws {
        guard let number = Int64.fromDatabaseValue(row[0]), let kind = UInt8(exactly: number),
            let kind = RecordKind(rawValue: kind),
            let id = try row.withUnsafeData(atIndex: 1, { $0.map(Array.init) })
        else { return nil }
        self.init(kind: kind, id: id)
    }
}

extension StoredRow {
    fileprivate init?(_ row: Row) throws {
        guard let key = try RowKey(row), let revision = Int64.fromDatabaseValue(row[2]),
            revision > 0, let box = try row.withUnsafeData(atIndex: 3, { $0.map(Array.init) })
        else { return nil }
        self.init(key: key, revision: UInt64(revision), box: box)
    }
}

extension KeystoreError {
    /// What SQLite or GRDB answered, or an error of our own that passed through them.
    fileprivate init(_ error: any Error, path: String) {
        if let error = error as? KeystoreError {
            self = error
            return
        }
        guard let error = error as? DatabaseError else {
            self = .database(code: -1, message: "\(type(of: error))", path: path)
            return
        }
        // The second one: there was no room for the shared memory.
        if error.extendedResultCode == .SQLITE_IOERR_SHMSIZE { self = .full(path: path); return }
        switch error.resultCode {
        case .SQLITE_FULL: self = .full(path: path)
        case .SQLITE_NOTADB:
            self = .notAKeystore(path: path, reason: "it is not an SQLite database")
        case .SQLITE_CORRUPT:
            self = .notAKeystore(path: path, reason: "the database is damaged")
        case .SQLITE_CANTOPEN where Self.isReadOnly(path),
            .SQLITE_READONLY where Self.isReadOnly(path):
            self = .readOnly(path: path)
        default:
            self = .database(
                code: Int(error.extendedResultCode.rawValue),
                message: error.message ?? "no message", path: path)
        }
    }

    /// With O_PATH, since to close any other descriptor of the file would drop SQLite's locks.
    private static func isReadOnly(_ path: String) -> Bool {
        let file = try? Descriptor.open(path: path, OpenFlag.path)
        return (try? file?.fileSystemStatistics().isReadOnly) ?? false
    }
}
