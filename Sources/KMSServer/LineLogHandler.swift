package import KMSModel
package import Logging

/// One line for each message: as JSON for whoever collects them, or as words for people.
package struct LineLogHandler: LogHandler {
    package enum Style: String, CaseIterable, Sendable {
        case json, text
    }

    package var metadata = Logger.Metadata()
    package var logLevel: Logger.Level
    private let label: String
    private let style: Style
    private let clock: any WallClock
    private let write: Writer

    /// Where lines go. It may be called from several threads at once, each time with one whole line.
    package struct Writer: Sendable {
        fileprivate let write: @Sendable (String) -> Void

        package init(_ write: @escaping @Sendable (String) -> Void) {
            self.write = write
        }
    }

    package init(
        label: String, level: Logger.Level, style: Style, clock: any WallClock, to writer: Writer
    ) {
        self.label = label
        logLevel = level
        self.style = style
        self.clock = clock
        write = writer
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let time = clock.now().iso8601
        switch style {
        case .text:
            let pairs = all.map { " \($0.key)=\(Self.oneLine("\($0.value)"))" }.joined()
            write.write(
                "\(time) \(event.level) \(label): \(Self.oneLine("\(event.message)"))\(pairs)")
        case .json:
            let pairs =
                [
                    ("time", time), ("level", event.level.rawValue), ("logger", label),
                    ("message", "\(event.message)"),
                ] + all.map { ($0.key, "\($0.value)") }
            let members = pairs.map { "\(Self.quoted($0.0)):\(Self.quoted($0.1))" }
            write.write("{\(members.joined(separator: ","))}")
        }
    }

    /// What strangers sent must not begin a line of its own.
    private static func oneLine(_ text: String) -> String {
        String(text.unicodeScalars.map { $0.value < 0x20 ? " " : Character($0) })
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\0"..<" ":
                let hex = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
