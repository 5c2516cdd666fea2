import ArgumentParser
import Console
import KMSServer

struct ListeningOptions: ParsableArguments {
    static let defaultAddress = "127.0.0.1:4599"

    @Option(
        help: ArgumentHelp(
            "Listen here; may be given again (default \(defaultAddress), if there is no --unix).",
            valueName: "host:port"))
    var listen: [String] = []

    @Option(
        help: ArgumentHelp("Listen on a Unix socket.", valueName: "path"), completion: .file())
    var unix: String?

    @Option(
        help: ArgumentHelp(
            "Who may connect to the Unix socket, as chmod's octal mode.", valueName: "mode"))
    var unixMode = "600"

    @Option(
        help: ArgumentHelp(
            "Listen here for /metrics and /health alone, in the clear and from anywhere.",
            valueName: "host:port"))
    var metricsListen: String?

    @Option(
        help: ArgumentHelp("The certificate and its chain, in PEM.", valueName: "file"),
        completion: .file())
    var tlsCert: String?

    @Option(help: ArgumentHelp("Its key, in PEM.", valueName: "file"), completion: .file())
    var tlsKey: String?

    @Flag(help: "Let other machines connect without TLS: they, and all between, see plaintext.")
    var insecure = false

    func listeners() throws(Failure) -> [Listener] {
        let tls = try tlsFiles()
        let addresses = listen.isEmpty && unix == nil ? [Self.defaultAddress] : listen
        var all: [Listener] = []
        for address in addresses {
            let place = try ListenAddress(address).place
            guard tls != nil || insecure || ListenAddress.isOfThisMachine(place) else {
                throw Failure(
                    .usage, address, "other machines could connect without TLS",
                    wayOut: "give --tls-cert and --tls-key, or --insecure where the network is "
                        + "protected otherwise")
            }
            all.append(Listener(place, tls: tls))
        }
        if let unix {
            guard let mode = UInt32(unixMode, radix: 8), mode <= 0o777 else {
                throw Failure(.usage, unixMode, "this is no mode from 0 to 777")
            }
            all.append(Listener(.socket(path: FilePaths.absolute(unix), mode: mode)))
        }
        if let metricsListen {
            all.append(Listener(try ListenAddress(metricsListen).place, role: .numbers))
        }
        return all
    }

    private func tlsFiles() throws(Failure) -> TLSFiles? {
        switch (tlsCert, tlsKey) {
        case (let certificates?, let key?): return TLSFiles(certificates: certificates, key: key)
        case (nil, nil): return nil
        default: throw Failure(.usage, nil, "--tls-cert and --tls-key go together")
        }
    }
}

/// `HOST:PORT`; an IPv6 address stands in brackets.
struct ListenAddress {
    let place: Listener.Place

    init(_ text: String) throws(Failure) {
        guard let mark = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: mark)...])
        else { throw Self.unreadable(text) }
        var host = text[..<mark]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw Self.unreadable(text)
        }
        guard !host.isEmpty else { throw Self.unreadable(text) }
        place = .network(host: String(host), port: Int(port))
    }

    private static func unreadable(_ text: String) -> Failure {
        Failure(
            .usage, text, "this is no address to listen at",
            wayOut: "for example 127.0.0.1:4599 or [::1]:4599")
    }

    /// Names count as addresses of others, but for the one that is always this machine's.
    static func isOfThisMachine(_ place: Listener.Place) -> Bool {
        guard case .network(let host, _) = place else { return true }
        return host == "localhost" || Peer.network(address: host).isLocal
    }
}
