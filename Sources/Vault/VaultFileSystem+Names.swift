import Cryptography
package import Platform
import SealedFormat

// How names in the mount and names in the store belong together.
extension VaultFileSystem {
    /// The stored form of a name in a directory.
    func seal(_ name: FileName, in directory: DirectoryIdentity) throws(VaultError) -> StoredName {
        guard name.count <= 255 else { throw .system(.fileNameTooLong) }
        switch config.names {
        case .sealed:
            return StoredName(
                directory.domain.keys.sealName(name.bytes, in: directory.directoryID))
        case .plaintext:
            guard !isReserved(name) else { throw .system(.notPermitted) }
            return StoredName(plain: name)
        }
    }

    /// Whether the mount can have no such name, because the store needs it.
    private func isReserved(_ name: FileName) -> Bool {
        config.names == .plaintext && ReservedName.isReserved(name.string)
    }

    /// The name in the mount of a stored name; nil for what is not shown: Keyfold's own files, and
    /// names that no key of this vault made, which are counted.
    ///
    /// - Throws: where a long name can't be read now: a name that is left out would look deleted.
    func open(
        _ stored: FileName, in directory: DirectoryIdentity, _ descriptor: Descriptor
    ) throws(VaultError) -> FileName? {
        let text = stored.string
        let isLong = ReservedName.isLong(text)
        if ReservedName.isReserved(text), !isLong { return nil }
        if config.names == .plaintext { return stored }
        let keys = directory.domain.keys
        let opened: [UInt8]?
        if isLong {
            let sidecar = FileName(ReservedName.sidecar(ofLong: text))
            opened = try Self.readSidecar(sidecar, in: descriptor).flatMap {
                try? keys.openLongName(sidecar: $0, stored: text, in: directory.directoryID)
            }
        } else {
            opened = try? keys.openName(text, in: directory.directoryID)
        }
        guard let opened else {
            counters.countUndecodable(stored, in: "\(directory.directoryID)")
            return nil
        }
        return FileName(opened)
    }

    /// nil where there is none, or something else in its place.
    private static func readSidecar(
        _ name: FileName, in directory: Descriptor
    ) throws(VaultError) -> [UInt8]? {
        do throws(Errno) {
            return try directory.openRegularFile(name).readAll(limitBytes: 1024)
        } catch {
            switch error {
            case .noSuchFileOrDirectory, .symbolicLinkLoop, .isDirectory, .fileTooLarge,
                .accessDenied, .noDeviceOrAddress:
                return nil
            default: throw .system(error)
            }
        }
    }

    /// How many sidecars a directory notes for its next sync; more are synced at once.
    private static let maximumUnsyncedSidecars = 4096

    /// Puts a long name's sidecar beside it, before the name itself exists.
    ///
    /// - Parameter isSynced: the name will be that of a file that may be durable under another one.
    func prepare(
        _ name: StoredName, in directory: Descriptor, of parent: Inode, isSynced: Bool = false
    ) throws(VaultError) {
        guard let sidecar = name.sidecar else { return }
        let target = sidecar.name
        if !isSynced {
            committer?.noteMetadata(sidecar.content, target, in: parent, isMade: false)
        }
        do throws(VaultError) {
            try makeSidecar(sidecar.content, target, in: directory, of: parent, isSynced: isSynced)
        } catch {
            if !isSynced { committer?.forgetMetadata(target, in: parent) }
            throw error
        }
        if !isSynced { committer?.noteMade(target, in: parent) }
    }

    private func makeSidecar(
        _ content: [UInt8], _ target: FileName, in directory: Descriptor, of parent: Inode,
        isSynced: Bool
    ) throws(VaultError) {
        let isNoted =
            !isSynced
            && parent.state.withLock { state in
                guard state.unsyncedSidecars.count < Self.maximumUnsyncedSidecars else {
                    return false
                }
                state.unsyncedSidecars.insert(target)
                return true
            }
        try system { () throws(Errno) in
            // Its name is the hash of its content, so one that stands there whole is the right one.
            if let known = try? directory.openRegularFile(target).readAll(limitBytes: 1024),
                known == content
            {
                if isSynced { try directory.openRegularFile(target).synchronize(dataOnly: false) }
                return
            }
            let temporary = temporaryName()
            let file = try directory.openNew(temporary, mode: 0o600)
            do throws(Errno) {
                try file.write(content, at: 0)
                if !isNoted { try file.synchronize(dataOnly: false) }
                try directory.rename(temporary, to: directory, target)
            } catch {
                try? directory.unlink(temporary)
                throw error
            }
        }
    }

    /// Removes a long name's sidecar after the name itself is gone.
    func dispose(_ name: StoredName, in directory: Descriptor) {
        guard let sidecar = name.sidecar else { return }
        try? directory.unlink(sidecar.name)
    }

    func temporaryName() -> FileName {
        FileName(ReservedName.temporaryPrefix + hexadecimal(Random.bytes(8)))
    }

    /// The plaintext path of an inode below the mount's root, for the usage log.
    func plainPath(of inode: Inode) -> String? {
        var names: [String] = []
        var current = inode
        while current.id != .root {
            guard let link = current.links.first, let identity = try? identity(of: link.parent),
                let descriptor = try? directoryDescriptor(of: link.parent),
                let name = try? open(link.stored, in: identity, descriptor)
            else { return nil }
            names.append(name.string)
            current = link.parent
        }
        return "/" + names.reversed().joined(separator: "/")
    }

    // MARK: Lookup

    package func lookup(_ name: FileName, in parent: InodeID) throws(VaultError) -> Entry {
        let parent = try inode(parent)
        let identity = try identity(of: parent)
        // To make it is refused; who asks for it finds nothing. The kernel asks before it removes.
        if isReserved(name) { throw .system(.noSuchFileOrDirectory) }
        let stored = try seal(name, in: identity).fileName
        return try withDirectory(parent) { directory throws(VaultError) in
            try entry(stored, in: directory, parent: parent)
        }
    }

    /// The entry of a stored name that exists; counts one lookup.
    func entry(
        _ stored: FileName, in directory: Descriptor, parent: Inode
    ) throws(VaultError) -> Entry {
        let wasWaiting = hasUncommitted
        let found = try system { () throws(Errno) in try directory.status(of: stored) }
        let inode = remember(found, Inode.Link(parent: parent, stored: stored))
        let attributes = attributes(found, of: inode, wasWaiting: wasWaiting) {
            try? directory.status(of: stored)
        }
        return Entry(inode: inode.id, attributes: attributes)
    }

    func remember(_ status: FileStatus, _ link: Inode.Link) -> Inode {
        inodes.withLock { $0.remember(status, link: link) }
    }

    /// The inode of a stored name, when the kernel knows it.
    func known(_ status: FileStatus) -> Inode? {
        inodes.withLock { $0.find(BackingID(status)) }
    }
}

func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
        decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
