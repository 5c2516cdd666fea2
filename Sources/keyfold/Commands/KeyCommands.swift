import ArgumentParser
import Console
import KMSModel

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Make, look at and change keys (CMKs).",
        subcommands: [
            KeyCreate.self, KeyList.self, KeyShow.self, KeyDescribe.self, KeyEnable.self,
            KeyDisable.self, KeyRotate.self, KeyRotationCommand.self, KeyDelete.self,
            KeyRestore.self, KeyTag.self, KeyUntag.self, KeyImportCommand.self,
        ])
}

/// The key that a command is about.
struct KeyArgument: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "A key id, a key ARN, alias/NAME or an alias ARN.", valueName: "key"))
    var name: String
}

struct KeyCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a key.",
        discussion: "Example: keyfold key create --description 'photos' --alias alias/photos")

    @Option(help: ArgumentHelp("What the key is for.", valueName: "text"))
    var description = ""

    @Option(help: ArgumentHelp("A name for it; may be given again.", valueName: "alias/name"))
    var alias: [String] = []

    @Option(name: .customLong("tag"), help: "A tag; may be given again.")
    var tags: [TagArgument] = []

    @Option(
        help: ArgumentHelp("What kind of key, as AWS KMS calls it.", valueName: "spec"))
    var spec = KeySpec.symmetricDefault

    @Option(
        help: ArgumentHelp(
            "What it does; needed where the kind leaves a choice.", valueName: "usage"))
    var usage: KeyUsage?

    @Flag(help: "Import the key's material ('keyfold key import').")
    var external = false

    @Flag(help: "Let it have replicas in other Regions.")
    var multiRegion = false

    @Option(
        help: ArgumentHelp("Make it in the token of this custom key store.", valueName: "id"))
    var keyStore: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        let failures: [Failure] = try common.withSession { session throws(Failure) in
            let request = request
            let key = try session.ask(about: nil) { service, caller throws(KMSError) in
                try service.createKey(request, as: caller)
            }
            let failures = giveNames(to: key.arn, session)
            let made = try session.description(of: key.arn.description)
            common.output.data(made.json, made.sheet.text)
            return failures
        }
        guard !failures.isEmpty else { return }
        // The key is there, whatever it is not called.
        try Output.flush()
        for failure in failures { StandardError.report(failure) }
        throw ArgumentParser.ExitCode(ExitStatus.partial.rawValue)
    }
}

extension KeyCreate {
    /// - Returns: why it did not get some of its names.
    private func giveNames(to key: KeyARN, _ session: Session) -> [Failure] {
        var failures: [Failure] = []
        for name in alias {
            do throws(Failure) {
                try session.ask(about: name) { service, caller throws(KMSError) in
                    try service.createAlias(name, target: key.keyID.description, as: caller)
                }
            } catch {
                failures.append(error)
            }
        }
        return failures
    }

    private var request: CreateKeyRequest {
        var request = CreateKeyRequest(description: description, tags: tags.map(\.tag))
        request.spec = spec
        request.usage = usage ?? (spec.usages.count == 1 ? spec.usages.first : nil)
        request.isMultiRegion = multiRegion
        request.customKeyStoreID = keyStore
        if external { request.origin = .external }
        if keyStore != nil { request.origin = .awsCloudhsm }
        return request
    }
}

extension KeySpec: ExpressibleByArgument {}
extension KeyUsage: ExpressibleByArgument {}

struct KeyList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the keys with their states and names.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            common.output.list(
                try session.keyDescriptions(), json: \.json, table: KeyDescription.table)
        }
    }
}

struct KeyDescribe: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe", abstract: "Set a key's description.",
        discussion: "Example: keyfold key describe alias/photos 'family photos'")

    @OptionGroup var key: KeyArgument

    @Argument(help: "What the key is for; may be empty.")
    var text: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "has a new description") {
            service, id, caller throws(KMSError) in
            try service.updateKeyDescription(id, to: text, as: caller)
        }
    }
}

struct KeyEnable: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Let a disabled key work again.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "is enabled") { service, id, caller throws(KMSError) in
            try service.enableKey(id, as: caller)
        }
    }
}

struct KeyDisable: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Switch a key off: its files can't be opened any more.",
        discussion: "Nothing is lost: 'keyfold key enable' switches it on again.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "is disabled") { service, id, caller throws(KMSError) in
            try service.disableKey(id, as: caller)
        }
    }
}

struct KeyDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Have a key deleted after a waiting time.",
        discussion: """
            The key stops working at once and is gone after the waiting time; files that only \
            it opens are lost then. Until then 'keyfold key restore' brings it back.
            """)

    @OptionGroup var key: KeyArgument

    @Option(help: ArgumentHelp("The waiting time, 7…30 days.", valueName: "n"))
    var days = 30

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "will be deleted; 'keyfold key restore' brings it back") {
            service, id, caller throws(KMSError) in
            _ = try service.scheduleKeyDeletion(id, windowDays: days, as: caller)
        }
    }
}

struct KeyRestore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Take back a key's deletion; the key is disabled then.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "is restored; 'keyfold key enable' switches it on") {
            service, id, caller throws(KMSError) in
            _ = try service.cancelKeyDeletion(id, as: caller)
        }
    }
}

extension CommonOptions {
    /// Changes one key and tells its new state.
    func change(
        _ key: String, _ whatHappened: String,
        _ change: (any KeyService, String, Caller) throws(KMSError) -> Void
    ) throws(Failure) {
        try withSession { session throws(Failure) in
            let id = try session.keyID(of: key)
            try session.ask(about: key) { service, caller throws(KMSError) in
                try change(service, id, caller)
            }
            if json {
                let key = try session.description(of: id)
                output.data(key.json, "")
            } else {
                output.notice("\(key) \(whatHappened)")
            }
        }
    }
}
