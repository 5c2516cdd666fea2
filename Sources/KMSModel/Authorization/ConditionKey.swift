/// What a condition asks about. Names do not depend on case (IAM user guide, "Condition").
package enum ConditionKey: Hashable, Sendable {
    /// A key with a fixed name.
    case named(Name)
    /// `kms:EncryptionContext:NAME`
    case encryptionContext(CaselessName)
    /// `aws:ResourceTag/TAG-KEY`
    case resourceTag(CaselessName)
    /// `aws:RequestTag/TAG-KEY`
    case requestTag(CaselessName)
    /// A key of another service, or one that does not exist: absent from every request.
    case unknown(CaselessName)

    package init(_ text: String) {
        let folded = text.lowercasedASCII
        if let name = Self.names[folded] {
            self = .named(name)
        } else if let rest = Self.name(folded, after: "kms:encryptioncontext:") {
            self = .encryptionContext(rest)
        } else if let rest = Self.name(folded, after: "aws:resourcetag/") {
            self = .resourceTag(rest)
        } else if let rest = Self.name(folded, after: "aws:requesttag/") {
            self = .requestTag(rest)
        } else {
            self = .unknown(CaselessName(folded))
        }
    }

    private static func name(_ text: String, after prefix: String) -> CaselessName? {
        guard text.hasPrefix(prefix), text.utf8.count > prefix.utf8.count else { return nil }
        return CaselessName(String(text.dropFirst(prefix.utf8.count)))
    }

    private static let names: [String: Name] = {
        var names: [String: Name] = [:]
        for name in Name.allCases { names[name.rawValue.lowercasedASCII] = name }
        // The names before 2021 (KMS developer guide, "kms:CustomerMasterKeySpec (deprecated)").
        names["kms:customermasterkeyspec"] = .keySpec
        names["kms:customermasterkeyusage"] = .keyUsage
        return names
    }()

    /// A name of which the case of its ASCII letters does not count.
    package struct CaselessName: Hashable, Sendable {
        private let folded: String

        package init(_ text: String) {
            folded = text.lowercasedASCII
        }

        package func matches(_ name: String) -> Bool {
            let own = folded.utf8.span
            let other = name.utf8.span
            guard own.count == other.count else { return false }
            for index in own.indices where own[index] != other[index].lowercasedASCII {
                return false
            }
            return true
        }
    }

    /// The keys with fixed names (KMS developer guide, "AWS KMS condition keys"; IAM user guide,
    /// "AWS global condition context keys").
    package enum Name: String, Hashable, Sendable, CaseIterable {
        case callerAccount = "kms:CallerAccount"
        case viaService = "kms:ViaService"
        case encryptionContextKeys = "kms:EncryptionContextKeys"
        case grantIsForAWSResource = "kms:GrantIsForAWSResource"
        case grantConstraintType = "kms:GrantConstraintType"
        case grantOperations = "kms:GrantOperations"
        case granteePrincipal = "kms:GranteePrincipal"
        case retiringPrincipal = "kms:RetiringPrincipal"
        case keySpec = "kms:KeySpec"
        case keyUsage = "kms:KeyUsage"
        case keyOrigin = "kms:KeyOrigin"
        case requestAlias = "kms:RequestAlias"
        case resourceAliases = "kms:ResourceAliases"
        case reEncryptOnSameKey = "kms:ReEncryptOnSameKey"
        case messageType = "kms:MessageType"
        case signingAlgorithm = "kms:SigningAlgorithm"
        case encryptionAlgorithm = "kms:EncryptionAlgorithm"
        case macAlgorithm = "kms:MacAlgorithm"
        case keyAgreementAlgorithm = "kms:KeyAgreementAlgorithm"
        case dataKeyPairSpec = "kms:DataKeyPairSpec"
        case wrappingAlgorithm = "kms:WrappingAlgorithm"
        case wrappingKeySpec = "kms:WrappingKeySpec"
        case scheduleKeyDeletionPendingWindowInDays = "kms:ScheduleKeyDeletionPendingWindowInDays"
        case rotationPeriodInDays = "kms:RotationPeriodInDays"
        case validTo = "kms:ValidTo"
        case expirationModel = "kms:ExpirationModel"
        case multiRegion = "kms:MultiRegion"
        case multiRegionKeyType = "kms:MultiRegionKeyType"
        case replicaRegion = "kms:ReplicaRegion"
        case primaryRegion = "kms:PrimaryRegion"
        case bypassPolicyLockoutSafetyCheck = "kms:BypassPolicyLockoutSafetyCheck"
        case policyName = "kms:PolicyName"

        case principalARN = "aws:PrincipalArn"
        case principalAccount = "aws:PrincipalAccount"
        case principalType = "aws:PrincipalType"
        case principalIsAWSService = "aws:PrincipalIsAWSService"
        case principalServiceName = "aws:PrincipalServiceName"
        case userName = "aws:username"
        case userID = "aws:userid"
        case tagKeys = "aws:TagKeys"
        case currentTime = "aws:CurrentTime"
        case epochTime = "aws:EpochTime"
        case secureTransport = "aws:SecureTransport"
        case sourceIP = "aws:SourceIp"
        case sourceARN = "aws:SourceArn"
        case sourceAccount = "aws:SourceAccount"
        case userAgent = "aws:UserAgent"
        case viaAWSService = "aws:ViaAWSService"
        case requestedRegion = "aws:RequestedRegion"
        case resourceAccount = "aws:ResourceAccount"
    }
}

/// What a request holds for a condition key. Operators of any kind may ask for it: each value has
/// a form as text, and as a number, a time or a flag where there is one.
package enum ConditionValue: Hashable, Sendable {
    case text(String)
    case flag(Bool)
    case number(Int)
    case time(Timestamp)
    /// Of a key that may have several values; an empty list is as good as none.
    case list([String])

    /// Its form as text. nil for a list of any other length than 1.
    var singleText: String? {
        switch self {
        case .text(let text): text
        case .flag(let flag): flag ? "true" : "false"
        case .number(let number): String(number)
        case .time(let time): time.iso8601
        case .list(let texts): texts.count == 1 ? texts[0] : nil
        }
    }

    /// Whether one of the values fits.
    func contains(where fits: (ConditionValue) -> Bool) -> Bool {
        guard case .list(let texts) = self else { return fits(self) }
        return texts.contains { fits(.text($0)) }
    }
}

/// Where the values of condition keys come from; asked only for those that a policy names.
///
/// What an ``AuthorizationRequest`` holds itself is never asked for: the keys about the principal
/// (but `aws:userid`), `kms:CallerAccount` and those of the encryption context.
package protocol ConditionSource {
    /// nil where the request has no value for the key.
    func value(of key: ConditionKey) -> ConditionValue?
}

/// A few values that are known beforehand.
package struct ConditionValues: ConditionSource, Sendable, ExpressibleByDictionaryLiteral {
    private var values: [ConditionKey: ConditionValue]

    package init(_ values: [ConditionKey: ConditionValue] = [:]) {
        self.values = values
    }

    package init(dictionaryLiteral elements: (ConditionKey.Name, ConditionValue)...) {
        values = [:]
        for (name, value) in elements { values[.named(name)] = value }
    }

    package func value(of key: ConditionKey) -> ConditionValue? { values[key] }
}
