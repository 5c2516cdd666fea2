import Platform
import SealedFormat

extension VaultFileSystem {
    package func openDirectory(_ id: InodeID) throws(VaultError) -> HandleID {
        let inode = try inode(id)
        _ = try identity(of: inode)
        let descriptor = try withDirectory(inode) { directory throws(VaultError) in
            try system { () throws(Errno) in
                try directory.open(FileName("."), OpenFlag.directory)
            }
        }
        let handle = DirectoryHandle(inode: inode, descriptor: descriptor)
        return handles.withLock { $0.add(handle) }
    }

    func directoryHandle(_ id: HandleID) throws(VaultError) -> DirectoryHandle {
        guard let handle = handles.withLock({ $0.directory(id) }) else {
            throw .system(.badFileDescriptor)
        }
        return handle
    }

    /// Calls `body` for each entry from `cookie` on, "." and ".." included, until it returns false:
    /// that entry is the first one of the next call.
    package func readDirectory(
        _ id: HandleID, from cookie: UInt64, _ body: (borrowing DirectoryEntry) -> Bool
    ) throws(VaultError) {
        let handle = try directoryHandle(id)
        let identity = try identity(of: handle.inode)
        try handle.withStream { stream throws(VaultError) in
            try system { () throws(Errno) in
                try stream.seek(to: Int64(bitPattern: cookie))
            }
            while let entry = try system({ () throws(Errno) in try stream.next() }) {
                let name: FileName
                if entry.name.isDots {
                    name = entry.name
                } else if let opened = try open(entry.name, in: identity, handle.descriptor) {
                    name = opened
                } else {
                    continue
                }
                let shown = DirectoryEntry(
                    name: name, inodeNumber: entry.inodeNumber, type: UInt32(entry.type),
                    nextCookie: UInt64(bitPattern: entry.nextCookie))
                guard body(shown) else { return }
            }
        }
    }

    package func releaseDirectory(_ id: HandleID) {
        _ = handles.withLock { $0.removeDirectory(id) }
    }
}
