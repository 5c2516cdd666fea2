package import KMSModel
import Platform
import SealedFormat

/// What a domain's root says of it.
package struct DomainDescription: Sendable {
    /// Below the vault's root; empty for the root itself.
    package let plainPath: String
    package let id: String
    /// Of the domain around it; nil for the vault's root.
    package let outerID: String?
    /// The CMKs that wrap its key.
    package let keyARNs: [String]
    /// Why its key can't be had, so that nothing below it could be looked at; nil where it is open.
    package let closedBy: VaultError?

    init(_ record: DirectoryRecord, plainPath: String, closedBy: VaultError? = nil) {
        self.plainPath = plainPath
        id = "\(record.domainID)"
        outerID = record.link.map { "\($0.outerID)" }
        keyARNs = record.domainKey.map(\.keyARN)
        self.closedBy = closedBy
    }
}

/// Tells a vault's domains.
package struct DomainList {
    private let vault: Descriptor
    private let config: VaultConfig
    private let root: DirectoryIdentity
    private let opener: NestedDomain

    /// - Throws: what keeps the vault itself from being opened.
    package init(
        vaultDirectory path: String, service: any KeyService, caller: Caller
    ) throws(VaultError) {
        let (vault, config) = try VaultInspection.open(path)
        let (root, _) = try RootDomain.open(
            in: vault, config: config, service: service, as: caller)
        try format { () throws(FormatError) in try config.authenticate(with: root.domain.keys) }
        (self.vault, self.config, self.root) = (vault, config, root)
        opener = NestedDomain(vaultID: config.vaultID, service: service, caller: caller)
    }

    /// All domains, by path. Below one whose key can't be had there may be more, which have no
    /// names then.
    package func all() throws(VaultError) -> [DomainDescription] {
        var tree = SealedTree(
            config: config, root: vault, identity: root, path: "", nested: .entered,
            opener: opener)
        try tree.enter()
        var found: [DomainDescription] = []
        while true {
            let files = try tree.nextFiles(256)
            let domains = tree.takeDomains()
            found += domains.entered.map { DomainDescription($0.record, plainPath: $0.plainPath) }
            found += domains.closed.map {
                DomainDescription($0.record, plainPath: $0.plainPath, closedBy: $0.error)
            }
            if files.isEmpty { break }
        }
        return found.sorted { $0.plainPath.utf8.lexicographicallyPrecedes($1.plainPath.utf8) }
    }

    /// The domain that a file or directory is in; of a domain's root, the one that begins there.
    ///
    /// - Throws: `ENOENT` where there is no such path, and what keeps a domain above it closed.
    package func domain(ofEntryAt plainPath: String) throws(VaultError) -> DomainDescription {
        let names = SealedPath.names(plainPath)
        var path = SealedPath(config: config, root: vault, identity: root, opener: opener)
        if let last = names.last {
            try path.descend(names.dropLast())
            if try path.find(last).status.kind == .directory {
                do throws(VaultError) {
                    try path.descend([last])
                } catch {
                    guard let closed = path.closed else { throw error }
                    return DomainDescription(
                        closed.record, plainPath: closed.plainPath, closedBy: error)
                }
            }
        }
        if let nested = path.domainRoot {
            return DomainDescription(nested.record, plainPath: nested.plainPath)
        }
        let bytes = try DirectoryRecord.read(in: vault)
        return try format { () throws(FormatError) in
            DomainDescription(try DirectoryRecord(decoding: bytes), plainPath: "")
        }
    }
}
