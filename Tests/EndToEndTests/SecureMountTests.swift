import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// Vaults whose keys are with a `keyfold serve` that speaks TLS.
    @Suite(needs(Program.directory + "/keyfold-serve", "openssl"))
    struct SecureMountTests {
        /// A server with a certificate of its own for `localhost`, signed by itself.
        private struct Company {
            let server: ServedKeystore
            let port: UInt16
            let vault: String
            let certificate: String
            /// As good as the server's, and not the server's.
            let foreignCertificate: String
            let host: NetworkHost

            init() throws {
                server = try ServedKeystore(label: VaultFixture.label)
                let directory = server.directory.path
                vault = directory + "/vault"
                let key = try server.principal("host", "--administrator")
                let own = try Company.certificate("own", in: directory)
                certificate = own.certificate
                foreignCertificate = try Company.certificate("foreign", in: directory).certificate
                port = try server.serve("--tls-cert", own.certificate, "--tls-key", own.key)
                host = try NetworkHost(
                    "host", in: directory, vault: vault, key: key,
                    variables: ["AWS_CA_BUNDLE": own.certificate])
            }

            private static func certificate(
                _ name: String, in directory: String
            ) throws -> (certificate: String, key: String) {
                let paths = ("\(directory)/\(name).pem", "\(directory)/\(name).key")
                try Command(
                    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", paths.1, "-out", paths.0
                ).run()
                return paths
            }

            func url(_ name: String, _ scheme: String = "https") -> String {
                "\(scheme)://\(name):\(port)/"
            }

            func cleanUp() {
                try? host.unmount()
                server.cleanUp()
            }
        }

        private static func withCompany(_ body: (Company) throws -> Void) throws {
            let company = try Company()
            defer { company.cleanUp() }
            try body(company)
        }

        @Test func `a vault is made, mounted and read with keys that come over TLS`() throws {
            try Self.withCompany { company in
                let host = company.host
                try host.keyfold("init", company.vault, "--kms", company.url("localhost")).run()
                try host.mount()
                try Disk.write(host.path("letter"), "over TLS")
                try host.unmount()
                try host.mount()
                #expect(try Disk.readText(host.path("letter")) == "over TLS")
                try host.unmount()
                let events = try JSON.lines(
                    try company.server.keyfold("log", "--json", "--event", "Decrypt").run().output)
                #expect(events.count >= 1)
                #expect(events.allSatisfy { $0["userIdentity"]["userName"].string == "host" })
                #expect(try company.server.stop() == 0)
            }
        }

        @Test func `a certificate that is not trusted, or of another name, is refused`() throws {
            try Self.withCompany { company in
                let (host, directory) = (company.host, company.server.directory.path)
                func refused(
                    _ command: Command, at url: String, _ bundle: String, _ word: String
                ) throws {
                    let result = try command.with(["AWS_CA_BUNDLE": bundle]).result()
                    #expect(result.status == 69, "\(result)")
                    #expect(result.error.contains("certificate"), "\(result)")
                    #expect(result.error.contains(url), "\(result)")
                    #expect(result.error.contains(word), "\(result)")
                    #expect(!host.isMounted)
                }
                let (own, foreign) = (company.certificate, company.foreignCertificate)
                let (named, other) = (company.url("localhost"), company.url("127.0.0.1"))
                func initialize(_ url: String) -> Command {
                    host.keyfold("init", company.vault, "--kms", url)
                }
                for bundle in [foreign, ""] {
                    try refused(initialize(named), at: named, bundle, "self-signed")
                }
                try refused(
                    initialize(named), at: named, directory + "/absent", "certificate file")
                try refused(initialize(other), at: other, own, "127.0.0.1")
                #expect(!Disk.exists(company.vault))
                // Nothing was sent before the certificate had been looked at.
                let events = try JSON.lines(
                    try company.server.keyfold("log", "--json").run().output)
                #expect(!events.contains { $0["userIdentity"]["userName"].string == "host" })

                try initialize(named).run()
                try refused(host.mountCommand(), at: named, foreign, "self-signed")
                try refused(host.mountCommand("kms=\(other)"), at: other, own, "127.0.0.1")
                let plain = try host.mountCommand("kms=\(company.url("localhost", "http"))")
                    .result()
                #expect(plain.status != 0 && !host.isMounted, "\(plain)")
                try host.mount()
                try Disk.write(host.path("letter"), "over TLS")
            }
        }
    }
}
