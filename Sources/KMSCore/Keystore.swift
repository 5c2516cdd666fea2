package import Cryptography
package import KMSModel
package import KMSStore
internal import Synchronization
package import UsageLog

package typealias KeystoreError = KMSStore.KeystoreError
package typealias UnlockMethod = KMSStore.UnlockMethod
package typealias SlotSecret = KMSStore.SlotSecret
package typealias SlotKind = KMSStore.SlotKind
package typealias UnlockSlot = KMSStore.UnlockSlot
package typealias ScryptCost = KMSStore.ScryptCost

/// An open keystore: its durable state, the key service over it, and its usage log.
///
/// Any number of processes may have one keystore open; any thread may use it. SQLite's
/// connections and the log's writer do not survive fork(2): a process that becomes a daemon
/// opens its keystore afterwards.
package final class Keystore: Sendable {
    package let directory: String
    package let scope: AccountScope
    /// The owner of the keystore's directory.
    package let ownerUID: UInt32
    let store: KeystoreStore
    let clock: any MachineClock
    let keyService: EmbeddedKeyService
    let shared: EmbeddedKeyService.Shared
    /// Those of other Regions that were asked for.
    private let otherServices = Mutex<[String: EmbeddedKeyService]>([:])
    private static let keptServices = 64
    private let durability: UsageLogDurability
    private let log: UsageLogWriter
    private let logKeys: UsageLogKeys
    private let notary: LogNotary

    /// The service managed key that every keystore holds.
    package static let serviceAlias = "alias/aws/keyfold"

    private init(
        store: KeystoreStore, clock: any MachineClock, _ slowWorkLimits: SlowWorkLimits
    ) throws(KeystoreError) {
        self.store = store
        self.clock = clock
        directory = store.paths.directory
        scope = try store.snapshot().scope
        ownerUID = try store.ownerUID()
        do throws(CryptographyError) {
            logKeys = UsageLogKeys(
                logKey: store.keys.usageLog,
                signingKey: try Ed25519PrivateKey(seed: store.keys.usageLogSigningSeed))
        } catch {
            throw .log("its signing key cannot be made")
        }
        durability = try store.syncsLog() ? .beforeRelease : .withinASecond
        log = UsageLogWriter(
            directory: store.paths.log, keys: logKeys, anchors: LogAnchors(store: store),
            clock: clock, durability: durability)
        notary = LogNotary(keys: logKeys, anchors: LogAnchors(store: store), clock: clock)
        let reader = UsageLogReader(
            directory: store.paths.log, keys: logKeys, anchors: LogAnchors(store: store))
        shared = EmbeddedKeyService.Shared(
            store: store, log: log, reader: reader, notary: notary, clock: clock,
            slowWorkLimits: slowWorkLimits)
        keyService = EmbeddedKeyService(shared, scope: scope)
    }

    // MARK: Making and opening

    /// Makes a keystore where there is nothing, or an empty directory.
    ///
    /// - Parameters:
    ///   - passphrase: of the first slot; the second is for the recovery key.
    ///   - cost: what the passphrase costs to try; lower than standard in tests only.
    /// - Returns: the open keystore, and the recovery key as text to be shown once.
    /// - Throws: ``KeystoreError/exists(path:)``, ``KeystoreError/emptyPassphrase``, and what the
    ///   file system answers; nothing is left behind then.
    package static func create(
        at directory: String, scope: AccountScope, slots passphrase: SecretBytes,
        clock: any MachineClock, cost: ScryptCost = .standard
    ) throws(KeystoreError) -> (keystore: Keystore, recoveryKey: SecretBytes) {
        let now = clock.now()
        let recoveryKey = try KeystoreStore.create(
            at: directory, scope: scope, passphrase: passphrase, cost: cost, now: now
        ) { change in
            let key = KeyRecord(
                id: .random(), creationDate: now, state: .enabled,
                description: "Default key of Keyfold when no other key is named",
                manager: .aws, tags: [],
                rotation: RotationSchedule(
                    periodDays: KMSLimit.defaultRotationPeriodDays, base: now))
            guard let alias = AliasName(serviceAlias) else {
                preconditionFailure("BUG: the service's alias is not valid")
            }
            change.keys = [key]
            change.materials = [
                MaterialRecord(
                    keyID: key.id, version: 1, materialID: .random(),
                    material: SecretBytes.random(count: 32), creationDate: now, rotationType: nil)
            ]
            change.aliases = [
                AliasEntry(name: alias, target: key.id, creationDate: now, lastUpdatedDate: now)
            ]
        }
        let keystore = try open(at: directory, unlocking: .passphrase(passphrase), clock: clock)
        return (keystore, recoveryKey)
    }

    /// Opens a keystore, verifies every record, and does what has come due.
    ///
    /// - Parameter slowWorkLimits: what the process can do without while a token hangs.
    package static func open(
        at directory: String, unlocking method: UnlockMethod, clock: any MachineClock,
        slowWorkLimits: SlowWorkLimits = SlowWorkLimits()
    ) throws(KeystoreError) -> Keystore {
        let keystore = try Keystore(
            store: try KeystoreStore.open(at: directory, unlocking: method), clock: clock,
            slowWorkLimits)
        keystore.keyService.logStrays()
        keystore.runDueWork()
        return keystore
    }

    /// Whether there is a keystore's database in `directory`.
    package static func isKeystore(at directory: String) -> Bool {
        KeystorePaths(directory: directory).holdsKeystore
    }

    /// Removes what making a keystore in `directory` left when it was killed. Nobody may be making
    /// one there now.
    package static func removeUnfinished(at directory: String) {
        KeystorePaths(directory: directory).removeUnfinished()
    }

    /// Ends the log's segment, closes the database and logs out of tokens; the root key is wiped
    /// with the last reference to it. The service answers ``KMSError/keyUnavailable(_:)`` from then
    /// on. A token that hangs holds this up for two seconds at most.
    package func close() {
        let isLogged = log.close()
        shared.outbox.close(isLogged: isLogged)
        store.close()
        shared.keyStores.close()
    }

    // MARK: Service and log

    /// The key service of the default Region; it logs every operation.
    package var service: any KeyService { keyService }

    /// The key service of any Region; nil for what is no Region's name. A Region is there as soon
    /// as somebody uses it.
    package func service(inRegion region: String) -> (any KeyService)? {
        if region == scope.region { return keyService }
        return otherServices.withLock { services in
            if let known = services[region] { return known }
            guard let other = AccountScope(account: scope.account, region: region) else {
                return nil
            }
            if services.count >= Keystore.keptServices { services.removeAll() }
            let service = EmbeddedKeyService(shared, scope: other)
            services[region] = service
            return service
        }
    }

    /// Whether a request with symmetric keys takes microseconds just now: neither a token nor the
    /// disk, the database or somebody who uses it may hold it up. Waits for nobody.
    package var answersAtOnce: Bool {
        durability == .withinASecond && keyService.answersAtOnce
    }

    /// The principal that stands for the keystore's owner.
    package var ownerPrincipalARN: String { scope.rootPrincipalARN }

    /// Does the automatic rotations and deletions whose time has come, and puts rotations right that
    /// were planned while the clock was ahead. Every operation does the former before anything else;
    /// this is for processes that make none for a long time.
    package func runDueWork() {
        keyService.doAllOverdueWork()
    }

    package func usageLog() -> UsageLogReader {
        shared.reader
    }

    package func usageLogVerifier() -> UsageLogVerifier {
        UsageLogVerifier(
            directory: store.paths.log, keys: logKeys, anchors: LogAnchors(store: store))
    }

    /// When an event of the log is on the disk, in processes that open the keystore from now on.
    package func logDurability() throws(KeystoreError) -> UsageLogDurability {
        try store.syncsLog() ? .beforeRelease : .withinASecond
    }

    package func setLogDurability(
        _ durability: UsageLogDurability, as caller: Caller
    ) throws(KeystoreError) {
        let syncs = durability == .beforeRelease
        _ = try keyService.administer(.setLogDurability, as: caller) {
            snapshot, change throws(Never) in
            change.setSyncsLog(syncs, in: snapshot)
            return [.init("log", .text(syncs ? "sync" : "second"))]
        }
    }

    package func usageLogExporter() -> UsageLogExporter {
        UsageLogExporter(
            directory: store.paths.log, keys: logKeys, anchors: LogAnchors(store: store))
    }

    /// What the keystore knows of the log as a whole: its head, its verification key, its totals.
    package var logNotary: LogNotary { notary }

    /// Signs a checkpoint of all that was logged so far: by this process in any case, by others as
    /// far as they have anchored it.
    package func sealLog() throws(KeystoreError) {
        try synchronizeLog()
        do throws(UsageLogError) {
            try notary.seal()
        } catch {
            throw KeystoreError(error)
        }
    }

    /// Returns when all events so far are on the disk and anchored.
    package func synchronizeLog() throws(KeystoreError) {
        do throws(UsageLogError) {
            try log.synchronize()
        } catch {
            throw KeystoreError(error)
        }
    }
}

// MARK: - Slots

extension Keystore {
    /// Oldest first.
    package func slots() throws(KeystoreError) -> [UnlockSlot] {
        try store.slots()
    }

    /// Adds a way to unlock; no key and no file is touched.
    ///
    /// - Returns: the slot; for a new recovery key, with its text, which is not kept.
    package func addSlot(
        _ secret: SlotSecret, label: String, cost: ScryptCost = .standard, as caller: Caller
    ) throws(KeystoreError) -> UnlockSlot {
        let slot = try store.newSlot(secret, label: label, now: clock.now(), cost: cost)
        let outcome = try keyService.administer(.addUnlockSlot, as: caller) {
            snapshot, change throws(KeystoreError) in
            try change.add(slot, to: snapshot)
            return slot.view.parameters
        }
        try outcome.get()
        return slot.view
    }

    /// - Throws: ``KeystoreError/noSuchSlot(_:)``, ``KeystoreError/lastSlot(_:)``.
    package func removeSlot(_ id: String, as caller: Caller) throws(KeystoreError) {
        let outcome = try keyService.administer(.removeUnlockSlot, as: caller) {
            snapshot, change throws(KeystoreError) in
            try change.removeSlot(id, from: snapshot).parameters
        }
        try outcome.get()
    }

    /// Lets the kernel hold the root key for this user, until the time is over, it is dropped, or
    /// the machine restarts (nil).
    package func holdInKernelKeyring(forSeconds seconds: Int?) throws(KeystoreError) {
        try store.holdInKernelKeyring(forSeconds: seconds)
    }

    /// Takes the root key of the keystore at `directory` out of the kernel; needs no unlocking.
    package static func dropFromKernelKeyring(directory: String) throws(KeystoreError) {
        try KeystoreStore.dropFromKernelKeyring(directory: directory)
    }
}

extension UnlockSlot {
    /// What the log tells of it.
    fileprivate var parameters: [UsageEvent.Parameter] {
        [
            .init("slotId", .text(id)), .init("kind", .text(kind.rawValue)),
            .init("label", .text(label)),
        ]
    }
}

extension AccountScope {
    /// A new account: 12 random digits, the first of them not 0.
    package static func random(region: String = "us-east-1") -> AccountScope {
        let account = String(UInt64.random(in: 100_000_000_000...999_999_999_999))
        guard let scope = AccountScope(account: account, region: region) else {
            preconditionFailure("BUG: the region \(region) is not valid")
        }
        return scope
    }
}
