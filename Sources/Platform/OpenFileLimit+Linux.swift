internal import Glibc

/// The number of files that this process may have open.
package enum OpenFileLimit {
    /// Raises the soft limit to the hard one (setrlimit(2)); when that fails the old one will do.
    ///
    /// - Returns: the limit that holds afterwards.
    @discardableResult
    package static func raise() -> Int {
        Int(clamping: raiseLimit(RLIMIT_NOFILE) ?? 1024)
    }

    /// The limit that holds now.
    package static var current: Int { Int(clamping: limit(RLIMIT_NOFILE)?.rlim_cur ?? 1024) }
}

/// The size that a file may have which this process writes.
package enum FileSizeLimit {
    /// In bytes. Asking for it raises the soft limit to the hard one first (setrlimit(2)).
    package static let raised: UInt64 = raiseLimit(RLIMIT_FSIZE).map { UInt64($0) } ?? .max
}

private func limit(_ resource: __rlimit_resource) -> rlimit? {
    var limit = rlimit()
    // SAFETY: `limit` outlives the call.
    return unsafe getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 ? limit : nil
}

/// - Returns: the limit that holds afterwards; nil where it can't be asked.
private func raiseLimit(_ resource: __rlimit_resource) -> rlim_t? {
    guard var limit = limit(resource) else { return nil }
    let before = limit.rlim_cur
    limit.rlim_cur = limit.rlim_max
    // SAFETY: `limit` outlives the call.
    let isRaised = unsafe setrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0
    return isRaised ? limit.rlim_cur : before
}
