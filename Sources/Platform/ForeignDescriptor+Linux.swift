internal import CLinux
internal import Glibc

/// Descriptors of this process that a library opened: used by their number, and closed by it alone.
///
/// To open such a file anew would not do. When a process closes any descriptor of a file, all its
/// locks on that file go (fcntl(2), "Advisory record locking"), the library's too.
package enum ForeignDescriptor {
    /// fallocate(2) of the file's first `count` bytes, through a descriptor that is open for
    /// writing. Its owner keeps it open meanwhile.
    ///
    /// - Throws: `ENOENT`, also where this process does not have the file open; what fallocate(2)
    ///   answers.
    package static func allocate(fileAt path: String, count: UInt64) throws(Errno) {
        // A descriptor with O_PATH takes no locks with it.
        let wanted = try Descriptor.open(path: path, OpenFlag.path).status()
        var numbers = DirectoryStream(
            try Descriptor.open(path: "/proc/self/fd", OpenFlag.directory))
        while let entry = try numbers.next() {
            guard let number = Int32(entry.name.string), isOpenForWriting(number),
                let file = try? Descriptor.open(path: "/proc/self/fd/\(number)", OpenFlag.path),
                let status = try? file.status(),
                status.device == wanted.device, status.inodeNumber == wanted.inodeNumber
            else { continue }
            _ = try StoreGate(path: path).call(.allocate) {
                keyfold_fallocate(number, 0, 0, off_t(count))
            }
            return
        }
        throw .noSuchFileOrDirectory
    }

    private static func isOpenForWriting(_ number: Int32) -> Bool {
        let flags = fcntl(number, F_GETFL)
        return flags >= 0 && flags & OpenFlag.path == 0 && flags & O_ACCMODE != O_RDONLY
    }
}
