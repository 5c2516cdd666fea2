internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func createGrant(_ request: inout Request) throws(KMSError) -> Structure {
        let name = try request.text(.keyID)
        try grantTokens.check(request)
        let terms = try newTerms(request)
        request.facts.grantTerms = terms
        let grant = try change(for: &request) { snapshot, change, request throws(KMSError) in
            let grant = try makeGrant(terms, onKey: name, in: snapshot, &change, for: &request)
            request.answer("grantId", grant.id.description)
            request.answer("keyId", grant.key.description)
            return grant
        }
        return Structure([
            .grantID: .text(grant.id.description),
            .grantToken: .text(grantTokens.token(for: grant)),
        ])
    }

    private func newTerms(_ request: Request) throws(KMSError) -> GrantTerms {
        let constraints = request.input.structure(.constraints)
        let context = { (member: Member) -> EncryptionContext? in
            constraints?[member] == nil ? nil : constraints?.context(member)
        }
        return try GrantTerms(
            granteePrincipal: request.input.text(.granteePrincipal),
            granteeServicePrincipal: request.input.text(.granteeServicePrincipal),
            retiringPrincipal: request.input.text(.retiringPrincipal),
            retiringServicePrincipal: request.input.text(.retiringServicePrincipal),
            operations: request.input.texts(.operations),
            constraints: GrantConstraints(
                encryptionContextEquals: context(.encryptionContextEquals),
                encryptionContextSubset: context(.encryptionContextSubset),
                sourceARN: constraints?.text(.sourceARN)),
            name: request.input.text(.name))
    }

    private func makeGrant(
        _ terms: GrantTerms, onKey name: String, in snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange, for request: inout Request
    ) throws(KMSError) -> Grant {
        let entry = try find(name, in: snapshot, for: &request)
        let authority = try authorizer.authorize(request, on: entry, in: snapshot, child: terms)
        request.note(authority)
        try snapshot.region(scope).state(of: entry).permit(.createGrant, on: entry.arn)
        try terms.validate(usage: entry.record.usage, keySpec: entry.record.spec.rawValue)
        for principal in [terms.grantee, terms.retiringPrincipal].compactMap(\.self) {
            try refuseUnknownGrantPrincipal(principal, in: snapshot)
        }
        try request.endDryRun()
        let grants = try grants(of: entry)
        if let same = grants.grant(
            retriedBy: terms, for: entry.arn, by: authorizer.account)
        {
            return same
        }
        guard grants.count < KMSLimit.grantsPerKey else {
            throw .limitExceeded(
                "The key \(entry.arnText) has reached its quota of \(KMSLimit.grantsPerKey) "
                    + "grants.")
        }
        guard let id = GrantID(bytes: Random.bytes(32)) else {
            preconditionFailure("BUG: a grant id has 32 bytes")
        }
        var parent: GrantID?
        if case .grant(let id) = authority { parent = id }
        let grant = Grant(
            id: id, key: entry.arn, terms: terms, creationDate: request.now,
            issuingAccount: authorizer.account, parent: parent)
        change.grants = [GrantChange(key: entry, added: [grant])]
        return grant
    }

    private func refuseUnknownGrantPrincipal(
        _ principal: Principal, in snapshot: KeystoreSnapshot
    ) throws(KMSError) {
        guard principal.account == authorizer.account, !isKnown(principal, in: snapshot) else {
            return
        }
        throw .invalidARN("ARN does not refer to a valid principal: \(principal.arn)")
    }

    func grants(of entry: KeyEntry) throws(KMSError) -> GrantIndex {
        do throws(KeystoreError) {
            return try entry.grants()
        } catch {
            throw KMSError(error)
        }
    }

    // MARK: Lists

    func listGrants(_ request: inout Request) throws(KMSError) -> Structure {
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .read,
            for: &request)
        let input = request.input
        try EmbeddedKeyService.refuseBoth(.granteePrincipal, .granteeServicePrincipal, in: input)
        let id = try input.text(.grantID).map(EmbeddedKeyService.grantID)
        let grantee = input.text(.granteePrincipal) ?? input.text(.granteeServicePrincipal)
        let grants = try grants(of: entry).grants.filter { grant in
            (id == nil || grant.id == id)
                && (grantee.map { grant.terms.grantee.arn == $0 } ?? true)
        }
        return try answer(request, with: grants)
    }

    func listRetirableGrants(_ request: inout Request) throws(KMSError) -> Structure {
        let input = request.input
        try EmbeddedKeyService.refuseBoth(.retiringPrincipal, .retiringServicePrincipal, in: input)
        guard
            let retiring = input.text(.retiringPrincipal)
                ?? input.text(.retiringServicePrincipal)
        else {
            throw .validation(
                "You must specify either RetiringPrincipal or RetiringServicePrincipal.")
        }
        let snapshot = try state(for: request)
        // Of one's own grants, too (API reference, ListRetirableGrants: "Required permissions").
        try authorizer.authorize(request, in: snapshot)
        var grants: [Grant] = []
        for entry in snapshot.region(scope).keys.values where entry.hasGrants {
            grants += try self.grants(of: entry).grants.filter {
                $0.terms.retiringPrincipal?.arn == retiring
            }
        }
        return try answer(request, with: grants)
    }

    private static func refuseBoth(
        _ one: Member, _ other: Member, in input: Structure
    ) throws(KMSError) {
        guard input[one] == nil || input[other] == nil else {
            throw .validation(
                "You can specify either \(one.rawValue) or \(other.rawValue), but not both.")
        }
    }

    private func answer(
        _ request: Request, with grants: [Grant]
    ) throws(KMSError) -> Structure {
        let sorted = grants.map { (id: $0.id.description, grant: $0) }.sorted { $0.id < $1.id }
        return try PageSize.grants.answer(request, .grants, sorted, by: \.id) { _, grant in
            grant.structure
        }
    }

    // MARK: Ends

    func retireGrant(_ request: inout Request) throws(KMSError) -> Structure {
        let (keyName, grantID) = try namedGrant(request)
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            let entry = try find(keyName, in: snapshot, for: &request)
            let grant = try existing(grantID, of: entry)
            // A token, which may have named it, is not logged.
            request.event.grantID = grant.id.description
            try authorizer.authorizeRetiring(grant, of: entry, request, in: snapshot)
            try request.endDryRun()
            change.grants = [GrantChange(key: entry, removed: [grant.id])]
        }
        return Structure()
    }

    func revokeGrant(_ request: inout Request) throws(KMSError) -> Structure {
        let keyName = try request.text(.keyID)
        let grantID = try request.text(.grantID)
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            let entry = try self.key(named: keyName, in: snapshot, group: .read, for: &request)
            let grant = try existing(try EmbeddedKeyService.grantID(grantID), of: entry)
            try request.endDryRun()
            change.grants = [GrantChange(key: entry, removed: [grant.id])]
        }
        return Structure()
    }

    /// RetireGrant takes a token, or a key's ARN with a grant's id.
    private func namedGrant(_ request: Request) throws(KMSError) -> (String, GrantID) {
        let input = request.input
        switch (input.text(.grantToken), input.text(.keyID), input.text(.grantID)) {
        case (let token?, nil, nil):
            guard let parsed = grantTokens.read(token) else {
                throw KMSError(.invalidGrantToken, "Invalid grant token")
            }
            return (parsed.key.description, parsed.grantID)
        case (nil, let key?, let grant?):
            guard key.hasPrefix("arn:") else { throw .invalidARN("Invalid arn \(key)") }
            return (key, try EmbeddedKeyService.grantID(grant))
        default:
            throw .validation(
                "You must specify either a grant token, or a grant ID and the ARN of its key.")
        }
    }

    private func existing(_ id: GrantID, of entry: KeyEntry) throws(KMSError) -> Grant {
        guard let grant = try grants(of: entry)[id] else {
            throw .notFound("Grant ID \(id) not found")
        }
        return grant
    }

    private static func grantID(_ text: String) throws(KMSError) -> GrantID {
        guard let id = GrantID(text) else {
            throw KMSError(.invalidGrantID, "GrantId \(text) is not valid.")
        }
        return id
    }
}

/// Makes and reads the tokens of grants; which keystore made one, its key tells.
struct GrantTokens: Sendable {
    let macKey: SecretBytes

    func token(for grant: Grant) -> String {
        GrantToken(grantID: grant.id, key: grant.key).text(
            nonce: Random.bytes(GrantToken.nonceBytes), macKey: macKey)
    }

    func read(_ text: String) -> GrantToken? { GrantToken(decoding: text, macKey: macKey) }

    /// Tokens only override eventual consistency, which this service does not have: but what is
    /// no token is an error.
    func check(_ request: Request) throws(KMSError) {
        for token in request.input.texts(.grantTokens) where read(token) == nil {
            throw KMSError(.invalidGrantToken, "Invalid grant token")
        }
    }
}

extension Grant {
    /// As ListGrants shows it.
    fileprivate var structure: Structure {
        Structure([
            .keyID: .text(key.description), .grantID: .text(id.description),
            .name: terms.name.map(Value.text), .creationDate: .time(creationDate),
            .granteePrincipal: terms.grantee.kind == .service ? nil : .text(terms.grantee.arn),
            .granteeServicePrincipal: terms.grantee.kind == .service
                ? .text(terms.grantee.arn) : nil,
            .retiringPrincipal: terms.retiringPrincipal.flatMap {
                $0.kind == .service ? nil : .text($0.arn)
            },
            .retiringServicePrincipal: terms.retiringPrincipal.flatMap {
                $0.kind == .service ? .text($0.arn) : nil
            },
            .issuingAccount: .text(issuingAccount.rootARN),
            .operations: .texts(terms.operations.grantOperationNames),
            .constraints: terms.constraints.structure.map(Value.structure),
        ])
    }
}

extension GrantConstraints {
    fileprivate var structure: Structure? {
        var structure = Structure()
        switch context {
        case .equals(let pairs): structure[.encryptionContextEquals] = .context(pairs)
        case .subset(let pairs): structure[.encryptionContextSubset] = .context(pairs)
        case nil: break
        }
        structure[.sourceARN] = sourceARN.map(Value.text)
        return structure.isEmpty ? nil : structure
    }
}
