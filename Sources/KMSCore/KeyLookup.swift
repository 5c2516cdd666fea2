internal import KMSModel
internal import KMSStore

extension KeystoreSnapshot {
    /// The key that a request names.
    ///
    /// - Parameter takesAliases: whether the operation takes alias names and alias ARNs.
    /// - Throws: ``KMSError/notFound(_:)``, ``KMSError/invalidARN(_:)``, in AWS's words; an ARN
    ///   of another account is ``KMSError/accessDenied(_:)``.
    func key(named text: String, takesAliases: Bool, for denial: (String) -> KMSError)
        throws(KMSError) -> KeyEntry
    {
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
            guard takesAliases else { throw .notFound("Invalid keyId '\(text)'") }
            return try target(of: name)
        case .aliasARN(let other, let name):
            guard takesAliases else { throw .notFound("Invalid keyId '\(text)'") }
            try check(other, of: text, denial)
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

extension KeyEntry {
    /// What DescribeKey answers.
    var metadata: KeyMetadata {
        KeyMetadata(
            arn: arn, creationDate: record.creationDate, state: record.state,
            description: record.description, manager: record.manager,
            currentMaterialID: current.materialID, currentVersion: current.version)
    }
}
