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

        @Test func `what failed for another reason keeps its exit code`() throws {
            try VaultFixture.withVault { fixture in
                #expect(try onFullDisk(fixture, ["key", "show", "alias/nothing"]).status == 66)
                #expect(try onFullDisk(fixture, ["nonsense"]).status == 64)
                #expect(try onFullDisk(fixture, ["key", "list", "--quiet"]).status == 74)
                #expect(
                    try onFullDisk(
                        fixture, ["key", "enable", VaultFixture.defaultAlias, "--quiet"]
                    ).status == 0)
            }
        }
    }
}
