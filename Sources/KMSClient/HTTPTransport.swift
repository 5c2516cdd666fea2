package import Cryptography
package import KMSWire
internal import Synchronization

/// An answer, whatever its status.
package struct HTTPResponse: Sendable {
    package let status: Int
    package let headers: [HTTPHeader]
    /// It may hold plaintext keys, so it is wiped with its last reference.
    package let body: SecretBytes

    package init(status: Int, headers: [HTTPHeader], body: SecretBytes) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first value of a header.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Whoever carries requests to a service; ``HTTPTransport`` but in tests.
package protocol HTTPPosting: Sendable {
    /// Sends one request and waits for its answer, at most until `deadline`.
    ///
    /// - Parameter isIdempotent: false for what must not be done twice: it gets a new connection,
    ///   since on an old one nobody can tell a closed connection from a lost answer.
    func post(
        headers: [HTTPHeader], body: [UInt8], deadline: ContinuousClock.Instant, isIdempotent: Bool
    ) throws(TransportError) -> HTTPResponse
}

/// Blocking HTTP requests to one endpoint, on libcurl. Thread-safe; every call ends by its deadline.
///
/// Connections are kept and used again, at most ``Options/maximumIdleConnections`` while nothing is
/// under way; at once there are as many as threads that call. Certificates are always verified.
/// Redirects are not followed, and proxies of the environment not used for this machine. Nothing is
/// ever logged here. libcurl's own memory is wiped when it is freed.
package final class HTTPTransport: HTTPPosting {
    package struct Options: Sendable {
        /// A file with the certificates to trust, instead of the system's.
        package var caFile: String?
        package var connectTimeout: Duration = .seconds(5)
        package var maximumResponseBytes = 1 << 20
        package var maximumIdleConnections = 8

        package init() {}
    }

    private let endpoint: Endpoint
    private let options: Options
    private let idle = Mutex<[EasyHandle]>([])

    package init(endpoint: Endpoint, options: Options = Options()) {
        self.endpoint = endpoint
        self.options = options
    }

    /// How many connections wait for the next request.
    package var idleConnections: Int { idle.withLock { $0.count } }

    package func post(
        headers: [HTTPHeader], body: [UInt8], deadline: ContinuousClock.Instant,
        isIdempotent: Bool = true
    ) throws(TransportError) -> HTTPResponse {
        let call = try HTTPCall(
            headers: headers, timeLeft: deadline - .now, connectTimeout: options.connectTimeout,
            isIdempotent: isIdempotent)
        let handle = try takeHandle()
        // A handle that failed has closed its connection, and may serve again.
        defer { giveBack(handle) }
        return try body.withRawSpan { (body) throws(TransportError) in
            try handle.perform(call, body: body)
        }
    }

    private func takeHandle() throws(TransportError) -> EasyHandle {
        if let handle = idle.withLock({ $0.popLast() }) { return handle }
        return try EasyHandle(endpoint: endpoint, options: options)
    }

    private func giveBack(_ handle: EasyHandle) {
        idle.withLock { if $0.count < options.maximumIdleConnections { $0.append(handle) } }
    }
}

/// One request, checked, but for its body.
struct HTTPCall: Sendable {
    /// As libcurl takes them: `Name: value`.
    let headerLines: [String]
    let timeoutMilliseconds: Int
    let connectTimeoutMilliseconds: Int
    let isIdempotent: Bool

    init(
        headers: [HTTPHeader], timeLeft: Duration, connectTimeout: Duration, isIdempotent: Bool
    ) throws(TransportError) {
        // Without "Expect:" a large body would first wait for the server's permission.
        var lines = ["Expect:"]
        for header in headers { lines.append(try Self.line(header)) }
        headerLines = lines
        timeoutMilliseconds = Self.milliseconds(timeLeft)
        guard timeoutMilliseconds > 0 else { throw .timedOut(wasSent: false) }
        connectTimeoutMilliseconds = max(
            1, min(timeoutMilliseconds, Self.milliseconds(connectTimeout)))
        self.isIdempotent = isIdempotent
    }

    private static func line(_ header: HTTPHeader) throws(TransportError) -> String {
        let isNameByte = { (byte: UInt8) in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
        }
        guard !header.name.isEmpty, header.name.utf8.allSatisfy(isNameByte),
            header.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
        else { throw .malformedHeader(String(header.name.prefix(64))) }
        // A header without a value would be taken for one to leave out.
        return header.value.isEmpty ? "\(header.name);" : "\(header.name): \(header.value)"
    }

    /// Rounded up, at most a day; zero for what is over.
    private static func milliseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        if duration <= .zero { return 0 }
        if seconds >= 86_400 { return 86_400_000 }
        return Int(seconds) * 1000
            + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
