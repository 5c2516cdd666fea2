// A server before EchoService, for tests of the server as a process.
//
// ServerFixture NAME=VALUE…: listen=HOST:PORT socket=PATH metrics=HOST:PORT tls-cert= tls-key=
// throttle=RULE and the limits by their names. It prints its places, one a line, then "ready";
// SIGUSR1 makes the host unready.
import Glibc
import KMSModel
import KMSServer
import Logging
import Platform

struct SystemClock: WallClock {
    func now() -> Timestamp {
        var time = timespec()
        // SAFETY: `time` outlives the call.
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(
            millisecondsSinceEpoch: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}

/// What signals and other threads reach.
enum Switches {
    static let standardError = Descriptor(adopting: STDERR_FILENO)
    static let unreadiness = EchoHost.Unreadiness()
}

func printLine(_ text: String) {
    print(text)
    fflush(nil)
}

let options = CommandLine.arguments.dropFirst().map { word in
    let mark = word.firstIndex(of: "=") ?? word.endIndex
    return (name: String(word[..<mark]), value: String(word[mark...].dropFirst()))
}
func values(_ name: String) -> [String] { options.filter { $0.name == name }.map(\.value) }
func number(_ name: String) -> Int? { values(name).last.flatMap { Int($0) } }
func place(_ text: String) -> Listener.Place {
    let mark = text.lastIndex(of: ":") ?? text.startIndex
    return .network(
        host: String(text[..<mark]), port: Int(text[text.index(after: mark)...]) ?? 0)
}

let tls = values("tls-cert").last.map {
    TLSFiles(certificates: $0, key: values("tls-key").last ?? "")
}
var limits = ServerLimits()
limits.connections = number("connections") ?? limits.connections
limits.workers = number("workers") ?? limits.workers
limits.requestsInFlight = number("requests") ?? limits.requestsInFlight
limits.bodyBytesInFlight = number("body-bytes") ?? limits.bodyBytesInFlight
limits.idleSeconds = number("idle") ?? limits.idleSeconds
limits.transferSeconds = number("transfer") ?? limits.transferSeconds
limits.answerSeconds = number("answer") ?? limits.answerSeconds
limits.graceSeconds = number("grace") ?? limits.graceSeconds

var table = QuotaTable()
for rule in values("throttle") { precondition(table.apply(rule), "a rule: \(rule)") }

signal(SIGUSR1) { _ in Switches.unreadiness.isUnready.store(true, ordering: .relaxed) }

let listeners =
    values("listen").map { Listener(place($0), tls: tls) }
    + values("socket").map { Listener(.socket(path: $0, mode: 0o666)) }
    + values("metrics").map { Listener(place($0), role: .numbers) }
let server = KeyServer(
    host: EchoHost(unreadiness: Switches.unreadiness), listeners: listeners, limits: limits,
    quota: table.rates.isEmpty ? nil : RequestQuota(table), clock: SystemClock(),
    logger: Logger(label: "fixture") { label in
        LineLogHandler(
            label: label, level: .info, style: .json, clock: SystemClock(),
            to: .init { line in
                _ = try? Switches.standardError.append(Array((line + "\n").utf8))
            })
    })
do {
    try await server.run { places in
        for place in places { printLine("\(place)") }
        printLine("ready")
    }
} catch {
    printLine("failed: \(error)")
    exit(1)
}
printLine("ended")
