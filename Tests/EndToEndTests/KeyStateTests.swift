import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// What a key's state does to files.
    @Suite
    struct KeyStateTests {
        @Test func `a disabled key closes files, and an enabled one opens them again`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), pattern(9000))
                try Disk.write(fixture.path("empty"), "")
                let open = try Disk.open(fixture.path("file"), OpenFlag.readWrite)
                try fixture.keyfold("key", "disable", VaultFixture.defaultAlias)
                #expect(throws: Errno.noKey) { try Disk.open(fixture.path("file")) }
                #expect(throws: Errno.noKey) { try Disk.write(fixture.path("file"), "x") }
                #expect(throws: Errno.noKey) { try Disk.write(fixture.path("new"), "x") }
                #expect(!Disk.exists(fixture.path("new")))
                let cat = try Command("cat", fixture.path("file")).result()
                #expect(cat.error.contains("Required key not available"))
                // Names can be seen and files that are open stay so.
                #expect(Set(try Disk.names(in: fixture.mountPoint).map(\.string)).contains("file"))
                #expect(try open.read(count: 10_000, at: 0) == pattern(9000))
                try Disk.rename(fixture.path("file"), fixture.path("renamed"))
                try fixture.keyfold("key", "enable", VaultFixture.defaultAlias)
                #expect(try Disk.read(fixture.path("renamed")) == pattern(9000))
            }
        }

        @Test func `a key that waits for its deletion closes files until it is restored`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), "content")
                try fixture.keyfold("key", "delete", VaultFixture.defaultAlias, "--days", "7")
                #expect(throws: Errno.noKey) { try Disk.read(fixture.path("file")) }
                try fixture.unmount()
                let result = try fixture.mountCommand().result()
                #expect(!result.succeeded)
                #expect(result.error.contains("keyfold key restore"), "\(result)")
                let key = try fixture.json("key", "show", VaultFixture.defaultAlias)[0]
                #expect(key["state"].string == "PendingDeletion")
                try fixture.keyfold("key", "restore", VaultFixture.defaultAlias)
                let restored = try fixture.json("key", "show", VaultFixture.defaultAlias)[0]
                #expect(restored["state"].string == "Disabled")
                try fixture.keyfold("key", "enable", VaultFixture.defaultAlias)
                try fixture.mount()
                #expect(try Disk.readText(fixture.path("file")) == "content")
            }
        }

        @Test func `mounting under a disabled key says how to go on`() throws {
            try VaultFixture.withVault { fixture in
                try fixture.keyfold("key", "disable", VaultFixture.defaultAlias)
                let arn = try #require(
                    try fixture.json("key", "show", VaultFixture.defaultAlias)[0]["arn"].string)
                for command in [
                    fixture.mountCommand(), fixture.command(["rewrap", fixture.vault]),
                    fixture.command(["domain", "list", fixture.vault]),
                ] {
                    let result = try command.run(expecting: 78)
                    #expect(result.error.contains("keyfold key enable \(arn)\n"), "\(result)")
                }
                #expect(!fixture.isMounted)
            }
        }

        @Test func `files under another key are not touched by the first key's state`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), "first")
                try Disk.write(fixture.path("moved"), "second")
                try fixture.keyfold("key", "create", "--alias", "alias/second")
                try fixture.keyfold("rewrap", fixture.vault, "moved", "--to", "alias/second")
                try fixture.keyfold("key", "disable", VaultFixture.defaultAlias)
                #expect(throws: Errno.noKey) { try Disk.read(fixture.path("file")) }
                #expect(try Disk.readText(fixture.path("moved")) == "second")
                try fixture.keyfold("key", "enable", VaultFixture.defaultAlias)
                try fixture.keyfold("key", "disable", "alias/second")
                #expect(throws: Errno.noKey) { try Disk.read(fixture.path("moved")) }
                #expect(try Disk.readText(fixture.path("file")) == "first")
            }
        }

        @Test(
            arguments: [
                (["key", "show", "alias/none"], 66), (["key", "disable", "alias/none"], 66),
                (["key", "enable", "00000000-0000-0000-0000-000000000000"], 66),
                (["key", "delete", "alias/keyfold/default", "--days", "6"], 64),
                (["key", "delete", "alias/keyfold/default", "--days", "31"], 64),
                (["key", "restore", "alias/keyfold/default"], 78),
                (["alias", "create", "photos", "alias/keyfold/default"], 64),
                (["alias", "create", "alias/aws/mine", "alias/keyfold/default"], nil),
                (["alias", "create", "alias/keyfold/default", "alias/keyfold/default"], 73),
                (["alias", "delete", "alias/none"], 66),
                (["key", "rotation", "enable", "alias/keyfold/default", "--days", "89"], 64),
                (["key", "disable", "alias/aws/keyfold"], nil),
                (["key", "delete", "alias/aws/keyfold"], nil),
            ] as [([String], Int32?)])
        func `what cannot be asked of a key is refused`(
            _ words: [String], _ status: Int32?
        ) throws {
            try VaultFixture.withVault { fixture in
                let result = try fixture.command(words).result()
                #expect(result.status != 0, "\(result)")
                if let status { #expect(result.status == status, "\(result)") }
                #expect(result.error.hasPrefix("keyfold: "), "\(result)")
                #expect(!result.error.contains("Error("), "\(result)")
                let key = try fixture.json("key", "show", VaultFixture.defaultAlias)[0]
                #expect(key["state"].string == "Enabled")
            }
        }

        @Test func `a disabled key cannot be rotated`() throws {
            try VaultFixture.withVault { fixture in
                try fixture.keyfold("key", "disable", VaultFixture.defaultAlias)
                try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias, expecting: 78)
                try fixture.keyfold("rewrap", fixture.vault, expecting: 78)
            }
        }
    }
}
