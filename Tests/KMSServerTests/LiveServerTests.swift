import Foundation
import KMSWire
import TestSupport
import Testing

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
        #expect(answer.error?.name == "ThrottlingException")
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
