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
        let verdict = policy.verdict(on: self, from: source)
        switch verdict {
        case .denied(let statement): return .denied(.explicit(statement))
        case .allowed(let statement): return .allowed(.statement(statement))
        case .delegated, .silent: break
        }
        let finding = grants.finding(on: self, child: child, from: source)
        if case .allowed(let id) = finding { return .allowed(.grant(id)) }
        if case .delegated(let account, let statement) = verdict {
            return .delegated(to: account, .statement(statement))
        }
        if case .delegated(let account, let id) = finding {
            return .delegated(to: account, .grant(id))
        }
        return .denied(.noResourceBasedPolicy)
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
