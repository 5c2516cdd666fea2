/// The life of a CMK (AWS KMS developer guide, "Key states").
package enum KeyState: Hashable, Sendable {
    case enabled
    case disabled
    case pendingDeletion(at: Timestamp)

    /// The name on the wire.
    package var name: String {
        switch self {
        case .enabled: "Enabled"
        case .disabled: "Disabled"
        case .pendingDeletion: "PendingDeletion"
        }
    }
}

/// What can happen to a key's state.
package enum KeyEvent: Hashable, Sendable {
    case enable
    case disable
    /// `windowDays` is 7…30.
    case scheduleDeletion(windowDays: Int)
    case cancelDeletion
}

/// Groups of operations that a state lets through or refuses alike.
package enum KeyOperationGroup: Hashable, Sendable, CaseIterable {
    case cryptographic
    case createGrant
    case changeRotation
    case rotateOnDemand
    case changeAttributes  // aliases, tags, description
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
        case (.enabled, .scheduleDeletion(let days)), (.disabled, .scheduleDeletion(let days)):
            return .pendingDeletion(at: now.advanced(byDays: days))
        case (.pendingDeletion, .cancelDeletion): return .disabled
        case (.pendingDeletion, _): throw .invalidState("\(arn) is pending deletion.")
        case (_, .cancelDeletion): throw .invalidState("\(arn) is not pending deletion.")
        }
    }

    /// Refuses an operation that this state does not let through.
    ///
    /// - Throws: ``KMSError/disabled(_:)`` or ``KMSError/invalidState(_:)``, as AWS KMS does.
    package func permit(_ group: KeyOperationGroup, on arn: KeyARN) throws(KMSError) {
        switch (self, group) {
        case (.enabled, _), (_, .read): return
        case (.disabled, .changeAttributes): return
        case (.disabled, _): throw .disabled("\(arn) is disabled.")
        case (.pendingDeletion, _): throw .invalidState("\(arn) is pending deletion.")
        }
    }
}
