internal import KMSModel

/// The operations of ``KeyService`` by their names in AWS's API, which are also their events'.
enum KMSOperation: String, Sendable, CaseIterable {
    case createKey = "CreateKey"
    case describeKey = "DescribeKey"
    case listKeys = "ListKeys"
    case updateKeyDescription = "UpdateKeyDescription"
    case enableKey = "EnableKey"
    case disableKey = "DisableKey"
    case scheduleKeyDeletion = "ScheduleKeyDeletion"
    case cancelKeyDeletion = "CancelKeyDeletion"
    case tagResource = "TagResource"
    case untagResource = "UntagResource"
    case listResourceTags = "ListResourceTags"
    case createAlias = "CreateAlias"
    case updateAlias = "UpdateAlias"
    case deleteAlias = "DeleteAlias"
    case listAliases = "ListAliases"
    case enableKeyRotation = "EnableKeyRotation"
    case disableKeyRotation = "DisableKeyRotation"
    case keyRotationStatus = "GetKeyRotationStatus"
    case rotateKeyOnDemand = "RotateKeyOnDemand"
    case listKeyRotations = "ListKeyRotations"
    case encrypt = "Encrypt"
    case decrypt = "Decrypt"
    case reEncrypt = "ReEncrypt"
    case generateDataKey = "GenerateDataKey"
    case generateDataKeyWithoutPlaintext = "GenerateDataKeyWithoutPlaintext"
    case generateRandom = "GenerateRandom"

    private enum Kind { case cryptographic, reading, changing, alias }

    private var kind: Kind {
        switch self {
        case .encrypt, .decrypt, .reEncrypt, .generateDataKey, .generateDataKeyWithoutPlaintext,
            .generateRandom:
            .cryptographic
        case .describeKey, .listKeys, .listResourceTags, .listAliases, .keyRotationStatus,
            .listKeyRotations:
            .reading
        case .createAlias, .updateAlias, .deleteAlias:
            .alias
        case .createKey, .updateKeyDescription, .enableKey, .disableKey, .scheduleKeyDeletion,
            .cancelKeyDeletion, .tagResource, .untagResource, .enableKeyRotation,
            .disableKeyRotation, .rotateKeyOnDemand:
            .changing
        }
    }

    /// AWS calls everything read-only that leaves the keys as they are, Encrypt too.
    var isReadOnly: Bool { kind == .cryptographic || kind == .reading }

    /// Only these take alias names and alias ARNs for a key.
    var takesAliases: Bool { kind == .cryptographic || self == .describeKey }

    /// What the service lets the account do with a key that it manages itself.
    var isAllowedOnServiceKey: Bool { kind == .cryptographic || kind == .reading }

    var isAboutAlias: Bool { kind == .alias }
}
