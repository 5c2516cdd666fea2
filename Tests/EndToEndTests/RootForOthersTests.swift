import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// Root uses the vault and the keystore of somebody else: by hand, or for a mount in fstab.
    @Suite(needsRoot, needs("setpriv"))
    struct RootForOthersTests {
        private static let owner = OtherUser.nobody

        /// Runs `body` with a vault and a keystore of the owner's.
        private static func withOwned(_ body: (VaultFixture) throws -> Void) throws {
            try VaultFixture.withVault(.locked) { fixture in
                try Command("chown", "-R", "\(owner):\(owner)", fixture.base.path).run()
                try body(fixture)
            }
        }

        private static func asOwner(
            _ command: Command, _ fixture: VaultFixture
        ) throws -> CommandResult {
            try command.as(user: owner).with(["HOME": fixture.base.path]).limited(toSeconds: 60)
                .result()
        }

        private static func expectSuccess(
            _ words: [String], _ fixture: VaultFixture,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let result = try asOwner(fixture.command(words), fixture)
            #expect(result.succeeded, "\(result)", sourceLocation: sourceLocation)
        }

        private static func foreignFiles(_ fixture: VaultFixture) throws -> [String] {
            try Command("find", fixture.vault, fixture.keystore, "!", "-uid", "\(owner)").run()
                .lines
        }

        @Test func `what root's commands leave in a keystore is its owner's`() throws {
            try Self.withOwned { fixture in
                try fixture.keyfold("key", "list")
                try Disk.unlink(fixture.keystore + "/commits")
                try fixture.keyfold("key", "create")
                #expect(try Self.foreignFiles(fixture) == [])
                try Self.expectSuccess(["key", "list"], fixture)
                try Self.expectSuccess(["log", "verify"], fixture)
                try Self.expectSuccess(
                    ["keystore", "backup", fixture.base.path + "/backup"], fixture)
            }
        }

        @Test(arguments: [true, false])
        func `what root's mount leaves in a vault is its owner's`(_ isKilled: Bool) throws {
            try Self.withOwned { fixture in
                try Disk.unlink(fixture.vault + "/.keyfold.lock")
                try fixture.mount()
                if isKilled {
                    try fixture.killDaemon()
                    try fixture.clearDeadMount()
                } else {
                    try fixture.unmount()
                }
                #expect(Disk.exists(fixture.vault + "/.keyfold.journal"))
                #expect(Disk.exists(fixture.vault + "/.keyfold.loghead"))
                #expect(try Self.foreignFiles(fixture) == [])
            }
        }

        @Test func `directories that an owner makes in root's mount are his without it`() throws {
            try Self.withOwned { fixture in
                try fixture.mount(options: ["allow_other"])
                let script = "mkdir short; mkdir short/below $(printf 'n%.0s' $(seq 240))"
                try Command.shell(script).in(fixture.mountPoint).as(user: Self.owner).run()
                try fixture.unmount()
                #expect(try Self.foreignFiles(fixture) == [])
            }
        }

        @Test(needs("fusermount3"), usersMayMount)
        func `an owner mounts behind a mount of root's that was killed`() throws {
            try Self.withOwned { fixture in
                try fixture.mount()
                try fixture.killDaemon()
                try fixture.clearDeadMount()
                let mounted = try Self.asOwner(fixture.mountCommand(), fixture)
                #expect(mounted.succeeded, "\(mounted)")
                try Self.expectSuccess(["unmount", fixture.mountPoint], fixture)
            }
        }

        @Test func `a file of the log that its reader may not open was not tampered with`() throws {
            try Self.withOwned { fixture in
                try Command.shell("chown 0:0 \"$1\"/log/*", fixture.keystore).run()
                for words in [["log", "verify"], ["log"]] {
                    let result = try Self.asOwner(fixture.command(words), fixture)
                    #expect(result.status == 77, "\(result)")
                    #expect(result.error.contains("Permission denied"), "\(result)")
                    #expect(!(result.output + result.error).contains("tampered"), "\(result)")
                }
            }
        }
    }
}
