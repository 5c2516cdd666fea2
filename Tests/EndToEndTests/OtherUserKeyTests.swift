import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// Users whom modes let in and whom the keys may keep out: a mount asks as the caller.
    @Suite(needsRoot)
    struct OtherUserKeyTests {
        private static func withMount(_ body: (VaultFixture) throws -> Void) throws {
            try VaultFixture.withMount(VaultShape(mountOptions: ["allow_other"])) { fixture in
                try Disk.changeMode(fixture.mountPoint, to: 0o777)
                try body(fixture)
            }
        }

        private static func run(
            _ script: String, as user: UInt32, in fixture: VaultFixture
        ) throws -> CommandResult {
            try Command.shell(script).in(fixture.mountPoint).as(user: user).result()
        }

        private static func denied(_ result: CommandResult) -> Bool {
            !result.succeeded && result.error.contains("Permission denied")
        }

        @Test func `without a permission on the key a file stays closed, and the log says to whom`()
            throws
        {
            try Self.withMount { fixture in
                try Disk.write(fixture.path("file"), "content\n")
                #expect(try Self.run("ls", as: OtherUser.bob, in: fixture).output == "file\n")
                #expect(Self.denied(try Self.run("cat file", as: OtherUser.bob, in: fixture)))
                let events = try fixture.json("log", "--event", "Decrypt")
                #expect(events.last?["errorCode"].string == "AccessDeniedException")
                #expect(
                    events.last?["userIdentity"]["arn"].string?.hasSuffix("user/local/uid-61002")
                        == true)
                #expect(events.last?["additionalEventData"]["keyfold"]["program"].string == "cat")
                let grant = try fixture.grant(OtherUser.bob, "Decrypt")
                #expect(
                    try Self.run("cat file", as: OtherUser.bob, in: fixture).output == "content\n")
                #expect(Self.denied(try Self.run("cat file", as: OtherUser.alice, in: fixture)))
                try fixture.keyfold("grant", "revoke", VaultFixture.defaultAlias, grant)
                #expect(Self.denied(try Self.run("cat file", as: OtherUser.bob, in: fixture)))
                #expect(try Disk.readText(fixture.path("file")) == "content\n")
            }
        }

        /// Else who opens each new file at once would read what comes to be written to it.
        @Test(arguments: ["in the store", "just made"])
        func `without a permission on the key an empty file stays closed, too`(_ file: String)
            throws
        {
            try Self.withMount { fixture in
                _ = try Disk.make(fixture.path("file"), mode: 0o644)
                if file == "in the store" { try fixture.remount() }
                #expect(Self.denied(try Self.run("cat file", as: OtherUser.bob, in: fixture)))
                let events = try fixture.json("log", "--event", "Decrypt")
                #expect(events.last?["errorCode"].string == "AccessDeniedException")
                try fixture.grant(OtherUser.bob, "Decrypt")
                let read = try Self.run("cat file", as: OtherUser.bob, in: fixture)
                #expect(read.succeeded, "\(read.error)")
                #expect(try Disk.readText(fixture.path("file")) == "")
            }
        }

        @Test func `who may only decrypt reads and makes no file`() throws {
            try Self.withMount { fixture in
                try Disk.write(fixture.path("file"), "content\n")
                try Disk.changeMode(fixture.path("file"), to: 0o666)
                try fixture.grant(OtherUser.bob, "Decrypt")
                #expect(Self.denied(try Self.run("echo x > new", as: OtherUser.bob, in: fixture)))
                #expect(try Disk.names(in: fixture.mountPoint).map(\.string) == ["file"])
                let change = try Self.run("echo y >> file", as: OtherUser.bob, in: fixture)
                #expect(change.succeeded, "\(change.error)")
                #expect(try Disk.readText(fixture.path("file")) == "content\ny\n")
                try fixture.grant(OtherUser.bob, "GenerateDataKey")
                #expect(try Self.run("echo x > new", as: OtherUser.bob, in: fixture).succeeded)
            }
        }

        @Test func `two people read different files of one tree`() throws {
            try Self.withMount { fixture in
                for name in ["photos", "letters"] {
                    try Disk.makeDirectory(fixture.path(name), mode: 0o755)
                    try Disk.write(fixture.path(name + "/file"), name)
                    try fixture.keyfold("key", "create", "--alias", "alias/" + name)
                    try fixture.keyfold(
                        "rewrap", fixture.vault, name, "--to", "alias/" + name)
                }
                try fixture.grant(OtherUser.alice, "Decrypt", on: "alias/photos")
                try fixture.grant(OtherUser.bob, "Decrypt", on: "alias/letters")
                for (user, mine, others) in [
                    (OtherUser.alice, "photos", "letters"), (OtherUser.bob, "letters", "photos"),
                ] {
                    let read = try Self.run("cat \(mine)/file", as: user, in: fixture)
                    #expect(read.output == mine, "\(read.error)")
                    #expect(
                        Self.denied(try Self.run("cat \(others)/file", as: user, in: fixture)))
                }
            }
        }

        @Test func `a permission may be for one file alone`() throws {
            try Self.withMount { fixture in
                for name in ["mine", "yours"] { try Disk.write(fixture.path(name), name) }
                let file = try fixture.json("inspect", try fixture.sealedPath(of: "mine"))[0]
                let id = try #require(file["fileId"].string)
                try fixture.grant(OtherUser.bob, "Decrypt", context: "keyfold:file=\(id)")
                #expect(try Self.run("cat mine", as: OtherUser.bob, in: fixture).output == "mine")
                #expect(Self.denied(try Self.run("cat yours", as: OtherUser.bob, in: fixture)))
            }
        }

        @Test func `a key policy lets a user in as a grant does`() throws {
            try Self.withMount { fixture in
                try Disk.write(fixture.path("file"), "content\n")
                let arn = try fixture.json("status", fixture.vault)[0]["keyArn"].string ?? ""
                let account = arn.split(separator: ":")[4]
                let policy = """
                    {"Version":"2012-10-17","Statement":[
                    {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::\(account):root"},
                     "Action":"kms:*","Resource":"*"},
                    {"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Principal":
                     {"AWS":"arn:aws:iam::\(account):user/local/uid-\(OtherUser.bob)"}}]}
                    """
                try Disk.write(fixture.base.path + "/policy", policy)
                try fixture.keyfold(
                    "policy", "put", VaultFixture.defaultAlias, fixture.base.path + "/policy")
                #expect(
                    try Self.run("cat file", as: OtherUser.bob, in: fixture).output == "content\n")
                #expect(Self.denied(try Self.run("cat file", as: OtherUser.alice, in: fixture)))
            }
        }
    }
}
