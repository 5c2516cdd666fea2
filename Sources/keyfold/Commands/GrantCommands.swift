import ArgumentParser
import Console
import KMSCore
import KMSModel

struct GrantCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Permissions on one key for one principal.",
        subcommands: [
            GrantCreate.self, GrantList.self, GrantRevoke.self, GrantRetire.self,
        ])
}

struct GrantCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Let a principal do something with a key.",
        discussion: """
            A principal is the name of an access key's principal, uid-N for a local user, or an \
            ARN.
            Example: keyfold grant create alias/photos --to backup-job --operation Decrypt \
            --operation DescribeKey
            """)

    @OptionGroup var key: KeyArgument

    @Option(name: .customLong("to"), help: ArgumentHelp("Who gets it.", valueName: "principal"))
    var grantee: String

    @Option(
        name: .customLong("operation"),
        help: ArgumentHelp("What it allows, as AWS KMS calls it; may be given again."))
    var operations: [String]

    @Option(help: ArgumentHelp("Who may retire it.", valueName: "principal"))
    var retiring: String?

    @Option(
        name: .customLong("context"),
        help: "A pair that the encryption context must have; may be given again.")
    var context: [TagArgument] = []

    @Flag(help: "The context must have these pairs and no others.")
    var exactContext = false

    @Option(help: ArgumentHelp("The same request under a name gives the same grant."))
    var name: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if exactContext, context.isEmpty {
            throw ValidationError("--exact-context needs --context.")
        }
        var names: Set<String> = []
        for pair in context where !names.insert(pair.tag.key).inserted {
            throw ValidationError("--context gives '\(pair.tag.key)' two values.")
        }
    }

    func run() throws {
        try common.withSession { session throws(Failure) in
            let input = Structure([
                .keyID: .text(try session.keyID(of: key.name)),
                .granteePrincipal: .text(session.principalARN(of: grantee)),
                .retiringPrincipal: retiring.map { .text(session.principalARN(of: $0)) },
                .operations: .texts(operations),
                .constraints: constraints.map(Value.structure),
                .name: name.map(Value.text),
            ])
            let answer = try create(input, session)
            let id = answer.text(.grantID) ?? ""
            common.output.data(
                .object([
                    "grantId": .text(id), "grantToken": .text(ifAny: answer.text(.grantToken)),
                ]), id + "\n")
        }
    }

    private func create(_ input: Structure, _ session: Session) throws(Failure) -> Structure {
        do throws(KMSError) {
            return try session.service.answer(.createGrant, input, as: session.caller)
        } catch {
            // The key was found already: what is not known is a principal.
            guard error.code == .invalidARN else { throw Failure(error, object: key.name) }
            let unknown = [grantee, retiring].compactMap(\.self).first { name in
                error.message.hasSuffix(": " + session.principalARN(of: name))
            }
            throw Failure(
                .notFound, unknown ?? grantee, "there is no such principal",
                wayOut: "'keyfold principal list' shows them; uid-N is a local user, and root the "
                    + "keystore's owner")
        }
    }

    private var constraints: Structure? {
        guard !context.isEmpty else { return nil }
        var pairs: [String: String] = [:]
        for pair in context { pairs[pair.tag.key] = pair.tag.value }
        return Structure([
            (exactContext ? .encryptionContextEquals : .encryptionContextSubset):
                .context(EncryptionContext(pairs))
        ])
    }
}

struct GrantList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the grants on a key.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let id = try session.keyID(of: key.name)
            let grants = try session.askForAll(about: key.name) {
                service, page, caller throws(KMSError) in
                let input = Structure([
                    .keyID: .text(id), .limit: page.limit.map(Value.number),
                    .marker: page.marker.map(Value.text),
                ])
                let answer = try service.answer(.listGrants, input, as: caller)
                return Page(
                    elements: answer.structures(.grants).map(GrantRow.init),
                    nextMarker: answer.text(.nextMarker))
            }
            common.output.list(grants, json: \.json, table: GrantRow.table)
        }
    }
}

struct GrantRevoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Take a grant away.")

    @OptionGroup var key: KeyArgument

    @Argument(help: "The grant's id, from 'keyfold grant list'.")
    var grant: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let input = Structure([
                .keyID: .text(try session.keyID(of: key.name)), .grantID: .text(grant),
            ])
            try session.ask(about: grant) { service, caller throws(KMSError) in
                _ = try service.answer(.revokeGrant, input, as: caller)
            }
            common.output.notice("the grant is revoked")
        }
    }
}

struct GrantRetire: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retire", abstract: "End a grant that you may retire.")

    @OptionGroup var key: KeyArgument

    @Argument(help: "The grant's id, from 'keyfold grant list'.")
    var grant: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let arn = try session.describe(key.name).arn.description
            let input = Structure([.keyID: .text(arn), .grantID: .text(grant)])
            try session.ask(about: grant) { service, caller throws(KMSError) in
                _ = try service.answer(.retireGrant, input, as: caller)
            }
            common.output.notice("the grant is retired")
        }
    }
}

/// A grant as ListGrants tells it.
private struct GrantRow: Sendable {
    let id: String
    let grantee: String
    let retiring: String?
    let operations: [String]
    let name: String?
    let constraint: String?
    let creationDate: Timestamp?

    init(_ grant: Structure) {
        id = grant.text(.grantID) ?? ""
        grantee = grant.text(.granteePrincipal) ?? grant.text(.granteeServicePrincipal) ?? ""
        retiring = grant.text(.retiringPrincipal) ?? grant.text(.retiringServicePrincipal)
        operations = grant.texts(.operations)
        name = grant.text(.name)
        creationDate = grant.time(.creationDate)
        constraint = grant.structure(.constraints).map(GrantRow.words)
    }

    private static func words(_ constraints: Structure) -> String {
        let parts: [(Member, String)] = [
            (.encryptionContextEquals, "is"), (.encryptionContextSubset, "has"),
        ]
        return parts.compactMap { member, verb in
            guard constraints[member] != nil else { return nil }
            let pairs = constraints.context(member).pairs.map { "\($0.name)=\($0.value)" }
            return "context \(verb) \(pairs.joined(separator: ", "))"
        }.joined(separator: "; ")
    }

    var json: JSONValue {
        .object([
            "grantId": .text(id), "granteePrincipal": .text(grantee),
            "retiringPrincipal": .text(ifAny: retiring),
            "operations": .list(operations.map { .text($0) }), "name": .text(ifAny: name),
            "constraint": .text(ifAny: constraint),
            "creationDate": .text(ifAny: creationDate?.iso8601),
        ])
    }

    static func table(_ grants: [GrantRow]) -> Table {
        var table = Table("GRANT ID", "GRANTEE", "OPERATIONS", "CONSTRAINT", "NAME")
        for grant in grants {
            table.add(
                grant.id, grant.grantee, grant.operations.joined(separator: ","),
                grant.constraint ?? "", grant.name ?? "")
        }
        return table
    }
}

extension Session {
    /// `uid-N`, the name of an access key's principal, or an ARN as it is.
    func principalARN(of name: String) -> String {
        let scope = keystore.scope
        if name.hasPrefix("arn:") || name.contains(".amazonaws.com") { return name }
        // UInt32 would read a sign, too, which may be part of a principal's name.
        let digits = name.utf8.dropFirst(4)
        if name.hasPrefix("uid-"),
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let uid = UInt32(name.dropFirst(4))
        {
            return scope.userARN(uid: uid)
        }
        return name == "root" ? scope.rootPrincipalARN : scope.userARN(name: name)
    }
}
