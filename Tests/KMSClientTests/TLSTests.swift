import KMSClient
import TestSupport
import Testing

/// A server with a certificate of its own: for `localhost`, signed by itself.
@Suite(.enabled(if: Command.isInstalled("openssl"), "there is no openssl program"))
struct TLSTests {
    private static func withServer(_ body: (TestServer, String) throws -> Void) throws {
        try withTemporaryDirectory { path in
            let (certificate, key) = (path + "/certificate.pem", path + "/key.pem")
            try Command(
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate
            ).run()
            try body(try TestServer(tls: (certificate, key)), certificate)
        }
    }

    private static func insecureDetail(_ transport: HTTPTransport) throws -> String {
        let error = try #require(throws: TransportError.self) {
            try transport.post(headers: [], body: [1], deadline: soon())
        }
        guard case .insecure(let detail) = error else { return "other: \(error)" }
        #expect(!error.mayHaveBeenCarriedOut)
        return detail
    }

    @Test func `a certificate that is named as trusted is accepted`() throws {
        try Self.withServer { server, certificate in
            let transport = try server.transport("/echo") { $0.caFile = certificate }
            for _ in 0..<2 {
                let response = try transport.post(headers: [], body: [1, 2], deadline: soon())
                #expect(exposed(response.body) == [1, 2])
            }
        }
    }

    @Test func `a certificate that nobody trusts is refused before anything is sent`() throws {
        try Self.withServer { server, _ in
            let detail = try Self.insecureDetail(try server.transport("/echo"))
            #expect(detail.contains("certificate"))
        }
    }

    @Test func `a certificate for another name is refused`() throws {
        try Self.withServer { server, certificate in
            var options = HTTPTransport.Options()
            options.caFile = certificate
            let url = server.url.replacing("localhost", with: "127.0.0.1") + "/echo"
            let transport = HTTPTransport(endpoint: try Endpoint(url), options: options)
            #expect(try Self.insecureDetail(transport).contains("127.0.0.1"))
        }
    }

    @Test func `a file of trusted certificates that is not there trusts nobody`() throws {
        try Self.withServer { server, certificate in
            let transport = try server.transport("/echo") { $0.caFile = certificate + ".absent" }
            #expect(try Self.insecureDetail(transport).contains("certificate"))
        }
    }

    @Test func `a server that does not speak TLS gets no request`() throws {
        let plain = try TestServer()
        let url = plain.url.replacing("http://", with: "https://")
        let transport = HTTPTransport(endpoint: try Endpoint(url + "/echo"))
        let error = try #require(throws: TransportError.self) {
            try transport.post(headers: [], body: [1], deadline: soon())
        }
        #expect(!error.mayHaveBeenCarriedOut, "\(error)")
    }
}
