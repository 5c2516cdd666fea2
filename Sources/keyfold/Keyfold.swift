import ArgumentParser
import Console

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
