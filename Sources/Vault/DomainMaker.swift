import Cryptography
package import KMSModel
import Platform
import SealedFormat

/// Makes a new directory the root of a domain of its own.
///
/// In a vault that is not mounted, the directory gets its name in the store. In a mounted one, the
/// mount renames it: so the kernel's and the mount's caches know of it, and of a long name's
/// sidecar. Either way it has its name only when it is whole and durable.
package struct DomainMaker {
    private let vault: Descriptor
    private let config: VaultConfig
    private let parent: SealedPath
    private let name: String
    private let plainPath: String
    private let service: any KeyService
    private let caller: Caller
    /// The directory above as the mount shows it.
    private let mountedParent: Descriptor?
    /// Keeps mounts out that would not see the new name.
    private let lock: VaultLock?

    /// Finds the directory above the new one.
    ///
    /// - Parameters:
    ///   - mountPoint: where the vault is mounted; nil where it is not.
    ///   - plainPath: of the new directory, below the vault's root.
    /// - Throws: `EINVAL` for a path without a name, `ENOENT` or `ENOTDIR` when the directory above
    ///   does not exist, ``VaultError/locked(path:holder:)`` for a mount that is not visible here.
    package init(
        vaultDirectory path: String, mountPoint: String?, plainPath: String,
        service: any KeyService, caller: Caller
    ) throws(VaultError) {
        let names = SealedPath.names(plainPath)
        guard let name = names.last, !names.contains("..") else {
            throw .system(.invalidArgument)
        }
        (vault, config) = try VaultInspection.open(path)
        lock =
            mountPoint == nil
            ? try VaultLock.acquire(
                in: vault, path: path, isShared: true, isReadOnly: false, mountPoint: nil) : nil
        let (root, _) = try RootDomain.open(
            in: vault, config: config, service: service, as: caller)
        let config = config
        try format { () throws(FormatError) in try config.authenticate(with: root.domain.keys) }
        var parent = SealedPath(
            config: config, root: vault, identity: root,
            opener: NestedDomain(vaultID: config.vaultID, service: service, caller: caller))
        try parent.descend(names.dropLast())
        self.parent = parent
        self.name = name
        self.plainPath = names.joined(separator: "/")
        self.service = service
        self.caller = caller
        mountedParent = try mountPoint.map { mountPoint throws(VaultError) in
            try Self.open(names.dropLast(), below: mountPoint, sameAs: parent.directory)
        }
    }

    /// The mount shows the store's inode numbers.
    private static func open(
        _ names: some Sequence<String>, below mountPoint: String, sameAs stored: Descriptor
    ) throws(VaultError) -> Descriptor {
        try system { () throws(Errno) in
            var directory = try Descriptor.open(path: mountPoint, OpenFlag.directory)
            for name in names {
                let above = directory
                directory = try above.open(FileName(name), OpenFlag.directory)
            }
            guard try directory.status().inodeNumber == stored.status().inodeNumber else {
                throw .staleFileHandle
            }
            return directory
        }
    }

    /// Makes the domain, durably: when this returns, a power cut does not take it away. To be
    /// called once, since it lets mounts in again.
    ///
    /// - Throws: `EEXIST` when there is something of its name.
    package func make(under keyARN: String) throws(VaultError) -> DomainDescription {
        defer { lock?.release() }
        let stored = try parent.storedName(name)
        guard VaultFileSystem.isAbsent(stored.fileName, in: parent.directory) else {
            throw .system(.fileExists)
        }
        let domainID = DomainID()
        let wrapped = try keys { () throws(KMSError) in
            try service.generateDataKey(
                under: keyARN, byteCount: DomainKeys.domainKeyBytes,
                context: EncryptionContext(vault: config.vaultID, domain: domainID), as: caller)
        }
        let domain = DomainKeys(domainKey: wrapped.plaintext, domainID: domainID)
        let key = WrappedKey(keyARN: "\(wrapped.wrapped.keyARN)", blob: wrapped.wrapped.blob)
        let outer = parent.identity.domain
        let record = DirectoryRecord(
            directoryID: DirectoryID(), rootOf: domain, below: outer.keys, domainKey: [key])
        var made = FileName(ReservedName.temporaryPrefix + hexadecimal(Random.bytes(8)))
        do throws(VaultError) {
            try synchronizeAbove()
            try makeDirectory(made, with: record.encoded(with: domain))
            if let mountedParent {
                try give(name, to: &made, through: mountedParent)
            } else {
                try give(stored, to: made)
            }
        } catch {
            discard(made)
            throw error
        }
        return DomainDescription(record, plainPath: plainPath)
    }

    /// The records above may be a mount's that were not synced yet. They go first: btrfs makes a new
    /// directory durable with what is synced in it, and not with the record beside that.
    private func synchronizeAbove() throws(VaultError) {
        try system { () throws(Errno) in
            if let mountedParent {
                try mountedParent.synchronize(dataOnly: false)
            } else {
                try vault.synchronizeFileSystem()
            }
        }
    }

    /// A directory with a record, both durable.
    private func makeDirectory(_ name: FileName, with record: [UInt8]) throws(VaultError) {
        let parent = parent.directory
        try system { () throws(Errno) in
            try parent.makeDirectory(name, mode: 0o700)
            let directory = try parent.open(name, OpenFlag.directory)
            let file = try directory.open(
                FileName(ReservedName.directoryRecord), OpenFlag.createNew, mode: 0o600)
            try file.write(record, at: 0)
            try file.synchronize(dataOnly: false)
            try directory.synchronize(dataOnly: false)
        }
    }

    private func give(_ name: StoredName, to made: FileName) throws(VaultError) {
        let parent = parent.directory
        try system { () throws(Errno) in
            do throws(Errno) {
                if let sidecar = name.sidecar {
                    try VaultMaker.replace(sidecar.name, in: parent, with: sidecar.content)
                }
                try parent.renameFullDirectory(made, to: parent, name.fileName)
            } catch {
                if let sidecar = name.sidecar,
                    VaultFileSystem.isAbsent(name.fileName, in: parent)
                {
                    try? parent.unlink(sidecar.name)
                }
                throw error
            }
            try parent.reopen(OpenFlag.directory).synchronize(dataOnly: false)
        }
    }

    /// First a name that nobody has asked for yet, so that the mount finds it in the store; the
    /// mount's sync of the directory above takes with it what is needed to find the new name.
    private func give(
        _ name: String, to made: inout FileName, through mounted: Descriptor
    ) throws(VaultError) {
        let directory = parent.directory
        let passing = ".new-domain-" + hexadecimal(Random.bytes(8))
        let stored = try parent.storedName(passing).fileName
        let temporary = made
        try system { () throws(Errno) in
            try directory.renameFullDirectory(temporary, to: directory, stored)
        }
        made = stored
        try system { () throws(Errno) in
            // The mount's directory looks empty, so rename(2) might replace another.
            do throws(Errno) {
                try mounted.rename(
                    FileName(passing), to: mounted, FileName(name), flags: RenameFlag.noReplace)
            } catch {
                guard error == .invalidArgument,
                    VaultFileSystem.isAbsent(FileName(name), in: mounted)
                else { throw error }
                try mounted.rename(FileName(passing), to: mounted, FileName(name))
            }
            try mounted.synchronize(dataOnly: false)
        }
    }

    private func discard(_ name: FileName) {
        let above = parent.directory
        guard let directory = try? above.open(name, OpenFlag.directory) else { return }
        try? directory.unlink(FileName(ReservedName.directoryRecord))
        try? above.removeDirectory(name)
    }
}
