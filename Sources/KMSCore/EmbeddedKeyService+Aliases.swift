internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func createAlias(_ request: inout Request) throws(KMSError) -> Structure {
        let alias = try checkedAlias(in: &request)
        let now = request.now
        try changeAlias(alias, for: &request) { snapshot, entry, change throws(KMSError) in
            let region = snapshot.region(entry.arn.scope)
            guard region.aliases[alias] == nil else {
                throw .alreadyExists(
                    "An alias with the name \(alias.arn(in: region.scope)) already exists")
            }
            change.aliases = [
                AliasEntry(
                    region: region.storedName, name: alias, target: entry.record.id,
                    creationDate: now, lastUpdatedDate: now)
            ]
        }
        return Structure()
    }

    func updateAlias(_ request: inout Request) throws(KMSError) -> Structure {
        let alias = try checkedAlias(in: &request)
        let now = request.now
        let scope = scope
        try changeAlias(alias, for: &request) { snapshot, entry, change throws(KMSError) in
            let region = snapshot.region(scope)
            guard var updated = region.aliases[alias] else { throw missing(alias) }
            if let old = region.keys[updated.target]?.record {
                guard old.usage == entry.record.usage,
                    (old.spec == .symmetricDefault) == (entry.record.spec == .symmetricDefault)
                else {
                    throw .validation(
                        "An alias can only be moved between keys of the same type and usage.")
                }
            }
            updated.target = entry.record.id
            updated.lastUpdatedDate = now
            change.aliases = [updated]
        }
        return Structure()
    }

    func deleteAlias(_ request: inout Request) throws(KMSError) -> Structure {
        let alias = try checkedAlias(in: &request)
        let scope = scope
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            let region = snapshot.region(scope)
            try authorizer.authorize(request, alias: alias, in: snapshot)
            guard let entry = region.aliases[alias], let key = region.keys[entry.target] else {
                throw missing(alias)
            }
            try permit(key, in: snapshot, group: .read, for: &request)
            change.deletedAliases = [entry.place]
        }
        return Structure()
    }

    func listAliases(_ request: inout Request) throws(KMSError) -> Structure {
        let snapshot = try state(for: request)
        let region = snapshot.region(scope)
        let aliases: [AliasEntry]
        // The account's to allow, also of one key (API reference, ListAliases, "Required
        // permissions"; developer guide, "Specifying KMS keys in IAM policy statements").
        try authorizer.authorize(request, in: snapshot)
        if let key = request.input.text(.keyID) {
            let entry = try find(key, in: snapshot, for: &request)
            aliases = region.aliases(of: entry.record.id)
        } else {
            aliases = region.aliases.values.sorted { $0.name < $1.name }
        }
        let scope = scope
        return try PageSize.aliases.answer(
            request, .aliases, aliases, by: \.name.description
        ) { alias in
            Structure([
                .aliasName: .text(alias.name.description),
                .aliasARN: .text(alias.name.arn(in: scope)),
                .targetKeyID: .text(alias.target.description),
                .creationDate: .time(alias.creationDate),
                .lastUpdatedDate: .time(alias.lastUpdatedDate),
            ])
        }
    }

    // MARK: Shared steps

    private func missing(_ alias: AliasName) -> KMSError {
        .notFound("Alias \(alias.arn(in: scope)) is not found.")
    }

    /// Checks what the service model says nothing about, and notes the alias's ARN in the event.
    private func checkedAlias(in request: inout Request) throws(KMSError) -> AliasName {
        let name = try request.text(.aliasName)
        guard name.hasPrefix("alias/") else {
            throw .validation(
                "Alias must start with the prefix \"alias/\". Please see "
                    + "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
        }
        guard !name.contains(":") else {
            throw .validation("\(name) contains invalid characters for an alias")
        }
        guard let alias = AliasName(name) else {
            throw KMSError.invalidAliasName("\(name) is not a valid alias name")
        }
        request.event.resources.append(alias.arn(in: scope))
        if alias.isReserved { throw .notAuthorized }
        if let target = request.input.text(.targetKeyID),
            AliasName(target) != nil || target.contains(":alias/")
        {
            throw .validation("Aliases must refer to keys. Not aliases")
        }
        return alias
    }

    /// Points an alias at a key, within the key's quota, in one transaction.
    private func changeAlias(
        _ alias: AliasName, for request: inout Request,
        _ body: (KeystoreSnapshot, KeyEntry, inout KeystoreChange) throws(KMSError) -> Void
    ) throws(KMSError) {
        let target = try request.text(.targetKeyID)
        let scope = scope
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            try authorizer.authorize(request, alias: alias, in: snapshot)
            let entry = try self.key(
                named: target, in: snapshot, group: .changeAttributes, for: &request)
            let region = snapshot.region(scope)
            // The key that loses its alias is asked, too. CreateAlias takes none from any.
            if request.operation == .updateAlias, let old = region.aliases[alias],
                let key = region.keys[old.target]
            {
                try permit(key, in: snapshot, group: .read, for: &request)
            }
            try body(snapshot, entry, &change)
            let others = region.aliases(of: entry.record.id).filter { $0.name != alias }
            guard others.count < KMSLimit.aliasesPerKey else {
                throw .limitExceeded(
                    "The key \(entry.arn) has reached its quota of "
                        + "\(KMSLimit.aliasesPerKey) aliases.")
            }
        }
    }
}
