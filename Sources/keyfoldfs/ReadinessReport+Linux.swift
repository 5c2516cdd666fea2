import Console
import Glibc
import Platform

/// How a daemon tells the process that was started in the foreground that its mount answers.
///
/// The program splits in two before it starts any thread. The child keeps the terminal until it
/// is ready, so that it can ask for the passphrase and say itself what is wrong; the parent only
/// waits, and ends as the child says: successfully once the mount answers, else with the child's
/// exit status. No secret passes between the two.
final class ReadinessReport: Sendable {
    private let channel: Descriptor

    private init(_ channel: Descriptor) {
        self.channel = channel
    }

    /// Returns in the child only; the parent never comes back.
    static func splitProcess() throws(Failure) -> ReadinessReport {
        var ends: [Int32] = [-1, -1]
        do throws(Errno) {
            // A pair of sockets, since Swift sees no pipe2(2) and programs that libfuse starts must
            // not inherit an end.
            let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
            // SAFETY: the array has room for the two descriptors.
            try systemCall { unsafe socketpair(AF_UNIX, type, 0, &ends) }
            let child = try systemCall { fork() }
            let reader = Descriptor(adopting: ends[0])
            let writer = Descriptor(adopting: ends[1])
            if child == 0 { return ReadinessReport(writer) }
            close(ends[1])
            awaitReport(reader, from: child)
        } catch {
            throw Failure(.unavailable, nil, "the daemon can't be started: \(error)")
        }
    }

    /// Lets go of the terminal and tells the parent that all is well.
    ///
    /// - Returns: false when the parent was killed meanwhile. Whoever did that did not want a
    ///   mount, and nobody would know of it.
    func mountAnswers() -> Bool {
        setsid()
        // SAFETY: a C string for the length of the call.
        unsafe chdir("/")
        if let null = try? Descriptor.open(path: "/dev/null", O_RDWR) {
            for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] {
                dup2(null.rawValue, stream)
            }
        }
        return (try? channel.append([1])) != nil
    }

    private static func awaitReport(_ reader: Descriptor, from child: pid_t) -> Never {
        var byte: UInt8 = 0
        // SAFETY: one byte is read into one byte.
        if (try? systemCall { unsafe read(reader.rawValue, &byte, 1) }) == 1 {
            _exit(ExitStatus.success.rawValue)
        }
        _exit(ChildProcess.wait(for: child))
    }
}
