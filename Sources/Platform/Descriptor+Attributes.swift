internal import CLinux
internal import Glibc

// Extended attributes (xattr(7)). The l-calls reach one name of a directory through
// /proc/self/fd, which resolves to the directory itself; the name is not followed.
extension Descriptor {
    private func withPath<Result>(
        of name: FileName?, _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        // Without a name: "/proc/self/fd/N/." of a directory is the directory itself.
        let suffix = name.map(\.bytes) ?? [UInt8(ascii: ".")]
        return try unsafe FileName(Array(procPath.utf8) + [UInt8(ascii: "/")] + suffix)
            .withCString(body)
    }

    /// - Throws: `ENODATA` when there is none, `E2BIG` when it is over 64 KiB.
    package func extendedAttribute(
        _ attribute: String, of name: FileName?
    ) throws(Errno) -> [UInt8] {
        try unsafe withPath(of: name) { path throws(Errno) in
            try unsafe readGrowing { buffer, size in unsafe lgetxattr(path, attribute, buffer, size)
            }
        }
    }

    package func extendedAttributeNames(of name: FileName?) throws(Errno) -> [String] {
        let list = try unsafe withPath(of: name) { path throws(Errno) in
            try unsafe readGrowing { buffer, size in
                unsafe llistxattr(path, buffer?.assumingMemoryBound(to: CChar.self), size)
            }
        }
        return list.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// `flags`: XATTR_CREATE, XATTR_REPLACE or 0.
    package func setExtendedAttribute(
        _ attribute: String, of name: FileName?, to value: [UInt8], flags: Int32
    ) throws(Errno) {
        try unsafe withPath(of: name) { path throws(Errno) in
            // SAFETY: pointer and count come from the same array, for this call.
            try unsafe value.span.bytes.withUnsafeBytes { value throws(Errno) in
                _ = try systemCall {
                    unsafe lsetxattr(path, attribute, value.baseAddress, value.count, flags)
                }
            }
        }
    }

    package func removeExtendedAttribute(_ attribute: String, of name: FileName?) throws(Errno) {
        try unsafe withPath(of: name) { path throws(Errno) in
            _ = try systemCall { unsafe lremovexattr(path, attribute) }
        }
    }

    /// Of an open file itself.
    package func ownExtendedAttribute(_ attribute: String) throws(Errno) -> [UInt8] {
        try unsafe readGrowing { buffer, size in unsafe fgetxattr(rawValue, attribute, buffer, size)
        }
    }

    package func ownExtendedAttributeNames() throws(Errno) -> [String] {
        let list = try unsafe readGrowing { buffer, size in
            unsafe flistxattr(rawValue, buffer?.assumingMemoryBound(to: CChar.self), size)
        }
        return list.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    package func setOwnExtendedAttribute(
        _ attribute: String, to value: [UInt8], flags: Int32
    ) throws(Errno) {
        // SAFETY: pointer and count come from the same array, for this call.
        try unsafe value.span.bytes.withUnsafeBytes { value throws(Errno) in
            _ = try systemCall {
                unsafe fsetxattr(rawValue, attribute, value.baseAddress, value.count, flags)
            }
        }
    }

    package func removeOwnExtendedAttribute(_ attribute: String) throws(Errno) {
        _ = try systemCall { unsafe fremovexattr(rawValue, attribute) }
    }

    /// Calls with a small buffer first, then with the largest that Linux allows (64 KiB).
    private func readGrowing(
        _ call: (UnsafeMutableRawPointer?, Int) -> Int
    ) throws(Errno) -> [UInt8] {
        for capacity in [512, 65_536] {
            var bytes = [UInt8](repeating: 0, count: capacity)
            do throws(Errno) {
                // SAFETY: the buffer's own size is given.
                var span = bytes.mutableSpan
                let count = try unsafe span.withUnsafeMutableBytes { buffer throws(Errno) in
                    try systemCall { unsafe call(buffer.baseAddress, capacity) }
                }
                bytes.removeLast(capacity - count)
                return bytes
            } catch {
                if error != .outOfRange { throw error }
            }
        }
        throw .listTooLong
    }
}
