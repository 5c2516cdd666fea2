extension AuthorizationRequest {
    /// Whether the request may be carried out: a denial by the key's policy is final; then the
    /// policy or a grant may allow it, then leave it to the principal's account.
    ///
    /// For RetireGrant see ``decisionOnRetiring(_:policy:from:)``.
    ///
    /// - Parameters:
    ///   - child: of CreateGrant, the terms of the new grant: they must fit the grant that allows
    ///     to create it, where only a grant does. ``Decision/Authority/grant(_:)`` is its parent.
    package func decision(
        policy: PolicyDocument, grants: GrantIndex, child: GrantTerms? = nil,
        from source: some ConditionSource
    ) -> Decision {
        switch policy.verdict(on: self, from: source) {
        case .denied(let statement): return .denied(.explicit(statement))
        case .allowed(let statement): return .allowed(.statement(statement))
        case .delegated(let account, let statement):
            if case .allowed(let id) = grants.finding(on: self, child: child, from: source) {
                return .allowed(.grant(id))
            }
            return .delegated(to: account, .statement(statement))
        case .silent:
            return switch grants.finding(on: self, child: child, from: source) {
            case .none: .denied(.noResourceBasedPolicy)
            case .allowed(let id): .allowed(.grant(id))
            case .delegated(let account, let id): .delegated(to: account, .grant(id))
            }
        }
    }

    /// Whether the principal may retire a grant. What a policy allows does not count, what it
    /// denies does (KMS developer guide, "Retiring and revoking grants").
    ///
    /// - Precondition: ``action`` is RetireGrant.
    package func decisionOnRetiring(
        _ grant: Grant, policy: PolicyDocument, from source: some ConditionSource
    ) -> Decision {
        precondition(action == .retireGrant, "BUG: \(action) retires no grant")
        if case .denied(let statement) = policy.verdict(on: self, from: source) {
            return .denied(.explicit(statement))
        }
        return switch grant.retirement(by: principal) {
        case .own: .allowed(.grant(grant.id))
        case .ofAccount(let account): .delegated(to: account, .grant(grant.id))
        case .none: .denied(.noResourceBasedPolicy)
        }
    }
}
