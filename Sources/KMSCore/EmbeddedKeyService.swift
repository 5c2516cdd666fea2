internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import Synchronization
internal import UsageLog

/// AWS KMS's operations on a keystore, in this process.
///
/// Each operation checks the request's form, takes the newest committed state, finds the key, asks
/// ``Authorizer``, asks the key's state, acts, writes one event to the usage log, and only then
/// answers. If the event cannot be written, the answer is an error.
///
/// One is made for each Region that is asked for; what they share is in ``Shared``.
final class EmbeddedKeyService: KeyService {
    let scope: AccountScope
    let authorizer: Authorizer
    let shared: Shared

    /// What the services of all Regions have in common.
    final class Shared: Sendable {
        let store: KeystoreStore
        let log: UsageLogWriter
        let notary: LogNotary
        let clock: any WallClock
        let ciphers = CipherPool()
        let keyPairs = KeyPairs()
        let keyStores = CustomKeyStores()
        private let pending = Mutex(Pending())
        /// Lock order: `flushing`, then `pending`.
        fileprivate let flushing = Mutex(())

        fileprivate func withPending<Value>(_ body: (inout Pending) -> Value) -> Value {
            pending.withLock { body(&$0) }
        }

        init(
            store: KeystoreStore, log: UsageLogWriter, notary: LogNotary, clock: any WallClock
        ) {
            self.store = store
            self.log = log
            self.notary = notary
            self.clock = clock
        }
    }

    fileprivate struct Pending {
        /// Events of changes that were made but could not be logged: nothing else is answered
        /// until they are.
        var unlogged: [UsageEvent] = []
        /// Due work that failed is not tried again before this.
        var dueWorkNotBefore: Timestamp?
    }

    private static let dueWorkRetryMilliseconds: Int64 = 60_000

    init(_ shared: Shared, scope: AccountScope) {
        self.shared = shared
        self.scope = scope
        authorizer = Authorizer(scope: scope)
    }

    var store: KeystoreStore { shared.store }
    var ciphers: CipherPool { shared.ciphers }
    var keyPairs: KeyPairs { shared.keyPairs }
    var keyStores: CustomKeyStores { shared.keyStores }
    var grantTokens: GrantTokens { GrantTokens(macKey: store.keys.grantTokens) }
    var importTokenKey: SecretBytes { store.keys.importTokens }
    private var log: UsageLogWriter { shared.log }
    private var clock: any WallClock { shared.clock }

    // MARK: One operation

    func answer(
        _ operation: KMSOperation, _ input: Structure, as caller: Caller
    ) throws(KMSError) -> Structure {
        var request = Request(operation, input, caller: caller, scope: scope, now: clock.now())
        let outcome: Result<Structure, KMSError>
        do throws(KMSError) {
            try operation.input.validate(input)
            outcome = .success(try handle(&request))
        } catch {
            request.event.error = error
            request.event.responseElements = []
            outcome = .failure(error)
        }
        try record(request.event)
        return try outcome.get()
    }

    // MARK: The log

    /// Writes an event, after those that could not be written before.
    private func record(_ event: UsageEvent) throws(KMSError) {
        do throws(UsageLogError) {
            try recordUnlogged()
            try log.append(event)
        } catch {
            // A change is in the keystore already: its event must not be lost.
            if !event.isReadOnly, event.error == nil { keepUnlogged([event]) }
            throw KMSError(error)
        }
    }

    private func recordUnlogged() throws(UsageLogError) {
        if shared.withPending({ $0.unlogged.isEmpty }) { return }
        // One thread at a time, so that none is written twice.
        try shared.flushing.withLock { _ throws(UsageLogError) in
            while let event = shared.withPending({ $0.unlogged.first }) {
                try log.append(event)
                shared.withPending { pending in
                    pending.unlogged.removeAll { $0.eventID == event.eventID }
                }
            }
        }
    }

    /// Bounded: no operation changes anything while there is something unlogged.
    private func keepUnlogged(_ events: [UsageEvent]) {
        shared.withPending { $0.unlogged += events }
    }

    // MARK: State

    /// The newest state, after everything that is due has been done.
    func state(for request: Request) throws(KMSError) -> KeystoreSnapshot {
        do throws(UsageLogError) {
            if shared.withPending({ !$0.unlogged.isEmpty }) { try recordUnlogged() }
        } catch {
            throw KMSError(error)
        }
        do throws(KeystoreError) {
            let snapshot = try store.snapshot()
            guard let due = snapshot.nextDue, due <= request.now, mayDoDueWork(request.now) else {
                return snapshot
            }
            doDueWork(now: request.now)
            return try store.snapshot()
        } catch {
            throw KMSError(error)
        }
    }

    /// Changes the keystore in one transaction (``KeystoreStore/change(_:)``).
    func change<Value: Sendable>(
        for request: Request,
        _ decide: (KeystoreSnapshot, inout KeystoreChange) throws(KMSError) -> Value
    ) throws(KMSError) -> Value {
        _ = try state(for: request)
        let outcome: Result<Value, KMSError>
        do throws(KeystoreError) {
            outcome = try store.change(decide)
        } catch {
            throw KMSError(error)
        }
        return try outcome.get()
    }

    // MARK: Due work

    private func mayDoDueWork(_ now: Timestamp) -> Bool {
        shared.withPending { $0.dueWorkNotBefore.map { now >= $0 } ?? true }
    }

    /// Rotates and deletes the keys whose time has come, if any has.
    func doOverdueWork() {
        let now = clock.now()
        if let due = try? store.snapshot().nextDue, due <= now { doDueWork(now: now) }
    }

    /// The keys that lived in tokens go there, too.
    private func destroyInTokens(_ places: [KeyPlace], of snapshot: KeystoreSnapshot) {
        for place in places {
            let region = snapshot.regions.values.first { $0.storedName == place.region }
            guard let region, let record = region.keys[place.id]?.record else { continue }
            keyStores.destroyKey(record, in: snapshot, region)
        }
    }

    private func doDueWork(now: Timestamp) {
        do throws(KeystoreError) {
            let scope = scope
            let before = try store.snapshot()
            let outcome = try store.change { snapshot, change throws(KMSError) in
                let events = DueWork(scope: scope, now: now).plan(snapshot, &change)
                return (events, change.deletedKeys)
            }
            guard case .success((let events, let deleted)) = outcome else { return }
            keepUnlogged(events)
            keyPairs.forgetAll()
            destroyInTokens(deleted, of: before)
            shared.withPending { $0.dueWorkNotBefore = nil }
        } catch {
            // Tried again; until then operations see the state as it is.
            shared.withPending {
                $0.dueWorkNotBefore = now.advanced(
                    byMilliseconds: EmbeddedKeyService.dueWorkRetryMilliseconds)
            }
        }
        try? recordUnlogged()
    }
}

extension KMSError {
    /// The keystore itself failed, not the request.
    init(_ error: KeystoreError) {
        switch error {
        case .locked(let path): self = .keyUnavailable("the keystore \(path) is closed")
        case .full:
            self = KMSError(.internalFailure, error.description, isOutOfSpace: true)
        default: self = .internalFailure(error.description)
        }
    }

    /// The usage log took or gave no event.
    init(_ error: UsageLogError) {
        let isOutOfSpace =
            switch error {
            case .full: true
            case .anchorStore(let cause):
                if case .full = cause as? KeystoreError { true } else { false }
            default: false
            }
        self = KMSError(.internalFailure, "\(error)", isOutOfSpace: isOutOfSpace)
    }
}
