/// What a request needs permission for: the operations of the service model, by the names that
/// policies use. ReEncrypt needs two, one for each of its keys.
///
/// Source: botocore's service model of KMS, version 2014-11-01, and the Service Authorization
/// Reference.
package enum KMSAction: UInt8, Sendable, Hashable, CaseIterable {
    case cancelKeyDeletion
    case connectCustomKeyStore
    case createAlias
    case createCustomKeyStore
    case createGrant
    case createKey
    case decapsulate
    case decrypt
    case deleteAlias
    case deleteCustomKeyStore
    case deleteImportedKeyMaterial
    case deriveSharedSecret
    case describeCustomKeyStores
    case describeKey
    case disableKey
    case disableKeyRotation
    case disconnectCustomKeyStore
    case enableKey
    case enableKeyRotation
    case encapsulate
    case encrypt
    case generateDataKey
    case generateDataKeyPair
    case generateDataKeyPairWithoutPlaintext
    case generateDataKeyWithoutPlaintext
    case generateMac
    case generateRandom
    case getKeyLastUsage
    case getKeyPolicy
    case getKeyRotationStatus
    case getParametersForImport
    case getPublicKey
    case importKeyMaterial
    case listAliases
    case listGrants
    case listKeyPolicies
    case listKeyRotations
    case listKeys
    case listResourceTags
    case listRetirableGrants
    case putKeyPolicy
    case reEncryptFrom
    case reEncryptTo
    case replicateKey
    case retireGrant
    case revokeGrant
    case rotateKeyOnDemand
    case scheduleKeyDeletion
    case sign
    case tagResource
    case untagResource
    case updateAlias
    case updateCustomKeyStore
    case updateKeyDescription
    case updatePrimaryRegion
    case verify
    case verifyMac

    /// The name without its service: `Decrypt`.
    package var operation: String { Self.operations[Int(rawValue)] }

    /// The name in a policy: `kms:Decrypt`.
    package var name: String { "kms:" + operation }

    /// - Parameter operation: exactly as ``operation`` has it.
    package init?(operation: String) {
        guard let index = Self.operations.firstIndex(of: operation) else { return nil }
        self.init(rawValue: UInt8(index))
    }

    /// In the order of the cases.
    private static let operations = [
        "CancelKeyDeletion", "ConnectCustomKeyStore", "CreateAlias", "CreateCustomKeyStore",
        "CreateGrant", "CreateKey", "Decapsulate", "Decrypt", "DeleteAlias", "DeleteCustomKeyStore",
        "DeleteImportedKeyMaterial", "DeriveSharedSecret", "DescribeCustomKeyStores", "DescribeKey",
        "DisableKey", "DisableKeyRotation", "DisconnectCustomKeyStore", "EnableKey",
        "EnableKeyRotation", "Encapsulate", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac",
        "GenerateRandom", "GetKeyLastUsage", "GetKeyPolicy", "GetKeyRotationStatus",
        "GetParametersForImport", "GetPublicKey", "ImportKeyMaterial", "ListAliases", "ListGrants",
        "ListKeyPolicies", "ListKeyRotations", "ListKeys", "ListResourceTags",
        "ListRetirableGrants", "PutKeyPolicy", "ReEncryptFrom", "ReEncryptTo", "ReplicateKey",
        "RetireGrant", "RevokeGrant", "RotateKeyOnDemand", "ScheduleKeyDeletion", "Sign",
        "TagResource", "UntagResource", "UpdateAlias", "UpdateCustomKeyStore",
        "UpdateKeyDescription", "UpdatePrimaryRegion", "Verify", "VerifyMac",
    ]
}

/// A set of actions, one bit for each.
package struct KMSActionSet: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package init(_ action: KMSAction) {
        rawValue = 1 << UInt64(action.rawValue)
    }

    package init(_ actions: some Sequence<KMSAction>) {
        rawValue = actions.reduce(0) { $0 | KMSActionSet($1).rawValue }
    }

    package static let all = KMSActionSet(KMSAction.allCases)

    package func contains(_ action: KMSAction) -> Bool {
        rawValue & 1 << UInt64(action.rawValue) != 0
    }
}
