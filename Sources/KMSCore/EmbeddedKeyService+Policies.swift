internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    /// The only name that a key policy can have.
    static let policyName = "default"

    func getKeyPolicy(_ request: inout Request) throws(KMSError) -> Structure {
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .read,
            for: &request)
        try refuseOtherPolicy(request)
        let text =
            entry.record.policy ?? PolicyDocument.defaultText(account: authorizer.account)
        return Structure([
            .policy: .text(text), .policyName: .text(EmbeddedKeyService.policyName),
        ])
    }

    func listKeyPolicies(_ request: inout Request) throws(KMSError) -> Structure {
        _ = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .read,
            for: &request)
        let (names, marker) = try PageSize.policies.page(
            request, of: [EmbeddedKeyService.policyName], by: \.self)
        return Structure([
            .policyNames: .texts(names), .truncated: .flag(marker != nil),
            .nextMarker: marker.map(Value.text),
        ])
    }

    func putKeyPolicy(_ request: inout Request) throws(KMSError) -> Structure {
        let snapshot = try state(for: request)
        let entry = try key(
            named: try request.text(.keyID), in: snapshot, group: .read, for: &request)
        try refuseOtherPolicy(request)
        let policy = try newPolicy(of: entry, for: request, in: snapshot)
        try edit(group: .read, for: &request) { _, _, record throws(KMSError) in
            record.policy = policy
        }
        return Structure()
    }

    private func refuseOtherPolicy(_ request: Request) throws(KMSError) {
        let name = request.input.text(.policyName) ?? EmbeddedKeyService.policyName
        guard name == EmbeddedKeyService.policyName else {
            throw .notFound("No such policy exists")
        }
    }

    /// The text of a policy that a key is to get, once it was found well formed, to name
    /// principals that exist, and to leave the caller able to change it.
    ///
    /// Whether a named principal exists is told only to who may put a policy: ask the authorizer
    /// first.
    ///
    /// - Parameter key: as it is, or as it is about to be made.
    /// - Returns: nil where the request has none: the default one.
    func newPolicy(
        of key: KeyEntry, for request: Request, in snapshot: KeystoreSnapshot
    ) throws(KMSError) -> String? {
        guard let text = request.input.text(.policy) else { return nil }
        do throws(PolicyError) {
            let policy = try PolicyDocument(parsing: text)
            for principal in policy.principals {
                try refuseUnknown(principal, in: snapshot)
            }
            if !request.input.flag(.bypassPolicyLockoutSafetyCheck) {
                try checkLockout(policy, of: key, for: request, in: snapshot)
            }
        } catch {
            throw KMSError(error)
        }
        return text
    }

    private func checkLockout(
        _ policy: PolicyDocument, of key: KeyEntry, for request: Request,
        in snapshot: KeystoreSnapshot
    ) throws(PolicyError) {
        guard let principal = Principal(request.caller.principalARN) else { throw .lockout }
        try policy.checkLockout(
            of: principal, key: key.arnText,
            isAdministrator: authorizer.isTrusted(principal, in: snapshot),
            from: RequestConditions(request: request, key: key, snapshot: snapshot))
    }

    /// Principals of this account must exist: local users always may, others need an access key.
    /// Of other accounts nothing is known, and nobody of them can ask.
    private func refuseUnknown(
        _ named: PolicyPrincipal, in snapshot: KeystoreSnapshot
    ) throws(PolicyError) {
        guard case .principal(let principal) = named, let account = principal.account,
            account == authorizer.account
        else { return }
        guard !isKnown(principal, in: snapshot) else { return }
        throw .invalidPrincipal(principal.arn)
    }

    func isKnown(_ principal: Principal, in snapshot: KeystoreSnapshot) -> Bool {
        switch principal.kind {
        case .root, .service: true
        case .user:
            principal.arn.contains(":user/local/uid-")
                || snapshot.principals.values.contains {
                    scope.userARN(name: $0.name) == principal.arn
                }
        // A keystore has no roles and no federation.
        case .role, .assumedRole, .federatedUser: false
        }
    }
}
