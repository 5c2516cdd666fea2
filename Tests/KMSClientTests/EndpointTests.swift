import KMSClient
import Testing

@Suite struct EndpointTests {
    @Test(arguments: [
        ("https://kms.eu-central-1.amazonaws.com", "kms.eu-central-1.amazonaws.com", "/"),
        ("https://kms.eu-central-1.amazonaws.com:443/", "kms.eu-central-1.amazonaws.com", "/"),
        ("HTTPS://KMS.Example:8443/a/b%20c", "kms.example:8443", "/a/b%20c"),
        ("http://localhost:4566", "localhost:4566", "/"), ("http://127.0.0.1:80", "127.0.0.1", "/"),
        ("http://[::1]:8080/x", "[::1]:8080", "/x"),
        ("https://[2001:db8::1]", "[2001:db8::1]", "/"),
    ])
    func `a URL says host, port and path`(_ text: String, _ authority: String, _ path: String)
        throws
    {
        let endpoint = try Endpoint(text)
        #expect(endpoint.authority == authority)
        #expect(endpoint.path == path)
        #expect(endpoint.carrier == (text.lowercased().hasPrefix("https") ? .tls : .cleartext))
    }

    @Test func `a Unix socket is named by its path`() throws {
        let endpoint = try Endpoint("unix:///run/keyfold/kms.sock")
        #expect(endpoint.carrier == .unixSocket(path: "/run/keyfold/kms.sock"))
        #expect(endpoint.authority == "localhost")
        #expect(endpoint.path == "/")
        #expect(endpoint.isLoopback)
        #expect(endpoint.description == "unix:///run/keyfold/kms.sock")
    }

    @Test(arguments: [
        ("", "scheme"), ("kms.example", "scheme"), ("ftp://host", "scheme"), ("https:/x", "scheme"),
        ("https://", "host"), ("https:///x", "host"), ("https://user@host", "host"),
        ("https://user:pw@host", "port"), ("https://ho st", "host"), ("https://höst", "host"),
        ("https://[::1", "host"), ("https://[localhost]", "host"), ("https://host:0", "port"),
        ("https://host:65536", "port"), ("https://host:", "port"), ("https://host:+1", "port"),
        ("https://[::1]x", "port"), ("https://host/?q", "path"), ("https://host/#f", "path"),
        ("https://host/a b", "path"), ("https://host/\r\nX: y", "path"),
        ("unix://relative", "socket path"), ("unix:///", "socket path"),
        ("unix:///\(String(repeating: "x", count: 107))", "socket path"),
    ])
    func `anything else is refused`(_ text: String, _ part: String) {
        #expect(throws: Endpoint.Fault.malformed(part)) { try Endpoint(text) }
    }

    @Test(arguments: [
        "kms.example", "128.0.0.1", "127.0.0.1.example", "127.1", "10.0.0.1", "[::2]",
    ])
    func `without encryption no request leaves this machine, unless that was allowed`(
        _ host: String
    ) throws {
        let name = host.trimming { "[]".contains($0) }
        #expect(throws: Endpoint.Fault.cleartext(host: name)) { try Endpoint("http://\(host)") }
        #expect(try Endpoint("http://\(host)", allowsCleartext: true).host == name)
    }

    @Test(arguments: ["localhost", "127.0.0.1", "127.255.0.9", "[::1]"])
    func `this machine is known by its names`(_ host: String) throws {
        #expect(try Endpoint("http://\(host):1").isLoopback)
    }
}

extension String {
    fileprivate func trimming(_ isLeftOut: (Character) -> Bool) -> String {
        String(filter { !isLeftOut($0) })
    }
}
