internal import Platform

/// How a fixture's vault is made and mounted.
package struct VaultShape: Sendable, Hashable {
    package var initOptions: [String] = []
    package var mountOptions: [String] = []
    /// A key file opens the keystore at once, where the passphrase takes half a second; it is there
    /// all the same.
    package var opensWithKeyFile = true

    /// As `init` leaves it: the passphrase and the recovery key open it.
    package static var locked: VaultShape {
        var shape = VaultShape()
        shape.opensWithKeyFile = false
        return shape
    }

    package init(initOptions: [String] = [], mountOptions: [String] = []) {
        self.initOptions = initOptions
        self.mountOptions = mountOptions
    }
}

/// A vault, its keystore and its mount, made by the real programs, in a directory of their own.
///
/// A mount that does not answer any more is killed by a watchdog, so that a test fails and does
/// not hang.
package final class VaultFixture: @unchecked Sendable {
    // SAFETY: one test at a time works with a fixture.
    package static let passphrase = "correct horse battery staple"
    package static let defaultAlias = "alias/keyfold/default"

    /// Of the directories of everything that is mounted.
    package static let label = "mounted-"

    package let base: TemporaryDirectory
    package let shape: VaultShape
    package let vault: String
    package let mountPoint: String
    package let keystore: String
    package let passphraseFile: String
    private let keyFile: String?
    /// As `init` printed it.
    package let recoveryKey: String
    private var watchdog: Watchdog?

    package var environment: [String: String] {
        var variables = ["KEYFOLD_KEYSTORE": keystore, "KEYFOLD_PASSPHRASE_FILE": passphraseFile]
        variables["KEYFOLD_KEY_FILE"] = keyFile
        return variables
    }

    /// A new vault, which is not mounted: the copy of one that all of this shape are copies of.
    package init(_ shape: VaultShape = VaultShape(), vaultParent: String? = nil) throws {
        self.shape = shape
        base = try TemporaryDirectory(label: Self.label)
        vault = (vaultParent ?? base.path) + "/vault"
        mountPoint = base.path + "/mount"
        keystore = base.path + "/keystore"
        passphraseFile = base.path + "/passphrase"
        do {
            let name = "vault \(shape.initOptions) \(shape.opensWithKeyFile)"
            let template = try Templates.directory(for: name) { try Self.make(shape, in: $0) }
            keyFile = shape.opensWithKeyFile ? template + "/key" : nil
            recoveryKey = try Disk.readText(template + "/recovery")
            try FileTree.copy(template + "/keystore", to: keystore)
            try FileTree.copy(template + "/vault", to: vault)
            try Self.writePassphrase(to: passphraseFile)
            try Disk.makeDirectory(mountPoint)
        } catch {
            base.cleanUp()
            throw error
        }
    }

    private static func make(_ shape: VaultShape, in directory: String) throws {
        let passphrase = directory + "/passphrase"
        try writePassphrase(to: passphrase)
        func keyfold(_ words: [String]) throws -> String {
            try Command([Program.keyfold] + words).with([
                "KEYFOLD_KEYSTORE": directory + "/keystore", "KEYFOLD_PASSPHRASE_FILE": passphrase,
            ]).run().output
        }
        let words = ["init", directory + "/vault", "--json"] + shape.initOptions
        let recoveryKeys = try JSON.lines(try keyfold(words)).compactMap {
            $0["recoveryKey"].string
        }
        try Disk.write(directory + "/recovery", recoveryKeys.joined())
        if shape.opensWithKeyFile {
            _ = try keyfold(["slot", "add", "key-file", directory + "/key"])
        }
    }

    private static func writePassphrase(to file: String) throws {
        try Disk.write(file, passphrase + "\n")
        try Disk.changeMode(file, to: 0o600)
    }

    /// Runs `body` with a mounted vault and takes everything away afterwards.
    package static func withMount<Result>(
        _ shape: VaultShape = VaultShape(), _ body: (VaultFixture) throws -> Result
    ) throws -> Result {
        let fixture = try VaultFixture(shape)
        defer { fixture.cleanUp() }
        try fixture.mount()
        return try body(fixture)
    }

    /// Runs `body` with a vault that is not mounted.
    package static func withVault<Result>(
        _ shape: VaultShape = VaultShape(), _ body: (VaultFixture) throws -> Result
    ) throws -> Result {
        let fixture = try VaultFixture(shape)
        defer { fixture.cleanUp() }
        return try body(fixture)
    }

    package func cleanUp() {
        watchdog = nil
        base.cleanUp()
    }

    // MARK: Programs

    /// The command line, with this fixture's keystore and passphrase.
    package func command(_ words: [String]) -> Command {
        Command([Program.keyfold] + words).with(environment)
    }

    @discardableResult
    package func keyfold(_ words: [String], expecting status: Int32 = 0) throws -> CommandResult {
        try command(words).run(expecting: status)
    }

    @discardableResult
    package func keyfold(_ words: String..., expecting status: Int32 = 0) throws -> CommandResult {
        try keyfold(words, expecting: status)
    }

    /// The lines that a command prints with `--json`.
    package func json(_ words: String...) throws -> [JSON] {
        try JSON.lines(try keyfold(words + ["--json"]).output)
    }

    // MARK: Mounting

    package func mountCommand(options: [String]? = nil) -> Command {
        let options = options ?? shape.mountOptions
        return command(
            ["mount", vault, mountPoint]
                + (options.isEmpty ? [] : ["-o", options.joined(separator: ",")]))
    }

    package func mount(options: [String]? = nil) throws {
        try mountCommand(options: options).limited(toSeconds: 60).run()
        watchdog = Watchdog(pid: try daemonPID())
    }

    package func unmount() throws {
        try keyfold("unmount", mountPoint)
        watchdog = nil
    }

    package func remount(options: [String]? = nil) throws {
        try unmount()
        try mount(options: options)
    }

    package var isMounted: Bool {
        MountTable.mountPoints(below: mountPoint).contains(mountPoint)
    }

    /// The daemon writes its process id into the vault's lock.
    package func daemonPID() throws -> Int32 {
        let text = try Disk.readText(vault + "/.keyfold.lock")
        guard let pid = text.split(separator: "\n").first.flatMap({ Int32($0) }) else {
            throw DeadlinePassed("a process id in the vault's lock")
        }
        return pid
    }

    /// kill -9, and the dead mount out of the way.
    package func killDaemon() throws {
        let pid = try daemonPID()
        Signal.send(Signal.kill, to: pid)
        watchdog = nil
        guard Deadline.wait(seconds: 20, until: { !isRunning(pid) }) else {
            throw DeadlinePassed("the end of the killed daemon")
        }
    }

    /// Takes a dead daemon's mount away as an operator would.
    package func clearDeadMount() throws {
        guard isMounted else { return }
        try Command("umount", "-l", mountPoint).run()
    }

    /// Writes everything back and makes the kernel forget what it read; remounts where it may not.
    package func dropCaches() throws {
        guard runsAsRoot else { return try remount() }
        try Disk.open(mountPoint, OpenFlag.directory).synchronizeFileSystem()
        try dropCleanCaches()
    }

    /// As ``dropCaches()`` after writes that failed, of which a sync would tell once more.
    package func dropCachesAfterFailure() throws {
        guard runsAsRoot else { return try remount() }
        try? Disk.open(mountPoint, OpenFlag.directory).synchronizeFileSystem()
        try dropCleanCaches()
    }

    private func dropCleanCaches() throws {
        try Disk.open("/proc/sys/vm/drop_caches", OpenFlag.writeOnly).write([0x33], at: 0)
    }

    // MARK: Paths

    /// A path in the mount.
    package func path(_ name: String) -> String { mountPoint + "/" + name }

    /// Everything in the vault that holds a user's data: no records, locks, sidecars and config.
    package func sealedFiles() throws -> [String] {
        try Command(
            "find", vault, "-name", ".keyfold.journal", "-prune", "-o", "-type", "f", "-print"
        ).run().lines
            .filter { path in
                let name = path.split(separator: "/").last.map(String.init) ?? ""
                return name != "keyfold.json"
                    && (!name.hasPrefix(".keyfold") || name.hasPrefix(".keyfold.long."))
            }
            .sorted()
    }

    /// The sealed form of a file in the mount: the mount shows the store's inode numbers.
    package func sealedPath(of name: String) throws -> String {
        let number = try Disk.status(path(name)).inodeNumber
        let found = try Command("find", vault, "-inum", "\(number)").run().lines
        guard let path = found.first else { throw Errno.noSuchFileOrDirectory }
        return path
    }
}
