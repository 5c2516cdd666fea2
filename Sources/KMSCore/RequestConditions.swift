internal import KMSModel
internal import KMSStore

/// The values of condition keys that a policy may ask about (AWS KMS developer guide, "Condition
/// keys for AWS KMS"); looked up only when one does.
///
/// Not the request itself: copying all that its event will say would cost more than the decision.
struct RequestConditions: ConditionSource {
    private let operation: KMSOperation
    private let input: Structure
    private let caller: Caller
    private let facts: RequestFacts
    private let now: Timestamp
    private let region: String
    private let account: String
    private let key: KeyEntry?
    private let snapshot: KeystoreSnapshot
    private let requestTags: [Tag]

    init(request: borrowing Request, key: KeyEntry?, snapshot: KeystoreSnapshot) {
        operation = request.operation
        input = request.input
        requestTags = input.structures(.tags).compactMap(Tag.init)
        caller = request.caller
        facts = request.facts
        now = request.now
        region = request.event.scope.region
        account = (key?.arn.scope ?? request.event.scope).account.description
        self.key = key
        self.snapshot = snapshot
    }

    func value(of key: ConditionKey) -> ConditionValue? {
        switch key {
        case .named(let name): value(of: name)
        case .resourceTag(let name):
            self.key?.record.tags.first { name.matches($0.key) }.map { .text($0.value) }
        case .requestTag(let name):
            requestTags.first { name.matches($0.key) }.map { .text($0.value) }
        case .encryptionContext, .unknown: nil
        }
    }

    private func text(_ member: Member) -> ConditionValue? { input.text(member).map { .text($0) } }

    private func number(_ member: Member) -> ConditionValue? {
        input.number(member).map { .number($0) }
    }

    private func value(of name: ConditionKey.Name) -> ConditionValue? {
        switch name {
        case .keySpec:
            text(.keySpec).flatMap(ofNewKey) ?? key.map { .text($0.record.spec.rawValue) }
        case .keyUsage:
            text(.keyUsage).flatMap(ofNewKey) ?? key.map { .text($0.record.usage.rawValue) }
        case .keyOrigin:
            text(.origin).flatMap(ofNewKey) ?? key.map { .text($0.record.origin.rawValue) }
        case .multiRegion:
            key.map { .flag($0.record.id.isMultiRegion) } ?? .flag(input.flag(.multiRegion))
        case .multiRegionKeyType:
            key.flatMap { key in
                key.record.id.isMultiRegion
                    ? .text(key.record.isPrimary ? "PRIMARY" : "REPLICA") : nil
            }
        case .requestAlias: facts.alias.map { .text($0.description) }
        case .resourceAliases: resourceAliases
        case .reEncryptOnSameKey: facts.isSameKey.map { .flag($0) }
        case .messageType: isSigning ? text(.messageType) ?? .text("RAW") : nil
        case .signingAlgorithm: text(.signingAlgorithm)
        case .encryptionAlgorithm: encryptionAlgorithm
        case .macAlgorithm: text(.macAlgorithm)
        case .keyAgreementAlgorithm: text(.keyAgreementAlgorithm)
        case .dataKeyPairSpec: text(.keyPairSpec)
        case .wrappingAlgorithm: text(.wrappingAlgorithm)
        case .wrappingKeySpec: text(.wrappingKeySpec)
        case .scheduleKeyDeletionPendingWindowInDays:
            operation == .scheduleKeyDeletion
                ? number(.pendingWindowInDays) ?? .number(KMSLimit.defaultPendingWindowDays) : nil
        // Recorded from AWS: the default one even for a key that keeps another period.
        case .rotationPeriodInDays:
            operation == .enableKeyRotation
                ? number(.rotationPeriodInDays) ?? .number(KMSLimit.defaultRotationPeriodDays) : nil
        case .validTo: input.time(.validTo).map { .time($0) }
        case .expirationModel: text(.expirationModel)
        case .replicaRegion: text(.replicaRegion)
        case .primaryRegion: text(.primaryRegion)
        case .bypassPolicyLockoutSafetyCheck:
            input[.bypassPolicyLockoutSafetyCheck] == nil
                ? nil : .flag(input.flag(.bypassPolicyLockoutSafetyCheck))
        case .policyName:
            operation == .getKeyPolicy || operation == .putKeyPolicy
                ? text(.policyName) ?? .text(EmbeddedKeyService.policyName) : nil
        case .grantIsForAWSResource: .flag(false)
        case .grantConstraintType, .grantOperations, .granteePrincipal, .retiringPrincipal:
            facts.grantTerms?.value(of: .named(name))
        default: aboutTheCall(name)
        }
    }

    private func aboutTheCall(_ name: ConditionKey.Name) -> ConditionValue? {
        switch name {
        case .tagKeys:
            .list(requestTags.map(\.key) + input.texts(.tagKeys))
        case .currentTime: .time(now)
        case .epochTime: .number(Int(now.millisecondsSinceEpoch / 1000))
        case .secureTransport: .flag(caller.isSecureTransport)
        case .userAgent: .text(caller.userAgent)
        case .viaAWSService: .flag(false)
        case .requestedRegion: .text(region)
        case .resourceAccount: .text(account)
        case .userID: .text(caller.principalARN)
        case .sourceIP: .text(caller.sourceAddress ?? "127.0.0.1")
        default: nil
        }
    }

    /// CreateKey names what the key is to be.
    private func ofNewKey(_ value: ConditionValue) -> ConditionValue? { key == nil ? value : nil }

    private var isSigning: Bool { operation == .sign || operation == .verify }

    private var encryptionAlgorithm: ConditionValue? {
        switch operation {
        case .encrypt, .decrypt: text(.encryptionAlgorithm) ?? .text("SYMMETRIC_DEFAULT")
        case .reEncrypt:
            text(
                facts.action == .reEncryptTo
                    ? .destinationEncryptionAlgorithm : .sourceEncryptionAlgorithm)
                ?? .text("SYMMETRIC_DEFAULT")
        case .generateDataKey, .generateDataKeyWithoutPlaintext, .generateDataKeyPair,
            .generateDataKeyPairWithoutPlaintext:
            .text("SYMMETRIC_DEFAULT")
        default: nil
        }
    }

    private var resourceAliases: ConditionValue? {
        key.map { key in
            .list(
                snapshot.region(key.arn.scope).aliases(of: key.record.id)
                    .map(\.name.description))
        }
    }
}
