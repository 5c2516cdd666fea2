/// What a policy alone says about a request.
package enum PolicyVerdict: Hashable, Sendable {
    case denied(StatementReference)
    case allowed(StatementReference)
    /// Only the account of the principal is named.
    case delegated(to: AccountID, StatementReference)
    /// No statement is about it.
    case silent
}

extension PolicyDocument {
    /// Judges a request: a denial first, then a permission for the principal itself, then one for
    /// its account.
    ///
    /// Allocates nothing until it comes to a statement with conditions, or with resources other
    /// than `*`.
    package func verdict(
        on request: AuthorizationRequest, from source: some ConditionSource
    ) -> PolicyVerdict {
        var budget = MatchBudget()
        if deniedActions.contains(request.action) {
            for (index, statement) in statements.enumerated() where statement.effect == .deny {
                guard statement.actions.contains(request.action),
                    case .direct = statement.principals.reach(request.principal, effect: .deny),
                    statement.applies(to: request, from: source, &budget)
                else { continue }
                return .denied(reference(index))
            }
        }
        guard allowedActions.contains(request.action) else { return .silent }
        var delegation: (AccountID, Int)?
        for (index, statement) in statements.enumerated() where statement.effect == .allow {
            guard statement.actions.contains(request.action) else { continue }
            switch statement.principals.reach(request.principal, effect: .allow) {
            case .none: continue
            case .direct:
                guard statement.applies(to: request, from: source, &budget) else { continue }
                return .allowed(reference(index))
            case .account(let account):
                guard delegation == nil, statement.applies(to: request, from: source, &budget)
                else {
                    continue
                }
                delegation = (account, index)
            }
        }
        guard let (account, index) = delegation else { return .silent }
        return .delegated(to: account, reference(index))
    }

    /// Refuses a policy under which `caller` could not put another one.
    ///
    /// - Parameters:
    ///   - isAdministrator: whether the account would let the caller do what a statement leaves to
    ///     it; see ``Decision/delegated(to:_:)``.
    ///   - source: the values of the request that puts the policy.
    /// - Throws: ``PolicyError/lockout``.
    package func checkLockout(
        of caller: Principal, key: String, isAdministrator: Bool, from source: some ConditionSource
    ) throws(PolicyError) {
        let request = AuthorizationRequest(
            principal: caller, action: .putKeyPolicy, resource: key)
        switch verdict(on: request, from: source) {
        case .allowed: return
        case .delegated where isAdministrator: return
        case .delegated, .denied, .silent: throw .lockout
        }
    }
}

extension PolicyDocument {
    /// Whether a condition tells a user from one of whom nobody has heard, by ARN, name or id.
    ///
    /// Denials count, and exceptions from them; what is so for all users does not.
    package func singlesOut(_ user: Principal, from stranger: Principal) -> Bool {
        statements.contains { statement in
            statement.conditions.contains { condition in
                condition.key.isOfIdentity
                    && condition.holds(in: statement.effect, for: user)
                        != condition.holds(in: statement.effect, for: stranger)
            }
        }
    }
}

extension ConditionKey {
    fileprivate var isOfIdentity: Bool {
        switch self {
        case .named(.principalARN), .named(.userName), .named(.userID): true
        case .named, .encryptionContext, .resourceTag, .requestTag, .unknown: false
        }
    }
}

extension Condition {
    /// Of a request of which nothing is known but who makes it.
    fileprivate func holds(in effect: PolicyEffect, for user: Principal) -> Bool {
        let request = AuthorizationRequest(principal: user, action: .decrypt, resource: "")
        let source: ConditionValues = [.userID: .text(user.arn)]
        var budget = MatchBudget()
        return holds(in: effect, &budget) { request.value(of: $0, from: source) }
    }
}

extension PolicyDocument.Statement {
    /// Whether resource and conditions fit.
    fileprivate func applies(
        to request: AuthorizationRequest, from source: some ConditionSource,
        _ budget: inout MatchBudget
    ) -> Bool {
        if case .all = resources, conditions.isEmpty { return true }
        return isMet(by: request, from: source, &budget)
    }

    // Apart, since the closure makes a copy of the request.
    @inline(never)
    private func isMet(
        by request: AuthorizationRequest, from source: some ConditionSource,
        _ budget: inout MatchBudget
    ) -> Bool {
        let value = { (key: ConditionKey) in request.value(of: key, from: source) }
        let pairCount = request.encryptionContext?.pairs.count ?? 0
        let isMet =
            resources.includes(request.resource, in: effect, &budget, value)
            && conditions.allSatisfy {
                // Each looks for its key among them.
                budget.spend(pairCount)
                return !budget.isExhausted && $0.holds(in: effect, &budget, value)
            }
        return budget.isExhausted ? effect == .deny : isMet
    }
}

extension PolicyDocument.ResourceRule {
    /// A variable that stands for nothing matches nothing; where a statement allows all but what
    /// it names, that would allow everything, so it allows nothing.
    fileprivate func includes(
        _ resource: String, in effect: PolicyEffect, _ budget: inout MatchBudget,
        _ value: (ConditionKey) -> ConditionValue?
    ) -> Bool {
        switch self {
        case .none: return false
        case .all: return true
        case .matching(let patterns):
            return patterns.contains {
                $0.resolved { value($0)?.singleText }?.matches(resource, &budget) == true
            }
        case .excluding(let patterns):
            for pattern in patterns {
                guard let pattern = pattern.resolved({ value($0)?.singleText }) else {
                    if effect == .allow { return false }
                    continue
                }
                if pattern.matches(resource, &budget) { return false }
            }
            return true
        }
    }
}
