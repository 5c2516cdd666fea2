import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite
    struct DomainTests {
        private static let second = "alias/second"

        /// Runs `body` with a mounted vault and a second key.
        private static func with(
            _ shape: VaultShape = VaultShape(), _ body: (VaultFixture) throws -> Void
        ) throws {
            try VaultFixture.withMount(shape) { fixture in
                try fixture.keyfold("key", "create", "--alias", second)
                try body(fixture)
            }
        }

        private static func keyARN(_ fixture: VaultFixture, ofFile name: String) throws -> String? {
            let file = try fixture.sealedPath(of: name)
            return try fixture.json("inspect", file)[0]["wrappedKeys"][0]["keyArn"].string
        }

        private static func arn(_ fixture: VaultFixture, _ alias: String) throws -> String? {
            try fixture.json("key", "show", alias)[0]["arn"].string
        }

        @Test(arguments: [[], ["--plaintext-names"]])
        func `domains are made in a mounted vault and in one that is not`(
            _ options: [String]
        ) throws {
            try Self.with(VaultShape(initOptions: options)) { fixture in
                // The kernel remembers that there is no such name.
                #expect(!Disk.exists(fixture.path("live")))
                let made = try fixture.json(
                    "domain", "create", fixture.mountPoint, "live", "--key", Self.second)[0]
                #expect(made.names == ["created", "domainId", "keyArn", "path"])
                #expect(made["path"].string == "live")
                let uses = try fixture.json(
                    "log", "--key", Self.second, "--event", "GenerateDataKey")
                #expect(
                    uses.map { $0["additionalEventData"]["keyfold"]["operation"].string }
                        == ["domain-create"])
                #expect(made["keyArn"].string == (try Self.arn(fixture, Self.second)))
                let status = try Disk.status(fixture.path("live"))
                #expect(status.mode & 0o7777 == 0o700)
                #expect(try Disk.names(in: fixture.mountPoint).map(\.string) == ["live"])
                try fixture.keyfold("domain", "create", fixture.vault, "live/inner")
                let long = String(repeating: "n", count: 220)
                try fixture.keyfold(
                    "domain", "create", fixture.vault, long, "--key", Self.second)
                for name in ["live/a", "live/inner/b", long + "/c"] {
                    try Disk.write(fixture.path(name), name)
                }
                try fixture.unmount()
                try fixture.keyfold(
                    "domain", "create", fixture.vault, "at rest", "--key", Self.second)
                try fixture.keyfold("domain", "create", fixture.vault, "live/" + long)
                try fixture.mount()
                for name in ["live/a", "live/inner/b", long + "/c"] {
                    #expect(try Disk.readText(fixture.path(name)) == name)
                }
                try Disk.write(fixture.path("at rest/d"), "d")
                try Disk.write(fixture.path("live/" + long + "/e"), "e")
                let second = try Self.arn(fixture, Self.second)
                let first = try Self.arn(fixture, VaultFixture.defaultAlias)
                #expect(try Self.keyARN(fixture, ofFile: "at rest/d") == second)
                #expect(try Self.keyARN(fixture, ofFile: "live/a") == second)
                #expect(try Self.keyARN(fixture, ofFile: "live/inner/b") == first)
                let paths = try fixture.json("domain", "list", fixture.mountPoint)
                    .map { $0["path"].string }
                #expect(
                    paths == ["/", "/at rest", "/live", "/live/inner", "/live/" + long, "/" + long])
                try fixture.keyfold("check", fixture.vault, "--read-data")
                try fixture.unmount()
                let check = try fixture.keyfold("check", fixture.vault, "--read-data")
                #expect(check.output.contains("nothing wrong"))
            }
        }

        @Test func `a key that is off closes names and files of its domain and no others`() throws {
            try Self.with { fixture in
                try fixture.keyfold(
                    "domain", "create", fixture.vault, "accounts", "--key", Self.second)
                try Disk.write(fixture.path("accounts/a"), "secret")
                try Disk.write(fixture.path("b"), "plain")
                try fixture.keyfold("key", "disable", Self.second)
                try fixture.dropCaches()
                // At once for files that are opened; names close with the mount.
                #expect(throws: Errno.noKey) { try Disk.read(fixture.path("accounts/a")) }
                try fixture.remount()
                #expect(throws: Errno.noKey) { try Disk.names(in: fixture.path("accounts")) }
                #expect(throws: Errno.noKey) { try Disk.read(fixture.path("accounts/a")) }
                #expect(throws: Errno.noKey) { try Disk.write(fixture.path("accounts/c"), "x") }
                #expect(try Disk.readText(fixture.path("b")) == "plain")
                try Disk.write(fixture.path("d"), "more")
                try Command("ls", "-la", fixture.mountPoint).run()
                let line = try fixture.json("domain", "list", fixture.vault)[1]
                #expect(line["path"].string == "/accounts" && line["open"].bool == false)
                #expect(line["keyState"].string == "Disabled")
                let check = try fixture.keyfold("check", fixture.vault)
                #expect(check.output.contains("accounts: domain-key-unusable"))
                try fixture.keyfold("key", "enable", Self.second)
                #expect(try Disk.readText(fixture.path("accounts/a")) == "secret")
                try fixture.keyfold("log", "verify")
            }
        }

        @Test func `mv across domains copies, and puts the copy under the domain's key`() throws {
            try Self.with { fixture in
                try fixture.keyfold(
                    "domain", "create", fixture.vault, "inner", "--key", Self.second)
                let content = pattern(30_000)
                try Disk.makeDirectory(fixture.path("tree"))
                try Disk.makeDirectory(fixture.path("tree/sub"))
                try Disk.write(fixture.path("tree/sub/file"), content)
                #expect(throws: Errno.improperLink) {
                    try Disk.rename(fixture.path("tree"), fixture.path("inner/tree"))
                }
                #expect(throws: Errno.improperLink) {
                    try Disk.link(fixture.path("tree/sub/file"), fixture.path("inner/file"))
                }
                try Command("mv", fixture.path("tree"), fixture.path("inner/tree")).run()
                #expect(!Disk.exists(fixture.path("tree")))
                #expect(try Disk.read(fixture.path("inner/tree/sub/file")) == content)
                #expect(
                    try Self.keyARN(fixture, ofFile: "inner/tree/sub/file")
                        == (try Self.arn(fixture, Self.second)))
                try Command("mv", fixture.path("inner"), fixture.path("renamed")).run()
                #expect(try Disk.read(fixture.path("renamed/tree/sub/file")) == content)
                try fixture.remount()
                #expect(try Disk.read(fixture.path("renamed/tree/sub/file")) == content)
                try Command("rm", "-r", fixture.path("renamed")).run()
                #expect(try fixture.json("domain", "list", fixture.vault).count == 1)
            }
        }

        @Test func `rewrap and show know the domains of a tree`() throws {
            try Self.with { fixture in
                try fixture.keyfold(
                    "domain", "create", fixture.vault, "inner", "--key", Self.second)
                try Disk.write(fixture.path("inner/a"), "a")
                try Disk.write(fixture.path("b"), "b")
                let third = try fixture.json("key", "create", "--alias", "alias/third")[0]
                let result = try fixture.keyfold(
                    "rewrap", fixture.vault, "--to", "alias/third", "--json")
                #expect(result.error.contains("inner: a domain of its own, left as it is"))
                #expect(try JSON.lines(result.output).last?["rewrapped"].int == 1)
                #expect(
                    try Self.keyARN(fixture, ofFile: "inner/a")
                        == (try Self.arn(fixture, Self.second)))
                try fixture.keyfold("rewrap", fixture.vault, "inner", "--to", "alias/third")
                let shown = try fixture.json("domain", "show", fixture.vault, "inner/a")[0]
                #expect(shown["path"].string == "/inner")
                #expect(shown["keyArn"].string == third["arn"].string)
                // The mount takes the new key for new files at once.
                try Disk.write(fixture.path("inner/c"), "c")
                #expect(try Self.keyARN(fixture, ofFile: "inner/c") == third["arn"].string)
                try fixture.keyfold("key", "rotate", "alias/third")
                let all = try fixture.json("rewrap", fixture.vault).last
                #expect(all?["rewrapped"].int == 3 && all?["failed"].int == 0)
                try fixture.remount()
                #expect(try Disk.readText(fixture.path("inner/a")) == "a")
            }
        }

        @Test func `what can't be made is said, and leaves nothing behind`() throws {
            try Self.with { fixture in
                try Disk.makeDirectory(fixture.path("there"))
                let before = try Disk.names(in: fixture.vault).count
                func fails(_ path: String, _ status: Int32, _ words: String) throws {
                    for place in [fixture.vault, fixture.mountPoint] {
                        let result = try fixture.keyfold(
                            "domain", "create", place, path, expecting: status)
                        #expect(result.error.contains("keyfold: \(path): "))
                        #expect(result.error.contains(words))
                    }
                }
                try fails("there", 73, "there is something of that name already")
                try fails("none/x", 66, "there is no directory that it could be made in")
                try fails("../x", 64, "this names no new directory")
                for words in [["check"], ["rewrap"], ["domain", "show"]] {
                    try fixture.keyfold(words + [fixture.vault, "../x"], expecting: 64)
                }
                try fixture.keyfold(
                    "domain", "create", fixture.vault, "x", "--key", "alias/none", expecting: 66)
                try fixture.keyfold("key", "disable", Self.second)
                let off = try fixture.keyfold(
                    "domain", "create", fixture.vault, "x", "--key", Self.second, expecting: 78)
                #expect(off.error.contains("keyfold: \(Self.second): "))
                try fixture.keyfold(
                    "domain", "create", fixture.base.path, "x", expecting: 66)
                try fixture.keyfold("domain", "show", fixture.vault, "none", expecting: 66)
                #expect(try Disk.names(in: fixture.vault).count == before)
                #expect(try Disk.names(in: fixture.mountPoint).map(\.string) == ["there"])
            }
        }

        @Test func `a domain is there after the daemon was killed, with what was synced`() throws {
            try Self.with { fixture in
                try fixture.keyfold(
                    "domain", "create", fixture.mountPoint, "inner", "--key", Self.second)
                let file = try Disk.open(
                    fixture.path("inner/file"), OpenFlag.create | OpenFlag.readWrite, mode: 0o644)
                try file.write(pattern(10_000), at: 0)
                try file.synchronize(dataOnly: false)
                try file.write(pattern(300, seed: 2), at: 5000)
                try file.synchronize(dataOnly: true)
                try fixture.killDaemon()
                try fixture.clearDeadMount()
                _ = consume file
                try fixture.mount()
                var expected = pattern(10_000)
                expected.replaceSubrange(5000..<5300, with: pattern(300, seed: 2))
                #expect(try Disk.read(fixture.path("inner/file")) == expected)
                try fixture.unmount()
                let check = try fixture.keyfold("check", fixture.vault, "--read-data")
                #expect(check.output.contains("nothing wrong"))
            }
        }
    }
}
