import KMSModel
import Platform
import SealedFormat

// Directories and their keys.
extension VaultFileSystem {
    /// The identity of a directory, read from its record at the first need. A domain's key is asked
    /// for then, too, as whoever mounted.
    func identity(of inode: Inode) throws(VaultError) -> DirectoryIdentity {
        guard inode.kind == .directory else { throw .system(.notDirectory) }
        if let known = inode.state.withLock({ $0.directory }) { return known }
        // The directory above is known as long as this one is, so this goes no deeper than one step.
        // A rename that comes between leaves the domain as it is.
        guard let above = inode.links.first?.parent else { throw .system(.staleFileHandle) }
        let outer = try identity(of: above).domain
        let bytes = try withDirectory(inode) { descriptor throws(VaultError) in
            try recordBytes(in: descriptor, of: inode, below: outer)
        }
        let identity: DirectoryIdentity
        do throws(VaultError) {
            identity = try openIdentity(of: inode, bytes, below: outer)
        } catch {
            report(error, of: inode)
            throw error
        }
        inode.state.withLock { $0.directory = identity }
        return identity
    }

    private func openIdentity(
        of inode: Inode, _ bytes: [UInt8], below outer: Domain
    ) throws(VaultError) -> DirectoryIdentity {
        let caller = Caller(
            principalARN: options.principals.mountARN, process: ProcessIdentity.current,
            userAgent: options.userAgent,
            fileActivity: FileActivity(
                operation: .mount, path: options.logsPaths ? plainPath(of: inode) : nil))
        let found = try NestedDomain(vaultID: config.vaultID, service: service, caller: caller)
            .identity(of: bytes, below: outer) { id in domains.withLock { $0.find(id) } }
        guard found.domain !== outer else { return found }
        let domain = domains.withLock { $0.keep(found.domain) }
        domain.noteRoot(inode)
        return DirectoryIdentity(directoryID: found.directoryID, domain: domain)
    }

    /// The bytes of a directory's record. A power cut may leave zeros of one that was never synced,
    /// or (btrfs) nothing, and nothing in such a directory was synced either: it begins anew, in the
    /// domain around it. (A domain's root is never one of them: its record is durable before it has
    /// its name.)
    private func recordBytes(
        in directory: Descriptor, of inode: Inode, below outer: Domain
    ) throws(VaultError) -> [UInt8] {
        let found: [UInt8]?
        do throws(VaultError) {
            found = try DirectoryRecord.read(in: directory)
        } catch {
            guard case .system(.noSuchFileOrDirectory) = error else { throw error }
            found = nil
        }
        guard found?.allSatisfy({ $0 == 0 }) ?? true, beginsAnew(directory) else {
            guard let found else { throw .system(.noSuchFileOrDirectory) }
            return found
        }
        let fresh = DirectoryRecord(
            directoryID: outer.keys.laterDirectoryID(), domainID: outer.id
        ).encoded(with: outer.keys)
        try system { () throws(Errno) in
            try VaultMaker.replace(
                FileName(ReservedName.directoryRecord), in: directory, with: fresh)
        }
        let path = inode.storedPath.map { String(decoding: $0, as: UTF8.self) } ?? "?"
        options.onIncident(
            "\(path) (stored name): a directory that was made just before the power cut has a new "
                + "record; what else was in it can't be read ('keyfold check --repair' moves it)")
        return fresh
    }

    /// Whether a directory without a record is one that a power cut interrupted: in the first mount
    /// behind the cut any, later one without a file below it, since nobody may have looked at it in
    /// the first one. What changed since this mount began may be on its way out.
    private func beginsAnew(_ directory: Descriptor) -> Bool {
        guard !options.isReadOnly else { return false }
        if mayHaveTornRecords { return true }
        guard let status = try? directory.status(), status.modificationTime < mountTime else {
            return false
        }
        return (try? CheckInspector.holdsNoFile(directory)) == true
    }

    /// The CMK for new files of a domain: its record is read anew when another process changed it.
    /// One fstatat of a directory that is open most of the time.
    func currentKeyARN(of domain: Domain) -> String {
        noteCurrentKey(of: domain)
        return domain.keyARN
    }

    /// Asks for the domain's own key, which the mount has: whether the caller could have it.
    func askForKey(of domain: Domain, as caller: Caller) throws(VaultError) {
        noteCurrentKey(of: domain)
        _ = try unwrap(
            domain.wrappedKeys,
            context: EncryptionContext(vault: config.vaultID, domain: domain.id),
            service: service, as: caller)
    }

    private func noteCurrentKey(of domain: Domain) {
        guard let root = domain.root else { return }
        try? withDirectory(root) { directory throws(VaultError) in
            try noteCurrentKey(of: domain, in: directory)
        }
    }

    private func noteCurrentKey(
        of domain: Domain, in directory: Descriptor
    ) throws(VaultError) {
        let status = try system { () throws(Errno) in
            try directory.status(of: FileName(ReservedName.directoryRecord))
        }
        let stamp = RecordStamp(status)
        guard domain.hasNewRecord(stamp) else { return }
        let bytes = try DirectoryRecord.read(in: directory)
        try format { () throws(FormatError) in
            let record = try DirectoryRecord(decoding: bytes)
            try record.authenticate(bytes, with: domain.keys)
            if !record.domainKey.isEmpty { domain.noteKeys(record.domainKey, of: stamp) }
        }
    }
}
