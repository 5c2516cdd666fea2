internal import CLinux
internal import Glibc

extension ChildProcess {
    package struct Output: Sendable {
        /// The exit status, or 128 and the signal that ended it.
        package let status: Int32
        /// What was written to standard output. It may be secret: whoever takes it wipes it.
        package var bytes: [UInt8]
    }

    package enum OutputFailure: Error, Hashable, Sendable {
        case system(Errno)
        /// It was killed, and all that it had started in its process group.
        case timedOut
        /// As above.
        case tooLong(limitBytes: Int)
    }

    /// Runs a program that has nothing to read, and takes what it writes to standard output; its
    /// standard error is this program's own.
    ///
    /// Signals are as at the start of a program. What it leaves running in the background is not
    /// waited for.
    package static func output(
        of path: String, _ arguments: [String], limitBytes: Int,
        deadline: ContinuousClock.Instant
    ) throws(OutputFailure) -> Output {
        let reader: OutputReader
        do throws(Errno) {
            reader = try start(path, arguments, limitBytes, deadline)
        } catch {
            throw .system(error)
        }
        return try reader.run()
    }

    /// The pipe's end to write is closed here when this returns, so that the child has the last.
    private static func start(
        _ path: String, _ arguments: [String], _ limitBytes: Int,
        _ deadline: ContinuousClock.Instant
    ) throws(Errno) -> OutputReader {
        var ends: [Int32] = [0, 0]
        var span = ends.mutableSpan
        // SAFETY: the call writes the two numbers that the array has room for.
        try unsafe span.withUnsafeMutableBufferPointer { ends throws(Errno) in
            _ = try systemCall { unsafe keyfold_pipe(ends.baseAddress) }
        }
        let (output, input) = (Descriptor(adopting: ends[0]), Descriptor(adopting: ends[1]))
        let pid = try spawn(path, arguments, output: input)
        return OutputReader(pid: pid, pipe: output, limitBytes: limitBytes, deadline: deadline)
    }

    private static func spawn(
        _ path: String, _ arguments: [String], output: Descriptor
    ) throws(Errno) -> Int32 {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        var signals = sigset_t()
        var noSignals = sigset_t()
        // SAFETY: each object is initialised before its use and destroyed once, after the spawn
        // has read it; the copies of the words live as long.
        unsafe posix_spawn_file_actions_init(&actions)
        defer { _ = unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output.rawValue, 1)
        unsafe posix_spawnattr_init(&attributes)
        defer { _ = unsafe posix_spawnattr_destroy(&attributes) }
        unsafe sigfillset(&signals)
        unsafe sigemptyset(&noSignals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        let words = unsafe ([path] + arguments).map { unsafe strdup($0) }
        defer { unsafe words.forEach { unsafe free($0) } }
        var pid: pid_t = 0
        let error = unsafe posix_spawn(&pid, path, &actions, &attributes, words + [nil], environ)
        guard error == 0 else { throw Errno(rawValue: error) }
        return pid
    }
}

/// Reads what one child writes, until both it and its output have ended.
private struct OutputReader {
    private static let pauseMilliseconds: Int32 = 10

    let pid: Int32
    let pipe: Descriptor
    let limitBytes: Int
    let deadline: ContinuousClock.Instant

    func run() throws(ChildProcess.OutputFailure) -> ChildProcess.Output {
        // One piece from the start: what may be secret is not left behind by growing.
        var bytes = [UInt8](repeating: 0, count: limitBytes + 1)
        var count = 0
        var status: Int32?
        var isOpen = true
        do throws(ChildProcess.OutputFailure) {
            while isOpen || status == nil {
                if ContinuousClock.now >= deadline { throw .timedOut }
                if status == nil { status = ended() }
                guard isReadable(isOpen, wait: status == nil) else {
                    // It has ended, and others keep its output open.
                    if status != nil { break }
                    continue
                }
                let taken = try read(into: &bytes, from: count)
                isOpen = taken > 0
                count += taken
                if count > limitBytes { throw .tooLong(limitBytes: limitBytes) }
            }
        } catch {
            wipe(&bytes)
            if status == nil { kill() }
            throw error
        }
        bytes.removeLast(bytes.count - count)
        return ChildProcess.Output(status: status ?? 0, bytes: bytes)
    }

    /// Its status, once it has ended.
    private func ended() -> Int32? {
        var status: Int32 = 0
        // SAFETY: `status` outlives the call. Whoever ignores SIGCHLD gets no status (ECHILD).
        switch unsafe waitpid(pid, &status, WNOHANG) {
        case 0: return nil
        case pid: return ChildProcess.exitStatus(status)
        default: return Errno.current == .interrupted ? nil : 255
        }
    }

    /// Waits a moment for something to read, or only that moment when there is nothing to wait for.
    private func isReadable(_ isOpen: Bool, wait: Bool) -> Bool {
        var entry = pollfd(fd: pipe.rawValue, events: Int16(POLLIN), revents: 0)
        // SAFETY: `entry` outlives the call.
        return unsafe poll(&entry, isOpen ? 1 : 0, wait ? Self.pauseMilliseconds : 0) == 1
    }

    private func read(
        into bytes: inout [UInt8], from start: Int
    ) throws(ChildProcess.OutputFailure) -> Int {
        var span = bytes.mutableSpan
        do throws(Errno) {
            return try unsafe span.withUnsafeMutableBytes { buffer throws(Errno) in
                // SAFETY: `start` is at most `limitBytes`, one less than the buffer's size.
                try systemCall {
                    unsafe Glibc.read(
                        pipe.rawValue, buffer.baseAddress?.advanced(by: start),
                        buffer.count - start)
                }
            }
        } catch {
            throw .system(error)
        }
    }

    private func kill() {
        _ = Glibc.kill(-pid, SIGKILL)
        var status: Int32 = 0
        // SAFETY: `status` outlives the call; the child has just been killed, so this ends.
        while unsafe waitpid(pid, &status, 0) == -1, Errno.current == .interrupted {}
    }

    private func wipe(_ bytes: inout [UInt8]) {
        var span = bytes.mutableSpan
        unsafe span.withUnsafeMutableBytes { buffer in
            // SAFETY: the buffer's own size is given.
            guard let start = buffer.baseAddress else { return }
            unsafe explicit_bzero(start, buffer.count)
        }
    }
}
