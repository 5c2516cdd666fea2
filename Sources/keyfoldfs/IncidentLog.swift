import Console
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
