internal import CLinux
internal import Glibc

/// An error number of the system (errno(3)).
package struct Errno: Error, RawRepresentable, Hashable, Sendable {
    package let rawValue: Int32

    package init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    package static var accessDenied: Errno { Errno(rawValue: EACCES) }
    package static var badFileDescriptor: Errno { Errno(rawValue: EBADF) }
    package static var directoryNotEmpty: Errno { Errno(rawValue: ENOTEMPTY) }
    package static var fileExists: Errno { Errno(rawValue: EEXIST) }
    package static var fileNameTooLong: Errno { Errno(rawValue: ENAMETOOLONG) }
    package static var fileTooLarge: Errno { Errno(rawValue: EFBIG) }
    /// Reading at an offset from a pipe or a socket.
    package static var illegalSeek: Errno { Errno(rawValue: ESPIPE) }
    package static var improperLink: Errno { Errno(rawValue: EXDEV) }
    package static var interrupted: Errno { Errno(rawValue: EINTR) }
    package static var invalidArgument: Errno { Errno(rawValue: EINVAL) }
    package static var ioError: Errno { Errno(rawValue: EIO) }
    package static var isDirectory: Errno { Errno(rawValue: EISDIR) }
    package static var listTooLong: Errno { Errno(rawValue: E2BIG) }
    package static var noAttribute: Errno { Errno(rawValue: ENODATA) }
    package static var noDevice: Errno { Errno(rawValue: ENODEV) }
    package static var noDeviceOrAddress: Errno { Errno(rawValue: ENXIO) }
    /// "Required key not available", as kernel fscrypt answers.
    package static var noKey: Errno { Errno(rawValue: ENOKEY) }
    package static var noMemory: Errno { Errno(rawValue: ENOMEM) }
    package static var noSpace: Errno { Errno(rawValue: ENOSPC) }
    package static var noSuchFileOrDirectory: Errno { Errno(rawValue: ENOENT) }
    package static var noSuchProcess: Errno { Errno(rawValue: ESRCH) }
    package static var notDirectory: Errno { Errno(rawValue: ENOTDIR) }
    package static var notPermitted: Errno { Errno(rawValue: EPERM) }
    package static var notSupported: Errno { Errno(rawValue: EOPNOTSUPP) }
    package static var outOfRange: Errno { Errno(rawValue: ERANGE) }
    package static var quotaExceeded: Errno { Errno(rawValue: EDQUOT) }
    package static var readOnlyFileSystem: Errno { Errno(rawValue: EROFS) }
    package static var resourceBusy: Errno { Errno(rawValue: EBUSY) }
    package static var staleFileHandle: Errno { Errno(rawValue: ESTALE) }
    package static var symbolicLinkLoop: Errno { Errno(rawValue: ELOOP) }
    package static var timedOut: Errno { Errno(rawValue: ETIMEDOUT) }
    package static var tooManyOpenFiles: Errno { Errno(rawValue: EMFILE) }
    package static var wouldBlock: Errno { Errno(rawValue: EWOULDBLOCK) }

    /// The calling thread's error number after a failed call.
    package static var current: Errno { unsafe Errno(rawValue: __errno_location().pointee) }
}

extension Errno: CustomStringConvertible {
    /// The system's words: "No such file or directory".
    package var description: String {
        // SAFETY: strerror answers a NUL-terminated string for every number; it is copied here.
        unsafe String(cString: strerror(rawValue))
    }
}

/// Runs a system call again while a signal interrupts it.
///
/// - Throws: the call's error number, when it answers -1 for another reason.
@discardableResult
package func systemCall<Value: FixedWidthInteger & SignedInteger>(
    _ call: () -> Value
) throws(Errno) -> Value {
    while true {
        let value = call()
        if value != -1 { return value }
        let error = Errno.current
        if error != .interrupted { throw error }
    }
}
