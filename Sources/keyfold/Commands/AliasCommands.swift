import ArgumentParser
import Console
import KMSModel

struct AliasCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alias", abstract: "Names for keys.",
        subcommands: [AliasCreate.self, AliasUpdate.self, AliasDelete.self, AliasList.self])
}

/// The alias that a command is about.
struct AliasArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("A name that begins with alias/.", valueName: "alias/name"))
    var name: String
}

struct AliasCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Give a key a name.",
        discussion: "Example: keyfold alias create alias/photos 1234abcd-…")

    @OptionGroup var alias: AliasArgument
    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.changeAlias(alias.name, "names \(key.name)") { session throws(Failure) in
            let id = try session.keyID(of: key.name)
            try session.ask(about: alias.name) { service, caller throws(KMSError) in
                try service.createAlias(alias.name, target: id, as: caller)
            }
        }
    }
}

struct AliasUpdate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Let a name mean another key.")

    @OptionGroup var alias: AliasArgument
    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.changeAlias(alias.name, "names \(key.name)") { session throws(Failure) in
            let id = try session.keyID(of: key.name)
            try session.ask(about: alias.name) { service, caller throws(KMSError) in
                try service.updateAlias(alias.name, target: id, as: caller)
            }
        }
    }
}

struct AliasDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Take a name away; the key stays.")

    @OptionGroup var alias: AliasArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            try session.ask(about: alias.name) { service, caller throws(KMSError) in
                try service.deleteAlias(alias.name, as: caller)
            }
            common.output.notice("\(alias.name) is deleted")
        }
    }
}

struct AliasList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the names and their keys.")

    @Option(help: ArgumentHelp("Only names of this key.", valueName: "key"))
    var key: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            var id: String?
            if let key { id = try session.keyID(of: key) }
            let scope = session.keystore.scope
            common.output.list(
                try session.aliases(of: id), json: { $0.json(scope) }, table: AliasEntry.table)
        }
    }
}

extension AliasEntry {
    func json(_ scope: AccountScope) -> JSONValue {
        .object([
            "aliasName": .text(name.description),
            "aliasArn": .text(name.arn(in: scope)),
            "targetKeyId": .text(target.description),
            "creationDate": .text(creationDate.iso8601),
            "lastUpdatedDate": .text(lastUpdatedDate.iso8601),
        ])
    }

    static func table(_ aliases: [AliasEntry]) -> Table {
        var table = Table("ALIAS", "KEY ID", "CREATED", "UPDATED")
        for alias in aliases {
            table.add(
                alias.name.description, alias.target.description,
                LocalTime.text(alias.creationDate), LocalTime.text(alias.lastUpdatedDate))
        }
        return table
    }
}

extension CommonOptions {
    /// Changes one alias and tells what it is now.
    fileprivate func changeAlias(
        _ name: String, _ whatHappened: String, _ change: (Session) throws(Failure) -> Void
    ) throws(Failure) {
        try withSession { session throws(Failure) in
            try change(session)
            if json, let entry = try session.aliases().first(where: { $0.name.description == name })
            {
                output.data(entry.json(session.keystore.scope), "")
            } else {
                output.notice("\(name) \(whatHappened)")
            }
        }
    }
}
