import Foundation
import TestSupport
import Testing

/// keyfold-serve before a keystore of its own, until the end of a test.
final class ServedKeystore {
    let directory: TemporaryDirectory
    private(set) var process: TestSupport.ChildProcess?
    /// What the programs get beside what leads them to the keystore.
    private var variables: [String: String] = [:]

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

    var environment: [String: String] {
        variables.merging([
            "KEYFOLD_KEYSTORE": directory.path + "/keystore",
            "KEYFOLD_PASSPHRASE_FILE": directory.path + "/passphrase",
        ]) { $1 }
    }

    /// Adds a new token of SoftHSM2's, for servers that are started from now on.
    ///
    /// - Returns: the id that clients call it by, and its PIN; nothing where there is no SoftHSM2.
    func addToken() throws -> [String] {
        let module = [
            "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
        ].first { FileManager.default.isReadableFile(atPath: $0) }
        guard let module else { return [] }
        let tokens = directory.path + "/tokens"
        try FileManager.default.createDirectory(
            atPath: tokens, withIntermediateDirectories: false)
        let configuration = directory.path + "/softhsm2.conf"
        try "directories.tokendir = \(tokens)\nobjectstore.backend = file\nlog.level = ERROR\n"
            .write(toFile: configuration, atomically: true, encoding: .utf8)
        variables["SOFTHSM2_CONF"] = configuration
        let pin = "12345678"
        try Command(
            "softhsm2-util", "--init-token", "--free", "--label", "served", "--pin", pin,
            "--so-pin", "for the officer"
        ).with(environment).run()
        let output = try keyfold("token", "add", module, "--label", "served", "--json").run().output
        return [try #require(try TestSupport.JSON(output)["clusterId"].string), pin]
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
