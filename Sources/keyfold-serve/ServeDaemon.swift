import Console
import Glibc
import KMSCore
import KMSServer
import Logging
import Platform

/// What the command line asks for.
struct ServeSettings: Sendable {
    let listeners: [Listener]
    var limits: ServerLimits
    let quota: RequestQuota?
    let logLevel: Logger.Level
    let logFormat: LineLogHandler.Style

    var slowWorkLimits: SlowWorkLimits {
        SlowWorkLimits(
            requests: limits.workersAtOneSlowWork, together: limits.workersAtSlowWork,
            waitMilliseconds: ServerLimits.slowWorkWaitMilliseconds)
    }
}

/// Puts the parts together: keystore, host, server. Returns when the server has ended.
enum ServeDaemon {
    static func run(_ settings: ServeSettings, _ unlocking: Unlocking) async throws {
        var settings = settings
        let logger = logger(settings)
        fitIntoOpenFiles(&settings, logger)
        let keystore = try unlocking.open()
        defer { keystore.close() }
        let server = KeyServer(
            host: KeystoreHost(keystore: keystore), listeners: settings.listeners,
            limits: settings.limits, quota: settings.quota, clock: SystemWallClock(),
            logger: logger)
        let places = settings.listeners
        do {
            try await server.run { bound in
                for (place, listener) in zip(bound, places) {
                    logger.notice("\(listener.role == .keys ? "serving" : "numbers") at \(place)")
                }
            }
        } catch let error as ServerError {
            throw Failure(error)
        } catch {
            throw Failure(.unavailable, nil, "the server has stopped: \(error)")
        }
        logger.notice("ended")
    }

    /// Prints `export` lines for a client on this machine.
    static func printEnvironment(
        _ settings: ServeSettings, _ unlocking: Unlocking
    ) throws(Failure) {
        let keystore = try unlocking.open()
        defer { keystore.close() }
        for line in ClientEnvironment.lines(settings.listeners, region: keystore.scope.region) {
            print(line)
        }
        try Output.flush()
        // Not on standard output, which a shell evaluates.
        StandardError.line("credentials are made with: keyfold principal create NAME")
    }

    private static func logger(_ settings: ServeSettings) -> Logger {
        Logger(label: "keyfold-serve") { label in
            LineLogHandler(
                label: label, level: settings.logLevel, style: settings.logFormat,
                clock: SystemWallClock(), to: .init { StandardError.line($0) })
        }
    }

    /// Connections are descriptors: without enough of them nobody could be accepted, and the
    /// keystore could not be read either.
    private static func fitIntoOpenFiles(_ settings: inout ServeSettings, _ logger: Logger) {
        let own = 128
        let limit = OpenFileLimit.raise()
        let most = max(1, (limit - own) / max(1, settings.listeners.count))
        guard settings.limits.connections > most else { return }
        logger.warning("at most \(most) connections: only \(limit) files may be open (ulimit -n)")
        settings.limits.connections = most
    }
}

/// What a client's environment needs to hold.
enum ClientEnvironment {
    static func lines(_ listeners: [Listener], region: String) -> [String] {
        var variables: [(String, String)] = []
        for listener in listeners where listener.role == .keys {
            guard case .network(let host, let port) = listener.place else { continue }
            let scheme = listener.tls == nil ? "http" : "https"
            // An address that stands for all of the machine's is none to connect to.
            let name = ["0.0.0.0", "::"].contains(host) ? "localhost" : host
            let place = Listener.Place.network(host: name, port: port)
            variables.append(("AWS_ENDPOINT_URL_KMS", "\(scheme)://\(place)"))
            if let tls = listener.tls {
                variables.append(("AWS_CA_BUNDLE", FilePaths.absolute(tls.certificates)))
            }
            break
        }
        variables.append(("AWS_REGION", region))
        // Version 1 of the aws CLI knows this one only.
        variables.append(("AWS_DEFAULT_REGION", region))
        return variables.map { "export \($0.0)=\(quoted($0.1))" }
    }

    /// For a POSIX shell.
    private static func quoted(_ text: String) -> String {
        "'"
            + text.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: "'\\''")
            + "'"
    }
}

extension Failure {
    init(_ error: ServerError) {
        switch error {
        case .unusableTLS(let path, let reason):
            self.init(.damagedData, path, "this can't be used for TLS: \(reason)")
        case .unusableTLSPair(let reason):
            self.init(.damagedData, nil, "certificate and key don't fit: \(reason)")
        case .cannotListen(let place, let reason):
            self.init(
                .unavailable, place, "can't listen here: \(reason)",
                wayOut: "choose another with --listen or --unix")
        case .socketInUse(let path):
            self.init(
                .busy, path, "another server has this socket, or the file is something else",
                wayOut: "choose another with --unix, or remove it")
        }
    }
}
