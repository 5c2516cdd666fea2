import ArgumentParser
import Console
import Glibc
import KMSServer
import Platform

struct LimitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Open connections of each listener.", valueName: "n"))
    var maxConnections = ServerLimits().connections

    @Option(
        help: ArgumentHelp(
            "Requests under way at once; more are told that the service is busy.", valueName: "n"))
    var maxRequests = ServerLimits().requestsInFlight

    @Option(help: ArgumentHelp("Threads that carry requests out.", valueName: "n"))
    var workers = ServerLimits().workers

    @Option(help: ArgumentHelp("Close a connection that asks nothing.", valueName: "seconds"))
    var idleTimeout = ServerLimits().idleSeconds

    @Option(
        help: ArgumentHelp("For a body to come, and an answer to go.", valueName: "seconds"))
    var transferTimeout = ServerLimits().transferSeconds

    @Option(help: ArgumentHelp("For a request to be carried out.", valueName: "seconds"))
    var requestTimeout = ServerLimits().answerSeconds

    @Option(
        help: ArgumentHelp("For requests under way when the server ends.", valueName: "seconds"))
    var grace = ServerLimits().graceSeconds

    @Option(
        help: ArgumentHelp(
            "Throttle each principal: CLASS=RATE in requests a second, or 'aws' for AWS's quotas; "
                + "may be given again.", valueName: "rule"))
    var throttle: [String] = []

    @Option(
        help: ArgumentHelp("A file of such rules, one a line.", valueName: "file"),
        completion: .file())
    var throttleFile: String?

    func limits() throws(Failure) -> ServerLimits {
        var limits = ServerLimits()
        limits.connections = try Self.check(maxConnections, 1...100_000, "--max-connections")
        limits.requestsInFlight = try Self.check(maxRequests, 1...100_000, "--max-requests")
        limits.workers = try Self.check(workers, 1...256, "--workers")
        limits.idleSeconds = try Self.check(idleTimeout, 1...3600, "--idle-timeout")
        limits.transferSeconds = try Self.check(transferTimeout, 1...3600, "--transfer-timeout")
        limits.answerSeconds = try Self.check(requestTimeout, 1...3600, "--request-timeout")
        limits.graceSeconds = try Self.check(grace, 1...3600, "--grace")
        return limits
    }

    private static func check(
        _ number: Int, _ range: ClosedRange<Int>, _ option: String
    ) throws(Failure) -> Int {
        guard range.contains(number) else {
            throw Failure(
                .usage, option, "\(number) is not from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// nil when nobody is throttled.
    func quota() throws(Failure) -> RequestQuota? {
        var table = QuotaTable()
        if let throttleFile {
            if let line = table.apply(fileText: try Self.contents(of: throttleFile)) {
                throw Failure(
                    .usage, "\(throttleFile):\(line)", "this is no rule", wayOut: Self.form)
            }
        }
        for rule in throttle where !table.apply(rule) {
            throw Failure(.usage, rule, "this is no rule", wayOut: Self.form)
        }
        return table.rates.isEmpty ? nil : RequestQuota(table)
    }

    private static func contents(of path: String) throws(Failure) -> String {
        do throws(Errno) {
            let bytes = try Descriptor.open(path: path, O_RDONLY).readAll(limitBytes: 1 << 16)
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            throw Failure(ExitStatus(error), path, "the file can't be read: \(error)")
        }
    }

    private static let form =
        "'aws', or CLASS=RATE with a class of "
        + OperationClass.all.prefix(6).map(\.name).joined(separator: ", ")
        + ", … or a management operation such as CreateKey"
}
