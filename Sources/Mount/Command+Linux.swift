internal import CLinux
internal import Glibc
internal import Platform

/// Runs a program from PATH.
enum Command {
    /// Its path; nil when it is not installed.
    static func find(_ program: String) -> String? {
        // SAFETY: getenv answers a NUL-terminated string or nil; it is copied at once.
        let search = unsafe getenv("PATH").map { unsafe String(cString: $0) }
        let directories = (search ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        return directories.lazy.map { "\($0)/\(program)" }.first {
            unsafe access($0, X_OK) == 0
        }
    }

    /// Waits for its end; what it says goes to this process's standard error.
    ///
    /// - Returns: whether it ended with 0.
    static func run(_ program: String, _ arguments: [String]) -> Bool {
        guard let path = find(program) else { return false }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // Our threads block the signals that end a program; its own must not.
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        // SAFETY: the strings are made and freed here, and the list ends with nil.
        var strings = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
        defer { unsafe strings.forEach { unsafe free($0) } }
        var pid = pid_t()
        guard unsafe posix_spawn(&pid, path, nil, &attributes, &strings, environ) == 0 else {
            return false
        }
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) == -1 {
            if Errno.current != .interrupted { return false }
        }
        return status == 0
    }
}
