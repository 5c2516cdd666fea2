import ArgumentParser
import Console
import Glibc
import Platform

/// The program's commands.
struct Keyfold: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keyfold",
        abstract: "Encrypted directories with a key management service inside.",
        discussion: """
            Begin with: keyfold init VAULT; keyfold mount VAULT MOUNTPOINT
            'keyfold help exit-codes' lists the exit codes.
            """,
        version: Product.version,
        groupedSubcommands: [
            CommandGroup(
                name: "Vaults",
                subcommands: [
                    InitCommand.self, MountCommand.self, UnmountCommand.self, StatusCommand.self,
                    DomainCommand.self, RewrapCommand.self, InspectCommand.self,
                    CheckCommand.self,
                ]),
            CommandGroup(
                name: "Keys",
                subcommands: [
                    KeyCommand.self, AliasCommand.self, PolicyCommand.self, GrantCommand.self,
                    PrincipalCommand.self, TokenCommand.self,
                ]),
            CommandGroup(
                name: "The keystore",
                subcommands: [
                    UnlockCommand.self, LockCommand.self, SlotCommand.self, KeystoreCommand.self,
                    ServeCommand.self,
                ]),
            CommandGroup(name: "What happened", subcommands: [LogCommand.self, UsageCommand.self]),
            CommandGroup(name: "Help", subcommands: [ExitCodesCommand.self]),
        ])
}

extension Keyfold {
    static func end(_ failure: Failure) -> Never {
        // What is lost of the output says less than the failure, which is told in any case.
        try? SignalMask.withoutBrokenPipes { () throws(Failure) in try Output.flush() }
        StandardError.report(failure)
        Glibc.exit(failure.status.rawValue)
    }

    /// For wrong usage, --help, --version, and exit codes of commands that said why themselves: as
    /// ``exit(withError:)``, which does not see whether the text was written.
    static func end(_ reason: any Error) -> Never {
        let status = exitCode(for: reason)
        let text = fullMessage(for: reason)
        if status.isSuccess, !text.isEmpty { print(text) }
        do throws(Failure) {
            try Output.flush()
        } catch {
            end(error)
        }
        if !status.isSuccess, !text.isEmpty { StandardError.line(text) }
        Glibc.exit(status.rawValue)
    }
}
