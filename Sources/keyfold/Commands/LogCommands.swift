import ArgumentParser
import Console
import KMSModel
import UsageLog

struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show who used which key, and for what.",
        discussion: """
            Every use of a key leaves one event, in CloudTrail's record shape with --json.
            TIME is a time span ago (15m, 2h, 7d), ISO 8601 in UTC (2026-11-23T20:15:00Z), or \
            local time (2026-11-23, '2026-11-23 20:15', 20:15).
            Example: keyfold log --since 1h --event Decrypt
            """,
        subcommands: [
            LogShow.self, LogVerify.self, LogAnchor.self, LogExport.self, LogPublicKey.self,
        ], defaultSubcommand: LogShow.self)
}

struct LogShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the events (what 'keyfold log' alone does).")

    @Option(help: ArgumentHelp("Only events from then on.", valueName: "time"))
    var since: PointInTime?

    @Option(help: ArgumentHelp("Only events before then.", valueName: "time"))
    var until: PointInTime?

    @Option(help: ArgumentHelp("Only uses of this key.", valueName: "key"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            "Only requests of this principal: its ARN, or the ARN's last part.",
            valueName: "principal"))
    var principal: String?

    @Option(help: ArgumentHelp("Only this operation, for example Decrypt.", valueName: "event"))
    var event: String?

    @Flag(help: "Go on with new events of all processes as they come.")
    var follow = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let filter = UsageLogFilter(
                since: since?.timestamp, until: until?.timestamp,
                keys: try keyNames(session), principal: principal, eventName: event)
            let reader = session.keystore.usageLog()
            let writer = LogWriter(isJSON: common.json, flushesEach: follow)
            do throws(UsageLogError) {
                if follow {
                    try reader.follow(filter, until: { writer.hasFailed }, writer.write)
                } else {
                    try reader.forEach(filter, writer.write)
                }
            } catch {
                throw Failure(error)
            }
        }
    }

    private func keyNames(_ session: Session) throws(Failure) -> Set<String> {
        try session.loggedNames(ofKey: key)
    }
}

extension Session {
    /// What the log calls a key: an alias means its key of today; ids and ARNs may be of keys that
    /// are deleted by now.
    func loggedNames(ofKey key: String?) throws(Failure) -> Set<String> {
        guard let key else { return [] }
        switch KeyReference(key) {
        case .keyID, .keyARN: return [key]
        case .alias, .aliasARN, nil: return [try keyID(of: key)]
        }
    }
}

/// Prints events as they come: the record itself, or a line for people.
private final class LogWriter {
    private let isJSON: Bool
    private let flushesEach: Bool
    private var hasHeading = false
    /// Whether nobody takes the events any more; the program's end says why.
    private(set) var hasFailed = false

    init(isJSON: Bool, flushesEach: Bool) {
        self.isJSON = isJSON
        self.flushesEach = flushesEach
    }

    func write(_ event: LoggedEvent) {
        if isJSON {
            print(String(decoding: event.json, as: UTF8.self))
        } else {
            if !hasHeading { print(LogLine.heading) }
            hasHeading = true
            print(LogLine.text(event))
        }
        guard flushesEach else { return }
        do throws(Failure) {
            try Output.flush()
        } catch {
            hasFailed = true
        }
    }
}

/// One event in columns of a fixed width, since a log is printed while it is read.
enum LogLine {
    static let heading = line("TIME", "EVENT", "WHO", "KEY", "WHAT")

    static func text(_ event: LoggedEvent) -> String {
        line(
            LocalTime.text(event.eventTime), event.eventName, who(event), key(event), what(event))
    }

    private static func line(
        _ time: String, _ event: String, _ who: String, _ key: String, _ what: String
    ) -> String {
        let columns = [(time, 19), (event, 20), (who, 26), (key, 12)].map { text, width in
            let text = Table.printable(text)
            return text + String(repeating: " ", count: max(0, width - text.count))
        }
        return columns.joined(separator: "  ") + (what.isEmpty ? "" : "  " + Table.printable(what))
    }

    private static func who(_ event: LoggedEvent) -> String {
        guard let uid = event.uid else {
            return event.principalARN.split(separator: ":").last.map(String.init) ?? ""
        }
        let pid = event.pid.map { "[\($0)]" } ?? ""
        return "uid \(uid) \(event.program ?? "?")\(pid)"
    }

    /// The first eight digits of the key's id, and the version.
    private static func key(_ event: LoggedEvent) -> String {
        let ids = event.keyARNs.compactMap { KeyARN($0)?.keyID.description }
        guard let id = ids.first else { return "" }
        return String(id.prefix(8)) + (event.keyVersion.map { " v\($0)" } ?? "")
    }

    private static func what(_ event: LoggedEvent) -> String {
        let file = event.encryptionContext.first { $0.name == "keyfold:file" }?.value
        let object = event.path ?? file.map { "file \($0)" }
        let error = event.errorCode.map { "REFUSED: \($0)" }
        let administered = event.administered.map { "\($0.name)=\($0.value)" }
        return ([event.fileOperation, object, error].compactMap(\.self) + administered)
            .joined(separator: " ")
    }
}
