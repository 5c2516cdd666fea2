internal import CLinux
internal import Glibc

// Attributes of this descriptor's own file. They go through /proc/self/fd, so that they work for
// O_PATH descriptors too; the descriptor pins the file, no name is resolved again.
extension Descriptor {
    package func changeMode(to mode: UInt32) throws(Errno) {
        try unsafe withProcPath { path throws(Errno) in
            _ = try gate.call(.setAttributes) { unsafe chmod(path, mode & 0o7777) }
        }
    }

    /// nil leaves a value as it is.
    package func changeOwner(uid: UInt32?, gid: UInt32?) throws(Errno) {
        _ = try gate.call(.setAttributes) {
            unsafe fchownat(
                rawValue, "", uid ?? UInt32.max, gid ?? UInt32.max, 0x1000 /* AT_EMPTY_PATH */)
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

    package func setTimes(access: TimeUpdate, modification: TimeUpdate) throws(Errno) {
        let times = [access.cValue, modification.cValue]
        // SAFETY: the array holds the two values that the call reads.
        try unsafe times.span.withUnsafeBufferPointer { times throws(Errno) in
            do throws(Errno) {
                _ = try systemCall { unsafe futimens(rawValue, times.baseAddress) }
                return
            } catch {
                // O_PATH; the way through /proc, which all others could go too, takes longer.
                guard error == .badFileDescriptor else { throw error }
            }
            try unsafe withProcPath { path throws(Errno) in
                _ = try gate.call(.setAttributes) {
                    unsafe utimensat(AT_FDCWD, path, times.baseAddress, 0)
                }
            }
        }
    }

    /// - Throws: `ENODATA` when there is none, `E2BIG` when it is over 64 KiB.
    package func extendedAttribute(_ attribute: String) throws(Errno) -> [UInt8] {
        try unsafe withProcPath { path throws(Errno) in
            try unsafe readGrowing { buffer, size in unsafe getxattr(path, attribute, buffer, size)
            }
        }
    }

    package func extendedAttributeNames() throws(Errno) -> [String] {
        let list = try unsafe withProcPath { path throws(Errno) in
            try unsafe readGrowing { buffer, size in
                unsafe listxattr(path, buffer?.assumingMemoryBound(to: CChar.self), size)
            }
        }
        return list.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// `flags`: XATTR_CREATE, XATTR_REPLACE or 0.
    package func setExtendedAttribute(
        _ attribute: String, to value: [UInt8], flags: Int32
    ) throws(Errno) {
        try unsafe withProcPath { path throws(Errno) in
            // SAFETY: pointer and count come from the same array, for this call.
            try unsafe value.span.bytes.withUnsafeBytes { value throws(Errno) in
                _ = try gate.call(.writeExtended) {
                    unsafe setxattr(path, attribute, value.baseAddress, value.count, flags)
                }
            }
        }
    }

    package func removeExtendedAttribute(_ attribute: String) throws(Errno) {
        try unsafe withProcPath { path throws(Errno) in
            _ = try gate.call(.removeExtended) { unsafe removexattr(path, attribute) }
        }
    }

    private func withProcPath<Result>(
        _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        try unsafe FileName(procPath).withCString(body)
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
                    try gate.call(.readExtended) { unsafe call(buffer.baseAddress, capacity) }
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
