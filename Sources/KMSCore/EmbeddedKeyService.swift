internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import Synchronization
internal import UsageLog

/// AWS KMS's operations on a keystore, in this process.
///
/// Each operation checks the request's form, takes the newest committed state, finds the key, asks
/// ``Authorizer``, asks the key's state, acts, writes one event to the usage log, and one for each
/// other Region in which a replica changed with its primary key, and only then answers. If an event
/// cannot be written, the answer is an error. The events of a change are also part of the change
/// (``Outbox``), so neither is without the other for long.
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
        let reader: UsageLogReader
        let notary: LogNotary
        let clock: any MachineClock
        let ciphers = CipherPool()
        let keyPairs = KeyPairs()
        let gates: SlowWorkGates
        let keyStores: CustomKeyStores
        let outbox: Outbox
        private let pending = Mutex(Pending())
        /// Lock order: `flushing`, then `pending`.
        fileprivate let flushing = Mutex(())

        fileprivate func withPending<Value>(_ body: (inout Pending) -> Value) -> Value {
            pending.withLock { body(&$0) }
        }

        init(
            store: KeystoreStore, log: UsageLogWriter, reader: UsageLogReader,
            notary: LogNotary, clock: any MachineClock, slowWorkLimits: SlowWorkLimits
        ) {
            gates = SlowWorkGates(slowWorkLimits)
            keyStores = CustomKeyStores(store, gates: gates)
            self.store = store
            self.log = log
            self.reader = reader
            outbox = Outbox(store: store)
            self.notary = notary
            self.clock = clock
        }
    }

    fileprivate struct Pending {
        /// Events of changes that were made but could not be logged: nothing else is answered
        /// until they are.
        var unlogged: [EncodedEvent] = []
        /// Due work that failed is not tried again before this.
        var dueWorkNotBefore: ClockReading?
    }

    private static let dueWorkRetryMilliseconds: UInt64 = 60_000

    init(_ shared: Shared, scope: AccountScope) {
        self.shared = shared
        self.scope = scope
        authorizer = Authorizer(scope: scope)
    }

    var store: KeystoreStore { shared.store }
    var ciphers: CipherPool { shared.ciphers }
    var keyPairs: KeyPairs { shared.keyPairs }
    var keyStores: CustomKeyStores { shared.keyStores }
    var gates: SlowWorkGates { shared.gates }
    var grantTokens: GrantTokens { GrantTokens(macKey: store.keys.grantTokens) }
    var importTokenKey: SecretBytes { store.keys.importTokens }
    private var log: UsageLogWriter { shared.log }
    var outbox: Outbox { shared.outbox }
    private var clock: any MachineClock { shared.clock }

    // MARK: One operation

    func answer(
        _ operation: KMSOperation, _ input: Structure, as caller: Caller
    ) throws(KMSError) -> Structure {
        var request = Request(
            operation, input, caller: caller, scope: scope, at: clock.reading())
        let outcome: Result<Structure, KMSError>
        do throws(KMSError) {
            try operation.input.validate(input)
            outcome = .success(try handle(&request))
        } catch {
            request.event.error = error
            request.event.responseElements = []
            request.serviceEvents = []
            outcome = .failure(error)
        }
        try record(request.event, with: request.serviceEvents)
        return try outcome.get()
    }

    /// Whether nothing comes before an operation with symmetric keys that may take time.
    var answersAtOnce: Bool {
        guard let snapshot = store.quietSnapshot, !snapshot.hasKeyStores, log.isPrepared,
            shared.withPending({ $0.unlogged.isEmpty })
        else { return false }
        return !snapshot.due.areReached(at: clock.reading())
    }

    // MARK: The log

    /// Writes an event and those that come with it, after those that could not be written before.
    func record(_ event: UsageEvent, with others: [UsageEvent] = []) throws(KMSError) {
        var loggedCount = 0
        do throws(UsageLogError) {
            try recordUnlogged()
            try log.append(event)
            loggedCount += 1
            for event in others {
                try log.append(event)
                loggedCount += 1
            }
        } catch {
            // A change is in the keystore already: its events must not be lost.
            if !event.isReadOnly, event.error == nil {
                let events = [event] + others
                outbox.forget(events.prefix(loggedCount).map(\.eventID))
                keepUnlogged(events.dropFirst(loggedCount).map(EncodedEvent.init))
            }
            throw KMSError(error)
        }
        if !event.isReadOnly { outbox.forget(([event] + others).map(\.eventID)) }
    }

    func recordUnlogged() throws(UsageLogError) {
        if shared.withPending({ $0.unlogged.isEmpty }) { return }
        // One thread at a time, so that none is written twice.
        try shared.flushing.withLock { _ throws(UsageLogError) in
            while let event = shared.withPending({ $0.unlogged.first }) {
                try log.append(event)
                shared.withPending { $0.unlogged.removeAll { $0.id == event.id } }
                outbox.forget([event.id])
            }
        }
    }

    /// Bounded: no operation changes anything while there is something unlogged.
    private func keepUnlogged(_ events: [EncodedEvent]) {
        shared.withPending { $0.unlogged += events }
    }

    /// Logs the events of changes whose processes died before they logged them. What fails here is
    /// tried again by the next change, or the next process.
    func logStrays() {
        guard let strays = try? outbox.takeStrays() else { return }
        for stray in strays {
            if isLogged(stray) { outbox.forget([stray.id]) } else { keepUnlogged([stray]) }
        }
        try? recordUnlogged()
    }

    /// A log that can't be read to its end answers as far as it can: an event that stands there
    /// twice is better than one that is nowhere.
    private func isLogged(_ event: EncodedEvent) -> Bool {
        var isFound = false
        let filter = UsageLogFilter(
            since: event.time, until: event.time.advanced(byMilliseconds: 1),
            eventName: event.operation)
        try? shared.reader.forEach(filter) { isFound = isFound || $0.eventID == event.id }
        return isFound
    }

    // MARK: State

    /// The newest state, after everything that is due has been done; or the one that the request
    /// keeps to.
    func state(for request: Request) throws(KMSError) -> KeystoreSnapshot {
        if let snapshot = request.snapshot { return snapshot }
        do throws(UsageLogError) {
            if shared.withPending({ !$0.unlogged.isEmpty }) { try recordUnlogged() }
        } catch {
            throw KMSError(error)
        }
        do throws(KeystoreError) {
            let snapshot = try store.snapshot()
            guard snapshot.due.areReached(at: request.reading), mayDoDueWork(request.reading) else {
                return snapshot
            }
            doDueWork(at: request.reading)
            return try store.snapshot()
        } catch {
            throw KMSError(error)
        }
    }

    /// Changes the keystore in one transaction (``KeystoreStore/change(_:)``). The request's
    /// events, as they are when `decide` returns, go into the keystore with the change.
    func change<Value: Sendable>(
        for request: inout Request,
        _ decide: (KeystoreSnapshot, inout KeystoreChange, inout Request) throws(KMSError) -> Value
    ) throws(KMSError) -> Value {
        logStrays()
        _ = try state(for: request)
        var decided = request
        defer { request = decided }
        let outcome: Result<Value, KMSError>
        do throws(KeystoreError) {
            let writer = try outbox.writer()
            outcome = try store.change { snapshot, change throws(KMSError) in
                let value = try decide(snapshot, &change, &decided)
                decided.answerAffectedKey()
                if !change.isEmpty {
                    outbox.put(
                        decided.events.map(EncodedEvent.init), by: writer, snapshot, &change)
                }
                return value
            }
        } catch {
            outbox.forget(decided.events.map(\.eventID))
            throw KMSError(error)
        }
        return try outcome.get()
    }

    // MARK: Due work

    private func mayDoDueWork(_ reading: ClockReading) -> Bool {
        shared.withPending { $0.dueWorkNotBefore.map(reading.hasReached) ?? true }
    }

    /// Rotates and deletes the keys whose time has come, if any has.
    func doOverdueWork() {
        let reading = clock.reading()
        guard let snapshot = try? store.snapshot(), snapshot.due.areReached(at: reading) else {
            return
        }
        doDueWork(at: reading)
    }

    /// The same, and mends schedules from when the clock was ahead: all keys are looked at.
    func doAllOverdueWork() {
        let reading = clock.reading()
        guard let snapshot = try? store.snapshot(),
            DueWork(reading: reading).isDue(snapshot)
        else { return }
        doDueWork(at: reading)
    }

    /// The keys that lived in tokens go there, too.
    private func destroyInTokens(_ places: [KeyPlace], of snapshot: KeystoreSnapshot) {
        for place in places {
            let region = snapshot.regions.values.first { $0.storedName == place.region }
            guard let region, let record = region.keys[place.id]?.record else { continue }
            keyStores.destroyKey(record, in: snapshot, region)
        }
    }

    private func doDueWork(at reading: ClockReading) {
        var planned: [EncodedEvent] = []
        do throws(KeystoreError) {
            let before = try store.snapshot()
            let writer = try outbox.writer()
            let outcome = try store.change { snapshot, change throws(KMSError) in
                planned = DueWork(reading: reading).plan(snapshot, &change).map(EncodedEvent.init)
                if !change.isEmpty { outbox.put(planned, by: writer, snapshot, &change) }
                return change.deletedKeys
            }
            guard case .success(let deleted) = outcome else { return }
            keepUnlogged(planned)
            destroyInTokens(deleted, of: before)
            shared.withPending { $0.dueWorkNotBefore = nil }
        } catch {
            // Tried again; until then operations see the state as it is.
            outbox.forget(planned.map(\.id))
            shared.withPending {
                $0.dueWorkNotBefore = reading.advanced(
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
