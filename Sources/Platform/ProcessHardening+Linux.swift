internal import CLinux
internal import Glibc

/// Keeps a process that holds keys out of core dumps and other processes' reach.
package enum ProcessHardening {
    /// No core dumps, no ptrace by the same user (prctl(2), PR_SET_DUMPABLE).
    ///
    /// Call it first thing in a program that reads secrets.
    package static func apply() {
        _ = keyfold_prctl(PR_SET_DUMPABLE, 0)
        var limit = rlimit(rlim_cur: 0, rlim_max: 0)
        // SAFETY: `limit` outlives the call. A failure leaves PR_SET_DUMPABLE, which suffices.
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
    }
}

/// What the kernel tells of processes.
package enum ProcessTable {
    package static var currentPID: Int32 { getpid() }
    package static var effectiveUID: UInt32 { geteuid() }
    package static var effectiveGID: UInt32 { getegid() }

    /// The program's name (`comm`, at most 15 bytes); nil when there is no such process.
    package static func programName(of pid: Int32) -> String? {
        guard pid > 0,
            let file = try? Descriptor.open(path: "/proc/\(pid)/comm", O_RDONLY),
            let bytes = try? file.read(count: 64, at: 0)
        else { return nil }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
