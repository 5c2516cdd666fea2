import Foundation
import KMSClient
import TestSupport
import Testing

/// Tests/Oracles/http_server.py in a child process, which ends with this object.
final class TestServer: Sendable {
    private let process: TestSupport.ChildProcess
    /// `http://127.0.0.1:PORT`, `https://localhost:PORT` or `unix:///PATH`.
    let url: String

    init(
        unixSocket: String? = nil, tls: (certificate: String, key: String)? = nil,
        isFull: Bool = false
    ) throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Oracles/http_server.py").path
        var words = ["python3", script]
        if let unixSocket { words += ["--unix", unixSocket] }
        if let tls { words += ["--tls", tls.certificate, tls.key] }
        if isFull { words += ["--full"] }
        let started = try Command(words).start()
        process = started
        let isUp = Deadline.wait(seconds: 60) {
            (try? started.outputText())?.hasSuffix("\n") ?? false
        }
        guard isUp else { throw DeadlinePassed("the server: \(try started.errorBytes())") }
        let place = try started.outputText().dropLast()
        if unixSocket != nil {
            url = "unix://\(place)"
        } else {
            url = tls == nil ? "http://127.0.0.1:\(place)" : "https://localhost:\(place)"
        }
    }

    func transport(
        _ path: String = "", _ change: (inout HTTPTransport.Options) -> Void = { _ in }
    ) throws -> HTTPTransport {
        var options = HTTPTransport.Options()
        change(&options)
        return HTTPTransport(endpoint: try Endpoint(url + path), options: options)
    }

    func stop() throws {
        process.signal(Signal.kill)
        _ = process.waitForEnd()
    }
}

func soon(_ seconds: Double = 30) -> ContinuousClock.Instant {
    .now.advanced(by: .seconds(seconds))
}
