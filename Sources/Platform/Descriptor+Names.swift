internal import CLinux
internal import Glibc

// What a directory's descriptor does with the names in it. No call follows a symbolic link.
extension Descriptor {
    package func makeDirectory(_ name: FileName, mode: UInt32) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try gate.call(.make) { unsafe mkdirat(rawValue, name, mode) }
        }
    }

    package func makeNode(_ name: FileName, mode: UInt32, device: UInt64) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try gate.call(.make) { unsafe mknodat(rawValue, name, mode, dev_t(device)) }
        }
    }

    package func makeSymbolicLink(_ name: FileName, target: FileName) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            try unsafe target.withCString { target throws(Errno) in
                _ = try gate.call(.make) { unsafe symlinkat(target, rawValue, name) }
            }
        }
    }

    /// The target's bytes, at most PATH_MAX.
    package func readSymbolicLink(_ name: FileName) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = try unsafe name.withCString { name throws(Errno) in
            // SAFETY: the buffer's own size is given, and it is not empty.
            var span = bytes.mutableSpan
            return try unsafe span.withUnsafeMutableBytes { buffer throws(Errno) in
                guard let start = buffer.baseAddress else { return 0 }
                return try gate.call(.readLink) {
                    unsafe readlinkat(
                        rawValue, name, start.assumingMemoryBound(to: CChar.self), buffer.count)
                }
            }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    package func unlink(_ name: FileName) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try gate.call(.unlink) { unsafe unlinkat(rawValue, name, 0) }
        }
    }

    package func removeDirectory(_ name: FileName) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try gate.call(.removeDirectory) { unsafe unlinkat(rawValue, name, AT_REMOVEDIR) }
        }
    }

    /// renameat2(2); `flags` holds RENAME_ flags.
    package func rename(
        _ name: FileName, to newDirectory: Descriptor, _ newName: FileName, flags: UInt32 = 0
    ) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            try unsafe newName.withCString { newName throws(Errno) in
                _ = try gate.call(flags == 0 ? .rename : .renameWithFlags) {
                    unsafe keyfold_renameat2(
                        rawValue, name, newDirectory.rawValue, newName, flags)
                }
            }
        }
    }

    /// Renames a directory that is not empty to a name that nobody has.
    ///
    /// Where the file system knows no flags of renameat2(2) (NFS, Ceph, OpenZFS before 2.2, many of
    /// FUSE) rename(2) does the same but for a race: it replaces no more than an empty directory.
    ///
    /// - Throws: `EEXIST` where there is such a name.
    package func renameFullDirectory(
        _ name: FileName, to newDirectory: Descriptor, _ newName: FileName
    ) throws(Errno) {
        do throws(Errno) {
            return try rename(name, to: newDirectory, newName, flags: RenameFlag.noReplace)
        } catch {
            guard error == .invalidArgument else { throw error }
        }
        if (try? newDirectory.status(of: newName)) != nil { throw .fileExists }
        do throws(Errno) {
            try rename(name, to: newDirectory, newName)
        } catch {
            throw error == .directoryNotEmpty || error == .notDirectory ? .fileExists : error
        }
    }

    /// Another name for `name`; a symbolic link itself is linked.
    package func link(
        _ name: FileName, to newDirectory: Descriptor, _ newName: FileName
    ) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            try unsafe newName.withCString { newName throws(Errno) in
                _ = try gate.call(.make) {
                    unsafe linkat(rawValue, name, newDirectory.rawValue, newName, 0)
                }
            }
        }
    }

    /// A name for an open file (linkat(2) through /proc/self/fd).
    package func linkOpenFile(
        _ file: Descriptor, _ newName: FileName
    ) throws(Errno) {
        try unsafe FileName(file.procPath).withCString { path throws(Errno) in
            try unsafe newName.withCString { newName throws(Errno) in
                _ = try gate.call(.make) {
                    unsafe linkat(AT_FDCWD, path, rawValue, newName, AT_SYMLINK_FOLLOW)
                }
            }
        }
    }
}

extension Descriptor {
    /// Opens a directory for reading, after making it where it is absent; its parent must exist.
    package static func openOrMakeDirectory(
        path: String, mode: UInt32
    ) throws(Errno) -> Descriptor {
        do throws(Errno) {
            let gate = StoreGate(path: path)
            try unsafe FileName(path).withCString { path throws(Errno) in
                _ = try gate.call(.make) { unsafe mkdir(path, mode) }
            }
        } catch {
            if error != .fileExists { throw error }
        }
        return try Descriptor.open(path: path, OpenFlag.directory)
    }
}
