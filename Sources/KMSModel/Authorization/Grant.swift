/// The id of a grant: 256 random bits, written as 64 hex digits.
package struct GrantID: Hashable, Sendable, CustomStringConvertible {
    private let words: [4 of UInt64]

    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var words: [4 of UInt64] = [0, 0, 0, 0]
        for (index, byte) in bytes.enumerated() {
            words[index / 8] = words[index / 8] << 8 | UInt64(byte)
        }
        self.words = words
    }

    /// Reads 64 hex digits, small ones.
    package init?(_ text: String) {
        guard text.utf8.count == 64, text == text.lowercasedASCII else { return nil }
        var bytes: [UInt8] = []
        for (index, digit) in text.utf8.enumerated() {
            guard let value = digit.hexDigitValue else { return nil }
            if index.isMultiple(of: 2) {
                bytes.append(value << 4)
            } else {
                bytes[bytes.count - 1] |= value
            }
        }
        self.init(bytes: bytes)
    }

    package var bytes: [UInt8] {
        words.indices.flatMap { index in
            stride(from: UInt64(56), through: 0, by: -8).map {
                UInt8(truncatingIfNeeded: words[index] >> $0)
            }
        }
    }

    package var description: String { hexText(bytes) }

    package static func == (a: GrantID, b: GrantID) -> Bool {
        a.words.indices.allSatisfy { a.words[$0] == b.words[$0] }
    }

    package func hash(into hasher: inout Hasher) {
        for index in words.indices { hasher.combine(words[index]) }
    }
}

/// What CreateGrant asks for: who may do what with the key, and when.
package struct GrantTerms: Hashable, Sendable {
    /// `GranteePrincipal`, or `GranteeServicePrincipal` where it is a service.
    package var grantee: Principal
    /// `RetiringPrincipal`, or `RetiringServicePrincipal` where it is a service.
    package var retiringPrincipal: Principal?
    /// Of ``KMSAction/grantOperations``.
    package var operations: KMSActionSet
    package var constraints: GrantConstraints
    /// 1…256 of `a-z A-Z 0-9 : / _ -`.
    package var name: String?

    package init(
        grantee: Principal, retiringPrincipal: Principal? = nil, operations: KMSActionSet,
        constraints: GrantConstraints = .none, name: String? = nil
    ) {
        self.grantee = grantee
        self.retiringPrincipal = retiringPrincipal
        self.operations = operations
        self.constraints = constraints
        self.name = name
    }
}

extension GrantTerms {
    /// What the terms say about the condition keys of CreateGrant; nil for all other keys.
    package func value(of key: ConditionKey) -> ConditionValue? {
        switch key {
        case .named(.grantConstraintType):
            let source = constraints.sourceARN.map { _ in "SourceArn" }
            return .list([constraints.context?.type, source].compactMap { $0 })
        case .named(.grantOperations): return .list(operations.grantOperationNames)
        case .named(.granteePrincipal): return .text(grantee.arn)
        case .named(.retiringPrincipal): return retiringPrincipal.map { .text($0.arn) }
        default: return nil
        }
    }
}

/// A permission to use one key, given to one principal. Grants allow; they deny nothing.
package struct Grant: Hashable, Sendable {
    package let id: GrantID
    package let key: KeyARN
    package let terms: GrantTerms
    package let creationDate: Timestamp
    /// The account of who created it. ListGrants shows ``AccountID/rootARN``.
    package let issuingAccount: AccountID
    /// The grant that allowed to create this one; nil where a policy did.
    package let parent: GrantID?

    package init(
        id: GrantID, key: KeyARN, terms: GrantTerms, creationDate: Timestamp,
        issuingAccount: AccountID, parent: GrantID? = nil
    ) {
        self.id = id
        self.key = key
        self.terms = terms
        self.creationDate = creationDate
        self.issuingAccount = issuingAccount
        self.parent = parent
    }

    /// Whether a request to create a grant repeats the one that created this: with a name, and all
    /// else the same. It is then answered with this grant's id and a new token (API reference,
    /// CreateGrant, `Name`).
    package func matchesRetry(of terms: GrantTerms, for key: KeyARN, by account: AccountID) -> Bool
    {
        terms.name != nil && terms == self.terms && key == self.key && account == issuingAccount
    }

    /// Whether who got CreateGrant from this grant may create one on these terms: no operation
    /// that this grant lacks, and constraints at least as strict.
    package func permits(child terms: GrantTerms) -> Bool {
        self.terms.operations.contains(.createGrant)
            && terms.operations.isSubset(of: self.terms.operations)
            && terms.constraints.isAtLeastAsStrict(as: self.terms.constraints)
    }

    /// Who may retire this grant: its retiring principal; its grantee, if it allows RetireGrant;
    /// the account that created it. An account may leave that to its principals.
    package func retirement(by principal: Principal) -> RetirementRight {
        var rights: [RetirementRight] = [
            RetirementRight(of: .root(of: issuingAccount), for: principal)
        ]
        if let retiring = terms.retiringPrincipal {
            rights.append(RetirementRight(of: retiring, for: principal))
        }
        if terms.operations.contains(.retireGrant) {
            rights.append(RetirementRight(of: terms.grantee, for: principal))
        }
        if rights.contains(.own) { return .own }
        return rights.first { $0 != .none } ?? .none
    }

    package enum RetirementRight: Hashable, Sendable {
        case none
        /// The account may let the principal do it: see ``Decision/delegated(to:_:)``.
        case ofAccount(AccountID)
        case own

        fileprivate init(of holder: Principal, for principal: Principal) {
            if holder.arn == principal.arn || holder.arn == principal.roleARN {
                self = .own
            } else if holder.kind == .root, let account = holder.account,
                account == principal.account
            {
                self = .ofAccount(account)
            } else {
                self = .none
            }
        }
    }

    /// Whether the grant, given to the principal of a request, allows it.
    ///
    /// Constraints on the context bind the operations that take one, so neither DescribeKey nor
    /// RetireGrant. That on the source binds all but RetireGrant, and DescribeKey only where a
    /// source is named.
    ///
    /// - Parameter child: the terms of the grant that CreateGrant asks for; without them this
    ///   grant does not allow CreateGrant.
    package func allows(
        _ request: AuthorizationRequest, child: GrantTerms? = nil, from source: some ConditionSource
    ) -> Bool {
        allows(request, FoldedContext(request.encryptionContext ?? .empty), child, source)
    }

    /// - Parameter context: the request's.
    func allows(
        _ request: AuthorizationRequest, _ context: FoldedContext, _ child: GrantTerms?,
        _ source: some ConditionSource
    ) -> Bool {
        guard terms.operations.contains(request.action) else { return false }
        if let wanted = terms.constraints.context, request.action.takesEncryptionContext {
            guard wanted.admits(context) else { return false }
        }
        if let wanted = terms.constraints.sourceARN, request.action != .retireGrant {
            let actual = request.value(of: .named(.sourceARN), from: source)?.singleText
            guard actual?.isIdentical(to: wanted) ?? (request.action == .describeKey) else {
                return false
            }
        }
        guard request.action == .createGrant else { return true }
        return child.map(permits(child:)) ?? false
    }
}
