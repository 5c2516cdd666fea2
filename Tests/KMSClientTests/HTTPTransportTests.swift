import Cryptography
import Dispatch
import KMSClient
import KMSWire
import Synchronization
import TestSupport
import Testing

@Suite struct HTTPTransportTests {
    private let server: TestServer

    init() throws {
        server = try TestServer()
    }

    private func post(
        _ path: String, _ body: [UInt8] = [1, 2, 3], seconds: Double = 30
    ) throws -> HTTPResponse {
        try server.transport(path).post(headers: [], body: body, deadline: soon(seconds))
    }

    // MARK: Answers

    @Test(arguments: [0, 1, 1000, 100_000, 1_000_000])
    func `a body comes back as it was sent`(_ count: Int) throws {
        let body = pattern(count, seed: 5)
        let response = try post("/echo", body)
        #expect(response.status == 200)
        #expect(exposed(response.body) == body)
        #expect(response.header("x-amzn-requestid") == "abc")
    }

    @Test func `headers and path arrive exactly as given`() throws {
        let transport = try server.transport("/inspect/a%2fb")
        let response = try transport.post(
            headers: [
                HTTPHeader("Host", "kms.example"), HTTPHeader("X-Amz-Target", "TrentService.X"),
                HTTPHeader("X-Empty", ""),
            ], body: Array("{}".utf8), deadline: soon())
        let seen = try JSON(String(decoding: exposed(response.body), as: UTF8.self))
        #expect(seen["method"].string == "POST")
        #expect(seen["path"].string == "/inspect/a%2fb")
        #expect(seen["body"].string == "7b7d")
        var headers: [String: String] = [:]
        for pair in seen["headers"].list {
            headers[try #require(pair[0].string)] = pair[1].string
        }
        #expect(headers["Host"] == "kms.example")
        #expect(headers["X-Amz-Target"] == "TrentService.X")
        #expect(headers["X-Empty"] == "")
        #expect(headers["Content-Length"] == "2")
        #expect(headers["Expect"] == nil)
    }

    @Test(arguments: [400, 403, 500, 503])
    func `an answer of any status is an answer`(_ status: Int) throws {
        let response = try post("/status/\(status)")
        #expect(response.status == status)
        #expect(exposed(response.body) == Array(#"{"__type":"X"}"#.utf8))
    }

    @Test func `a redirect is not followed`() throws {
        #expect(try post("/redirect").status == 302)
    }

    @Test func `what is announced before the answer is no part of it`() throws {
        let response = try post("/continued")
        #expect(response.status == 200)
        #expect(response.header("X-Early") == nil)
        #expect(exposed(response.body) == Array("ok".utf8))
    }

    // MARK: Failures

    @Test func `nobody who listens is found out at once, and nothing was sent`() throws {
        try server.stop()
        let error = try #require(throws: TransportError.self) { try post("/echo") }
        guard case .unreachable(let detail) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(detail.contains("Failed to connect"))
        #expect(!error.mayHaveBeenCarriedOut)
    }

    @Test func `a connection that is not taken up is given up after its own time`() throws {
        let full = try TestServer(isFull: true)
        let transport = try full.transport { $0.connectTimeout = .milliseconds(300) }
        let clock = ContinuousClock()
        let time = clock.measure {
            #expect(throws: TransportError.timedOut(wasSent: false)) {
                try transport.post(headers: [], body: [1], deadline: soon(60))
            }
        }
        #expect(time < .seconds(20))
    }

    @Test func `a name that nobody has ends by the deadline`() throws {
        let transport = HTTPTransport(endpoint: try Endpoint("https://no-such-host.invalid"))
        let clock = ContinuousClock()
        var error: TransportError?
        let time = clock.measure {
            do throws(TransportError) {
                _ = try transport.post(headers: [], body: [1], deadline: soon(1))
            } catch let failure {
                error = failure
            }
        }
        // Where no resolver answers, the time runs out first.
        #expect(error?.mayHaveBeenCarriedOut == false)
        #expect(time < .seconds(20))
    }

    @Test func `a silent server is left at the deadline`() throws {
        let clock = ContinuousClock()
        let time = clock.measure {
            #expect(throws: TransportError.timedOut(wasSent: true)) {
                try post("/silent", seconds: 0.4)
            }
        }
        #expect(time >= .milliseconds(390))
        #expect(time < .seconds(20))
    }

    @Test func `a server that drips is left at the deadline, too`() throws {
        #expect(throws: TransportError.timedOut(wasSent: true)) {
            try post("/drip", seconds: 0.4)
        }
    }

    @Test func `a deadline that has passed sends nothing`() throws {
        #expect(throws: TransportError.timedOut(wasSent: false)) { try post("/echo", seconds: -1) }
        #expect(try count("echo") == 0)
    }

    @Test(arguments: ["/half", "/reset", "/cut"])
    func `a connection that ends before the answer is lost`(_ path: String) throws {
        let error = try #require(throws: TransportError.self) { try post(path) }
        guard case .connectionLost(true, _) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(error.mayHaveBeenCarriedOut)
    }

    @Test func `an answer may be as long as the limit, and no longer`() throws {
        let limited = { (path: String) in
            try self.server.transport(path) { $0.maximumResponseBytes = 100_000 }
        }
        let response = try limited("/large/100000").post(headers: [], body: [], deadline: soon())
        #expect(response.body.count == 100_000)
        for path in ["/large/100001", "/large/50000000", "/chunks"] {
            #expect(throws: TransportError.tooLong(limitBytes: 100_000)) {
                try limited(path).post(headers: [], body: [], deadline: soon())
            }
        }
    }

    @Test(arguments: ["/garbage", "/headers"])
    func `what is not HTTP is refused`(_ path: String) throws {
        let error = try #require(throws: TransportError.self) { try post(path) }
        guard case .malformedAnswer = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test(arguments: [
        HTTPHeader("A", "b\r\nX: y"), HTTPHeader("A", "b\n"), HTTPHeader("A", "\u{0}"),
        HTTPHeader("A: b", "c"), HTTPHeader("", "c"), HTTPHeader("A\r\nB", "c"),
    ])
    func `a header that would become another one is not sent`(_ header: HTTPHeader) throws {
        let transport = try server.transport("/echo")
        #expect(throws: TransportError.malformedHeader(header.name)) {
            try transport.post(headers: [header], body: [], deadline: soon())
        }
        #expect(try count("echo") == 0)
    }

    // MARK: Connections

    private func count(_ path: String) throws -> Int {
        let response = try post("/count/\(path)")
        return try #require(Int(String(decoding: exposed(response.body), as: UTF8.self)))
    }

    private func peer(_ transport: HTTPTransport, isIdempotent: Bool = true) throws -> Int {
        let response = try transport.post(
            headers: [], body: [], deadline: soon(), isIdempotent: isIdempotent)
        let seen = try JSON(String(decoding: exposed(response.body), as: UTF8.self))
        return try #require(seen["peer"].int)
    }

    @Test func `a connection is used again, but not for what must not be done twice`() throws {
        let transport = try server.transport("/inspect")
        let first = try peer(transport)
        #expect(try peer(transport) == first)
        #expect(transport.idleConnections == 1)
        let other = try peer(transport, isIdempotent: false)
        #expect(other != first)
        #expect(transport.idleConnections == 1)
    }

    @Test func `threads have connections of their own, and few are kept`() throws {
        let transport = try server.transport("/echo") { $0.maximumIdleConnections = 3 }
        let failures = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for round in 0..<50 {
                let body = pattern(500 + round, seed: UInt64(thread))
                let response = try? transport.post(headers: [], body: body, deadline: soon())
                if response.map({ exposed($0.body) }) != body {
                    failures.add(1, ordering: .relaxed)
                }
            }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect((1...3).contains(transport.idleConnections))
    }

    @Test func `a dead connection is replaced, but a request not repeated that must not be`() throws
    {
        let transport = try server.transport("/stale")
        for _ in 0..<3 {
            let response = try transport.post(headers: [], body: [], deadline: soon())
            #expect(exposed(response.body) == Array("first".utf8))
        }
        // The second and third were each sent on the old connection first.
        #expect(try count("stale") == 5)
        for _ in 0..<3 {
            _ = try transport.post(headers: [], body: [], deadline: soon(), isIdempotent: false)
        }
        #expect(try count("stale") == 8)
    }

    @Test func `a transport that failed serves again`() throws {
        let transport = try server.transport("/reset")
        for _ in 0..<3 {
            #expect(throws: TransportError.self) {
                try transport.post(headers: [], body: [1], deadline: soon())
            }
        }
        #expect(transport.idleConnections == 1)
    }

    // MARK: Unix sockets

    @Test func `a Unix socket serves as well`() throws {
        try withTemporaryDirectory { path in
            let local = try TestServer(unixSocket: path + "/socket")
            let transport = try local.transport()
            let response = try transport.post(headers: [], body: [7], deadline: soon())
            let seen = try JSON(String(decoding: exposed(response.body), as: UTF8.self))
            #expect(seen["path"].string == "/")
            #expect(seen["body"].string == "07")
            let absent = HTTPTransport(endpoint: try Endpoint("unix://\(path)/absent"))
            let error = try #require(throws: TransportError.self) {
                try absent.post(headers: [], body: [], deadline: soon())
            }
            guard case .unreachable = error else {
                Issue.record("\(error)")
                return
            }
        }
    }
}

func exposed(_ secret: SecretBytes) -> [UInt8] {
    secret.withBytes { span in
        // SAFETY: any byte is a UInt8; the load checks its bounds.
        (0..<span.byteCount).map { unsafe span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}
