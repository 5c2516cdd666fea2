package import Cryptography
internal import Glibc
package import KMSModel
internal import Platform
internal import Synchronization

extension KeystoreStore {
    /// Makes a keystore: a random root key in two slots, the settings, and what `firstRecords`
    /// adds. The directory appears whole, or not at all.
    ///
    /// - Returns: the text of the recovery key, which is not kept.
    package static func create(
        at directory: String, scope: AccountScope, passphrase: SecretBytes, cost: ScryptCost,
        now: Timestamp, firstRecords: (inout KeystoreChange) -> Void
    ) throws(KeystoreError) -> SecretBytes {
        guard passphrase.count > 0 else { throw .emptyPassphrase }
        let staged = try StagedDirectory(for: directory, token: hexText(Random.bytes(6)))
        let recovery = SecretBytes.random(count: RecoveryKey.byteCount)
        do throws(KeystoreError) {
            let paths = KeystorePaths(directory: staged.path)
            let keys = KeystoreKeys(
                rootKey: SecretBytes.random(count: 32), keystoreID: Random.bytes(16))
            var change = KeystoreChange()
            change.settings = KeystoreSettings(scope: scope, creationDate: now)
            change.slots = try onSystem(directory) { () throws(Errno) -> [SlotRecord] in
                [
                    try SlotRecord.wrap(
                        keys, kind: .passphrase, secret: passphrase, label: "passphrase", now: now,
                        cost: cost),
                    try SlotRecord.wrap(
                        keys, kind: .recoveryKey, secret: recovery, label: "recovery key", now: now,
                        cost: cost),
                ]
            }
            firstRecords(&change)
            try fill(paths, keys: keys, with: change)
        } catch {
            staged.discard()
            throw error
        }
        try staged.commit()
        return RecoveryKey.text(of: recovery)
    }

    private static func fill(
        _ paths: KeystorePaths, keys: KeystoreKeys, with change: KeystoreChange
    ) throws(KeystoreError) {
        let database = try KeystoreDatabase.create(at: paths.database, keystoreID: keys.keystoreID)
        let writer = KeystoreWriter(keys: keys, sealer: RecordSealer(keys), revision: 1)
        var model = KeystoreModel()
        try database.transaction { connection throws(KeystoreError) in
            try writer.apply(change, to: &model, in: connection)
            try writer.store(
                Manifest(revision: 1, rowCount: 0, digest: .zero), as: Manifest.segmentsID,
                in: connection)
        }
        database.close()
        _ = try CommitCounter(paths)
        do throws(Errno) {
            try Descriptor.open(path: paths.directory, O_RDONLY | O_DIRECTORY)
                .makeDirectory(FileName(KeystorePaths.logName), mode: 0o700)
        } catch {
            throw KeystoreError(error, path: paths.log)
        }
    }

    /// Opens a keystore and verifies every record in it.
    package static func open(
        at directory: String, unlocking method: UnlockMethod
    ) throws(KeystoreError) -> KeystoreStore {
        let paths = KeystorePaths(directory: directory)
        try paths.checkLog(in: try paths.openDirectory())
        let (database, keystoreID) = try KeystoreDatabase.open(
            at: paths.database, keystore: paths.directory)
        do throws(KeystoreError) {
            let root = try UnlockSlots(paths: paths, database: database, keystoreID: keystoreID)
                .rootKey(method)
            let keys = KeystoreKeys(rootKey: root, keystoreID: keystoreID)
            let sealer = RecordSealer(keys)
            let loader = KeystoreLoader(paths: paths, keys: keys, sealer: sealer)
            var model = KeystoreModel()
            let revision = try database.transaction(.read) { connection throws(KeystoreError) in
                try loader.advance(&model, from: 0, floor: 0, in: connection)
            }
            return try KeystoreStore(
                paths: paths, keys: keys, database: database,
                commits: try CommitCounter(paths),
                loaded: Working(model: model, revision: revision, sealer: sealer))
        } catch {
            database.close()
            throw error
        }
    }

    /// The keystore's id, which needs no unlocking.
    package static func keystoreID(at directory: String) throws(KeystoreError) -> [UInt8] {
        let paths = KeystorePaths(directory: directory)
        _ = try paths.openDirectory()
        let (database, id) = try KeystoreDatabase.open(
            at: paths.database, keystore: paths.directory)
        database.close()
        return id
    }

    /// The uid of the directory's owner.
    package func ownerUID() throws(KeystoreError) -> UInt32 {
        let place = try paths.openDirectory()
        do throws(Errno) {
            return try place.status().uid
        } catch {
            throw KeystoreError(error, path: paths.directory)
        }
    }
}

/// The slots of a keystore that is not unlocked yet.
struct UnlockSlots {
    let paths: KeystorePaths
    let database: KeystoreDatabase
    let keystoreID: [UInt8]

    func rootKey(_ method: UnlockMethod) throws(KeystoreError) -> SecretBytes {
        switch method {
        case .passphrase(let secret):
            return try open(
                .passphrase, with: secret, orElse: .wrongPassphrase(path: paths.directory))
        case .recoveryKey(let text):
            guard let secret = RecoveryKey.key(from: text) else { throw .mistypedRecoveryKey }
            return try open(
                .recoveryKey, with: secret, orElse: .wrongRecoveryKey(path: paths.directory))
        case .keyFile(let contents):
            try SlotRecord.checkKeyFile(contents)
            return try open(.keyFile, with: contents, orElse: .wrongKeyFile(path: paths.directory))
        case .kernelKeyring:
            guard let root = RootKeyring.read(keystoreID: keystoreID) else {
                throw .locked(path: paths.directory)
            }
            return root
        }
    }

    private func open(
        _ kind: SlotKind, with secret: SecretBytes, orElse failure: KeystoreError
    ) throws(KeystoreError) -> SecretBytes {
        let slots = try slots().filter { $0.kind == kind }
        guard !slots.isEmpty else { throw .noSlotOfKind(path: paths.directory, kind: kind.name) }
        for slot in slots {
            let root = try onSystem(paths.directory) { () throws(Errno) -> SecretBytes? in
                try slot.unwrap(secret, keystoreID: keystoreID)
            }
            if let root { return root }
        }
        throw failure
    }

    private func slots() throws(KeystoreError) -> [SlotRecord] {
        let rows = try database.transaction(.read) { connection throws(KeystoreError) in
            try connection.rows("SELECT body FROM slots LIMIT \(SlotRecord.maximumCount)")
        }
        return rows.compactMap { row in row[0].bytes.flatMap { try? SlotRecord(decoding: $0) } }
    }
}

extension SlotRecord {
    static func checkKeyFile(_ contents: SecretBytes) throws(KeystoreError) {
        guard (32...1_048_576).contains(contents.count) else {
            throw .unusableKeyFile(sizeBytes: contents.count)
        }
    }
}
