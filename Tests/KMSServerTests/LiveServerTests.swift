import Foundation
import KMSModel
import KMSWire
import TestSupport
import Testing

private func error(_ answer: RawAnswer) -> WireError? {
    JSONCodec.decodeError(body: Array(answer.body.utf8))
}

@Suite struct LiveServerTests {
    @Test func `requests on one connection are answered one after the other`() throws {
        let server = try LiveServer()
        let connection = try server.connect()
        var ids: Set<String> = []
        for _ in 0..<3 {
            try connection.send(
                Signed.request("Encrypt", body: #"{"KeyId":"k","Plaintext":"AQID"}"#))
            let answer = try connection.answer()
            #expect(answer.status == 200)
            #expect(
                answer.body
                    == #"{"KeyId":"k","CiphertextBlob":"AQID","EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#
            )
            #expect(answer.headers["content-type"] == "application/x-amz-json-1.1")
            ids.insert(answer.headers["x-amzn-requestid"] ?? "")
        }
        #expect(ids.count == 3)
    }

    @Test func `who asks from where reaches the service`() throws {
        let server = try LiveServer()
        let answer = try server.exchange(Signed.request("DescribeKey", body: #"{"KeyId":"k"}"#))
        let metadata = try TestSupport.JSON(answer.body)["KeyMetadata"]
        #expect(metadata["KeyId"].string == "us-east-1")
        #expect(metadata["Arn"].string == "arn:aws:iam::111122223333:user/test")
        let id = answer.headers["x-amzn-requestid"] ?? ""
        #expect(metadata["Description"].string == "raw/1|127.0.0.1|-|\(id)")
    }

    @Test func `pipelined requests are answered in order`() throws {
        let server = try LiveServer()
        let connection = try server.connect()
        let texts = (1...5).map { #"{"KeyId":"\#($0)","Plaintext":"AQID"}"# }
        try connection.send(texts.map { Signed.request("Encrypt", body: $0) }.joined())
        for number in 1...5 {
            #expect(try connection.answer().body.hasPrefix(#"{"KeyId":"\#(number)""#))
        }
    }

    @Test func `whoever has ended its side is answered`() throws {
        let server = try LiveServer()
        let connection = try server.connect()
        try connection.send(Signed.request())
        connection.endSending()
        #expect(try connection.answer().status == 200)
        #expect(try connection.isClosedByPeer())
    }

    @Test func `whoever uses a connection once has it closed behind the answer`() throws {
        let server = try LiveServer()
        let old = Signed.request().replacingOccurrences(of: " HTTP/1.1\r\n", with: " HTTP/1.0\r\n")
        for text in [Signed.request(more: [HTTPHeader("Connection", "close")]), old] {
            let connection = try server.connect()
            try connection.send(text)
            let answer = try connection.answer()
            #expect(answer.status == 200)
            #expect(answer.headers["connection"] == "close")
            #expect(try connection.isClosedByPeer())
        }
    }

    @Test func `a body may wait for the word to go on`() throws {
        let server = try LiveServer()
        let connection = try server.connect()
        let text = Signed.request(more: [HTTPHeader("Expect", "100-continue")])
        try connection.send(String(text.dropLast(2)))
        #expect(try connection.answer().status == 100)
        try connection.send("{}")
        #expect(try connection.answer().status == 200)
    }

    @Test func `a chunked body is a body`() throws {
        let server = try LiveServer()
        let head = Signed.text(Signed.head(body: "{ }"), "", length: 0)
            .replacingOccurrences(of: "Content-Length: 0", with: "Transfer-Encoding: chunked")
        #expect(try server.exchange(head + "1\r\n{\r\n2\r\n }\r\n0\r\n\r\n").status == 200)
    }

    @Test func `botocore's client is served`() throws {
        let server = try LiveServer()
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Oracles/kmsclient.py").path
        let lines = try Command("python3", script, server.url).run().lines
        #expect(
            lines == [
                "encrypt 200 736563726574", "decrypt 200 736563726574",
                "describe 200 eu-central-1 arn:aws:iam::111122223333:user/test",
                "fail DisabledException as asked",
                "validate ValidationException 1 validation error detected: "
                    + "Value '0' at 'numberOfBytes' failed to satisfy constraint: "
                    + "Member must have value greater than or equal to 1",
                "region InvalidSignatureException Credential should be scoped to a valid region, "
                    + "not 'mars-north-1'. ",
                "stranger UnrecognizedClientException "
                    + "The security token included in the request is invalid.",
                "liar InvalidSignatureException "
                    + "The request signature we calculated does not match the signature you "
                    + "provided. Check your AWS Secret Access Key and signing method. "
                    + "Consult the service documentation for details.",
            ])
    }

    @Test func `requests over the quota are throttled`() throws {
        let server = try LiveServer("throttle=ListKeys=0.001")
        #expect(try server.exchange(Signed.request()).status == 200)
        let answer = try server.exchange(Signed.request())
        #expect(answer.status == 400)
        #expect(error(answer)?.name == "ThrottlingException")
        #expect(try server.exchange(Signed.request("ListAliases")).status == 200)
    }

    @Test func `logs and numbers tell of requests, and of nothing in them`() throws {
        let server = try LiveServer()
        _ = try server.exchange(
            Signed.request(
                "Encrypt",
                body: #"{"KeyId":"alias/hidden","Plaintext":"c2VjcmV0","#
                    + #""EncryptionContext":{"patient":"doe"}}"#))
        _ = try server.exchange(Signed.request("DescribeKey", body: #"{"KeyId":"fail:x"}"#))
        let numbers = try server.exchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(numbers.status == 200)
        #expect(
            numbers.body.contains(
                "keyfold_requests_total{operation=\"Encrypt\",outcome=\"success\"} 1\n"))
        #expect(
            numbers.body.contains(
                "keyfold_requests_total{operation=\"DescribeKey\",outcome=\"failed\"} 1\n"))
        // The connections before are counted until the server has seen their end.
        let isOneOpen = try Deadline.wait(seconds: 10) {
            try server.exchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").body
                .contains("keyfold_connections 1\n")
        }
        #expect(isOneOpen)
        server.process.signal(Signal.terminate)
        #expect(try server.process.waitForEnd(seconds: 30) == 0)
        let log = String(decoding: try server.process.errorBytes(), as: UTF8.self)
        let line = try #require(try TestSupport.JSON.lines(log).first)
        #expect(line["operation"].string == "Encrypt")
        #expect(line["principal"].string == "arn:aws:iam::111122223333:user/test")
        #expect(line["peer"].string == "127.0.0.1")
        #expect(line["status"].string == "200")
        for secret in ["hidden", "c2VjcmV0", "secret", "patient", "doe", "wJalr", "Signature"] {
            #expect(!log.contains(secret), "\(secret)")
            #expect(!numbers.body.contains(secret))
        }
    }
}

@Suite struct HealthTests {
    @Test func `health tells whether keys can be used`() throws {
        let server = try LiveServer()
        let request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        let healthy = try server.exchange(request)
        #expect(healthy.status == 200)
        #expect(healthy.body == #"{"status":"ok"}"#)
        server.process.signal(10)  // SIGUSR1
        let isUnready = try Deadline.wait(seconds: 10) {
            try server.exchange(request).status == 503
        }
        #expect(isUnready)
        #expect(try server.exchange(request).body == #"{"status":"unavailable"}"#)
    }

    @Test func `a listener for numbers has nothing else`() throws {
        let server = try LiveServer("metrics=127.0.0.1:0")
        let port = try #require(UInt16(server.places[1].split(separator: ":").last ?? ""))
        for (request, status) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
            ("GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 200), (Signed.request(), 404),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ] {
            let connection = try server.connect(to: port)
            try connection.send(request)
            #expect(try connection.answer().status == status)
        }
        let connection = try server.connect(to: port)
        try connection.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        let head = try connection.answer(withoutBody: true)
        #expect(head.status == 200)
        #expect(Int(head.headers["content-length"] ?? "") ?? 0 > 0)
    }
}

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
        #expect(error(answer)?.name == "RequestEntityTooLargeException")
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

    @Test func `bodies over all connections have a limit`() throws {
        let server = try LiveServer("body-bytes=1000")
        let body = "{\"X\":\"" + String(repeating: "x", count: 2000) + "\"}"
        let answer = try server.exchange(Signed.request(body: body))
        #expect(answer.status == 503)
        #expect(error(answer)?.name == "ServiceUnavailableException")
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

@Suite struct LoadTests {
    @Test func `connections beyond the limit wait until others end`() throws {
        let server = try LiveServer("connections=8")
        var first = try (0..<8).map { _ in try server.connect() }
        for connection in first {
            try connection.send(Signed.request())
            #expect(try connection.answer().status == 200)
        }
        let waiting = try (0..<20).map { _ in try server.connect() }
        for connection in waiting { try connection.send(Signed.request()) }
        first = []
        for connection in waiting.prefix(8) { #expect(try connection.answer().status == 200) }
    }

    @Test func `running out of descriptors is overcome`() throws {
        let server = try LiveServer(shell: "ulimit -n 48")
        var connections = try (0..<120).map { _ in try server.connect() }
        connections = []
        #expect(connections.isEmpty)
        let isServing = try Deadline.wait(seconds: 30) { try server.isServing() }
        #expect(isServing)
    }

    @Test func `requests beyond the limit are told that the service is busy`() throws {
        let server = try LiveServer("workers=1", "requests=1")
        let slow = try server.connect()
        try slow.send(Signed.request("DescribeKey", body: #"{"KeyId":"sleep:1500"}"#))
        #expect(try server.hasRequestUnderWay())
        let busy = try server.exchange(Signed.request())
        #expect(busy.status == 503)
        #expect(error(busy)?.name == "ServiceUnavailableException")
        #expect(try slow.answer().status == 200)
        #expect(try server.isServing())
        let numbers = try server.exchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").body
        #expect(numbers.contains("keyfold_requests_in_flight 0\n"))
        #expect(numbers.contains("keyfold_overload_total 1\n"))
    }

    @Test func `requests that are held up hold up no others while there are threads`() throws {
        let threads = max(8, sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 2)
        let server = try LiveServer("workers=\(threads)", "answer=20")
        // All threads but one, and more than there are processors.
        let slow = try (1..<threads).map { _ in
            let connection = try server.connect()
            try connection.send(Signed.request("DescribeKey", body: #"{"KeyId":"sleep:10000"}"#))
            return connection
        }
        let begin = ContinuousClock.now
        #expect(try server.isServing())
        #expect(ContinuousClock.now - begin < .seconds(8))
        for connection in slow { #expect(try connection.answer().status == 200) }
    }

    @Test func `an answer that does not come in its time is a timeout`() throws {
        let server = try LiveServer("answer=1")
        let answer = try server.exchange(
            Signed.request("DescribeKey", body: #"{"KeyId":"sleep:3000"}"#))
        #expect(answer.status == 500)
        #expect(error(answer)?.name == "DependencyTimeoutException")
        #expect(try server.isServing())
    }
}

@Suite struct ShutdownTests {
    @Test func `a signal ends the server after the requests that are under way`() throws {
        let server = try LiveServer()
        let idle = try server.connect()
        try idle.send(Signed.request())
        _ = try idle.answer()
        let slow = try server.connect()
        try slow.send(Signed.request("DescribeKey", body: #"{"KeyId":"sleep:1500"}"#))
        #expect(try server.hasRequestUnderWay())
        server.process.signal(Signal.terminate)
        #expect(try idle.isClosedByPeer())
        #expect(throws: RawConnection.Failed.self) {
            _ = try server.exchange(Signed.request())
        }
        #expect(try slow.answer().status == 200)
        #expect(try slow.isClosedByPeer())
        #expect(try server.process.waitForEnd(seconds: 30) == 0)
        #expect(try server.process.outputText().hasSuffix("ended\n"))
    }

    @Test func `a request that takes too long does not hold up the end`() throws {
        let server = try LiveServer("grace=1", "answer=2")
        let slow = try server.connect()
        try slow.send(Signed.request("DescribeKey", body: #"{"KeyId":"sleep:4000"}"#))
        let body = try server.connect()
        try body.send(Signed.text(Signed.head(), "{", length: 100))
        _ = try server.isServing()
        server.process.signal(Signal.interrupt)
        #expect(try server.process.waitForEnd(seconds: 30) == 0)
    }
}

@Suite struct UnixSocketTests {
    private func ask(_ socket: String, region: String? = nil) throws -> TestSupport.JSON {
        let output = try Command(
            "curl", "--silent", "--show-error", "--unix-socket", socket, "http://localhost/",
            "--header", "X-Amz-Target: TrentService.DescribeKey", "--header",
            "Content-Type: application/x-amz-json-1.1", "--data", #"{"KeyId":"k"}"#
        ).run().output
        return try TestSupport.JSON(output)["KeyMetadata"]
    }

    @Test func `the kernel says who asks over a Unix socket`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/kms.sock"
            let server = try LiveServer("socket=\(path)")
            #expect(server.places[1] == path)
            let metadata = try ask(path)
            let uid = geteuid()
            #expect(
                metadata["Arn"].string == "arn:aws:iam::111122223333:user/local/uid-\(uid)")
            #expect(metadata["KeyId"].string == "eu-central-1")
            #expect(metadata["Description"].string?.contains("|-|\(uid)|") == true)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
            #expect(mode as? Int == 0o666)
            server.process.signal(Signal.terminate)
            #expect(try server.process.waitForEnd(seconds: 30) == 0)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func `a socket left by a killed server is taken over, one in use is not`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/kms.sock"
            let first = try LiveServer("socket=\(path)")
            #expect(throws: DeadlinePassed.self) { _ = try LiveServer("socket=\(path)") }
            #expect(try ask(path)["KeyId"].string == "eu-central-1")
            first.process.signal(Signal.kill)
            #expect(try first.process.waitForEnd(seconds: 30) == 137)
            let second = try LiveServer("socket=\(path)")
            #expect(try ask(path)["KeyId"].string == "eu-central-1")
            _ = second
        }
    }

    @Test func `a file that is no socket stays`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/file"
            #expect(FileManager.default.createFile(atPath: path, contents: Data([1])))
            #expect(throws: DeadlinePassed.self) { _ = try LiveServer("socket=\(path)") }
            #expect(FileManager.default.contents(atPath: path) == Data([1]))
        }
    }
}

@Suite struct TLSTests {
    private func withCertificate(_ body: (String, String) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            let (certificate, key) = (directory + "/cert.pem", directory + "/key.pem")
            try Command(
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate
            ).run()
            try body(certificate, key)
        }
    }

    private func fetch(_ server: LiveServer, _ options: String...) throws -> CommandResult {
        try Command(
            ["curl", "--silent", "--show-error"] + options
                + ["https://127.0.0.1:\(server.port)/health"]
        ).result()
    }

    @Test func `TLS 1.2 and 1.3 are spoken, older ones are not`() throws {
        try withCertificate { certificate, key in
            let server = try LiveServer("tls-cert=\(certificate)", "tls-key=\(key)")
            for version in ["1.2", "1.3"] {
                let answer = try fetch(
                    server, "--cacert", certificate, "--tls-max", version, "--tlsv\(version)")
                #expect(answer.output == #"{"status":"ok"}"#, "\(answer)")
            }
            let old = try fetch(
                server, "--cacert", certificate, "--tlsv1.0", "--tls-max", "1.1", "--ciphers",
                "DEFAULT@SECLEVEL=0")
            #expect(!old.succeeded)
            let plain = try server.connect()
            try plain.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try plain.isClosedByPeer())
            let answer = try fetch(server, "--cacert", certificate)
            #expect(answer.succeeded)
        }
    }

    @Test func `files that are no certificate and key are refused before the start`() throws {
        try withCertificate { certificate, key in
            for (first, second) in [
                (key, key), (certificate, certificate), ("/nowhere", key),
                (certificate, "/nowhere"),
            ] {
                let failure = #expect(throws: DeadlinePassed.self) {
                    _ = try LiveServer("tls-cert=\(first)", "tls-key=\(second)")
                }
                #expect(failure?.description.contains("failed: unusableTLS") == true)
            }
        }
        try withCertificate { certificate, _ in
            try withCertificate { _, key in
                let failure = #expect(throws: DeadlinePassed.self) {
                    _ = try LiveServer("tls-cert=\(certificate)", "tls-key=\(key)")
                }
                #expect(failure?.description.contains("failed: unusableTLS") == true)
            }
        }
    }
}
