import Cryptography
package import Platform
import SealedFormat

// New names. A file gets its owner right after it exists; a directory appears under its name only
// when it is whole, with its record.
extension VaultFileSystem {
    /// What a new file takes from its maker and from the directory it is made in.
    struct Ownership {
        let uid: UInt32?
        let gid: UInt32?
        let mode: UInt32
    }

    /// - Parameter mode: as the caller gave it, before the umask.
    func ownership(
        for requester: Requester, mode: UInt32, in parent: Inode, _ directory: Descriptor
    ) throws(VaultError) -> Ownership {
        // A default ACL takes the umask's place (acl(5)).
        let mode = try hasDefaultACL(parent, directory) ? mode : mode & ~requester.umask
        guard ProcessTable.effectiveUID == 0, requester.uid != 0 || requester.gid != 0 else {
            return Ownership(uid: nil, gid: nil, mode: mode)
        }
        let status = try system { () throws(Errno) in try directory.status() }
        // A set-group-id directory gives its group to what is made in it (inode(7)).
        let inheritsGroup = status.mode & 0o2000 != 0
        return Ownership(
            uid: requester.uid, gid: inheritsGroup ? nil : requester.gid, mode: mode)
    }

    private func hasDefaultACL(
        _ parent: Inode, _ directory: Descriptor
    ) throws(VaultError) -> Bool {
        if !options.isShared, let known = parent.state.withLock({ $0.hasDefaultACL }) {
            return known
        }
        let found = (try? directory.extendedAttribute("system.posix_acl_default")) != nil
        parent.state.withLock { $0.hasDefaultACL = found }
        return found
    }

    func requireWritable() throws(VaultError) {
        if options.isReadOnly { throw .system(.readOnlyFileSystem) }
    }

    /// Runs `make` with the stored form of a new name, and cleans up behind a failure.
    ///
    /// - Parameter isSynced: the name will be that of a file that may be durable under another one.
    func makeEntry(
        _ name: FileName, in parent: InodeID, isSynced: Bool = false,
        _ make: (Inode, DirectoryIdentity, Descriptor, FileName) throws(VaultError) -> Void
    ) throws(VaultError) -> Entry {
        try requireWritable()
        let parent = try inode(parent)
        let identity = try identity(of: parent)
        let sealed = try seal(name, in: identity)
        let stored = sealed.fileName
        return try withDirectory(parent) { directory throws(VaultError) in
            try prepare(sealed, in: directory, of: parent, isSynced: isSynced)
            do throws(VaultError) {
                try make(parent, identity, directory, stored)
            } catch {
                // Somebody else's name, or one that can't be seen now, keeps its sidecar.
                if Self.isAbsent(stored, in: directory) { dispose(sealed, in: directory) }
                throw error
            }
            return try entry(stored, in: directory, parent: parent)
        }
    }

    package func makeNode(
        _ name: FileName, in parent: InodeID, mode: UInt32, device: UInt64, as requester: Requester
    ) throws(VaultError) -> Entry {
        try makeEntry(name, in: parent) { parent, _, directory, stored throws(VaultError) in
            let ownership = try ownership(for: requester, mode: mode, in: parent, directory)
            try system { () throws(Errno) in
                try directory.makeNode(stored, mode: ownership.mode, device: device)
            }
            try giveOrUnlink(stored, in: directory, ownership)
        }
    }

    package func makeSymbolicLink(
        _ name: FileName, in parent: InodeID, target: [UInt8], as requester: Requester
    ) throws(VaultError) -> Entry {
        try makeEntry(name, in: parent) { parent, identity, directory, stored throws(VaultError) in
            guard !target.isEmpty, !target.contains(0) else { throw .system(.invalidArgument) }
            let text = FileName(identity.domain.keys.sealSymbolicLink(target))
            guard text.count < 4096 else { throw .system(.fileNameTooLong) }
            let ownership = try ownership(for: requester, mode: 0o777, in: parent, directory)
            try system { () throws(Errno) in
                try directory.makeSymbolicLink(stored, target: text)
            }
            try giveOrUnlink(stored, in: directory, ownership, keepsMode: true)
        }
    }

    package func makeDirectory(
        _ name: FileName, in parent: InodeID, mode: UInt32, as requester: Requester
    ) throws(VaultError) -> Entry {
        var content: [UInt8] = []
        let entry = try makeEntry(name, in: parent) {
            parent, identity, directory, stored throws(VaultError) in
            let ownership = try ownership(for: requester, mode: mode, in: parent, directory)
            let temporary = temporaryName()
            try system { () throws(Errno) in
                try directory.makeDirectory(temporary, mode: ownership.mode)
            }
            do throws(VaultError) {
                // First, since the record is to be its owner's, too.
                try give(temporary, in: directory, ownership)
                content = try writeRecord(
                    DirectoryRecord(directoryID: DirectoryID(), domainID: identity.domain.id),
                    in: directory, temporary, identity.domain)
                try system { () throws(Errno) in
                    try directory.renameFullDirectory(temporary, to: directory, stored)
                }
            } catch {
                discardDirectory(temporary, in: directory)
                throw error
            }
        }
        let inode = try inode(entry.inode)
        inode.state.withLock { $0.hasUnsyncedRecord = true }
        committer?.noteMetadata(content, FileName(ReservedName.directoryRecord), in: inode)
        return entry
    }

    private func writeRecord(
        _ record: DirectoryRecord, in parent: Descriptor, _ name: FileName, _ domain: Domain
    ) throws(VaultError) -> [UInt8] {
        let bytes = record.encoded(with: domain.keys)
        try system { () throws(Errno) in
            let directory = try parent.open(name, OpenFlag.path | OpenFlag.directory)
            // The maker's mode, or a default ACL, may not let its owner write in it.
            let file = try directory.asOwner(0o300) { () throws(Errno) in
                try directory.openNew(FileName(ReservedName.directoryRecord), mode: 0o600)
            }
            try file.write(bytes, at: 0)
        }
        return bytes
    }

    /// Removes a directory that holds nothing but Keyfold's own files.
    func discardDirectory(_ name: FileName, in parent: Descriptor) {
        guard let directory = try? parent.open(name, OpenFlag.path | OpenFlag.directory) else {
            return
        }
        try? directory.asOwner(0o300) { () throws(Errno) in
            try directory.unlink(FileName(ReservedName.directoryRecord))
        }
        try? parent.removeDirectory(name)
    }

    /// Gives a new name its owner and the mode that the change of the owner took away.
    func give(
        _ stored: FileName, in directory: Descriptor, _ ownership: Ownership,
        keepsMode: Bool = false
    ) throws(VaultError) {
        let losesBits = ownership.uid != nil && !keepsMode && ownership.mode & 0o6000 != 0
        guard ownership.uid != nil || ownership.gid != nil else { return }
        try system { () throws(Errno) in
            let node = try directory.open(stored, OpenFlag.path)
            try node.changeOwner(uid: ownership.uid, gid: ownership.gid)
            if losesBits { try node.changeMode(to: ownership.mode & 0o7777) }
        }
    }

    /// The same for a name that was just made, and goes again when it can't have its owner.
    func giveOrUnlink(
        _ stored: FileName, in directory: Descriptor, _ ownership: Ownership,
        keepsMode: Bool = false
    ) throws(VaultError) {
        do throws(VaultError) {
            try give(stored, in: directory, ownership, keepsMode: keepsMode)
        } catch {
            try? directory.unlink(stored)
            throw error
        }
    }

    static func isAbsent(_ name: FileName, in directory: Descriptor) -> Bool {
        do throws(Errno) {
            _ = try directory.status(of: name)
            return false
        } catch {
            return error == .noSuchFileOrDirectory
        }
    }

    package func link(
        _ id: InodeID, as name: FileName, in parent: InodeID
    ) throws(VaultError) -> Entry {
        let source = try inode(id)
        return try makeEntry(name, in: parent, isSynced: options.broken != .nameSync) {
            parent, identity, directory, stored throws(VaultError) in
            try committer?.makeRoomForNames()
            try renames.withReadLock { _ throws(VaultError) in
                try committer?.prepareMove(into: parent)
            }
            try withLink(of: source) { sourceDirectory, sourceName throws(VaultError) in
                guard let link = source.links.first,
                    try self.identity(of: link.parent).domain.id == identity.domain.id
                else { throw .system(.improperLink) }
                try system { () throws(Errno) in
                    try sourceDirectory.link(sourceName, to: directory, stored)
                }
                committer?.noteMove(
                    from: link.storedPath, to: Inode.Link(parent: parent, stored: stored).storedPath
                )
            }
        }
    }
}
