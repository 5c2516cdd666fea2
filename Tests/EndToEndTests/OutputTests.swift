import TestSupport
import Testing

extension EndToEnd.Commands {
    /// Output that cannot be written: the exit code says so.
    @Suite
    struct OutputTests {
        /// Runs a command whose standard output is always full.
        private func onFullDisk(_ fixture: VaultFixture, _ words: [String]) throws -> CommandResult
        {
            let command = Command(["/bin/sh", "-c", "exec \"$@\" > /dev/full", "sh"])
            return try Command(command.words + [Program.keyfold] + words)
                .with(fixture.environment).result()
        }

        /// Runs a command whose standard output nobody reads. Its own status is the last thing that
        /// is said on standard error.
        private func intoClosedPipe(
            _ environment: [String: String], _ words: [String]
        ) throws -> (status: Int32?, error: String) {
            let script = "{ sleep 0.5; \"$@\"; echo \"$?\" >&2; } | true"
            let error = try Command(["/bin/sh", "-c", script, "sh", Program.keyfold] + words)
                .with(environment).run().error
            return (error.split(separator: "\n").last.flatMap { Int32($0) }, error)
        }

        @Test(arguments: [
            ["key", "list"], ["key", "list", "--json"], ["log"], ["--help"], ["--version"],
            ["help", "exit-codes"], ["exit-codes"], ["--generate-completion-script", "bash"],
            ["key", "disable", VaultFixture.defaultAlias], ["log", "verify"], ["log", "--follow"],
            ["check", "--keystore"],
        ])
        func `output that could not be written ends with 74`(_ words: [String]) throws {
            try VaultFixture.withVault { fixture in
                let end = try onFullDisk(fixture, words)
                #expect(end.status == 74, "\(end)")
                #expect(end.error.contains("standard output: "), "\(end)")
            }
        }

        @Test func `a secret that could not be shown is taken back`() throws {
            try VaultFixture.withVault { fixture in
                let slots = try fixture.json("slot", "list").count
                for words in [
                    ["slot", "add", "recovery-key"], ["principal", "create", "someone"],
                ] {
                    let full = try onFullDisk(fixture, words)
                    let fullJSON = try onFullDisk(fixture, words + ["--json"])
                    let unread = try intoClosedPipe(fixture.environment, words)
                    #expect(full.status == 74, "\(full)")
                    #expect(fullJSON.status == 74, "\(fullJSON)")
                    #expect(unread.status == 74, "\(unread)")
                    for error in [full.error, fullJSON.error, unread.error] {
                        #expect(error.contains("taken away again"), "\(error)")
                    }
                }
                #expect(try fixture.json("slot", "list").count == slots)
                #expect(try fixture.json("principal", "list").isEmpty)
                try fixture.keyfold("principal", "create", "someone")
            }
        }

        @Test func `a keystore whose recovery key could not be shown says how it gets another`()
            throws
        {
            try VaultFixture.withVault(.locked) { fixture in
                var environment = fixture.environment
                environment["KEYFOLD_KEYSTORE"] = fixture.base.path + "/other"
                let end = try intoClosedPipe(environment, ["keystore", "create"])
                #expect(end.status == 74, "\(end)")
                func keyfold(_ words: String...) throws -> CommandResult {
                    try Command([Program.keyfold] + words).with(environment).run()
                }
                let slots = try JSON.lines(try keyfold("slot", "list", "--json").output)
                let id = try #require(
                    slots.first { $0["kind"].string == "recovery-key" }?["slotId"].string)
                #expect(end.error.contains("keyfold slot remove \(id)"))
                #expect(end.error.contains("keyfold slot add recovery-key"))
                _ = try keyfold("slot", "remove", id)
                _ = try keyfold("slot", "add", "recovery-key")
            }
        }

        @Test func `what failed for another reason keeps its exit code`() throws {
            try VaultFixture.withVault { fixture in
                for (words, status) in [
                    (["key", "show", "alias/nothing"], 66), (["nonsense"], 64),
                    (["key", "list", "--quiet"], 74),
                    (["key", "enable", VaultFixture.defaultAlias, "--quiet"], 0),
                ] as [([String], Int32)] {
                    let end = try onFullDisk(fixture, words)
                    #expect(end.status == status, "\(end)")
                }
            }
        }
    }
}
