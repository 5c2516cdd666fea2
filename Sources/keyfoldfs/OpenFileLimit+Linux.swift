import Glibc

/// The number of files that this process may have open.
enum OpenFileLimit {
    /// Raises the soft limit to the hard one (setrlimit(2)); when that fails the old one will do.
    static func raise() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        // SAFETY: `limit` outlives both calls.
        guard unsafe getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(resource, &limit)
    }
}
