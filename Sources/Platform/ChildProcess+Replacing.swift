internal import Glibc

extension ChildProcess {
    /// Makes this process another program (execv(3)), with the same terminal, environment and
    /// standard streams. Returns only when that fails.
    package static func become(_ path: String, _ arguments: [String]) -> Errno {
        // SAFETY: the copies live until the call, and are freed once when it fails.
        let words = unsafe ([path] + arguments).map { unsafe strdup($0) }
        defer { unsafe words.forEach { unsafe free($0) } }
        _ = unsafe execv(path, words + [nil])
        return Errno(rawValue: errno)
    }
}
