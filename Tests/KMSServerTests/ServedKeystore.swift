import Foundation
import TestSupport
import Testing

/// keyfold-serve before a keystore of its own, until the end of a test.
final class ServedKeystore {
    let directory: TemporaryDirectory
    private(set) var process: TestSupport.ChildProcess?

    init() throws {
        directory = try TemporaryDirectory(label: "serve")
        let passphrase = directory.path + "/passphrase"
        try #require(
            FileManager.default.createFile(
                atPath: passphrase, contents: Data("a passphrase\n".utf8),
                attributes: [.posixPermissions: 0o600]))
        try keyfold("keystore", "create").run()
    }

    deinit {
        process = nil
        directory.cleanUp()
    }

    func keyfold(_ words: String...) -> Command {
        Command([Program.keyfold] + words).with(environment)
    }

    private var environment: [String: String] {
        [
            "KEYFOLD_KEYSTORE": directory.path + "/keystore",
            "KEYFOLD_PASSPHRASE_FILE": directory.path + "/passphrase",
        ]
    }

    /// An access key's id and secret.
    func principal(_ words: String...) throws -> (id: String, secret: String) {
        let output = try Command(
            [Program.keyfold, "principal", "create", "--json"] + words
        ).with(environment).run().output
        let json = try TestSupport.JSON(output)
        return (
            try #require(json["accessKeyId"].string), try #require(json["secretAccessKey"].string)
        )
    }

    /// Begins to serve, by way of `keyfold serve`.
    ///
    /// - Returns: the port.
    func serve(_ options: String...) throws -> UInt16 {
        let words = [Program.keyfold, "serve", "--listen", "127.0.0.1:0"] + options
        let process = try Command(words).with(environment).start()
        self.process = process
        var port: UInt16?
        let mark = "serving at 127.0.0.1:"
        let isServing = Deadline.wait(seconds: 60) {
            let log = (try? process.errorBytes()).map { String(decoding: $0, as: UTF8.self) } ?? ""
            port = log.range(of: mark).flatMap {
                UInt16(log[$0.upperBound...].prefix { $0.isNumber })
            }
            return port != nil
        }
        guard isServing, let port else {
            throw DeadlinePassed(
                "keyfold serve: \(String(decoding: try process.errorBytes(), as: UTF8.self))")
        }
        return port
    }

    func stop() throws -> Int32 {
        process?.signal(Signal.terminate)
        return try #require(try process?.waitForEnd(seconds: 30))
    }
}
