/// One whom a policy names.
package enum PolicyPrincipal: Hashable, Sendable {
    /// `*`
    case everyone
    /// An account, by its number or the ARN of its root.
    case account(AccountID)
    /// A user, a role, a session or a federated user of an account, or a service.
    case principal(Principal)
    /// An identity provider. Keyfold knows none.
    case federated(String)
    /// The canonical id of an account, which only Amazon S3 uses.
    case canonicalUser(String)
}

/// `Principal` or `NotPrincipal` of a statement.
struct PrincipalRule: Hashable, Sendable {
    /// How far a statement is about a principal.
    enum Reach {
        case none
        /// Only its account is named: the account decides what its principals may do.
        case account(AccountID)
        case direct
    }

    let named: [PolicyPrincipal]
    private let isNegated: Bool
    private let includesEveryone: Bool
    /// Most statements name one account at most, which is found without hashing.
    private let firstAccount: AccountID?
    private let accounts: Set<AccountID>
    /// ARNs, and names of services.
    private let names: Set<String>

    init(_ named: [PolicyPrincipal], isNegated: Bool) {
        self.named = named
        self.isNegated = isNegated
        includesEveryone = named.contains(.everyone)
        var accounts: Set<AccountID> = []
        var names: Set<String> = []
        for one in named {
            switch one {
            case .account(let account): accounts.insert(account)
            case .principal(let principal): names.insert(principal.arn)
            case .everyone, .federated, .canonicalUser: break
            }
        }
        firstAccount = accounts.first
        self.accounts = accounts
        self.names = names
    }

    private func names(_ account: AccountID) -> Bool {
        firstAccount == account || (accounts.count > 1 && accounts.contains(account))
    }

    /// An account in a statement that denies is everyone in it; in one that allows it is the
    /// account's root, and the others only as far as the account lets them.
    func reach(_ principal: Principal, effect: PolicyEffect) -> Reach {
        if isNegated { return isExcepted(principal, from: effect) ? .none : .direct }
        if includesEveryone { return .direct }
        if let account = principal.account, names(account) {
            if principal.kind == .root || effect == .deny { return .direct }
            return isNamed(principal) ? .direct : .account(account)
        }
        return isNamed(principal) ? .direct : .none
    }

    private func isNamed(_ principal: Principal) -> Bool {
        guard !names.isEmpty else { return false }
        if names.contains(principal.arn) { return true }
        return principal.roleARN.map(names.contains) ?? false
    }

    /// A denial spares only those who are named on every level: account, role and session, as the
    /// IAM user guide asks for ("NotPrincipal with Deny"). A permission spares those who are named
    /// on any.
    private func isExcepted(_ principal: Principal, from effect: PolicyEffect) -> Bool {
        if includesEveryone { return true }
        var levels: [Bool] = []
        if let account = principal.account { levels.append(names(account)) }
        if principal.kind != .root { levels.append(names.contains(principal.arn)) }
        if let role = principal.roleARN { levels.append(names.contains(role)) }
        switch effect {
        case .deny: return levels.allSatisfy { $0 }
        case .allow: return levels.contains(true)
        }
    }
}
