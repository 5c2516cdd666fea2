import TestSupport
import Testing

extension EndToEnd.Commands {
    /// `keyfold grant` and `keyfold principal`, by the words of docs/cli.md.
    @Suite
    struct GrantCommandTests {
        private static let create = [
            "grant", "create", VaultFixture.defaultAlias, "--operation", "Decrypt", "--to",
        ]

        @Test func `a grant to nobody names him, and says where the principals are`() throws {
            try VaultFixture.withVault { fixture in
                let refused = try fixture.keyfold(Self.create + ["nobody"], expecting: 66)
                #expect(refused.error.contains("nobody: there is no such principal"))
                #expect(refused.error.contains("keyfold principal list"))
                let retiring = try fixture.keyfold(
                    Self.create + ["uid-7", "--retiring", "someone"], expecting: 66)
                #expect(retiring.error.contains("someone: there is no such principal"))
                #expect(try fixture.json("grant", "list", VaultFixture.defaultAlias).isEmpty)
            }
        }

        @Test func `two values for one name of the context are refused`() throws {
            try VaultFixture.withVault { fixture in
                let pairs = ["--context", "a=1", "--context", "b=1", "--context", "a=2"]
                let refused = try fixture.keyfold(Self.create + ["uid-7"] + pairs, expecting: 64)
                #expect(refused.error.contains("'a'"))
                #expect(try fixture.json("grant", "list", VaultFixture.defaultAlias).isEmpty)
                try fixture.keyfold(Self.create + ["uid-7"] + pairs.dropLast(2))
            }
        }

        @Test(arguments: ["root", "uid-1000"])
        func `no principal gets a name that means a local user in grants`(_ name: String) throws {
            try VaultFixture.withVault { fixture in
                let refused = try fixture.keyfold("principal", "create", name, expecting: 64)
                #expect(refused.error.contains("\(name): no principal can have this name"))
                #expect(try fixture.json("principal", "list").isEmpty)
            }
        }
    }
}
