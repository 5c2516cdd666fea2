import ArgumentParser
import Console
import KMSCore
import KMSModel

struct UnlockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unlock", abstract: "Keep the keystore unlocked in the kernel's keyring.",
        discussion: """
            Commands and mounts of this user ask for no passphrase until the time is over or \
            'keyfold lock' ends it.
            Example: keyfold unlock --for 15m
            """)

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp(
            "How long: 90s, 15m, 2h, 1d (default: until lock or restart).",
            valueName: "time"))
    var span: TimeSpan?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            try Failure.carrying { () throws(KeystoreError) in
                try session.keystore.holdInKernelKeyring(forSeconds: span?.seconds)
            }
            let end = span.map {
                SystemWallClock().now().advanced(byMilliseconds: Int64($0.seconds) * 1000)
            }
            let words = end.map { "until \(LocalTime.text($0))" } ?? "until 'keyfold lock'"
            common.output.data(
                .object([
                    "keystore": .text(session.keystore.directory), "unlocked": .flag(true),
                    "until": .text(ifAny: end?.iso8601),
                ]), common.quiet ? "" : "\(session.keystore.directory) is unlocked \(words)\n")
        }
    }
}

struct LockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lock", abstract: "End what 'keyfold unlock' began; mounts go on.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        let location = try common.keystoreLocation()
        try Failure.carrying { () throws(KeystoreError) in
            try Keystore.dropFromKernelKeyring(directory: location.directory)
        }
        common.output.data(
            .object(["keystore": .text(location.directory), "unlocked": .flag(false)]),
            common.quiet ? "" : "\(location.directory) is locked\n")
    }
}
