/// Where requests are sent: an HTTP server, by TCP or by a socket of this machine.
package struct Endpoint: Sendable, Hashable {
    package enum Carrier: Sendable, Hashable {
        case tls
        /// Without encryption: to this machine only, unless it was allowed.
        case cleartext
        /// A Unix socket's path, absolute, at most 107 bytes (unix(7)).
        case unixSocket(path: String)
    }

    package enum Fault: Error, Hashable, Sendable {
        /// The text is none of the forms; which part of it is wrong.
        case malformed(String)
        /// Plaintext keys would cross a network in the open.
        case cleartext(host: String)

        package var message: String {
            switch self {
            case .malformed(let part): "the endpoint's \(part) is malformed"
            case .cleartext(let host):
                "http:// to \(host) would send plaintext keys over the network in the open; "
                    + "use https://"
            }
        }
    }

    package let carrier: Carrier
    /// Without brackets.
    package let host: String
    /// nil for the carrier's default, 443 or 80.
    package let port: UInt16?
    /// Begins with `/`.
    package let path: String

    /// Reads `https://HOST[:PORT][/PATH]`, `http://…` or `unix:///PATH/TO/SOCKET`.
    ///
    /// - Parameter allowsCleartext: lets `http://` leave this machine.
    package init(_ text: String, allowsCleartext: Bool = false) throws(Fault) {
        guard let cut = text.firstRange(of: "://") else { throw .malformed("scheme") }
        let rest = text[cut.upperBound...]
        switch text[..<cut.lowerBound].lowercased() {
        case "https": try self.init(.tls, rest)
        case "http": try self.init(.cleartext, rest)
        case "unix": try self.init(socketPath: String(rest))
        default: throw .malformed("scheme")
        }
        if carrier == .cleartext, !isLoopback, !allowsCleartext { throw .cleartext(host: host) }
    }

    private init(socketPath: String) throws(Fault) {
        guard socketPath.hasPrefix("/"), (2...107).contains(socketPath.utf8.count),
            !socketPath.utf8.contains(0)
        else { throw .malformed("socket path") }
        self.init(.unixSocket(path: socketPath), host: "localhost", port: nil, path: "/")
    }

    private init(_ carrier: Carrier, _ text: Substring) throws(Fault) {
        let cut = text.firstIndex(of: "/") ?? text.endIndex
        let (host, port) = try Self.hostAndPort(text[..<cut])
        let path = String(text[cut...])
        guard path.utf8.allSatisfy(Self.isPathByte) else { throw .malformed("path") }
        self.init(carrier, host: host, port: port, path: path.isEmpty ? "/" : path)
    }

    private init(_ carrier: Carrier, host: String, port: UInt16?, path: String) {
        self.carrier = carrier
        self.host = host
        self.port = port
        self.path = path
    }

    /// The same with another host.
    func withHost(_ host: String) -> Endpoint {
        Endpoint(carrier, host: host, port: port, path: path)
    }

    /// What the Host header says; it is signed, so it is sent exactly so.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        let standard: UInt16 = carrier == .tls ? 443 : 80
        guard let port, port != standard else { return name }
        return "\(name):\(port)"
    }

    /// The URL that libcurl is given; beside a socket its host is only a name.
    var url: String { "\(carrier == .tls ? "https" : "http")://\(authority)\(path)" }

    /// Whether requests stay on this machine.
    package var isLoopback: Bool {
        if case .unixSocket = carrier { return true }
        if host == "localhost" || host == "::1" { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers[0] == "127"
            && numbers.allSatisfy { UInt8($0) != nil && $0.utf8.allSatisfy { $0 != 0x2B } }
    }
}

// MARK: - Parts of a URL (RFC 3986 §3.2)

extension Endpoint {
    private static func hostAndPort(
        _ authority: Substring
    ) throws(Fault) -> (host: String, port: UInt16?) {
        var host = authority
        var port: UInt16?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw .malformed("host") }
            host = authority[authority.index(after: authority.startIndex)..<end]
            guard host.contains(":"), host.utf8.allSatisfy(isAddressByte) else {
                throw .malformed("host")
            }
            port = try Self.port(authority[authority.index(after: end)...])
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            port = try Self.port(authority[colon...])
        }
        guard (1...253).contains(host.utf8.count), host.utf8.allSatisfy(isHostByte) else {
            throw .malformed("host")
        }
        return (host.lowercased(), port)
    }

    /// `:PORT`, or nothing.
    private static func port(_ text: Substring) throws(Fault) -> UInt16? {
        if text.isEmpty { return nil }
        let digits = text.dropFirst()
        guard text.hasPrefix(":"), digits.utf8.allSatisfy(isDigit), let port = UInt16(digits),
            port > 0
        else { throw .malformed("port") }
        return port
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        isLetterOrDigit(byte) || "-.:_".utf8.contains(byte)
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
            || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
    }

    private static func isPathByte(_ byte: UInt8) -> Bool {
        isLetterOrDigit(byte) || "/-._~%!$&'()*+,;=:@".utf8.contains(byte)
    }
}

extension Endpoint: CustomStringConvertible {
    package var description: String {
        if case .unixSocket(let path) = carrier { "unix://\(path)" } else { url }
    }
}
