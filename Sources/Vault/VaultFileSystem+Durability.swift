import Platform
import SealedFormat

// What an fsync has to take with it: a file is only safe when its name can be read as well, and
// for that the records of all directories above it and the sidecars of long names are needed.
extension VaultFileSystem {
    /// fsync(2) and fdatasync(2).
    package func synchronize(_ id: HandleID, dataOnly: Bool) throws(VaultError) {
        let handle = try fileHandle(id)
        guard !options.isReadOnly else { return }
        try committer?.settleFailedSync()
        try committer?.prepareStoreSync(of: handle.inode)
        try synchronizeNames(of: handle.inode)
        do throws(VaultError) {
            try synchronize(handle.content, of: handle.inode, dataOnly: dataOnly)
        } catch {
            // What could not be written may be lost: all who have the file open must hear of it.
            handle.content.noteFailure(error)
        }
        try handle.hearFailures()
    }

    private func synchronize(
        _ content: SealedFile, of inode: Inode, dataOnly: Bool
    ) throws(VaultError) {
        if let committer {
            return try committer.commit(content, of: inode, .sync(dataOnly: dataOnly))
        }
        try content.settleGaps()
        try content.synchronizeStore(content.descriptor, dataOnly: dataOnly)
    }

    package func synchronizeDirectory(_ id: HandleID) throws(VaultError) {
        guard !options.isReadOnly else { return }
        let handle = try directoryHandle(id)
        try committer?.settleFailedSync()
        try committer?.prepareStoreSync(of: handle.inode)
        try synchronizeRecord(of: handle.inode)
        try synchronizeNames(of: handle.inode)
        try synchronizeSidecars(in: handle.inode, handle.descriptor)
        try synchronize(handle.descriptor)
    }

    /// Syncs what is needed to read a file's names, as far as it was made since it was last synced.
    private func synchronizeNames(of inode: Inode) throws(VaultError) {
        guard options.broken != .nameSync else { return }
        var current = inode
        var isNew = true
        while current.id != .root, let link = current.links.first {
            if isNew { try synchronizeSidecar(link) }
            isNew = link.parent.state.withLock { $0.hasUnsyncedRecord }
            try synchronizeRecord(of: link.parent)
            current = link.parent
        }
    }

    private func synchronizeSidecar(_ link: Inode.Link) throws(VaultError) {
        guard ReservedName.isLong(link.stored.string) else { return }
        let sidecar = FileName(ReservedName.sidecar(ofLong: link.stored.string))
        let directory = try directoryDescriptor(of: link.parent)
        try synchronize(sidecar, in: directory)
    }

    /// The record first, so that the name of a directory is never safe before its record is.
    private func synchronizeRecord(of inode: Inode) throws(VaultError) {
        guard inode.state.withLock({ $0.hasUnsyncedRecord }), options.broken != .nameSync else {
            return
        }
        let failedSyncs = committer?.failedSyncs
        let directory = try withDirectory(inode) { directory throws(VaultError) in directory }
        try synchronize(FileName(ReservedName.directoryRecord), in: directory)
        try synchronizeNames(in: directory)
        if let parent = inode.links.first?.parent {
            try synchronizeNames(in: try directoryDescriptor(of: parent))
        }
        // Another thread's sync may have failed for what ours then passed by.
        guard committer?.failedSyncs == failedSyncs else { throw .system(.ioError) }
        inode.state.withLock { $0.hasUnsyncedRecord = false }
        committer?.forgetMetadata(FileName(ReservedName.directoryRecord), in: inode)
    }

    /// Of names that were made in a directory since its last sync.
    private func synchronizeSidecars(
        in inode: Inode, _ directory: Descriptor
    ) throws(VaultError) {
        let failedSyncs = committer?.failedSyncs
        for name in inode.state.withLock({ $0.unsyncedSidecars }) {
            try synchronize(name, in: directory)
            guard committer?.failedSyncs == failedSyncs else { throw .system(.ioError) }
            inode.state.withLock { _ = $0.unsyncedSidecars.remove(name) }
            committer?.forgetMetadata(name, in: inode)
        }
    }

    private func synchronize(_ file: Descriptor) throws(VaultError) {
        guard let committer else {
            return try system { () throws(Errno) in try file.synchronize(dataOnly: false) }
        }
        try committer.synchronize(file, dataOnly: false)
    }

    private func synchronizeNames(in directory: Descriptor) throws(VaultError) {
        let readable = try system { () throws(Errno) in
            try directory.open(FileName("."), OpenFlag.directory)
        }
        try synchronize(readable)
    }

    /// A file that is gone needs no sync.
    private func synchronize(_ name: FileName, in directory: Descriptor) throws(VaultError) {
        let file: Descriptor
        do throws(Errno) {
            file = try directory.openRegularFile(name)
        } catch {
            if error == .noSuchFileOrDirectory { return }
            throw .system(error)
        }
        try synchronize(file)
    }
}
