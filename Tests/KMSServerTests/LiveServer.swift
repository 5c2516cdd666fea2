import Foundation
import Glibc
import KMSModel
import KMSServer
import KMSWire
import TestSupport

/// The server as a process of its own (Tests/ServerFixture), until the end of a test.
final class LiveServer {
    let process: ChildProcess
    /// Where it listens, in the order of the options.
    let places: [String]

    /// - Parameter options: as Tests/ServerFixture takes them; a listener on a free port of the
    ///   loopback comes first.
    init(_ options: String..., shell: String? = nil) throws {
        let program = Program.directory + "/ServerFixture"
        let words = [program, "listen=127.0.0.1:0"] + options
        let command =
            shell.map { Command(["/bin/sh", "-c", $0 + "; exec \"$@\"", "sh"] + words) }
            ?? Command(words)
        let process = try command.start()
        self.process = process
        let isReady = Deadline.wait(seconds: 60) {
            let output = (try? process.outputText()) ?? ""
            return output.contains("ready\n") || output.contains("failed")
        }
        let output = try process.outputText()
        guard isReady, output.contains("ready\n") else {
            throw DeadlinePassed("a server: \(output)")
        }
        places = output.split(separator: "\n").map(String.init).filter { $0 != "ready" }
    }

    var port: UInt16 {
        places.first?.split(separator: ":").last.flatMap { UInt16($0) } ?? 0
    }

    var url: String { "http://127.0.0.1:\(port)" }

    func connect(to port: UInt16? = nil) throws -> RawConnection {
        try RawConnection(port: port ?? self.port)
    }

    /// One request on a connection of its own.
    func exchange(_ request: String) throws -> RawAnswer {
        let connection = try connect()
        try connection.send(request)
        return try connection.answer()
    }

    /// Waits until one request is being carried out, by the server's own numbers.
    func hasRequestUnderWay() throws -> Bool {
        try Deadline.wait(seconds: 10) {
            try exchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").body
                .contains("keyfold_requests_in_flight 1\n")
        }
    }

    /// Whether it still serves, by a request of good form.
    func isServing() throws -> Bool {
        try exchange(Signed.request()).status == 200
    }
}

/// Requests as text, signed for the fixture's one access key at the present time.
enum Signed {
    static func request(
        _ target: String = "ListKeys", body: String = "{}", region: String = "us-east-1",
        more: [HTTPHeader] = []
    ) -> String {
        text(head(target, body: body, region: region, more: more), body)
    }

    static func head(
        _ target: String = "ListKeys", body: String = "{}", region: String = "us-east-1",
        more: [HTTPHeader] = []
    ) -> HTTPRequestHead {
        var head = HTTPRequestHead(
            headers: [
                HTTPHeader("Host", "localhost"), HTTPHeader("User-Agent", "raw/1"),
                HTTPHeader("X-Amz-Target", "TrentService.\(target)"),
                HTTPHeader("Content-Type", "application/x-amz-json-1.1"),
            ] + more)
        head.headers += SigV4Signer(region: region).headers(
            for: head, body: Array(body.utf8),
            credentials: AWSCredentials(
                accessKeyID: "AKIAIOSFODNN7EXAMPLE",
                secretAccessKey: secretBytes("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
            at: Timestamp(secondsSinceEpoch: Int64(Date().timeIntervalSince1970)))
        return head
    }

    static func text(_ head: HTTPRequestHead, _ body: String, length: Int? = nil) -> String {
        let headers = head.headers.map { "\($0.name): \($0.value)\r\n" }.joined()
        return "\(head.method) \(head.path) HTTP/1.1\r\n\(headers)"
            + "Content-Length: \(length ?? body.utf8.count)\r\n\r\n\(body)"
    }
}

struct RawAnswer {
    let status: Int
    let headers: [String: String]
    let body: String
}

/// A TCP connection without any protocol, whose reads end after a bounded time.
final class RawConnection {
    private let socket: Int32
    private var received: [UInt8] = []

    struct Failed: Error {
        let what: String
        let errno: Int32
    }

    private static let timeoutSeconds = 30

    init(port: UInt16) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw Failed(what: "socket", errno: Glibc.errno) }
        var timeout = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        // SAFETY: the values outlive the calls, which read as many bytes as they are told.
        _ = unsafe setsockopt(
            socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        _ = unsafe setsockopt(
            socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw Failed(what: "connect", errno: Glibc.errno) }
    }

    deinit { close(socket) }

    func send(_ text: String) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            // SAFETY: the call reads `count` bytes of the array.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(
                    socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failed(what: "send", errno: Glibc.errno) }
            bytes = bytes.dropFirst(count)
        }
    }

    func endSending() { shutdown(socket, Int32(SHUT_WR)) }

    /// Lets the server read what was sent; after this the connection's end is a reset.
    func prepareReset() {
        usleep(3000)
        var lingering = linger(l_onoff: 1, l_linger: 0)
        // SAFETY: the value outlives the call, which reads as many bytes as it is told.
        _ = unsafe setsockopt(
            socket, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<linger>.size))
    }

    /// More bytes; false at the end of the connection.
    private func receive() throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        // SAFETY: the call writes at most `count` bytes to the array.
        let count = unsafe buffer.withUnsafeMutableBytes {
            unsafe recv(
                socket, $0.baseAddress, $0.count, 0)
        }
        if count < 0, Glibc.errno == ECONNRESET { return false }
        guard count >= 0 else { throw Failed(what: "recv", errno: Glibc.errno) }
        received += buffer.prefix(count)
        return count > 0
    }

    /// Reads up to the end of the connection.
    func isClosedByPeer() throws -> Bool {
        while try receive() {}
        return true
    }

    /// One answer with its body.
    func answer(withoutBody: Bool = false) throws -> RawAnswer {
        let mark = Array("\r\n\r\n".utf8)
        var end: Int?
        while end == nil {
            end = received.firstRange(of: mark)?.lowerBound
            if end == nil, try !receive() {
                throw Failed(what: "the connection ended before an answer", errno: 0)
            }
        }
        let lines = String(decoding: received[..<(end ?? 0)], as: UTF8.self).components(
            separatedBy: "\r\n")
        received.removeFirst((end ?? 0) + mark.count)
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        let status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        let length = withoutBody || status == 100 ? 0 : Int(headers["content-length"] ?? "") ?? 0
        while received.count < length {
            guard try receive() else { throw Failed(what: "a body is cut short", errno: 0) }
        }
        let body = String(decoding: received.prefix(length), as: UTF8.self)
        received.removeFirst(length)
        return RawAnswer(status: status, headers: headers, body: body)
    }
}

extension RawAnswer {
    /// The exception that it carries.
    var error: WireError? { JSONCodec.decodeError(body: Array(body.utf8)) }
}
