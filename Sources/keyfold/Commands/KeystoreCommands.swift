import ArgumentParser
import Console
import KMSCore
import KMSModel
import UsageLog

struct KeystoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keystore", abstract: "Make, back up, restore, verify and set up a keystore.",
        subcommands: [
            KeystoreCreate.self, KeystoreBackup.self, KeystoreRestore.self, KeystoreVerify.self,
            KeystoreSet.self,
        ])
}

struct KeystoreBackup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write the keystore into one sealed file.",
        discussion: """
            The backup opens with the same passphrase, recovery key and key files. Mounts may go \
            on meanwhile.
            Example: keyfold keystore backup /media/usb/keystore-$(date +%F).backup
            """)

    @Argument(help: "A file that does not exist yet.", completion: .file())
    var file: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let missing = try Failure.carrying { () throws(KeystoreError) in
                try session.keystore.backup(to: FilePaths.absolute(file))
            }
            common.output.data(
                .object([
                    "keystore": .text(session.keystore.directory),
                    "backup": .text(FilePaths.absolute(file)),
                ]), common.quiet ? "" : "\(session.keystore.directory) is backed up in \(file)\n")
            guard let first = missing.first else { return }
            let subject =
                missing.count == 1
                ? "a file of the usage log is" : "\(missing.count) files of the usage log are"
            throw Failure(
                .partial, nil, "\(subject) not in the backup: \(first)",
                wayOut: "the keys are in it, all of them; 'keyfold log verify' says what is wrong")
        }
    }
}

struct KeystoreRestore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Make a keystore from a backup.",
        discussion: """
            The keystore's place must be free. Backup and keystore open with the same secrets.
            Example: keyfold keystore restore /media/usb/keystore.backup --keystore ~/keystore
            """)

    @Argument(help: "The backup.", completion: .file())
    var file: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        let location = try common.keystoreLocation()
        try Failure.carrying { () throws(KeystoreError) in
            try Keystore.restore(from: FilePaths.absolute(file), to: location.directory)
        }
        common.output.data(
            .object([
                "keystore": .text(location.directory), "backup": .text(FilePaths.absolute(file)),
            ]), common.quiet ? "" : "\(location.directory) is restored from \(file)\n")
    }
}

struct KeystoreVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check every record of the keystore, and the usage log.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        let report = try common.withSession { session throws(Failure) in
            // Opening has checked every record; a key that can't be described is damaged, too.
            let keys = try session.keyDescriptions()
            return KeystoreReport(
                directory: session.keystore.directory, keyCount: keys.count,
                slotCount: try Failure.carrying { () throws(KeystoreError) in
                    try session.keystore.slots().count
                },
                log: try session.verifyLog())
        }
        common.output.data(report.json, report.text)
        if !report.log.passes {
            throw ArgumentParser.ExitCode(ExitStatus.damagedData.rawValue)
        }
    }
}

private struct KeystoreReport {
    let directory: String
    let keyCount: Int
    let slotCount: Int
    let log: VerificationReport

    var json: JSONValue {
        .object([
            "keystore": .text(directory), "passes": .flag(log.passes), "keys": .number(keyCount),
            "slots": .number(slotCount), "log": log.json,
        ])
    }

    var text: String {
        "\(directory): \(keyCount) keys and \(slotCount) slots are intact\n" + log.text
    }
}

struct KeystoreSet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Set what holds for the whole keystore, or show it.",
        discussion: """
            log=sync: an event of the usage log is on the disk before the key is used. A power cut \
            loses none, and each use of a key waits for the disk.
            log=second: it is there within a second (as at first). The death of a process loses \
            none in either case.
            Mounts and other programs take a setting up when they are started next.
            Example: keyfold keystore set log=sync
            """)

    @Argument(help: "log=sync or log=second; without it the settings are shown.")
    var setting: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let setting, KeystoreSet.durability(setting) == nil {
            throw ValidationError("'\(setting)' is no setting: log=sync and log=second are")
        }
    }

    private static func durability(_ setting: String) -> UsageLogDurability? {
        switch setting {
        case "log=sync": .beforeRelease
        case "log=second": .withinASecond
        default: nil
        }
    }

    func run() throws {
        try common.withSession { session throws(Failure) in
            let durability = try Failure.carrying { () throws(KeystoreError) in
                if let new = setting.flatMap(KeystoreSet.durability) {
                    try session.keystore.setLogDurability(new, as: session.caller)
                }
                return try session.keystore.logDurability()
            }
            let log = durability == .beforeRelease ? "sync" : "second"
            common.output.data(.object(["log": .text(log)]), "log=\(log)\n")
        }
    }
}
