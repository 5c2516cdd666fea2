import ArgumentParser
import Console
import KMSServer
import Logging

/// The server's command line.
struct KeyfoldServe: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keyfold-serve",
        abstract: "Serve a keystore over AWS KMS's protocol.",
        discussion: """
            Clients sign with access keys (keyfold principal create); over a Unix socket the \
            kernel says who they are. 'keyfold serve --print-env' prints what the aws CLI needs \
            to know. docs/serve.md has the limits and what differs from AWS.
            'keyfold help exit-codes' lists the exit codes.
            """, version: Product.version)

    @OptionGroup(title: "Keystore") var keystore: KeystoreOptions
    @OptionGroup(title: "Listening") var listening: ListeningOptions
    @OptionGroup(title: "Limits") var limits: LimitOptions
    @OptionGroup(title: "Messages") var messages: MessageOptions

    @Flag(help: "Print shell lines for clients on this machine, and end. Holds no secret.")
    var printEnv = false

    func serve() async throws {
        let listeners = try listening.listeners()
        let settings = ServeSettings(
            listeners: listeners, limits: try limits.limits(), quota: try limits.quota(),
            logLevel: messages.logLevel.level, logFormat: messages.logFormat)
        let location = try KeystoreLocation.find(option: keystore.keystore)
        let unlocking = Unlocking(
            location: location, sources: keystore.sources,
            slowWorkLimits: settings.slowWorkLimits)
        if printEnv {
            try ServeDaemon.printEnvironment(settings, unlocking)
        } else {
            try await ServeDaemon.run(settings, unlocking)
        }
    }
}

struct KeystoreOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The keystore's directory (else KEYFOLD_KEYSTORE, else "
                + "$XDG_DATA_HOME/keyfold/keystore).", valueName: "dir"), completion: .directory)
    var keystore: String?

    @Option(
        help: ArgumentHelp(
            "A file with the passphrase on its first line (else KEYFOLD_PASSPHRASE_FILE, else "
                + "the terminal).", valueName: "file"), completion: .file())
    var passphraseFile: String?

    @Option(
        help: ArgumentHelp(
            "A file with the recovery key on its first line, instead of the passphrase.",
            valueName: "file"), completion: .file())
    var recoveryKeyFile: String?

    @Option(
        help: ArgumentHelp(
            "A key file, instead of the passphrase (else KEYFOLD_KEY_FILE).", valueName: "file"),
        completion: .file())
    var keyFile: String?

    var sources: UnlockSources {
        UnlockSources(
            passphraseFile: passphraseFile, recoveryKeyFile: recoveryKeyFile, keyFile: keyFile)
    }
}

struct MessageOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How much is said; info tells of each request.", valueName: "level"))
    var logLevel = LogLevel.notice

    @Option(help: ArgumentHelp("text or json, one line for each message.", valueName: "format"))
    var logFormat = LineLogHandler.Style.text
}

enum LogLevel: String, CaseIterable, ExpressibleByArgument {
    case trace, debug, info, notice, warning, error, critical

    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .notice }
}

extension LineLogHandler.Style: ExpressibleByArgument {}
