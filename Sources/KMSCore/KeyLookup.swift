internal import KMSModel
internal import KMSStore

extension RegionSnapshot {
    /// The key that a request names.
    ///
    /// - Parameters:
    ///   - takesAliases: whether the operation takes alias names and alias ARNs.
    ///   - alias: the alias that named it, if one did.
    /// - Throws: ``KMSError/notFound(_:)``, ``KMSError/invalidARN(_:)``, in AWS's words; an ARN
    ///   of another account is what `denial` makes of it.
    func key(
        named text: String, takesAliases: Bool, alias: inout AliasName?,
        for denial: (String) -> KMSError
    ) throws(KMSError) -> KeyEntry {
        guard let reference = KeyReference(text) else {
            throw text.hasPrefix("arn:")
                ? .invalidARN("Invalid arn \(text)") : .notFound("Invalid keyId '\(text)'")
        }
        switch reference {
        case .keyID(let id):
            return try existing(KeyARN(scope: scope, keyID: id))
        case .keyARN(let arn):
            try check(arn.scope, of: text, denial)
            return try existing(arn)
        case .alias(let name):
            guard takesAliases else { throw .noAliases }
            alias = name
            return try target(of: name)
        case .aliasARN(let other, let name):
            guard takesAliases else { throw .noAliases }
            try check(other, of: text, denial)
            alias = name
            return try target(of: name)
        }
    }

    private func check(
        _ other: AccountScope, of text: String, _ denial: (String) -> KMSError
    ) throws(KMSError) {
        if other.region != scope.region { throw .notFound("Invalid arn \(other.region)") }
        if other.account != scope.account { throw denial(text) }
    }

    private func existing(_ arn: KeyARN) throws(KMSError) -> KeyEntry {
        guard let entry = keys[arn.keyID] else { throw .notFound("Key '\(arn)' does not exist") }
        return entry
    }

    private func target(of name: AliasName) throws(KMSError) -> KeyEntry {
        guard let alias = aliases[name] else {
            throw .notFound("Alias \(name.arn(in: scope)) is not found.")
        }
        return try existing(KeyARN(scope: scope, keyID: alias.target))
    }
}

extension KMSError {
    /// Recorded from AWS, for alias names and alias ARNs alike.
    fileprivate static let noAliases = KMSError.invalidARN(
        "Key Aliases are not supported for this operation.")
}

extension EmbeddedKeyService {
    /// Finds a key of this Region, notes it in the event, and asks policy and state.
    func key(
        named text: String, in snapshot: KeystoreSnapshot, group: KeyOperationGroup,
        for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        let entry = try find(text, in: snapshot, for: &request)
        try permit(entry, in: snapshot, group: group, for: &request)
        return entry
    }

    /// Finds a key of this Region and notes it in the event; asks nobody yet.
    func find(
        _ text: String, in snapshot: KeystoreSnapshot, for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        let (operation, caller) = (request.operation, request.caller)
        let action = KMSAction(request)
        var alias: AliasName?
        // Of ReEncrypt the second key may be named otherwise than the first.
        defer { request.facts.alias = alias }
        let entry = try snapshot.region(scope).key(
            named: text, takesAliases: operation.takesAliases, alias: &alias
        ) { resource in
            .denial(
                .noResourceBasedPolicy, of: action, to: caller.principalARN, on: resource)
        }
        if let alias { request.event.resources.append(alias.arn(in: scope)) }
        request.note(entry)
        return entry
    }

    /// Notes a key in the event, and asks policy and state.
    func permit(
        _ entry: KeyEntry, in snapshot: KeystoreSnapshot, group: KeyOperationGroup,
        for request: inout Request
    ) throws(KMSError) {
        request.note(entry)
        request.note(try authorizer.authorize(request, on: entry, in: snapshot))
        try snapshot.region(entry.arn.scope).state(of: entry).permit(group, on: entry.arn)
    }
}

extension Request {
    /// The event's resources name each key once.
    mutating func note(_ entry: KeyEntry) {
        if !event.resources.contains(entry.arnText) { event.resources.append(entry.arnText) }
        // What a request costs at AWS depends on its key, or on both keys of ReEncrypt.
        if facts.action == .reEncryptFrom {
            event.sourceKeySpec = entry.record.spec.rawValue
        } else {
            event.keySpec = entry.record.spec.rawValue
        }
        if let store = entry.record.customKeyStoreID { event.customKeyStoreID = store }
    }
}
