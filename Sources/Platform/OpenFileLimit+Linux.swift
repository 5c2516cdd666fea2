internal import Glibc

/// The number of files that this process may have open.
package enum OpenFileLimit {
    /// Raises the soft limit to the hard one (setrlimit(2)); when that fails the old one will do.
    ///
    /// - Returns: the limit that holds afterwards.
    @discardableResult
    package static func raise() -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        // SAFETY: `limit` outlives the calls.
        guard unsafe getrlimit(resource, &limit) == 0 else { return 1024 }
        let before = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        let isRaised = unsafe setrlimit(resource, &limit) == 0
        return Int(clamping: isRaised ? limit.rlim_cur : before)
    }
}
