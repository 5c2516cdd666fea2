/// What someone asks to do with a key, as far as permissions depend on it.
///
/// Other facts come from a ``ConditionSource``, when a policy names them.
package struct AuthorizationRequest: Sendable {
    package var principal: Principal
    package var action: KMSAction
    /// The key's ARN.
    package var resource: String
    /// nil for operations that take none. Of CreateGrant it is that of the new grant's constraint.
    package var encryptionContext: EncryptionContext?

    package init(
        principal: Principal, action: KMSAction, resource: String,
        encryptionContext: EncryptionContext? = nil
    ) {
        self.principal = principal
        self.action = action
        self.resource = resource
        self.encryptionContext = encryptionContext
    }

    /// The value of a condition key: what the request tells itself, else what `source` says.
    package func value(
        of key: ConditionKey, from source: some ConditionSource
    ) -> ConditionValue? {
        switch key {
        case .encryptionContext(let name):
            // More than one only where names differ in nothing but case.
            let values = encryptionContext?.pairs.filter { name.matches($0.name) }.map(\.value)
            return values.map { .list($0) }
        case .named(.encryptionContextKeys):
            return encryptionContext.map { .list($0.pairs.map(\.name)) }
        case .named(.callerAccount), .named(.principalAccount):
            return principal.account.map { .text($0.description) }
        case .named(.principalARN):
            return principal.kind == .service ? nil : .text(principal.identityARN)
        case .named(.principalType): return .text(principal.type)
        case .named(.principalIsAWSService): return .flag(principal.kind == .service)
        case .named(.principalServiceName):
            return principal.kind == .service ? .text(principal.arn) : nil
        case .named(.userName):
            return principal.kind == .user ? .text(String(principal.name)) : nil
        case .named(.userID) where principal.kind == .root:
            return principal.account.map { .text($0.description) }
        case .named, .resourceTag, .requestTag, .unknown:
            return source.value(of: key)
        }
    }
}

extension Principal {
    /// What `aws:PrincipalType` holds (IAM user guide, "Principal key values").
    fileprivate var type: String {
        switch kind {
        case .root: "Account"
        case .user: "User"
        case .role, .assumedRole: "AssumedRole"
        case .federatedUser: "FederatedUser"
        case .service: "Service"
        }
    }
}
