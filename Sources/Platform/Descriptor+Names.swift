internal import CLinux
internal import Glibc

// What a directory's descriptor does with the names in it. No call follows a symbolic link.
extension Descriptor {
    package func makeDirectory(_ name: FileName, mode: UInt32) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try systemCall { unsafe mkdirat(rawValue, name, mode) }
        }
    }

    package func makeNode(_ name: FileName, mode: UInt32, device: UInt64) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try systemCall { unsafe mknodat(rawValue, name, mode, dev_t(device)) }
        }
    }

    package func makeSymbolicLink(_ name: FileName, target: FileName) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            try unsafe target.withCString { target throws(Errno) in
                _ = try systemCall { unsafe symlinkat(target, rawValue, name) }
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
                return try systemCall {
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
            _ = try systemCall { unsafe unlinkat(rawValue, name, 0) }
        }
    }

    package func removeDirectory(_ name: FileName) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try systemCall { unsafe unlinkat(rawValue, name, AT_REMOVEDIR) }
        }
    }

    /// renameat2(2); `flags` holds RENAME_ flags.
    package func rename(
        _ name: FileName, to newDirectory: Descriptor, _ newName: FileName, flags: UInt32 = 0
    ) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            try unsafe newName.withCString { newName throws(Errno) in
                _ = try systemCall {
                    unsafe keyfold_renameat2(
                        rawValue, name, newDirectory.rawValue, newName, flags)
                }
            }
        }
    }

    /// Another name for `name`; a symbolic link itself is linked.
    package func link(
        _ name: FileName, to newDirectory: Descriptor, _ newName: FileName
    ) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            try unsafe newName.withCString { newName throws(Errno) in
                _ = try systemCall {
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
                _ = try systemCall {
                    unsafe linkat(AT_FDCWD, path, rawValue, newName, AT_SYMLINK_FOLLOW)
                }
            }
        }
    }

    /// Of a name that may not be a symbolic link.
    package func changeMode(of name: FileName, to mode: UInt32) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try systemCall { unsafe fchmodat(rawValue, name, mode & 0o7777, 0) }
        }
    }

    /// nil leaves a value as it is.
    package func changeOwner(of name: FileName, uid: UInt32?, gid: UInt32?) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            _ = try systemCall {
                unsafe fchownat(
                    rawValue, name, uid ?? UInt32.max, gid ?? UInt32.max, AT_SYMLINK_NOFOLLOW)
            }
        }
    }

    package enum TimeUpdate: Sendable, Hashable {
        case keep, now, set(Timespec)

        var cValue: timespec {
            switch self {
            // UTIME_OMIT and UTIME_NOW of utimensat(2); their macros do not import.
            case .keep: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)
            case .now: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 1)
            case .set(let time): time.cValue
            }
        }
    }

    package func setTimes(
        of name: FileName, access: TimeUpdate, modification: TimeUpdate
    ) throws(Errno) {
        try unsafe name.withCString { name throws(Errno) in
            let times = [access.cValue, modification.cValue]
            // SAFETY: the array holds the two values that the call reads.
            try unsafe times.span.withUnsafeBufferPointer { times throws(Errno) in
                _ = try systemCall {
                    unsafe utimensat(rawValue, name, times.baseAddress, AT_SYMLINK_NOFOLLOW)
                }
            }
        }
    }

    package func setTimes(access: TimeUpdate, modification: TimeUpdate) throws(Errno) {
        let times = [access.cValue, modification.cValue]
        // SAFETY: the array holds the two values that the call reads.
        try unsafe times.span.withUnsafeBufferPointer { times throws(Errno) in
            _ = try systemCall { unsafe futimens(rawValue, times.baseAddress) }
        }
    }
}
