import KMSWire
import TestSupport
import Testing

@Suite struct HostilePeerTests {
    static let malformed = [
        "\r\n\r\n\r\n\r\n", "x\r\n\r\n", "POST\r\n\r\n", "POST / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        "POST / HTTP/1.1\r\nNo colon\r\n\r\n", "POST / HTTP/1.1\r\nA\u{0}: b\r\n\r\n",
        "POST / HTTP/1.1\r\n : b\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /\u{7f}\u{80} HTTP/1.1\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ]

    @Test func `what is no HTTP request stops nothing`() throws {
        let server = try LiveServer("idle=5")
        for text in Self.malformed {
            let connection = try server.connect()
            try connection.send(text)
            connection.endSending()
            if let answer = try? connection.answer() {
                #expect((400..<500).contains(answer.status), "\(text)")
            }
            #expect(try server.isServing())
        }
        var source = RandomSource(seed: 4)
        for _ in 0..<60 {
            let connection = try server.connect()
            let bytes = source.bytes(source.number(1..<400))
            try? connection.send(String(decoding: bytes, as: UTF8.self) + "\r\n\r\n")
            connection.endSending()
        }
        #expect(try server.isServing())
    }

    @Test func `headers beyond the limits are refused`() throws {
        let server = try LiveServer()
        let long = String(repeating: "x", count: 20_000)
        let many = (0..<150).map { "H\($0): x\r\n" }.joined()
        for text in [
            "POST / HTTP/1.1\r\nA: \(long)\r\n\r\n", "POST / HTTP/1.1\r\n\(many)\r\n",
            "POST /\(long)\(long) HTTP/1.1\r\n\r\n",
        ] {
            let connection = try server.connect()
            try? connection.send(text)
            if let answer = try? connection.answer() { #expect(answer.status == 400) }
            #expect(try connection.isClosedByPeer())
        }
        #expect(try server.isServing())
    }

    @Test func `a body beyond the limit is refused, announced or not`() throws {
        let server = try LiveServer()
        let announced = try server.connect()
        try announced.send(Signed.text(Signed.head(), "{}", length: 1_048_577))
        let answer = try announced.answer()
        #expect(answer.status == 413)
        #expect(answer.error?.name == "RequestEntityTooLargeException")
        #expect(answer.headers["connection"] == "close")
        #expect(try announced.isClosedByPeer())
        let chunked = try server.connect()
        try chunked.send(
            Signed.text(Signed.head(), "", length: 0)
                .replacingOccurrences(of: "Content-Length: 0", with: "Transfer-Encoding: chunked"))
        let chunk = "10000\r\n" + String(repeating: "x", count: 65_536) + "\r\n"
        for _ in 0..<17 { try? chunked.send(chunk) }
        #expect(try chunked.answer().status == 413)
        #expect(try chunked.isClosedByPeer())
        #expect(try server.isServing())
    }

    @Test func `bodies over all connections have a limit, but for 16 KiB of each`() throws {
        let server = try LiveServer("body-bytes=1000")
        func body(_ count: Int) -> String {
            "{\"X\":\"" + String(repeating: "x", count: count - 8) + "\"}"
        }
        // What one connection holds, no other gets; the first bytes everybody gets.
        func hold() throws -> RawConnection {
            let connection = try server.connect()
            try connection.send(Signed.text(Signed.head(), body(16_384 + 900), length: 20_000))
            return connection
        }
        var other = try hold()
        let isFull = try Deadline.wait(seconds: 10) {
            if try server.exchange(Signed.request(body: body(16_384 + 200))).status == 503 {
                return true
            }
            // It may have come while there was no room for the other one.
            other = try hold()
            return false
        }
        #expect(isFull)
        let answer = try server.exchange(Signed.request(body: body(16_384 + 200)))
        #expect(answer.error?.name == "ServiceUnavailableException")
        #expect(try server.exchange(Signed.request(body: body(16_384))).status == 200)
        other.endSending()
        #expect(try other.isClosedByPeer())
        let hasRoom = try Deadline.wait(seconds: 10) {
            try server.exchange(Signed.request(body: body(16_384 + 1000))).status == 200
        }
        #expect(hasRoom)
        #expect(
            try server.exchange(Signed.request(body: body(16_384 + 1001))).status == 503)
    }

    @Test func `whoever names an access key that nobody has is answered before the body`() throws {
        let server = try LiveServer()
        let connection = try server.connect()
        let head = Signed.text(Signed.head(), "", length: 1_000_000)
            .replacingOccurrences(of: "AKIAIOSFODNN7EXAMPLE", with: "AKIAUNKNOWNUNKNOWN00")
        try connection.send(head + String(repeating: "x", count: 100_000))
        let answer = try connection.answer()
        #expect(answer.status == 400)
        #expect(answer.error?.name == "UnrecognizedClientException")
        #expect(answer.headers["connection"] == "close")
        #expect(try connection.isClosedByPeer())
        #expect(try server.isServing())
    }

    @Test func `a body that does not come in its time ends the connection`() throws {
        let server = try LiveServer("transfer=1")
        for text in [
            Signed.text(Signed.head(), "{", length: 100),
            // Refused already, but it announced a body.
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx",
        ] {
            let connection = try server.connect()
            try connection.send(text)
            #expect(try connection.isClosedByPeer())
        }
        #expect(try server.isServing())
    }

    @Test func `a connection that asks nothing, or not to the end, is closed`() throws {
        let server = try LiveServer("idle=1")
        for text in ["", "POST / HTTP/1.1\r\nHost: x\r\n", Signed.request()] {
            let connection = try server.connect()
            try connection.send(text)
            #expect(try connection.isClosedByPeer())
        }
        #expect(try server.isServing())
    }

    @Test func `a body that ends too early is answered or closed`() throws {
        let server = try LiveServer()
        let connection = try server.connect()
        try connection.send(Signed.text(Signed.head(), "{", length: 100))
        connection.endSending()
        if let answer = try? connection.answer() { #expect(answer.status == 400) }
        #expect(try connection.isClosedByPeer())
        #expect(try server.isServing())
    }

    @Test func `a peer that vanishes in the middle of a request gets no answer, and stops nothing`()
        throws
    {
        let server = try LiveServer()
        let whole = Signed.text(Signed.head(), "{", length: 100)
        for count in stride(from: 1, through: whole.utf8.count, by: 7) {
            let connection = try server.connect()
            try connection.send(String(decoding: whole.utf8.prefix(count), as: UTF8.self))
            connection.prepareReset()
        }
        #expect(try server.isServing())
    }

    @Test func `a peer that reads no answers is let go`() throws {
        let server = try LiveServer("transfer=1", "idle=1")
        let connection = try server.connect()
        // More answers than any socket buffers hold.
        let text = Signed.request(
            "Encrypt", body: #"{"KeyId":"k","Plaintext":"\#(String(repeating: "A", count: 5460))"}"#
        )
        let all = String(repeating: text, count: 20)
        var isOpen = true
        for _ in 0..<400 where isOpen { isOpen = (try? connection.send(all)) != nil }
        #expect(!isOpen)
        #expect(try server.isServing())
    }
}
