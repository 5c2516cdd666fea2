import KMSModel
import Platform
import SealedFormat

/// How the root domain's key is found and proved.
enum RootDomain {
    static func open(
        in vault: Descriptor, config: VaultConfig, service: any KeyService, as caller: Caller
    ) throws(VaultError) -> (DirectoryIdentity, RecordStamp) {
        let stamp: RecordStamp
        do throws(Errno) {
            stamp = RecordStamp(try vault.status(of: FileName(ReservedName.directoryRecord)))
        } catch {
            guard error == .noSuchFileOrDirectory else { throw .system(error) }
            throw .format(
                .malformed(.directoryRecord, "\(ReservedName.directoryRecord) is missing"))
        }
        let bytes = try DirectoryRecord.read(in: vault)
        let record = try format { () throws(FormatError) in try DirectoryRecord(decoding: bytes) }
        guard record.domainID == config.rootDomainID, record.link == nil,
            !record.domainKey.isEmpty
        else { throw .format(.authenticationFailed(.directoryRecord)) }
        let domainKey = try unwrap(
            record.domainKey,
            context: EncryptionContext(vault: config.vaultID, domain: record.domainID),
            service: service, as: caller)
        let domain = Domain(
            keys: DomainKeys(domainKey: domainKey, domainID: record.domainID),
            wrappedKeys: record.domainKey)
        try format { () throws(FormatError) in try record.authenticate(bytes, with: domain.keys) }
        return (DirectoryIdentity(directoryID: record.directoryID, domain: domain), stamp)
    }
}

/// How the key of a domain below another one is found and proved.
struct NestedDomain {
    let vaultID: VaultID
    let service: any KeyService
    let caller: Caller

    /// What the record in a directory says, below a directory of the domain `outer`.
    ///
    /// - Parameter known: the domain of an id whose key needs no asking for.
    /// - Throws: ``VaultError/unknownDomain(_:)`` for a directory of another domain than the one
    ///   it lies in, ``VaultError/keys(_:)`` when the domain's key can't be had.
    func identity(
        of bytes: [UInt8], below outer: Domain, known: (DomainID) -> Domain?
    ) throws(VaultError) -> DirectoryIdentity {
        let record = try format { () throws(FormatError) in try DirectoryRecord(decoding: bytes) }
        let domain: Domain
        if record.link == nil {
            guard record.domainID == outer.id else { throw .unknownDomain(record.domainID) }
            domain = outer
        } else {
            try format { () throws(FormatError) in try record.authenticateLink(below: outer.keys) }
            if let known = known(record.domainID) {
                domain = known
            } else {
                domain = try open(record)
            }
        }
        try format { () throws(FormatError) in try record.authenticate(bytes, with: domain.keys) }
        return DirectoryIdentity(directoryID: record.directoryID, domain: domain)
    }

    /// - Parameter record: of a domain's root.
    private func open(_ record: DirectoryRecord) throws(VaultError) -> Domain {
        let domainKey = try unwrap(
            record.domainKey,
            context: EncryptionContext(vault: vaultID, domain: record.domainID),
            service: service, as: caller)
        return Domain(
            keys: DomainKeys(domainKey: domainKey, domainID: record.domainID),
            wrappedKeys: record.domainKey)
    }
}

extension DirectoryRecord {
    /// The bytes of the record in a directory.
    static func read(in directory: Descriptor) throws(VaultError) -> [UInt8] {
        do throws(Errno) {
            return try directory.openRegularFile(FileName(ReservedName.directoryRecord))
                .readAll(limitBytes: maximumBytes)
        } catch {
            guard error == .noDeviceOrAddress else { throw .system(error) }
            throw .format(.malformed(.directoryRecord, "it is not a regular file"))
        }
    }
}
