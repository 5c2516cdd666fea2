internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import Synchronization
internal import UsageLog

/// AWS KMS's operations on a keystore, in this process.
///
/// Each operation takes the newest committed state, checks the request's form, finds the key,
/// asks ``Authorizer``, asks the key's state, acts, writes one event to the usage log, and only
/// then answers. If the event cannot be written, the answer is an error.
final class EmbeddedKeyService: KeyService {
    let store: KeystoreStore
    let scope: AccountScope
    let authorizer: Authorizer
    let ciphers = CipherPool()
    private let log: UsageLogWriter
    private let clock: any WallClock
    private let pending = Mutex(Pending())

    private struct Pending {
        /// Events of changes that were made but could not be logged: nothing else is answered
        /// until they are.
        var unlogged: [UsageEvent] = []
        /// Due work that failed is not tried again before this.
        var dueWorkNotBefore: Timestamp?
    }

    private static let dueWorkRetryMilliseconds: Int64 = 60_000

    init(store: KeystoreStore, scope: AccountScope, log: UsageLogWriter, clock: any WallClock) {
        self.store = store
        self.scope = scope
        self.log = log
        self.clock = clock
        authorizer = Authorizer(scope: scope)
    }

    // MARK: One operation

    /// What an operation's body works with.
    struct Request {
        let operation: KMSOperation
        let caller: Caller
        let now: Timestamp
        var event: UsageEvent

        mutating func note(_ name: String, _ text: String?) {
            if let text { event.requestParameters.append(.init(name, .text(text))) }
        }

        mutating func note(_ name: String, _ number: Int?) {
            if let number { event.requestParameters.append(.init(name, .number(number))) }
        }

        mutating func answer(_ name: String, _ text: String) {
            event.responseElements.append(.init(name, .text(text)))
        }
    }

    /// Runs one operation and logs it, whatever comes of it.
    @discardableResult
    func perform<Value>(
        _ operation: KMSOperation, as caller: Caller,
        _ body: (inout Request) throws(KMSError) -> Value
    ) throws(KMSError) -> Value {
        let now = clock.now()
        var request = Request(
            operation: operation, caller: caller, now: now,
            event: UsageEvent(
                eventID: EventID.make(), eventTime: now, eventName: operation.rawValue,
                scope: scope, caller: caller))
        request.event.isReadOnly = operation.isReadOnly
        let outcome: Result<Value, KMSError>
        do throws(KMSError) {
            outcome = .success(try body(&request))
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
            throw .internalFailure("\(error)")
        }
    }

    private func recordUnlogged() throws(UsageLogError) {
        while let event = pending.withLock({ $0.unlogged.first }) {
            try log.append(event)
            pending.withLock { pending in
                pending.unlogged.removeAll { $0.eventID == event.eventID }
            }
        }
    }

    /// Bounded: no operation changes anything while there is something unlogged.
    private func keepUnlogged(_ events: [UsageEvent]) {
        pending.withLock { $0.unlogged += events }
    }

    // MARK: State

    /// The newest state, after everything that is due has been done.
    func state(for request: borrowing Request) throws(KMSError) -> KeystoreSnapshot {
        do throws(UsageLogError) {
            if pending.withLock({ !$0.unlogged.isEmpty }) { try recordUnlogged() }
        } catch {
            throw .internalFailure("\(error)")
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
        for request: borrowing Request,
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
        pending.withLock { $0.dueWorkNotBefore.map { now >= $0 } ?? true }
    }

    /// Rotates and deletes the keys whose time has come, if any has.
    func doOverdueWork() {
        let now = clock.now()
        if let due = try? store.snapshot().nextDue, due <= now { doDueWork(now: now) }
    }

    private func doDueWork(now: Timestamp) {
        do throws(KeystoreError) {
            let scope = scope
            let outcome = try store.change { snapshot, change throws(KMSError) in
                DueWork(scope: scope, now: now).plan(snapshot, &change)
            }
            guard case .success(let events) = outcome else { return }
            keepUnlogged(events)
            pending.withLock { $0.dueWorkNotBefore = nil }
        } catch {
            // Tried again; until then operations see the state as it is.
            pending.withLock {
                $0.dueWorkNotBefore = now.advanced(
                    byMilliseconds: EmbeddedKeyService.dueWorkRetryMilliseconds)
            }
        }
        try? recordUnlogged()
    }

    // MARK: Keys

    /// Finds a key, notes it in the event, and asks policy and state.
    func key(
        named text: String, in snapshot: KeystoreSnapshot, group: KeyOperationGroup,
        action: String? = nil, for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        let (operation, caller) = (request.operation, request.caller)
        let entry = try snapshot.key(named: text, takesAliases: operation.takesAliases) {
            authorizer.denial(
                caller, action ?? operation.rawValue, resource: $0, policy: "resource")
        }
        try permit(entry, group: group, action: action, for: &request)
        return entry
    }

    /// Notes a key in the event, and asks policy and state.
    func permit(
        _ entry: KeyEntry, group: KeyOperationGroup, action: String? = nil,
        for request: inout Request
    ) throws(KMSError) {
        if !request.event.resources.contains(entry.arnText) {
            request.event.resources.append(entry.arnText)
        }
        try authorizer.authorize(request.caller, request.operation, action: action, key: entry)
        try entry.record.state.permit(group, on: entry.arn)
    }
}

extension KMSError {
    /// The keystore itself failed, not the request.
    init(_ error: KeystoreError) {
        switch error {
        case .locked(let path): self = .keyUnavailable("the keystore \(path) is closed")
        default: self = .internalFailure(error.description)
        }
    }
}
