/// The life of a CMK (AWS KMS developer guide, "Key states").
///
/// AWS's `Creating` and `Updating` do not occur: a change is one transaction here, and nobody sees
/// a half of it.
package enum KeyState: Hashable, Sendable {
    case enabled
    case disabled
    /// Of imported material: some of it is not there.
    case pendingImport
    case pendingDeletion(at: Timestamp)
    /// A primary key whose replicas must go first; then it waits for that many days.
    case pendingReplicaDeletion(windowDays: Int)
    /// Its custom key store is not connected.
    case unavailable

    /// The name on the wire.
    package var name: String {
        switch self {
        case .enabled: "Enabled"
        case .disabled: "Disabled"
        case .pendingImport: "PendingImport"
        case .pendingDeletion: "PendingDeletion"
        case .pendingReplicaDeletion: "PendingReplicaDeletion"
        case .unavailable: "Unavailable"
        }
    }

    package var awaitsDeletion: Bool {
        switch self {
        case .pendingDeletion, .pendingReplicaDeletion: true
        case .enabled, .disabled, .pendingImport, .unavailable: false
        }
    }
}

/// What can happen to a key's state.
package enum KeyEvent: Hashable, Sendable {
    case enable
    case disable
    /// `windowDays` is 7…30; a primary key with replicas waits for them first.
    case scheduleDeletion(windowDays: Int, hasReplicas: Bool)
    case cancelDeletion
}

/// Groups of operations that a state lets through or refuses alike: the rows of AWS's table.
package enum KeyOperationGroup: Hashable, Sendable, CaseIterable {
    case cryptographic
    /// GetPublicKey.
    case publicKey
    case createGrant
    /// ReplicateKey.
    case replicate
    /// UpdatePrimaryRegion.
    case updatePrimary
    case changeRotation
    case rotateOnDemand
    /// GetParametersForImport, ImportKeyMaterial.
    case importMaterial
    /// CreateAlias, tags, description.
    case changeAttributes
    /// What every state lets through: Describe, List, policies, aliases that go.
    case read
}

extension KeyState {
    /// The state after `event`.
    ///
    /// - Throws: ``KMSError/invalidState(_:)`` where AWS KMS refuses the event in this state.
    package func applying(
        _ event: KeyEvent, to arn: KeyARN, now: Timestamp
    ) throws(KMSError) -> KeyState {
        switch (self, event) {
        case (.enabled, .enable), (.disabled, .enable): return .enabled
        case (.enabled, .disable), (.disabled, .disable): return .disabled
        case (.unavailable, .enable): return .enabled
        case (.unavailable, .disable): return .disabled
        case (.pendingDeletion, .cancelDeletion), (.pendingReplicaDeletion, .cancelDeletion):
            return .disabled
        case (.enabled, .scheduleDeletion(let days, let hasReplicas)),
            (.disabled, .scheduleDeletion(let days, let hasReplicas)),
            (.pendingImport, .scheduleDeletion(let days, let hasReplicas)),
            (.unavailable, .scheduleDeletion(let days, let hasReplicas)):
            return hasReplicas
                ? .pendingReplicaDeletion(windowDays: days)
                : .pendingDeletion(at: now.advanced(byDays: days))
        case (_, .cancelDeletion): throw .invalidState("\(arn) is not pending deletion.")
        case (.pendingDeletion, _), (.pendingReplicaDeletion, _), (.pendingImport, _):
            throw refusal(of: arn)
        }
    }

    /// Refuses an operation that this state does not let through.
    ///
    /// - Throws: ``KMSError/disabled(_:)`` or ``KMSError/invalidState(_:)``, as AWS KMS does;
    ///   `UnsupportedOperationException` for rotation of keys that never rotate by themselves.
    package func permit(_ group: KeyOperationGroup, on arn: KeyARN) throws(KMSError) {
        switch (self, group) {
        case (.enabled, _), (_, .read): return
        case (.disabled, .changeAttributes), (.disabled, .importMaterial): return
        // Recorded from AWS, for RSA, elliptic curves and ML-DSA; its guide's table says otherwise.
        case (.disabled, .publicKey): return
        case (.disabled, _): throw refusal(of: arn)
        case (.pendingImport, .changeAttributes), (.pendingImport, .importMaterial): return
        case (.unavailable, .changeAttributes), (.unavailable, .createGrant): return
        case (.pendingImport, .changeRotation), (.unavailable, .changeRotation):
            throw .unsupportedOperation("\(arn) origin is not valid for this operation.")
        case (.pendingImport, _), (.unavailable, _), (.pendingDeletion, _),
            (.pendingReplicaDeletion, _):
            throw refusal(of: arn)
        }
    }

    /// What AWS answers where this state forbids something.
    private func refusal(of arn: KeyARN) -> KMSError {
        switch self {
        case .disabled: .disabled("\(arn) is disabled.")
        case .pendingImport: .invalidState("\(arn) is pending import.")
        case .pendingDeletion: .invalidState("\(arn) is pending deletion.")
        case .pendingReplicaDeletion: .invalidState("\(arn) is pending replica deletion.")
        case .unavailable: .invalidState("\(arn) is unavailable.")
        case .enabled: preconditionFailure("BUG: an enabled key refuses nothing")
        }
    }
}
