package import Platform
internal import CLinux
internal import Glibc

/// What a program did.
package struct CommandResult: Sendable, CustomStringConvertible {
    /// The exit status; 128 and the signal's number when a signal ended it; 124 after its time.
    package let status: Int32
    package let outputBytes: [UInt8]
    package let errorBytes: [UInt8]
    package let words: [String]

    package var output: String { String(decoding: outputBytes, as: UTF8.self) }
    package var error: String { String(decoding: errorBytes, as: UTF8.self) }
    package var succeeded: Bool { status == 0 }
    /// The output's lines, without the empty one at the end.
    package var lines: [String] {
        output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            .dropLastIfEmpty()
    }

    package var description: String {
        "'\(words.joined(separator: " "))' ended with \(status)\n"
            + "output: \(output.prefix(2000))\nerror: \(error.prefix(2000))"
    }
}

extension Array where Element == String {
    fileprivate func dropLastIfEmpty() -> [String] {
        last == "" ? Array(dropLast()) : self
    }
}

/// A program that ended otherwise than it had to.
package struct CommandFailed: Error, CustomStringConvertible {
    package let result: CommandResult
    package var description: String { result.description }
}

/// Runs programs with a hard limit of time; what they print goes into files, so that a daemon that
/// keeps a descriptor cannot hold anybody up.
package struct Command: Sendable {
    package var words: [String]
    package var environment: [String: String] = [:]
    package var directory: String?
    package var input: [UInt8] = []
    package var limitSeconds = 120
    /// Another user to run as (setpriv(1)); only root can.
    package var user: UInt32?
    /// Beside `user`'s own group.
    package var groups: [UInt32] = []

    package init(_ words: [String]) {
        self.words = words
    }

    package init(_ words: String...) {
        self.words = words
    }

    /// A script for sh, with `arguments` as $1, $2, ….
    package static func shell(_ script: String, _ arguments: String...) -> Command {
        Command(["/bin/sh", "-c", script, "sh"] + arguments)
    }

    package func `in`(_ directory: String) -> Command {
        var copy = self
        copy.directory = directory
        return copy
    }

    package func `as`(user: UInt32, groups: [UInt32] = []) -> Command {
        var copy = self
        copy.user = user
        copy.groups = groups
        return copy
    }

    package func with(_ variables: [String: String]) -> Command {
        var copy = self
        copy.environment.merge(variables) { $1 }
        return copy
    }

    package func limited(toSeconds seconds: Int) -> Command {
        var copy = self
        copy.limitSeconds = seconds
        return copy
    }

    package func fed(_ input: [UInt8]) -> Command {
        var copy = self
        copy.input = input
        return copy
    }

    private var wholeWords: [String] {
        var all: [String] = []
        if let directory { all += ["env", "-C", directory] }
        if let user {
            all += ["setpriv", "--reuid", "\(user)", "--regid", "\(user)"]
            all +=
                groups.isEmpty
                ? ["--clear-groups"]
                : ["--groups", groups.map(String.init).joined(separator: ",")]
            all += ["--"]
        }
        return all + words
    }

    /// Runs it to its end, whatever that is.
    package func result() throws -> CommandResult {
        let limit = ["timeout", "--kill-after=5", "\(limitSeconds)"]
        let process = try ChildProcess(
            limit + wholeWords, environment: environment, input: input)
        let status = process.waitForEnd()
        return CommandResult(
            status: status, outputBytes: try process.outputBytes(),
            errorBytes: try process.errorBytes(), words: words)
    }

    /// Runs it, and fails unless it ends with `status`.
    @discardableResult
    package func run(expecting status: Int32 = 0) throws -> CommandResult {
        let result = try result()
        guard result.status == status else { throw CommandFailed(result: result) }
        return result
    }

    /// Starts it and does not wait; it is killed when its `ChildProcess` goes.
    package func start() throws -> ChildProcess {
        try ChildProcess(wholeWords, environment: environment, input: input)
    }

    /// Whether a program is in PATH.
    package static func isInstalled(_ program: String) -> Bool {
        (try? Command("/bin/sh", "-c", "command -v \(program)").result())?.succeeded ?? false
    }
}

/// A program that runs beside the test.
package final class ChildProcess: @unchecked Sendable {
    // SAFETY: `isReaped` is only touched by the one test that owns the process.
    package let pid: Int32
    private let output: Descriptor
    private let error: Descriptor
    private var isReaped = false

    fileprivate init(
        _ words: [String], environment: [String: String], input: [UInt8]
    ) throws(Errno) {
        output = try Self.unnamedFile()
        error = try Self.unnamedFile()
        let source = try Self.unnamedFile()
        try source.write(input, at: 0)
        var all = Self.inheritedEnvironment()
        all.merge(environment) { $1 }
        pid = try Self.spawn(
            words, all.map { "\($0.key)=\($0.value)" },
            [source.rawValue, output.rawValue, error.rawValue])
    }

    deinit {
        guard !isReaped else { return }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        _ = unsafe waitpid(pid, &status, 0)
    }

    package func signal(_ number: Int32) {
        kill(pid, number)
    }

    /// Waits as long as it takes; what `Command/result()` runs is limited by timeout(1).
    package func waitForEnd() -> Int32 {
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) == -1, errno == EINTR {}
        isReaped = true
        return Self.exitStatus(status)
    }

    /// - Throws: ``DeadlinePassed`` when it still runs after `seconds`.
    package func waitForEnd(seconds: Double) throws -> Int32 {
        var status: Int32 = 0
        let ended = Deadline.wait(seconds: seconds) {
            unsafe waitpid(pid, &status, WNOHANG) == pid
        }
        guard ended else { throw DeadlinePassed("the end of process \(pid)") }
        isReaped = true
        return Self.exitStatus(status)
    }

    package func outputBytes() throws(Errno) -> [UInt8] { try Self.contents(output) }
    package func errorBytes() throws(Errno) -> [UInt8] { try Self.contents(error) }
    package func outputText() throws(Errno) -> String {
        String(decoding: try outputBytes(), as: UTF8.self)
    }

    private static func contents(_ file: Descriptor) throws(Errno) -> [UInt8] {
        try file.read(count: Int(try file.status().sizeBytes), at: 0)
    }

    private static func exitStatus(_ status: Int32) -> Int32 {
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }

    private static func unnamedFile() throws(Errno) -> Descriptor {
        let name = "keyfold-output.\(getpid()).\(UInt64.random(in: 0 ... .max))"
        let directory = try Descriptor.open(path: "/tmp", OpenFlag.path | OpenFlag.directory)
        let file = try directory.open(FileName(name), OpenFlag.createNew, mode: 0o600)
        try directory.unlink(FileName(name))
        return file
    }

    private static func inheritedEnvironment() -> [String: String] {
        let bytes =
            (try? Descriptor.open(path: "/proc/self/environ", 0).readAll(limitBytes: 1 << 20))
        var all: [String: String] = [:]
        for entry in (bytes ?? []).split(separator: 0) {
            let text = String(decoding: entry, as: UTF8.self)
            guard let mark = text.firstIndex(of: "=") else { continue }
            all[String(text[..<mark])] = String(text[text.index(after: mark)...])
        }
        for name in ["KEYSTORE", "KMS", "PASSPHRASE_FILE", "KEY_FILE"] {
            all["KEYFOLD_" + name] = nil
        }
        all["LC_ALL"] = "C.UTF-8"
        return all
    }

    private static func spawn(
        _ words: [String], _ environment: [String], _ standard: [Int32]
    ) throws(Errno) -> Int32 {
        var actions = unsafe posix_spawn_file_actions_t()
        var pid: Int32 = 0
        // SAFETY: the actions are initialised here and destroyed below, and used in between only.
        unsafe posix_spawn_file_actions_init(&actions)
        defer { _ = unsafe posix_spawn_file_actions_destroy(&actions) }
        // Whoever runs the tests may ignore signals, and the threads of tests block them; programs
        // are to take them as they come.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { _ = unsafe posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD] {
            unsafe sigaddset(&signals, signal)
        }
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        var noSignals = sigset_t()
        unsafe sigemptyset(&noSignals)
        unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
        // POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK (spawn.h)
        unsafe posix_spawnattr_setflags(&attributes, 0x04 | 0x08)
        for (number, descriptor) in standard.enumerated() {
            unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
        }
        let code = unsafe withCStrings(words) { words in
            unsafe withCStrings(environment) { environment in
                // SAFETY: both lists end with nil and outlive the call.
                guard let program = unsafe words[0] else { return EINVAL }
                return unsafe posix_spawnp(&pid, program, &actions, &attributes, words, environment)
            }
        }
        guard code == 0 else { throw Errno(rawValue: code) }
        return pid
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = unsafe strings.map { unsafe strdup($0) }
        // SAFETY: each pointer came from strdup, and nobody else frees it.
        defer { unsafe pointers.forEach { unsafe free($0) } }
        return unsafe body(pointers + [nil])
    }
}

/// Whether a process exists and is not a zombie.
package func isRunning(_ pid: Int32) -> Bool {
    guard
        let bytes = try? Descriptor.open(path: "/proc/\(pid)/stat", 0).readAll(limitBytes: 4096)
    else { return false }
    let text = String(decoding: bytes, as: UTF8.self)
    return !(text.split(separator: ")").last?.hasPrefix(" Z") ?? true)
}

package enum Signal {
    package static let kill = SIGKILL
    package static let terminate = SIGTERM
    package static let interrupt = SIGINT
    package static let stop = SIGSTOP
    package static let goOn = SIGCONT

    package static func send(_ signal: Int32, to pid: Int32) {
        _ = Glibc.kill(pid, signal)
    }
}

package var runsAsRoot: Bool { geteuid() == 0 }
