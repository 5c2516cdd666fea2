internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import UsageLog

/// Changes of a keystore that AWS KMS has no operation for, by their names in the usage log. None is
/// an operation's.
enum AdministrativeChange: String, CaseIterable {
    case createAccessKey = "CreateAccessKey"
    case deleteAccessKey = "DeleteAccessKey"
    case addUnlockSlot = "AddUnlockSlot"
    case removeUnlockSlot = "RemoveUnlockSlot"
    case addToken = "AddToken"
    case removeToken = "RemoveToken"
    case setLogDurability = "SetLogDurability"
}

extension EmbeddedKeyService {
    /// Makes such a change together with its event, which is in the log when this returns. What
    /// changes nothing leaves no event.
    ///
    /// - Parameter decide: says what is to be different, and returns what the event tells of it; no
    ///   secrets.
    /// - Returns: the error with which `decide` called the change off.
    /// - Throws: also when the change is made and its event cannot be logged yet.
    func administer<Refusal: Error>(
        _ kind: AdministrativeChange, as caller: Caller,
        _ decide: (KeystoreSnapshot, inout KeystoreChange) throws(Refusal) -> [UsageEvent.Parameter]
    ) throws(KeystoreError) -> Result<Void, Refusal> {
        var event = UsageEvent(
            eventID: RandomUUID.text(), eventTime: shared.clock.now(), eventName: kind.rawValue,
            scope: scope, caller: caller)
        event.source = .keystore
        event.isReadOnly = false
        try beforeChange()
        let outcome: Result<Bool, Refusal>
        do throws(KeystoreError) {
            let writer = try outbox.writer()
            outcome = try store.change { snapshot, change throws(Refusal) in
                event.requestParameters = try decide(snapshot, &change)
                if change.isEmpty { return false }
                outbox.put([EncodedEvent(event)], by: writer, snapshot, &change)
                return true
            }
        } catch {
            outbox.forget([event.eventID])
            throw error
        }
        if case .success(true) = outcome {
            do throws(KMSError) {
                try record(event)
            } catch {
                throw KeystoreError(logging: error, at: store.paths.log)
            }
        }
        return outcome.map { _ in }
    }

    /// Nothing is changed while something waits for the log.
    private func beforeChange() throws(KeystoreError) {
        logStrays()
        do throws(UsageLogError) {
            try recordUnlogged()
        } catch {
            throw KeystoreError(logging: KMSError(error), at: store.paths.log)
        }
    }
}

extension KeystoreError {
    /// An event is not in the log.
    fileprivate init(logging error: KMSError, at path: String) {
        self = error.isOutOfSpace ? .full(path: path) : .log(error.message)
    }
}
