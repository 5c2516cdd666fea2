import ArgumentParser
import Console
import Cryptography
import KMSCore

struct PrincipalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "principal", abstract: "Who may ask the key service with an access key.",
        subcommands: [PrincipalCreate.self, PrincipalList.self, PrincipalDelete.self])
}

struct PrincipalCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a principal and its access key.",
        discussion: """
            The secret access key is printed once, unless it comes from a file. A principal may do \
            nothing at first: key policies and grants name it. An administrator may do what a key \
            policy leaves to the account, as the keystore's owner may.
            Example: keyfold principal create backup-job
            """)

    @Argument(help: "1…64 letters, digits and +=,.@_-")
    var name: String

    @Option(
        name: .customLong("access-key-id"),
        help: ArgumentHelp("The access key's id, instead of a new one.", valueName: "id"))
    var accessKeyID: String?

    @Option(
        help: ArgumentHelp(
            "A file with the secret access key on its first line, instead of a new one.",
            valueName: "file"),
        completion: .file())
    var secretAccessKeyFile: String?

    @Flag(help: "Let it do what key policies leave to the account.")
    var administrator = false

    @Flag(help: "Let it have what a deleted principal of its name was given.")
    var keepPermissions = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            var new = NewAccessKey(
                name: name, accessKeyID: accessKeyID, isAdministrator: administrator,
                takesOverPermissions: keepPermissions)
            if let secretAccessKeyFile {
                var line = try SecretFile.firstLine(
                    of: secretAccessKeyFile, purpose: "secret access key")
                new.secretAccessKey = SecretBytes(consuming: &line)
            }
            let made = try Failure.naming(name) { () throws(PrincipalError) in
                try session.keystore.createPrincipal(new, as: session.caller)
            }
            guard secretAccessKeyFile == nil else {
                common.output.data(made.principal.json, made.principal.text)
                return
            }
            do throws(Failure) {
                try reveal(made.secret, of: made.principal)
            } catch {
                throw takeBack(session, since: error)
            }
        }
    }

    /// Nobody has seen the secret access key, so the principal is of no use.
    private func takeBack(_ session: Session, since failure: Failure) -> Failure {
        var failure = failure
        do throws(PrincipalError) {
            try session.keystore.deletePrincipal(name: name, as: session.caller)
            failure.wayOut = "\(name) is taken away again; start anew"
        } catch {
            failure.wayOut = "nobody has its secret access key: 'keyfold principal delete \(name)'"
        }
        return failure
    }

    private func reveal(
        _ secret: SecretBytes, of principal: AccessKeyPrincipal
    ) throws(Failure) {
        if common.json {
            // The object stays open for the secret, which no String is to hold.
            try common.output.reveal(
                secret, before: principal.json.line.dropLast() + ",\"secretAccessKey\":\"",
                after: "\"}\n")
        } else {
            try common.output.reveal(
                secret,
                before: principal.text + "Its secret access key, shown this once:\n\n    ",
                after: "\n")
        }
    }
}

struct PrincipalList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the principals and their access keys' ids.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let principals = try Failure.carrying { () throws(KeystoreError) in
                try session.keystore.principals()
            }
            common.output.list(principals, json: \.json, table: AccessKeyPrincipal.table)
        }
    }
}

struct PrincipalDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Take a principal away: its access key stops working.")

    @Argument(help: "The principal's name.")
    var name: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            try Failure.naming(name) { () throws(PrincipalError) in
                try session.keystore.deletePrincipal(name: name, as: session.caller)
            }
            common.output.notice("\(name) is deleted")
        }
    }
}

extension AccessKeyPrincipal {
    fileprivate var json: JSONValue {
        .object([
            "name": .text(name), "arn": .text(arn), "accessKeyId": .text(accessKeyID),
            "administrator": .flag(isAdministrator),
            "creationDate": .text(creationDate.iso8601),
        ])
    }

    fileprivate var text: String {
        var sheet = Sheet()
        sheet.add("ARN", arn)
        sheet.add("Access key id", accessKeyID)
        sheet.add("Administrator", isAdministrator ? "yes" : "no")
        return sheet.text
    }

    fileprivate static func table(_ principals: [AccessKeyPrincipal]) -> Table {
        var table = Table("NAME", "ACCESS KEY ID", "ADMINISTRATOR", "CREATED", "ARN")
        for principal in principals {
            table.add(
                principal.name, principal.accessKeyID, principal.isAdministrator ? "yes" : "",
                LocalTime.text(principal.creationDate), principal.arn)
        }
        return table
    }
}

extension Failure {
    /// Runs `body`; what fails names the principal.
    fileprivate static func naming<Value>(
        _ name: String, _ body: () throws(PrincipalError) -> Value
    ) throws(Failure) -> Value {
        do throws(PrincipalError) {
            return try body()
        } catch {
            throw Failure(error, name: name)
        }
    }

    private init(_ error: PrincipalError, name: String) {
        switch error {
        case .invalidName:
            self.init(.usage, name, "a name has 1…64 letters, digits and +=,.@_-")
        case .reservedName:
            self.init(
                .usage, name,
                "no principal can have this name: in grants root is the keystore's owner, uid-N a "
                    + "local user, and NAME.amazonaws.com a service",
                wayOut: "take another name")
        case .invalidAccessKeyID(let id):
            self.init(.usage, id, "an access key id has 16…128 letters, digits and underscores")
        case .invalidSecret:
            self.init(
                .usage, name, "a secret access key has 16…128 printable characters, and no spaces")
        case .exists(let what):
            self.init(
                .cannotCreate, what, "there is a principal of that name or access key id",
                wayOut: "'keyfold principal list' shows them")
        case .isNamed(let keys):
            let few = keys.prefix(3).map { "\($0.keyID)" }.joined(separator: ", ")
            self.init(
                .cannotCreate, name,
                "a principal of that name was deleted, and grants or policies of \(keys.count) keys "
                    + "still name it: \(few)\(keys.count > 3 ? ", …" : "")",
                wayOut: "revoke them ('keyfold grant list KEY', 'keyfold policy get KEY'), take "
                    + "another name, or let it have them: --keep-permissions")
        case .tooMany(let limit): self.init(.failure, name, "there are \(limit) principals already")
        case .missing:
            self.init(
                .notFound, name, "there is no such principal",
                wayOut: "'keyfold principal list' shows them")
        case .keystore(let error): self.init(error)
        }
    }
}
