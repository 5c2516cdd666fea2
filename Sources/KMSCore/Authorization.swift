internal import KMSModel
internal import KMSStore

/// Who may do what: the only place that decides it.
///
/// A key's policy and its grants decide first. What a policy leaves to the account is decided by
/// identity: the account root, which is the keystore's owner, and administrators may do it; local
/// users and other access keys may not. Operations on no key in particular are the account's.
struct Authorizer: Sendable {
    let scope: AccountScope
    private let root: Principal
    private let defaultPolicy: PolicyDocument

    init(scope: AccountScope) {
        self.scope = scope
        guard let account = AccountID(scope.account) else {
            preconditionFailure("BUG: an account has twelve digits")
        }
        root = .root(of: account)
        defaultPolicy = .defaultPolicy(account: account)
    }

    var account: AccountID {
        guard let account = root.account else { preconditionFailure("BUG: the root's account") }
        return account
    }

    // MARK: Principals

    /// - Throws: for a principal that is none, which only a defect upstream makes.
    func principal(of caller: Caller) throws(KMSError) -> Principal {
        if caller.principalARN == root.arn { return root }
        guard let principal = Principal(caller.principalARN) else {
            throw .accessDenied("\(caller.principalARN) is no principal")
        }
        return principal
    }

    /// Whether the account lets its principal do what a policy leaves to the account.
    func isTrusted(_ principal: Principal, in snapshot: KeystoreSnapshot) -> Bool {
        principal.arn == root.arn || snapshot.administratorARNs.contains(principal.arn)
    }

    // MARK: Decisions

    /// - Throws: ``KMSError/accessDenied(_:)`` for an operation on no key in particular.
    func authorize(_ request: Request, in snapshot: KeystoreSnapshot) throws(KMSError) {
        let principal = try principal(of: request.caller)
        guard isTrusted(principal, in: snapshot) else {
            throw .denial(
                .noIdentityBasedPolicy, of: KMSAction(request), to: principal.arn, on: nil)
        }
    }

    /// - Parameter child: of CreateGrant, the new grant's terms.
    /// - Returns: what the decision rests on.
    /// - Throws: ``KMSError/accessDenied(_:)``, or ``KMSError/notAuthorized`` for the alias of a
    ///   service managed key, as AWS KMS does.
    @discardableResult
    func authorize(
        _ request: Request, on key: KeyEntry, in snapshot: KeystoreSnapshot,
        child: GrantTerms? = nil
    ) throws(KMSError) -> Decision.Authority {
        let question = AuthorizationRequest(
            principal: try principal(of: request.caller), action: KMSAction(request),
            resource: key.arnText, encryptionContext: request.authorizedContext)
        let source = RequestConditions(request: request, key: key, snapshot: snapshot)
        let decision = question.decision(
            policy: try policy(of: key), grants: try grants(of: key), child: child, from: source)
        let authority = try settle(decision, question, in: snapshot)
        try refuseOnServiceKey(request, key, question)
        return authority
    }

    /// Whether the caller may retire `grant` of `key`.
    func authorizeRetiring(
        _ grant: Grant, of key: KeyEntry, _ request: Request, in snapshot: KeystoreSnapshot
    ) throws(KMSError) {
        let question = AuthorizationRequest(
            principal: try principal(of: request.caller), action: .retireGrant,
            resource: key.arnText)
        let source = RequestConditions(request: request, key: key, snapshot: snapshot)
        let decision = question.decisionOnRetiring(
            grant, policy: try policy(of: key), from: source)
        _ = try settle(decision, question, in: snapshot)
    }

    private func settle(
        _ decision: Decision, _ question: AuthorizationRequest, in snapshot: KeystoreSnapshot
    ) throws(KMSError) -> Decision.Authority {
        switch decision {
        case .allowed(let authority): return authority
        case .delegated(let account, let authority):
            guard account == self.account, isTrusted(question.principal, in: snapshot) else {
                throw question.error(.noIdentityBasedPolicy)
            }
            return authority
        case .denied(let denial): throw question.error(denial)
        }
    }

    /// The service's own keys may be used, and stay as they are.
    private func refuseOnServiceKey(
        _ request: Request, _ key: KeyEntry, _ question: AuthorizationRequest
    ) throws(KMSError) {
        guard key.record.manager == .aws, !request.operation.isAllowedOnServiceKey else { return }
        if request.operation.isAboutAlias { throw .notAuthorized }
        throw question.error(.noResourceBasedPolicy)
    }

    func policy(of key: KeyEntry) throws(KMSError) -> PolicyDocument {
        do throws(PolicyError) {
            return try key.policy() ?? defaultPolicy
        } catch {
            throw .internalFailure("the policy of \(key.arnText) cannot be read")
        }
    }

    private func grants(of key: KeyEntry) throws(KMSError) -> GrantIndex {
        guard key.hasGrants else { return GrantIndex() }
        do throws(KeystoreError) {
            return try key.grants()
        } catch {
            throw KMSError(error)
        }
    }
}

extension KMSAction {
    /// The permission that a request needs; of ReEncrypt the one that it is at.
    init(_ request: Request) {
        self = request.facts.action ?? KMSAction.ofOperation[request.operation] ?? .reEncryptFrom
    }

    private static let ofOperation: [KMSOperation: KMSAction] = {
        var actions: [KMSOperation: KMSAction] = [:]
        for operation in KMSOperation.allCases {
            actions[operation] = KMSAction(operation: operation.rawValue)
        }
        return actions
    }()
}

extension Request {
    /// The encryption context that policies and grants look at.
    fileprivate var authorizedContext: EncryptionContext? {
        if let context = facts.context { return context }
        guard case .context(let context) = input[.encryptionContext] else { return nil }
        return context
    }
}
