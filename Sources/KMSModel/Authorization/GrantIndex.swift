/// The grants on one key, at most 50,000, found by their ids and by their grantees.
///
/// Finding those of a principal takes no longer for all the others. A changed copy shares nothing
/// with the original, so copying before a change takes time for each grant.
package struct GrantIndex: Sendable {
    /// A grant on the heap, so that tables of grants are tables of references.
    private final class Entry: Sendable {
        let grant: Grant

        init(_ grant: Grant) {
            self.grant = grant
        }
    }

    private var entries: [GrantID: Entry] = [:]
    /// By the grantee's ARN or name.
    private var granted: [String: [Entry]] = [:]

    package static let maximumCount = 50_000

    package init() {}

    /// - Precondition: the grants are of one key and have different ids.
    package init(_ grants: some Sequence<Grant>) {
        for grant in grants { insert(grant) }
    }

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }

    package subscript(id: GrantID) -> Grant? { entries[id]?.grant }

    /// In no order.
    package var grants: some Collection<Grant> { entries.values.lazy.map(\.grant) }

    /// Puts the grant in, in place of one with the same id.
    package mutating func insert(_ grant: Grant) {
        remove(grant.id)
        let entry = Entry(grant)
        entries[grant.id] = entry
        granted[grant.terms.grantee.arn, default: []].append(entry)
    }

    /// - Returns: the grant that was there.
    @discardableResult
    package mutating func remove(_ id: GrantID) -> Grant? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        let grantee = entry.grant.terms.grantee.arn
        granted[grantee]?.removeAll { $0 === entry }
        if granted[grantee]?.isEmpty == true { granted[grantee] = nil }
        return entry.grant
    }

    /// The grants that name this very principal.
    package func grants(to grantee: Principal) -> some Sequence<Grant> {
        (granted[grantee.arn] ?? []).lazy.map(\.grant)
    }

    /// The grant that the same request to create one has made before.
    package func grant(retriedBy terms: GrantTerms, for key: KeyARN, by account: AccountID)
        -> Grant?
    {
        guard terms.name != nil else { return nil }
        return grants(to: terms.grantee).first {
            $0.matchesRetry(of: terms, for: key, by: account)
        }
    }

    /// What a grant says about a request.
    enum Finding {
        case none
        case allowed(GrantID)
        /// A grant to the principal's account.
        case delegated(to: AccountID, GrantID)
    }

    func finding(
        on request: AuthorizationRequest, child: GrantTerms?, from source: some ConditionSource
    ) -> Finding {
        guard !entries.isEmpty else { return .none }
        let principal = request.principal
        if let id = grant(to: principal.arn, for: request, child, source) { return .allowed(id) }
        if let role = principal.roleARN, let id = grant(to: role, for: request, child, source) {
            return .allowed(id)
        }
        guard principal.kind != .root, let account = principal.account,
            let id = grant(to: account.rootARN, for: request, child, source)
        else { return .none }
        return .delegated(to: account, id)
    }

    private func grant(
        to grantee: String, for request: AuthorizationRequest, _ child: GrantTerms?,
        _ source: some ConditionSource
    ) -> GrantID? {
        guard let entries = granted[grantee] else { return nil }
        let context = FoldedContext(request.encryptionContext ?? .empty)
        for entry in entries where entry.grant.allows(request, context, child, source) {
            return entry.grant.id
        }
        return nil
    }
}
