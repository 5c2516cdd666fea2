package import Platform
import SealedFormat

// Names that go or move.
extension VaultFileSystem {
    package func unlink(_ name: FileName, in parent: InodeID) throws(VaultError) {
        try requireWritable()
        let parent = try inode(parent)
        let sealed = try seal(name, in: try identity(of: parent))
        let stored = sealed.fileName
        try withDirectory(parent) { directory throws(VaultError) in
            let status = try system { () throws(Errno) in try directory.status(of: stored) }
            let number = Self.numberHeld(stored, in: directory)
            defer { withExtendedLifetime(number) {} }
            if status.kind == .regular, status.linkCount > 1, let committer {
                try renames.withWriteLock { _ throws(VaultError) in
                    let path = Inode.Link(parent: parent, stored: stored).storedPath
                    try committer.retire(status, at: path)
                    try unlink(stored, sealed, in: directory, of: parent, status)
                }
            } else {
                try unlink(stored, sealed, in: directory, of: parent, status)
            }
        }
    }

    /// The store gives a number to another file as soon as nobody holds its old one. What we know of
    /// that one must be gone by then, or the two would be taken for one file.
    private static func numberHeld(_ stored: FileName, in directory: Descriptor) -> Descriptor? {
        try? directory.open(stored, OpenFlag.path)
    }

    private func unlink(
        _ stored: FileName, _ sealed: StoredName, in directory: Descriptor, of parent: Inode,
        _ status: FileStatus
    ) throws(VaultError) {
        try system { () throws(Errno) in try directory.unlink(stored) }
        dispose(sealed, in: directory)
        dropName(stored, in: parent, of: status)
    }

    /// A name of a file is gone from the store.
    private func dropName(_ stored: FileName, in parent: Inode, of status: FileStatus) {
        if status.linkCount <= 1 { committer?.forget(BackingID(status)) }
        guard let inode = known(status) else { return }
        inode.removeLink(stored, in: parent, of: status)
        if status.linkCount <= 1 || status.kind == .directory {
            inodes.withLock { $0.retire(inode) }
        }
    }

    package func removeDirectory(_ name: FileName, in parent: InodeID) throws(VaultError) {
        try requireWritable()
        let parent = try inode(parent)
        let sealed = try seal(name, in: try identity(of: parent))
        let stored = sealed.fileName
        try withDirectory(parent) { directory throws(VaultError) in
            let status = try system { () throws(Errno) in try directory.status(of: stored) }
            guard status.kind == .directory else { throw .system(.notDirectory) }
            try requireEmpty(stored, in: directory)
            let number = Self.numberHeld(stored, in: directory)
            defer { withExtendedLifetime(number) {} }
            // Who stands in it can still look at it, as long as its descriptor is kept.
            if let inode = known(status) { _ = try? directoryDescriptor(of: inode) }
            // Out of sight in one step, so that no directory is ever seen without its record.
            let temporary = temporaryName()
            try system { () throws(Errno) in
                try directory.rename(stored, to: directory, temporary)
            }
            do throws(VaultError) {
                try requireEmpty(temporary, in: directory)
            } catch {
                try? directory.renameFullDirectory(temporary, to: directory, stored)
                throw error
            }
            discardDirectory(temporary, in: directory)
            dispose(sealed, in: directory)
            dropName(stored, in: parent, of: status)
        }
    }

    /// - Throws: `ENOTEMPTY` when the directory holds anything but Keyfold's own files. What
    ///   Keyfold cannot decode counts: it is somebody's data.
    private func requireEmpty(_ stored: FileName, in parent: Descriptor) throws(VaultError) {
        try system { () throws(Errno) in
            let directory = try parent.open(stored, OpenFlag.path | OpenFlag.directory)
            try directory.asOwner(0o700) { () throws(Errno) in
                // What a crash left behind would keep the directory for ever.
                for name in try Self.leftovers(in: directory) {
                    try discardLeftover(name, in: directory)
                }
            }
        }
    }

    /// - Throws: `ENOTEMPTY` as above.
    private static func leftovers(in directory: Descriptor) throws(Errno) -> [FileName] {
        var stream = DirectoryStream(try directory.reopen(OpenFlag.directory))
        var leftovers: [FileName] = []
        while let entry = try stream.next() {
            let text = entry.name.string
            if entry.name.isDots || text == ReservedName.directoryRecord { continue }
            let isLeftover =
                text.hasPrefix(ReservedName.sidecarPrefix)
                || text.hasPrefix(ReservedName.temporaryPrefix)
            guard isLeftover else { throw .directoryNotEmpty }
            leftovers.append(entry.name)
        }
        return leftovers
    }

    /// - Throws: `EACCES` where the directory's mode is what keeps it.
    private func discardLeftover(_ name: FileName, in directory: Descriptor) throws(Errno) {
        do throws(Errno) {
            try directory.unlink(name)
        } catch {
            if error == .accessDenied { throw error }
            discardDirectory(name, in: directory)
        }
    }

    /// renameat2(2) with `RENAME_NOREPLACE` or `RENAME_EXCHANGE`.
    package func rename(
        _ name: FileName, in parent: InodeID, to newName: FileName, in newParent: InodeID,
        flags: UInt32
    ) throws(VaultError) {
        try requireWritable()
        guard flags & ~(RenameFlag.noReplace | RenameFlag.exchange) == 0 else {
            throw .system(.invalidArgument)
        }
        let source = try place(name, in: parent)
        let target = try place(newName, in: newParent)
        guard source.identity.domain.id == target.identity.domain.id else {
            throw .system(.improperLink)
        }
        try withDirectory(source.parent) { sourceDirectory throws(VaultError) in
            try withDirectory(target.parent) { targetDirectory throws(VaultError) in
                try renames.withWriteLock { _ throws(VaultError) in
                    try rename(source, sourceDirectory, to: target, targetDirectory, flags: flags)
                }
            }
        }
    }

    /// A name in a directory, with its stored form.
    private struct Place {
        let parent: Inode
        let identity: DirectoryIdentity
        let sealed: StoredName
        let stored: FileName

        var storedPath: [UInt8]? { Inode.Link(parent: parent, stored: stored).storedPath }
    }

    private func place(_ name: FileName, in parent: InodeID) throws(VaultError) -> Place {
        let parent = try inode(parent)
        let identity = try identity(of: parent)
        let sealed = try seal(name, in: identity)
        return Place(
            parent: parent, identity: identity, sealed: sealed, stored: sealed.fileName)
    }

    private func rename(
        _ source: Place, _ sourceDirectory: Descriptor, to target: Place,
        _ targetDirectory: Descriptor, flags: UInt32
    ) throws(VaultError) {
        let sourceStatus = try system { () throws(Errno) in
            try sourceDirectory.status(of: source.stored)
        }
        let targetStatus = try Self.status(of: target.stored, in: targetDirectory)
        let number = targetStatus.flatMap { _ in
            Self.numberHeld(target.stored, in: targetDirectory)
        }
        defer { withExtendedLifetime(number) {} }
        let isExchange = flags & RenameFlag.exchange != 0
        let (sourcePath, targetPath) = (source.storedPath, target.storedPath)
        try committer?.retire(sourceStatus, at: sourcePath, to: targetPath)
        if let targetStatus, isExchange || targetStatus.linkCount > 1 {
            try committer?.retire(
                targetStatus, at: targetPath, to: isExchange ? sourcePath : nil)
        }
        if source.parent !== target.parent {
            try committer?.prepareMove(into: target.parent)
            if isExchange { try committer?.prepareMove(into: source.parent) }
        }
        try prepare(
            target.sealed, in: targetDirectory, of: target.parent,
            isSynced: options.broken != .nameSync)
        let replacesDirectory =
            flags == 0 && sourceStatus.kind == .directory && targetStatus?.kind == .directory
            && targetStatus.map(BackingID.init) != BackingID(sourceStatus)
        do throws(VaultError) {
            if replacesDirectory {
                try requireEmpty(target.stored, in: targetDirectory)
                try replaceDirectory(target, targetDirectory, by: source, sourceDirectory)
            } else {
                try system { () throws(Errno) in
                    try sourceDirectory.rename(
                        source.stored, to: targetDirectory, target.stored, flags: flags)
                }
            }
        } catch {
            if targetStatus == nil { dispose(target.sealed, in: targetDirectory) }
            throw error
        }
        committer?.noteMove(from: sourcePath, to: targetPath, isExchange: isExchange)
        settleNames(
            source, sourceDirectory, sourceStatus, target, targetStatus, isExchange: isExchange)
    }

    /// nil where there is no such name.
    private static func status(
        of name: FileName, in directory: Descriptor
    ) throws(VaultError) -> FileStatus? {
        do throws(Errno) {
            return try directory.status(of: name)
        } catch {
            guard error == .noSuchFileOrDirectory else { throw .system(error) }
            return nil
        }
    }

    /// In the store an empty directory still holds its record, so it cannot be replaced: it changes
    /// places with the other and goes then; if it can't go, they change back.
    private func replaceDirectory(
        _ target: Place, _ targetDirectory: Descriptor, by source: Place,
        _ sourceDirectory: Descriptor
    ) throws(VaultError) {
        let temporary = temporaryName()
        try system { () throws(Errno) in
            do throws(Errno) {
                try sourceDirectory.rename(
                    source.stored, to: targetDirectory, target.stored, flags: RenameFlag.exchange)
            } catch {
                guard error == .invalidArgument else { throw error }
                return try replaceInSteps(
                    target, targetDirectory, by: source, sourceDirectory, temporary)
            }
            do throws(Errno) {
                try sourceDirectory.rename(source.stored, to: sourceDirectory, temporary)
            } catch {
                try? sourceDirectory.rename(
                    source.stored, to: targetDirectory, target.stored, flags: RenameFlag.exchange)
                throw error
            }
        }
        discardDirectory(temporary, in: sourceDirectory)
    }

    /// The same where the store cannot exchange names: for a moment nobody has the target's.
    private func replaceInSteps(
        _ target: Place, _ targetDirectory: Descriptor, by source: Place,
        _ sourceDirectory: Descriptor, _ temporary: FileName
    ) throws(Errno) {
        try targetDirectory.rename(target.stored, to: sourceDirectory, temporary)
        do throws(Errno) {
            try sourceDirectory.rename(source.stored, to: targetDirectory, target.stored)
        } catch {
            try? sourceDirectory.rename(temporary, to: targetDirectory, target.stored)
            throw error
        }
    }

    /// The inodes follow the store, and a name that is gone takes its sidecar with it.
    private func settleNames(
        _ source: Place, _ sourceDirectory: Descriptor, _ sourceStatus: FileStatus,
        _ target: Place, _ targetStatus: FileStatus?, isExchange: Bool
    ) {
        if let targetStatus, BackingID(targetStatus) == BackingID(sourceStatus) { return }
        if let targetStatus, isExchange {
            if let inode = known(targetStatus) {
                inode.addLink(Inode.Link(parent: source.parent, stored: source.stored))
                inode.removeLink(target.stored, in: target.parent)
            }
        } else {
            if let targetStatus { dropName(target.stored, in: target.parent, of: targetStatus) }
            if source.stored != target.stored || source.parent !== target.parent {
                dispose(source.sealed, in: sourceDirectory)
            }
        }
        if let inode = known(sourceStatus) {
            // In this order, so that it always has a name for whoever begins the journal anew.
            inode.addLink(Inode.Link(parent: target.parent, stored: target.stored))
            inode.removeLink(source.stored, in: source.parent)
        }
    }
}
