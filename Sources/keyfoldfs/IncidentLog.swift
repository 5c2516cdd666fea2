import Glibc
import KMSCore
import Logging
import Platform
import Synchronization

/// Where the daemon's messages go.
enum IncidentLog {
    /// Sets up the process's loggers; call it once, before the first logger is made.
    static func start(_ target: IncidentTarget) {
        LoggingSystem.bootstrap { label in
            switch target {
            case .standardError: IncidentHandler(label) { _, text in StandardError.line(text) }
            case .systemLog: IncidentHandler(label, write: SystemLog.write)
            case .file(let file): IncidentHandler(label) { _, text in file.write(text) }
            }
        }
    }
}

enum IncidentTarget: Sendable {
    case standardError
    /// syslog(3), which the journal reads as well.
    case systemLog
    case file(LogFile)
}

/// One line for each message: where and when are the target's to add.
private struct IncidentHandler: LogHandler {
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.notice
    private let label: String
    private let write: @Sendable (Logger.Level, String) -> Void

    init(_ label: String, write: @escaping @Sendable (Logger.Level, String) -> Void) {
        self.label = label
        self.write = write
    }

    func log(event: LogEvent) {
        write(event.level, "\(label): \(event.message)")
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
}

/// syslog(3).
private enum SystemLog {
    static func write(_ level: Logger.Level, _ text: String) {
        // The facility LOG_DAEMON and its levels (syslog(3)); Swift sees no such macros.
        let facility: Int32 = 3 << 3
        // SAFETY: the format takes one C string, and that one lives for the call.
        unsafe text.withCString { text in
            unsafe withVaList([text]) { unsafe vsyslog(facility | number(level), "%s", $0) }
        }
    }

    private static func number(_ level: Logger.Level) -> Int32 {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }
}

/// A file that messages are appended to, each with its time.
final class LogFile: Sendable {
    private let file: Descriptor

    init(path: String) throws(Failure) {
        do throws(Errno) {
            file = try Descriptor.open(
                path: path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o640)
        } catch {
            throw Failure(ExitStatus(error), path, "the log file can't be opened: \(error)")
        }
    }

    func write(_ text: String) {
        // A message that can't be written must not stop the mount.
        _ = try? file.append(Array("\(SystemWallClock().now().iso8601) \(text)\n".utf8))
    }
}
