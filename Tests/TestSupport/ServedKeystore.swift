/// keyfold-serve before a keystore of its own, until the end of a test.
package final class ServedKeystore {
    package let directory: TemporaryDirectory
    package private(set) var process: ChildProcess?
    /// What the programs get beside what leads them to the keystore.
    private var variables: [String: String] = [:]

    /// - Parameter label: of its directory; with ``VaultFixture/label`` it is among those that hold
    ///   mounts.
    package init(label: String = "serve") throws {
        directory = try TemporaryDirectory(label: label)
        let passphrase = directory.path + "/passphrase"
        try Disk.write(passphrase, "a passphrase\n")
        try Disk.changeMode(passphrase, to: 0o600)
        try keyfold("keystore", "create").run()
        // It opens the keystore at once, where the passphrase takes half a second.
        let keyFile = directory.path + "/key"
        try keyfold("slot", "add", "key-file", keyFile).run()
        variables["KEYFOLD_KEY_FILE"] = keyFile
    }

    deinit { cleanUp() }

    package func cleanUp() {
        process = nil
        directory.cleanUp()
    }

    package func keyfold(_ words: String...) -> Command {
        Command([Program.keyfold] + words).with(environment)
    }

    package var environment: [String: String] {
        variables.merging([
            "KEYFOLD_KEYSTORE": directory.path + "/keystore",
            "KEYFOLD_PASSPHRASE_FILE": directory.path + "/passphrase",
        ]) { $1 }
    }

    /// Adds a new token of SoftHSM2's, for servers that are started from now on.
    ///
    /// - Returns: the id that clients call it by, and its PIN; nothing where there is no SoftHSM2.
    package func addToken() throws -> [String] {
        let module = [
            "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
        ].first { Disk.exists($0) }
        guard let module else { return [] }
        let tokens = directory.path + "/tokens"
        try Disk.makeDirectory(tokens)
        let configuration = directory.path + "/softhsm2.conf"
        try Disk.write(
            configuration,
            "directories.tokendir = \(tokens)\nobjectstore.backend = file\nlog.level = ERROR\n")
        variables["SOFTHSM2_CONF"] = configuration
        let pin = "12345678"
        try Command(
            "softhsm2-util", "--init-token", "--free", "--label", "served", "--pin", pin,
            "--so-pin", "for the officer"
        ).with(environment).run()
        return [try add(token: "served", of: module), pin]
    }

    /// Adds the token of a library that breaks the standard; its PIN is 12345678.
    ///
    /// - Parameter behaviour: what it does wrong in servers that are started from now on.
    /// - Returns: the id that clients call it by.
    package func addHostileToken(_ behaviour: String) throws -> String {
        variables["HOSTILE_PKCS11"] = behaviour
        let library = try HostileLibrary(copiedTo: directory.path + "/hostile.so")
        return try add(token: "hostile", of: library.path)
    }

    private func add(token label: String, of module: String) throws -> String {
        let output = try keyfold("token", "add", module, "--label", label, "--json").run().output
        guard let id = try JSON(output)["clusterId"].string else {
            throw DeadlinePassed("a token in \(output)")
        }
        return id
    }

    /// An access key's id and secret.
    package func principal(_ words: String...) throws -> (id: String, secret: String) {
        let output = try Command(
            [Program.keyfold, "principal", "create", "--json"] + words
        ).with(environment).run().output
        let json = try JSON(output)
        guard let id = json["accessKeyId"].string, let secret = json["secretAccessKey"].string
        else { throw DeadlinePassed("an access key in \(output)") }
        return (id, secret)
    }

    /// Begins to serve, by way of `keyfold serve`.
    ///
    /// - Returns: the port.
    package func serve(_ options: String...) throws -> UInt16 {
        try serve(at: "127.0.0.1:0", options)
    }

    /// Begins to serve at an address, which may have been served before.
    @discardableResult
    package func serve(at address: String, _ options: [String] = []) throws -> UInt16 {
        let words = [Program.keyfold, "serve", "--listen", address] + options
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

    package func stop() throws -> Int32 {
        process?.signal(Signal.terminate)
        guard let status = try process?.waitForEnd(seconds: 30) else {
            throw DeadlinePassed("the end of keyfold-serve")
        }
        return status
    }
}
