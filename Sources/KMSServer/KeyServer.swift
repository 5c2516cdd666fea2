internal import HummingbirdCore
internal import HummingbirdTLS
package import KMSModel
package import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import ServiceLifecycle
internal import Synchronization

/// AWS KMS's protocol over HTTP/1.1 on any number of listeners, for one host.
///
/// Hummingbird accepts connections and ends them, NIO reads and writes HTTP. Requests are carried
/// out on a few threads of the server's own; nothing waits without a bound (``ServerLimits``).
package final class KeyServer: Sendable {
    private let parts: ServerParts
    private let listeners: [Listener]
    private let group = Mutex<ServiceGroup?>(nil)

    package init(
        host: any KeyServiceHost, listeners: [Listener], limits: ServerLimits = ServerLimits(),
        quota: RequestQuota? = nil, clock: any WallClock,
        registry: PrometheusRegistry = PrometheusRegistry(), logger: Logger
    ) {
        let metrics = ServerMetrics(registry)
        parts = ServerParts(
            host: host, processor: RequestProcessor(host: host, quota: quota), limits: limits,
            pool: RequestPool(limits, metrics),
            budget: BodyBudget(limitBytes: limits.bodyBytesInFlight), metrics: metrics,
            registry: registry, clock: clock, logger: logger)
        self.listeners = listeners
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP, or ``stop()``. Then it takes no more connections, closes
    /// those that are idle, and waits for requests that are under way as long as they may have.
    ///
    /// Call it once.
    ///
    /// - Parameter onListening: called when all listeners accept connections, with their places in
    ///   order; a port that was 0 has its number.
    /// - Throws: ``ServerError`` when a listener can't begin; what went wrong with one that had
    ///   begun.
    package func run(onListening: @escaping @Sendable ([Listener.Place]) -> Void) async throws {
        let places = BoundPlaces(count: listeners.count, whenComplete: onListening)
        var services: [any Service] = []
        for (index, listener) in listeners.enumerated() {
            services.append(try await service(for: listener) { places.set($0, at: index) })
        }
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint, .sighup],
            logger: quietLogger)
        configuration.maximumGracefulShutdownDuration = .seconds(parts.limits.graceSeconds)
        let group = ServiceGroup(configuration: configuration)
        self.group.withLock { $0 = group }
        do {
            try await group.run()
        } catch {
            await finishWork()
            throw error
        }
        await finishWork()
    }

    private func finishWork() async {
        guard await !parts.pool.shutDown() else { return }
        parts.logger.error("a request is still being carried out; the server ends without it")
    }

    /// Begins the end, as a signal does.
    package func stop() async {
        let group = group.withLock { $0 }
        await group?.triggerGracefulShutdown()
    }

    /// What the libraries say of their own comings and goings is not for everyone's log.
    private var quietLogger: Logger {
        var logger = parts.logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }

    // MARK: Listeners

    private func service(
        for listener: Listener, onListening: @escaping @Sendable (Listener.Place) -> Void
    ) async throws -> any Service {
        let base = KeyChannel(server: parts, listener: listener)
        let channel: any ServerChildChannel =
            if let files = listener.tls { try base.with(files) } else { base }
        let address: BindAddress
        switch listener.place {
        case .network(let host, let port): address = .hostname(host, port: port)
        case .socket(let path, _):
            try await UnixSocket(path: path).checkFree()
            address = .unixDomainSocket(path: path)
        }
        let server = channel.server(
            configuration: ServerConfiguration(
                address: address,
                availableConnectionsDelegate: ConnectionCount(
                    limit: parts.limits.connections, parts.metrics)),
            onServerRunning: { [parts] channel in
                if case .socket(let path, let mode) = listener.place {
                    parts.open(UnixSocket(path: path), to: mode)
                }
                onListening(listener.place.bound(as: channel.localAddress))
            }, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quietLogger)
        return ListeningService(server: server, place: listener.place)
    }
}

extension ServerParts {
    fileprivate func open(_ socket: UnixSocket, to mode: UInt32) {
        do {
            try socket.setMode(mode)
        } catch {
            logger.error("\(socket.path): only this user can connect: chmod failed: \(error)")
        }
    }
}

/// A listener's server, whose failure to begin names the place.
private struct ListeningService: Service {
    let server: any Service
    let place: Listener.Place

    func run() async throws {
        do {
            try await server.run()
        } catch let error as IOError {
            throw ServerError.cannotListen(place: "\(place)", reason: "\(error)")
        } catch let error as SocketAddressError {
            throw ServerError.cannotListen(place: "\(place)", reason: "\(error)")
        }
    }
}

/// The places of all listeners, once each has one.
private final class BoundPlaces: Sendable {
    private struct State {
        var places: [Listener.Place?]
    }

    private let state: Mutex<State>
    private let whenComplete: @Sendable ([Listener.Place]) -> Void

    init(count: Int, whenComplete: @escaping @Sendable ([Listener.Place]) -> Void) {
        state = Mutex(State(places: Array(repeating: nil, count: count)))
        self.whenComplete = whenComplete
    }

    var bound: [Listener.Place] { state.withLock { $0.places.compactMap { $0 } } }

    func set(_ place: Listener.Place, at index: Int) {
        let all = state.withLock { state in
            state.places[index] = place
            return state.places
        }
        let known = all.compactMap { $0 }
        if known.count == all.count { whenComplete(known) }
    }
}

extension Listener.Place: CustomStringConvertible {
    package var description: String {
        switch self {
        case .network(let host, let port):
            host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .socket(let path, _): path
        }
    }

    fileprivate func bound(as address: SocketAddress?) -> Listener.Place {
        guard case .network(let host, _) = self, let port = address?.port else { return self }
        return .network(host: host, port: port)
    }
}

extension KeyChannel {
    /// TLS 1.2 and later.
    fileprivate func with(_ files: TLSFiles) throws(ServerError) -> TLSChannel<KeyChannel> {
        let certificates: [NIOSSLCertificate]
        do {
            certificates = try NIOSSLCertificate.fromPEMFile(files.certificates)
        } catch {
            throw .unusableTLS(path: files.certificates, reason: "\(error)")
        }
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(file: files.key, format: .pem)
        } catch {
            throw .unusableTLS(path: files.key, reason: "\(error)")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        do {
            // Made here as well, so that a key that does not fit is found before the start.
            _ = try NIOSSLContext(configuration: configuration)
            return try TLSChannel(self, tlsConfiguration: configuration)
        } catch {
            throw .unusableTLSPair(reason: "\(error)")
        }
    }
}
