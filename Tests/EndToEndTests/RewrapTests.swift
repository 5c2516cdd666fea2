import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite
    struct RewrapTests {
        /// The key versions that the vault's headers name, with how many files are under each.
        private static func versions(_ fixture: VaultFixture) throws -> [Int: Int] {
            var versions: [Int: Int] = [:]
            let files = try fixture.sealedFiles()
            for line in try JSON.lines(
                try fixture.keyfold(["inspect", "--json"] + files).output)
            {
                if let version = line["wrappedKeys"][0]["keyVersion"].int {
                    versions[version, default: 0] += 1
                }
            }
            return versions
        }

        private static func makeFiles(_ fixture: VaultFixture, _ count: Int) throws {
            for number in 0..<count {
                try Disk.write(
                    fixture.path("f\(number)"),
                    pattern(number * 37 % 9000 + 1, seed: UInt64(number)))
            }
        }

        private static func checkFiles(_ fixture: VaultFixture, _ count: Int) throws {
            for number in 0..<count {
                let content = try Disk.read(fixture.path("f\(number)"))
                #expect(content == pattern(number * 37 % 9000 + 1, seed: UInt64(number)))
            }
        }

        private static func rewrap(
            _ fixture: VaultFixture, _ words: String...
        ) throws -> [String: Int] {
            let lines = try JSON.lines(
                try fixture.keyfold(["rewrap", fixture.vault, "--json"] + words).output)
            let last = try #require(lines.last)
            #expect(last.names == ["failed", "files", "rewrapped", "skipped"])
            var numbers: [String: Int] = [:]
            for name in last.names { numbers[name] = last[name].int }
            return numbers
        }

        @Test func `a keystore that is older than the vault is said to be so`() throws {
            try VaultFixture.withVault { fixture in
                let backup = fixture.base.path + "/backup"
                try fixture.keyfold("keystore", "backup", backup)
                try fixture.mount()
                try Disk.write(fixture.path("old"), "x")
                try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias)
                try Disk.write(fixture.path("new"), "x")
                try fixture.unmount()
                try FileTree.remove(fixture.keystore)
                try fixture.keyfold("keystore", "restore", backup)
                // Of the files the vault has one that is behind the backup, of the keys none.
                let files = try fixture.keyfold("rewrap", fixture.vault, expecting: 2)
                let words = "needs version 2 of arn:aws:kms:"
                #expect(files.error.contains("new: its wrapped key \(words)"), "\(files)")
                #expect(files.error.contains("this keystore has 1"), "\(files)")
                #expect(files.error.contains("restore a newer backup"), "\(files)")
                try fixture.mount()
                #expect(try Disk.readText(fixture.path("old")) == "x")
                #expect(throws: Errno.noKey) { try Disk.read(fixture.path("new")) }
            }
        }

        @Test func `a vault's own key that the keystore does not have yet keeps it from mounting`()
            throws
        {
            try VaultFixture.withVault { fixture in
                let backup = fixture.base.path + "/backup"
                try fixture.keyfold("keystore", "backup", backup)
                try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias)
                try fixture.keyfold("rewrap", fixture.vault)
                try FileTree.remove(fixture.keystore)
                try fixture.keyfold("keystore", "restore", backup)
                let mount = try fixture.mountCommand().run(expecting: 66)
                #expect(mount.error.contains("needs version 2 of arn:aws:kms:"), "\(mount)")
                #expect(mount.error.contains("keyfold keystore restore BACKUP"), "\(mount)")
            }
        }

        @Test func `a rotated key's files move on, while the vault is mounted and in use`() throws {
            try VaultFixture.withMount { fixture in
                try Self.makeFiles(fixture, 60)
                try Disk.write(fixture.path("empty"), "")
                let open = try Disk.open(fixture.path("f50"), OpenFlag.readWrite)
                let before = try Disk.status(fixture.path("f10"))
                #expect(try Self.versions(fixture) == [1: 60])
                try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias)
                try Disk.write(fixture.path("new"), "under the new version")
                #expect(try Self.versions(fixture) == [1: 60, 2: 1])
                let counts = try Self.rewrap(fixture)
                #expect(counts == ["files": 62, "rewrapped": 60, "skipped": 2, "failed": 0])
                #expect(try Self.versions(fixture) == [2: 61])
                #expect(
                    try Disk.status(fixture.path("f10")).modificationTime == before.modificationTime
                )
                // The file that was open goes on, grows and becomes sparse under its new header.
                try open.write(pattern(5000, seed: 1), at: 20_000)
                try open.synchronize(dataOnly: false)
                try open.truncate(to: 1 << 20)
                try open.synchronize(dataOnly: false)
                #expect(try Self.versions(fixture) == [2: 61])
                try fixture.dropCaches()
                #expect(try open.read(count: 5000, at: 20_000) == pattern(5000, seed: 1))
                try open.write([], at: 0)
                try open.truncate(to: 0)
                try open.write(pattern(50 * 37 % 9000 + 1, seed: 50), at: 0)
                _ = consume open
                try fixture.remount()
                try Self.checkFiles(fixture, 60)
                let again = try Self.rewrap(fixture)
                #expect(again["rewrapped"] == 0)
                #expect(again["failed"] == 0)
            }
        }

        @Test func `a part of the tree moves alone, also to another key`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.makeDirectory(fixture.path("folder"))
                try Disk.makeDirectory(fixture.path("folder/sub"))
                try Disk.write(fixture.path("folder/a"), "a")
                try Disk.write(fixture.path("folder/sub/b"), "b")
                try Disk.write(fixture.path("c"), "c")
                let key = try fixture.json("key", "create", "--alias", "alias/second")[0]
                let counts = try Self.rewrap(fixture, "folder", "--to", "alias/second")
                #expect(counts == ["files": 2, "rewrapped": 2, "skipped": 0, "failed": 0])
                func arn(_ name: String) throws -> String? {
                    let file = try fixture.sealedPath(of: name)
                    return try fixture.json("inspect", file)[0]["wrappedKeys"][0]["keyArn"].string
                }
                #expect(try arn("folder/a") == key["arn"].string)
                #expect(try arn("folder/sub/b") == key["arn"].string)
                #expect(try arn("c") != key["arn"].string)
                let one = try Self.rewrap(fixture, "c", "--to", "alias/second", "--jobs", "3")
                #expect(one["rewrapped"] == 1)
                for name in ["folder/a", "folder/sub/b", "c"] {
                    #expect(try Disk.readText(fixture.path(name)).count == 1)
                }
                try fixture.keyfold("rewrap", fixture.vault, "nothing", expecting: 66)
                try fixture.keyfold(
                    "rewrap", fixture.vault, "--to", "alias/none", expecting: 66)
            }
        }

        @Test func `a whole vault moves to another key, and the old one can go`() throws {
            try VaultFixture.withMount { fixture in
                try Self.makeFiles(fixture, 20)
                try fixture.keyfold("key", "create", "--alias", "alias/second")
                let counts = try Self.rewrap(fixture, "--to", "alias/second")
                #expect(counts["rewrapped"] == 20)
                try fixture.keyfold("key", "disable", VaultFixture.defaultAlias)
                try Self.checkFiles(fixture, 20)
                // New files are under the new key, in this mount and in the next.
                try Disk.write(fixture.path("new"), "x")
                try fixture.remount()
                try Disk.write(fixture.path("newer"), "x")
                try Self.checkFiles(fixture, 20)
            }
        }

        @Test(arguments: [1, 2, 3])
        func `a rewrap that is killed leaves every file readable and goes on`(
            _ round: Int
        ) throws {
            try VaultFixture.withMount { fixture in
                let count = 1500
                try Self.makeFiles(fixture, count)
                try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias)
                let file = try fixture.sealedFiles()[count / 4 * round]
                let rewrap = try fixture.command(["rewrap", fixture.vault, "--json"]).start()
                // Somewhere in the middle: one of the files has moved.
                let started = try Disk.read(file).prefix(512)
                #expect(
                    Deadline.wait(seconds: 60) {
                        ((try? Disk.read(file).prefix(512)) ?? started) != started
                            || !isRunning(rewrap.pid)
                    })
                rewrap.signal(Signal.kill)
                _ = try rewrap.waitForEnd(seconds: 20)
                try fixture.dropCaches()
                try Self.checkFiles(fixture, count)
                let counts = try Self.rewrap(fixture)
                #expect(counts["files"] == count)
                #expect(counts["failed"] == 0)
                #expect(try Self.versions(fixture) == [2: count])
                try fixture.dropCaches()
                try Self.checkFiles(fixture, count)
                try fixture.keyfold("log", "verify")
            }
        }

        @Test func `a rewrap beside writers loses nothing`() throws {
            try VaultFixture.withMount { fixture in
                try Self.makeFiles(fixture, 200)
                try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias)
                let script = """
                    i=0; while [ $i -lt 200 ]; do
                      printf '%s' "rewritten $i" > w$((i % 40)); truncate -s $((i * 1000)) s$((i % 40))
                      echo x >> a$((i % 40)); mv w$((i % 40)) v$((i % 40)); i=$((i+1)); done
                    """
                let writer = try Command.shell(script).in(fixture.mountPoint).start()
                for _ in 0..<3 { #expect(try Self.rewrap(fixture)["failed"] == 0) }
                #expect(try writer.waitForEnd(seconds: 120) == 0)
                #expect(try Self.rewrap(fixture)["failed"] == 0)
                try fixture.remount()
                try Self.checkFiles(fixture, 200)
                for number in 0..<40 {
                    #expect(
                        try Disk.readText(fixture.path("v\(number)")) == "rewritten \(160 + number)"
                    )
                    #expect(try Disk.readText(fixture.path("a\(number)")) == "x\nx\nx\nx\nx\n")
                    let sparse = try Disk.read(fixture.path("s\(number)"))
                    #expect(sparse == [UInt8](repeating: 0, count: (160 + number) * 1000))
                }
            }
        }

        @Test func `one damaged file is named and the others move`() throws {
            try VaultFixture.withMount { fixture in
                try Self.makeFiles(fixture, 10)
                let path = try fixture.sealedPath(of: "f5")
                var bytes = try Disk.read(path)
                bytes[100] ^= 1
                try fixture.unmount()
                try Disk.write(path, bytes)
                try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias)
                let result = try fixture.command(["rewrap", fixture.vault, "--json"])
                    .run(expecting: 2)
                #expect(result.error.contains("f5"))
                let last = try #require(try JSON.lines(result.output).last)
                #expect(last["failed"].int == 1)
                #expect(last["rewrapped"].int == 9)
            }
        }

        @Test func `inspect needs no key, and tells what is no sealed file`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), pattern(10_000))
                try Disk.write(fixture.path("empty"), "")
                let file = try fixture.sealedPath(of: "file")
                let bare = try Command(Program.keyfold, "inspect", "--json", file).run()
                let line = try JSON.lines(bare.output)[0]
                #expect(line["format"].int == 1)
                #expect(line["fileId"].string?.count == 36)
                #expect(line["wrappedKeys"].list.count == 1)
                #expect(line["wrappedKeys"][0]["keyVersion"].int == 1)
                let status = try fixture.json("status", fixture.vault)[0]
                #expect(line["wrappedKeys"][0]["keyArn"].string == status["keyArn"].string)
                let empty = try fixture.json("inspect", try fixture.sealedPath(of: "empty"))[0]
                #expect(empty["empty"].bool == true)
                try Command(Program.keyfold, "inspect", fixture.passphraseFile).run(expecting: 65)
                try Command(Program.keyfold, "inspect", file + "x").run(expecting: 66)
                try Command(Program.keyfold, "inspect", file, file + "x").run(expecting: 2)
                try Disk.makeDirectory(fixture.path("directory"))
                try Disk.symbolicLink(fixture.path("link"), to: "nowhere")
                let all = try Command.shell(
                    "exec \"$1\" inspect --json \"$2\"/*", Program.keyfold, fixture.vault
                ).run()
                #expect(try JSON.lines(all.output).count == 2)
                let config = fixture.vault + "/keyfold.json"
                try Command(Program.keyfold, "inspect", config).run(expecting: 65)
            }
        }
    }
}
