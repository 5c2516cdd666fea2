import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// What cannot be mounted is refused with a message that names the object and the way out.
    @Suite
    struct MountRefusalTests {
        private static func expectRefusal(
            _ result: CommandResult, naming object: String, status: Int32? = nil,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(result.status != 0, "\(result)", sourceLocation: sourceLocation)
            #expect(result.status != 124, "it hung", sourceLocation: sourceLocation)
            #expect(result.status < 126, "\(result)", sourceLocation: sourceLocation)
            if let status {
                #expect(result.status == status, "\(result)", sourceLocation: sourceLocation)
            }
            #expect(
                result.error.contains(object), "\(result)", sourceLocation: sourceLocation)
            #expect(
                !result.error.contains("Fatal error") && !result.error.contains("VaultError"),
                "\(result)", sourceLocation: sourceLocation)
        }

        @Test func `a wrong passphrase`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                try Disk.write(fixture.passphraseFile, "wrong\n")
                Self.expectRefusal(
                    try fixture.mountCommand().result(), naming: fixture.keystore, status: 77)
                let list = try fixture.command(["key", "list"]).result()
                Self.expectRefusal(list, naming: "passphrase", status: 77)
                #expect(!list.error.contains("correct horse"))
                try Disk.write(fixture.passphraseFile, VaultFixture.passphrase + "\n")
                try fixture.mount()
            }
        }

        @Test func `a passphrase file that is missing or empty`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                try Disk.write(fixture.passphraseFile, "")
                Self.expectRefusal(
                    try fixture.mountCommand().result(), naming: fixture.passphraseFile)
                try Disk.unlink(fixture.passphraseFile)
                Self.expectRefusal(
                    try fixture.mountCommand().result(), naming: fixture.passphraseFile)
            }
        }

        @Test func `a missing keystore`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                try Disk.rename(fixture.keystore, fixture.keystore + ".away")
                let result = try fixture.mountCommand().result()
                Self.expectRefusal(result, naming: fixture.keystore, status: 66)
                #expect(
                    result.error.contains(
                        "keyfold keystore restore BACKUP --keystore \(fixture.keystore)"))
                #expect(!result.error.contains("keyfold init"), "\(result)")
                #expect(!Disk.exists(fixture.keystore))
                try Disk.rename(fixture.keystore + ".away", fixture.keystore)
                try fixture.mount()
            }
        }

        @Test func `the keystore of somebody else's vault`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let other = fixture.base.path + "/other"
                try fixture.keyfold("keystore", "create", "--keystore", other)
                let arn = try #require(
                    try fixture.json("key", "list", "--keystore", other).first?["arn"].string)
                let words = "this keystore is of account \(arn.split(separator: ":")[4])"
                let mount = try fixture.mountCommand(options: ["keystore=" + other]).result()
                Self.expectRefusal(mount, naming: fixture.vault, status: 77)
                #expect(mount.error.contains(words), "\(mount)")
                #expect(mount.error.contains("--keystore DIR"), "\(mount)")
                let rewrap = try fixture.command(["rewrap", fixture.vault, "--keystore", other])
                    .result()
                #expect(rewrap.error.contains(words), "\(rewrap)")
            }
        }

        @Test(needsRoot)
        func `a keystore on a read-only file system`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                try fixture.keyfold("key", "list")
                try Command("mount", "--bind", fixture.keystore, fixture.keystore).run()
                try Command("mount", "-o", "remount,ro,bind", fixture.keystore).run()
                for command in [
                    fixture.mountCommand(options: ["ro"]), fixture.command(["key", "list"]),
                    fixture.command(["log"]),
                ] {
                    let result = try command.result()
                    Self.expectRefusal(result, naming: fixture.keystore, status: 73)
                    #expect(result.error.contains("read-only file system"), "\(result)")
                    #expect(result.error.contains("--keystore DIR"), "\(result)")
                }
                try Command("umount", fixture.keystore).run()
                try fixture.keyfold("key", "list")
            }
        }

        @Test func `a vault without its record`() throws {
            try VaultFixture.withVault { fixture in
                try Disk.unlink(fixture.vault + "/.keyfold.dir")
                let result = try fixture.mountCommand().result()
                Self.expectRefusal(result, naming: ".keyfold.dir is missing", status: 65)
                #expect(result.error.contains("from a backup"), "\(result)")
            }
        }

        @Test func `files that hold no key are named`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let file = fixture.base.path + "/file"
                try Disk.write(file, "ABCD-EFGH\n")
                try Disk.changeMode(file, to: 0o600)
                for words in [
                    ["key", "list", "--key-file", file], ["slot", "add", "key-file", file],
                    ["key", "list", "--recovery-key-file", file],
                ] {
                    let result = try fixture.keyfold(words, expecting: 64)
                    #expect(result.error.contains("keyfold: \(file): "), "\(result)")
                }
                let missing = fixture.base.path + "/nosuch"
                let restore = try fixture.keyfold(
                    "keystore", "restore", missing, "--keystore", fixture.base.path + "/new",
                    expecting: 66)
                #expect(restore.error.contains("\(missing): No such file"), "\(restore)")
                #expect(!restore.error.contains("keyfold init"), "\(restore)")
            }
        }

        @Test func `an edited keystore`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let backup = fixture.base.path + "/keystore.copy"
                try Command("cp", "-a", fixture.keystore, backup).run()
                try Command(
                    "sqlite3", fixture.keystore + "/keystore.db", "pragma wal_checkpoint(truncate);"
                ).run()
                let path = fixture.keystore + "/keystore.db"
                let original = try Disk.read(path)
                var refusals = 0
                var source = RandomSource(seed: 4)
                for _ in 0..<8 {
                    var bytes = original
                    for _ in 0..<40 { bytes[source.number(0..<bytes.count)] ^= 0x10 }
                    try Disk.write(path, bytes)
                    for suffix in ["-wal", "-shm"] { try? Disk.unlink(path + suffix) }
                    let result = try fixture.mountCommand().result()
                    if result.succeeded {
                        // Free space of the database was hit; nothing that counts was changed.
                        try fixture.unmount()
                    } else {
                        refusals += 1
                        Self.expectRefusal(result, naming: "keystore")
                    }
                }
                #expect(refusals > 0)
                try Command("rm", "-r", fixture.keystore).run()
                try Disk.rename(backup, fixture.keystore)
                try fixture.mount()
            }
        }

        @Test func `a record that was deleted from or copied within the keystore`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let database = fixture.keystore + "/keystore.db"
                let tables = try Command("sqlite3", database, ".tables").run().output
                    .split(whereSeparator: \.isWhitespace).map(String.init)
                #expect(!tables.isEmpty)
                let copy = fixture.base.path + "/copy.db"
                try Command("sqlite3", database, "vacuum into '\(copy)'").run()
                for table in tables where !table.contains("grdb") {
                    let count = try Command("sqlite3", database, "select count(*) from \(table)")
                        .run().output
                    guard count != "0\n" else { continue }
                    let deletion =
                        "delete from \(table) where rowid = (select min(rowid) from \(table))"
                    let deleted = try Command("sqlite3", database, deletion).result()
                    guard deleted.succeeded else { continue }
                    // The log's own records are compared when the log is read.
                    if ["segments", "checkpoints", "tallies"].contains(table) {
                        try fixture.keyfold("log", "verify", expecting: 65)
                    } else {
                        let result = try fixture.mountCommand().result()
                        if result.succeeded { try fixture.unmount() }
                        #expect(!result.succeeded, "a record of \(table) was deleted unseen")
                    }
                    for suffix in ["", "-wal", "-shm"] { try? Disk.unlink(database + suffix) }
                    try Command("cp", copy, database).run()
                }
                try fixture.mount()
            }
        }

        @Test func `a directory that is no vault`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let directory = fixture.base.path + "/plain"
                try Disk.makeDirectory(directory)
                try Disk.write(directory + "/file", "x")
                for path in [directory, fixture.base.path + "/missing"] {
                    let result = try fixture.command(["mount", path, fixture.mountPoint]).result()
                    Self.expectRefusal(result, naming: path, status: 66)
                    let status = try fixture.command(["status", path]).result()
                    Self.expectRefusal(status, naming: path, status: 66)
                    let rewrap = try fixture.command(["rewrap", path]).result()
                    Self.expectRefusal(rewrap, naming: path, status: 66)
                }
                Self.expectRefusal(
                    try fixture.command(["init", directory]).result(), naming: directory)
                Self.expectRefusal(
                    try fixture.command(["init", fixture.vault]).result(), naming: fixture.vault)
                #expect(try Disk.names(in: directory).map(\.string) == ["file"])
            }
        }

        @Test func `a mount point that is missing, a file, or not empty`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let missing = fixture.base.path + "/missing"
                let file = fixture.base.path + "/file"
                let full = fixture.base.path + "/full"
                try Disk.write(file, "x")
                try Disk.makeDirectory(full)
                try Disk.write(full + "/file", "x")
                for path in [missing, file, full] {
                    let result = try fixture.command(["mount", fixture.vault, path]).result()
                    Self.expectRefusal(result, naming: path)
                }
                try fixture.mount()
            }
        }

        @Test func `a mount point inside the vault, and the vault itself`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                try Disk.makeDirectory(fixture.vault + "/inside")
                for path in [fixture.vault, fixture.vault + "/inside"] {
                    let result = try fixture.command(["mount", fixture.vault, path]).result()
                    Self.expectRefusal(result, naming: path)
                    #expect(MountTable.mountPoints(below: fixture.vault).isEmpty)
                }
            }
        }

        @Test func `a second mount of the same vault, and a mount point in use`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                let second = fixture.base.path + "/second"
                try Disk.makeDirectory(second)
                let result = try fixture.command(["mount", fixture.vault, second]).result()
                Self.expectRefusal(result, naming: fixture.vault, status: 75)
                #expect(result.error.contains(fixture.mountPoint))
                #expect(result.error.contains("\(try fixture.daemonPID())"))

                let other = fixture.base.path + "/other"
                try fixture.keyfold("init", other)
                let inUse = try fixture.command(["mount", other, fixture.mountPoint]).result()
                Self.expectRefusal(inUse, naming: fixture.mountPoint)
                try Disk.write(fixture.path("file"), "still works")
                #expect(try Disk.readText(fixture.path("file")) == "still works")
            }
        }

        @Test func `read-only mounts are not mixed with a writer`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                let second = fixture.base.path + "/second"
                try Disk.makeDirectory(second)
                let result = try fixture.command(
                    ["mount", fixture.vault, second, "-o", "ro"]
                ).result()
                Self.expectRefusal(result, naming: fixture.vault, status: 75)
            }
        }

        @Test func `who holds a vault is told as it is, and not as an earlier mount wrote it`()
            throws
        {
            try VaultFixture.withMount(.locked) { fixture in
                try fixture.unmount()
                let second = fixture.base.path + "/second"
                try Disk.makeDirectory(second)
                try fixture.keyfold("mount", fixture.vault, second, "-o", "ro")
                let result = try fixture.mountCommand().result()
                Self.expectRefusal(result, naming: fixture.vault, status: 75)
                let pid = try #require(try fixture.json("status", second)[0]["pid"].int)
                #expect(result.error.contains("process \(pid) "), "\(result)")
                #expect(!result.error.contains(fixture.mountPoint), "\(result)")
                try fixture.keyfold("unmount", second)
            }
        }

        @Test func `an unknown mount option`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let result = try fixture.mountCommand(options: ["nosuchoption"]).result()
                Self.expectRefusal(result, naming: "nosuchoption")
                #expect(!fixture.isMounted)
            }
        }

        @Test func `unmount of what is not mounted`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                Self.expectRefusal(
                    try fixture.command(["unmount", fixture.mountPoint]).result(),
                    naming: fixture.mountPoint)
            }
        }

        @Test func `a read-only mount reads and refuses every change`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                try Disk.write(fixture.path("file"), pattern(9000))
                try Disk.makeDirectory(fixture.path("directory"))
                try fixture.remount(options: ["ro"])
                #expect(try Disk.read(fixture.path("file")) == pattern(9000))
                #expect(throws: Errno.readOnlyFileSystem) {
                    try Disk.write(fixture.path("file"), "x")
                }
                #expect(throws: Errno.readOnlyFileSystem) {
                    try Disk.makeDirectory(fixture.path("new"))
                }
                #expect(throws: Errno.readOnlyFileSystem) { try Disk.unlink(fixture.path("file")) }
                #expect(throws: Errno.readOnlyFileSystem) {
                    try Disk.changeMode(fixture.path("file"), to: 0o600)
                }
                #expect(throws: Errno.readOnlyFileSystem) {
                    try Disk.rename(fixture.path("file"), fixture.path("b"))
                }
                #expect(try fixture.json("status", fixture.vault)[0]["readOnly"].bool == true)
            }
        }

        @Test(needsRoot)
        func `a vault on a read-only file system mounts read-only`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                try Disk.write(fixture.path("file"), pattern(9000))
                try fixture.unmount()
                try Command("mount", "--bind", fixture.vault, fixture.vault).run()
                try Command("mount", "-o", "remount,ro,bind", fixture.vault).run()
                let result = try fixture.mountCommand().result()
                Self.expectRefusal(result, naming: fixture.vault)
                #expect(result.error.contains("ro"))
                try fixture.mount(options: ["ro"])
                #expect(try Disk.read(fixture.path("file")) == pattern(9000))
                try fixture.unmount()
                try Command("umount", fixture.vault).run()
                try fixture.mount()
            }
        }

        /// The passphrase costs the daemon a few hundred milliseconds, in which it can be killed.
        @Test func `a daemon whose start was killed mounts nothing later`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let parent = try Command(Program.keyfoldfs, fixture.vault, fixture.mountPoint)
                    .with(fixture.environment).start()
                func daemons() -> [Int32] {
                    Processes.withArgument(containing: fixture.mountPoint)
                }
                try #require(Deadline.wait(seconds: 20) { daemons().count == 2 })
                Signal.send(Signal.kill, to: parent.pid)
                _ = parent.waitForEnd()
                #expect(Deadline.wait(seconds: 20) { daemons().isEmpty })
                #expect(!fixture.isMounted)
                try fixture.mount()
            }
        }
    }
}
