import Foundation
import TestSupport
import Testing

@Suite struct ServeProgramTests {
    private static let script = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Oracles/kmsround.py").path

    @Test func `a client of AWS works with a keystore's keys, and the log knows who it was`()
        throws
    {
        let keystore = try ServedKeystore()
        let key = try keystore.principal("tester", "--administrator")
        let port = try keystore.serve("--unix", keystore.directory.path + "/kms.sock")
        let lines = try Command(
            "python3", Self.script, "http://127.0.0.1:\(port)", key.id, key.secret
        ).run().lines
        #expect(
            lines == [
                "created Enabled SYMMETRIC_DEFAULT", "decrypted secret True",
                "context InvalidCiphertextException", "data key 32 True", "signature True",
                "other message KMSInvalidSignatureException", "disabled DisabledException",
                "elsewhere 0", "elsewhere NotFoundException",
            ])
        // The keystore's owner over the Unix socket, while the server runs.
        let listed = try Command(
            "curl", "--silent", "--show-error", "--unix-socket",
            keystore.directory.path + "/kms.sock", "http://localhost/", "--header",
            "X-Amz-Target: TrentService.ListKeys", "--header",
            "Content-Type: application/x-amz-json-1.1", "--data", "{}"
        ).run().output
        // Its own key, and the two that were made.
        #expect(try TestSupport.JSON(listed)["Keys"].list.count == 3)
        #expect(try keystore.stop() == 0)
        let events = try TestSupport.JSON.lines(
            try keystore.keyfold("log", "--json", "--event", "Decrypt").run().output)
        #expect(events.count == 3)
        for event in events {
            #expect(event["userIdentity"]["userName"].string == "tester")
            #expect(event["sourceIPAddress"].string == "127.0.0.1")
            #expect(event["requestID"].string?.count == 36)
            #expect(event["userAgent"].string?.contains("Botocore") == true)
        }
        let owner = try TestSupport.JSON.lines(
            try keystore.keyfold("log", "--json", "--event", "ListKeys").run().output)
        #expect(owner.last?["userIdentity"]["type"].string == "Root")
        try keystore.keyfold("log", "verify").run()
    }

    @Test func `a principal without a policy is denied, and one that is deleted is unknown`()
        throws
    {
        let keystore = try ServedKeystore()
        let key = try keystore.principal("nobody")
        let port = try keystore.serve()
        let ask = Command(
            "aws", "kms", "create-key", "--endpoint-url", "http://127.0.0.1:\(port)", "--region",
            "us-east-1"
        ).with([
            "AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_MAX_ATTEMPTS": "1",
        ])
        let denied = try ask.result()
        #expect(denied.error.contains("AccessDeniedException"), "\(denied)")
        try keystore.keyfold("principal", "delete", "nobody").run()
        let unknown = try ask.result()
        #expect(unknown.error.contains("UnrecognizedClientException"), "\(unknown)")
    }

    @Test func `addresses of others need TLS, or the word that they don't`() throws {
        let keystore = try ServedKeystore()
        for address in ["0.0.0.0:0", "[::]:0", "example.com:4599", "192.0.2.1:4599"] {
            let result = try keystore.keyfold("serve", "--listen", address).result()
            #expect(result.status == 64)
            #expect(result.error.contains("other machines could connect without TLS"))
        }
        let printed = try keystore.keyfold(
            "serve", "--listen", "0.0.0.0:4599", "--insecure", "--print-env"
        ).run()
        #expect(printed.output.contains("export AWS_ENDPOINT_URL_KMS='http://localhost:4599'\n"))
    }

    @Test(arguments: [
        ["--listen", "4599"], ["--listen", "::1:4599"], ["--listen", ":4599"],
        ["--listen", "127.0.0.1:65536"], ["--tls-cert", "x"], ["--unix", "s", "--unix-mode", "9"],
        ["--throttle", "CreateKey"], ["--max-connections", "0"], ["--log-level", "loud"],
        ["--workers", "1000"], ["word"],
    ])
    func `wrong options are refused before the keystore is opened`(_ options: [String]) throws {
        let result = try Command([Program.keyfold, "serve", "--keystore", "/nowhere"] + options)
            .result()
        #expect(result.status == 64, "\(result)")
    }

    @Test func `what a client needs to know is printed for a shell, without secrets`() throws {
        let keystore = try ServedKeystore()
        let key = try keystore.principal("tester")
        let result = try keystore.keyfold(
            "serve", "--print-env", "--listen", "[::1]:4599", "--tls-cert", "it's.pem",
            "--tls-key", "k.pem"
        ).in("/").run()
        #expect(
            result.lines == [
                "export AWS_ENDPOINT_URL_KMS='https://[::1]:4599'",
                #"export AWS_CA_BUNDLE='/it'\''s.pem'"#, "export AWS_REGION='us-east-1'",
                "export AWS_DEFAULT_REGION='us-east-1'",
            ])
        #expect(!result.output.contains(key.id))
        #expect(!(result.output + result.error).contains(key.secret))
    }

    @Test func `a port that is taken and a keystore that is not there are told`() throws {
        let keystore = try ServedKeystore()
        let port = try keystore.serve()
        let second = try keystore.keyfold("serve", "--listen", "127.0.0.1:\(port)").result()
        #expect(second.status == 69, "\(second)")
        #expect(second.error.contains("127.0.0.1:\(port): can't listen here"))
        let none = try keystore.keyfold("serve", "--keystore", "/nowhere").result()
        #expect(none.status == 66, "\(none)")
    }
}
