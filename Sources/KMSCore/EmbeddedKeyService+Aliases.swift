internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func createAlias(
        _ name: String, target: String, as caller: Caller
    ) throws(KMSError) {
        try perform(.createAlias, as: caller) { request throws(KMSError) in
            let alias = try checkedAlias(name, target: target, in: &request)
            let now = request.now
            try changeAlias(alias, target: target, for: &request) {
                snapshot, entry, change throws(KMSError) in
                guard snapshot.aliases[alias] == nil else {
                    throw .alreadyExists(
                        "An alias with the name \(alias.arn(in: snapshot.scope)) already exists")
                }
                change.aliases = [
                    AliasEntry(
                        name: alias, target: entry.record.id, creationDate: now,
                        lastUpdatedDate: now)
                ]
            }
        }
    }

    func updateAlias(
        _ name: String, target: String, as caller: Caller
    ) throws(KMSError) {
        try perform(.updateAlias, as: caller) { request throws(KMSError) in
            let alias = try checkedAlias(name, target: target, in: &request)
            let now = request.now
            try changeAlias(alias, target: target, for: &request) {
                snapshot, entry, change throws(KMSError) in
                guard var updated = snapshot.aliases[alias] else { throw missing(alias) }
                updated.target = entry.record.id
                updated.lastUpdatedDate = now
                change.aliases = [updated]
            }
        }
    }

    func deleteAlias(_ name: String, as caller: Caller) throws(KMSError) {
        try perform(.deleteAlias, as: caller) { request throws(KMSError) in
            let alias = try checkedAlias(name, target: nil, in: &request)
            var edited = request
            defer { request = edited }
            try change(for: request) { snapshot, change throws(KMSError) in
                guard let entry = snapshot.aliases[alias] else {
                    try authorizer.authorize(caller, .deleteAlias)
                    throw missing(alias)
                }
                guard let key = snapshot.keys[entry.target] else { throw missing(alias) }
                try permit(key, group: .read, for: &edited)
                change.deletedAliases = [alias]
            }
        }
    }

    func listAliases(
        of key: String?, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<AliasEntry> {
        try perform(.listAliases, as: caller) { request throws(KMSError) in
            if let key { try named(key, in: &request) }
            try check(page, .aliases, in: &request)
            let snapshot = try state(for: request)
            let aliases: [AliasEntry]
            if let key {
                let entry = try self.key(named: key, in: snapshot, group: .read, for: &request)
                aliases = snapshot.aliases(of: entry.record.id)
            } else {
                try authorizer.authorize(caller, .listAliases)
                aliases = snapshot.aliases.values.sorted { $0.name < $1.name }
            }
            return try PageSize.aliases.page(page, of: aliases) { $0.name.description }
        }
    }

    // MARK: Shared steps

    private func missing(_ alias: AliasName) -> KMSError {
        .notFound("Alias \(alias.arn(in: scope)) is not found.")
    }

    /// Checks a name's form, and notes it and its ARN in the event.
    private func checkedAlias(
        _ name: String, target: String?, in request: inout Request
    ) throws(KMSError) -> AliasName {
        request.note("aliasName", name)
        request.note("targetKeyId", target)
        var validation = Validation()
        validation.aliasName(name)
        if let target { validation.key(target, at: "targetKeyId") }
        try validation.check()
        guard name.hasPrefix("alias/") else {
            throw .validation(
                "Alias must start with the prefix \"alias/\". Please see "
                    + "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
        }
        guard !name.contains(":") else {
            throw .validation("\(name) contains invalid characters for an alias")
        }
        guard let alias = AliasName(name) else {
            throw .invalidAliasName("\(name) is not a valid alias name")
        }
        request.event.resources.append(alias.arn(in: scope))
        if alias.isReserved { throw .notAuthorized }
        if let target, AliasName(target) != nil || target.contains(":alias/") {
            throw .validation("Aliases must refer to keys. Not aliases")
        }
        return alias
    }

    /// Points an alias at a key, within the key's quota, in one transaction.
    private func changeAlias(
        _ alias: AliasName, target: String, for request: inout Request,
        _ body: (KeystoreSnapshot, KeyEntry, inout KeystoreChange) throws(KMSError) -> Void
    ) throws(KMSError) {
        var edited = request
        defer { request = edited }
        try change(for: request) { snapshot, change throws(KMSError) in
            let entry = try self.key(
                named: target, in: snapshot, group: .changeAttributes, for: &edited)
            if let old = snapshot.aliases[alias], let key = snapshot.keys[old.target] {
                try permit(key, group: .read, for: &edited)
            }
            try body(snapshot, entry, &change)
            let others = snapshot.aliases(of: entry.record.id).filter { $0.name != alias }
            guard others.count < KMSLimit.aliasesPerKey else {
                throw .limitExceeded(
                    "The key \(entry.arn) has reached its quota of "
                        + "\(KMSLimit.aliasesPerKey) aliases.")
            }
        }
    }
}
