internal import Glibc

/// Other programs that these ones run and wait for.
package enum ChildProcess {
    /// Runs a program with this one's terminal, environment and standard streams, and waits.
    ///
    /// Lets SIGCHLD do what it does by default, in this process as in the other: who started this
    /// one may have it ignored, and then no child leaves a status (wait(2)).
    ///
    /// - Returns: its exit status, or 128 and the signal that ended it.
    package static func run(_ path: String, _ arguments: [String]) throws(Errno) -> Int32 {
        _ = signal(SIGCHLD, SIG_DFL)
        // SAFETY: the copies live until the spawn has read them, and are freed once.
        let words = unsafe ([path] + arguments).map { unsafe strdup($0) }
        defer { unsafe words.forEach { unsafe free($0) } }
        var pid: pid_t = 0
        let error = unsafe posix_spawn(&pid, path, nil, nil, words + [nil], environ)
        guard error == 0 else { throw Errno(rawValue: error) }
        return wait(for: pid)
    }

    /// Waits until a child ends.
    ///
    /// - Returns: its exit status, or 128 and the signal that ended it; 255 when there is none, since
    ///   this process ignores SIGCHLD.
    package static func wait(for pid: Int32) -> Int32 {
        var status: Int32 = 0
        // SAFETY: `status` outlives the call.
        let ended = try? systemCall { unsafe waitpid(pid, &status, 0) }
        return ended == pid ? exitStatus(status) : 255
    }

    /// The first file of this name that PATH finds.
    package static func find(_ name: String) -> String? {
        let path = EnvironmentVariable.value("PATH") ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").lazy.map { "\($0)/\(name)" }.first(where: isExecutable)
    }

    package static func isExecutable(_ path: String) -> Bool {
        // SAFETY: the string becomes a C string for the length of the call.
        unsafe access(path, X_OK) == 0
    }

    /// The program that runs now.
    package static var ownPath: String? { SystemPath.resolved("/proc/self/exe") }

    /// wait(2): the low 7 bits hold the signal, the next byte the exit status.
    static func exitStatus(_ status: Int32) -> Int32 {
        let signal = status & 0x7F
        return signal == 0 ? status >> 8 & 0xFF : 128 + signal
    }
}
