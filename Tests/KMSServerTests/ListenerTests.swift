import Foundation
import TestSupport
import Testing

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

    @Test func `a server that ends slowly leaves its successor's socket alone`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/kms.sock"
            let first = try LiveServer("socket=\(path)")
            let slow = try Command(
                "curl", "--silent", "--unix-socket", path, "http://localhost/", "--header",
                "X-Amz-Target: TrentService.DescribeKey", "--header",
                "Content-Type: application/x-amz-json-1.1", "--data", #"{"KeyId":"sleep:3000"}"#
            ).start()
            #expect(try first.hasRequestUnderWay())
            first.process.signal(Signal.terminate)
            #expect(Deadline.wait(seconds: 10) { !FileManager.default.fileExists(atPath: path) })
            let second = try LiveServer("socket=\(path)")
            #expect(try first.process.waitForEnd(seconds: 30) == 0)
            #expect(try ask(path)["KeyId"].string == "eu-central-1")
            _ = try slow.waitForEnd(seconds: 30)
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
