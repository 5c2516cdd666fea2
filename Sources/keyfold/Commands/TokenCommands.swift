import ArgumentParser
import Console
import KMSCore

struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "PKCS#11 tokens for custom key stores.",
        discussion: """
            AWS's API names the place of a custom key store's keys by the id of a CloudHSM \
            cluster. Here a cluster is a token: 'token add' gives it an id, which \
            CreateCustomKeyStore takes; the key store's password is the token's user PIN.
            """,
        subcommands: [TokenAdd.self, TokenList.self, TokenRemove.self])
}

struct TokenAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Note where a token is; nothing is opened yet.",
        discussion:
            "Example: keyfold token add /usr/lib/softhsm/libsofthsm2.so --label keyfold")

    @Argument(help: "The PKCS#11 module's path.", completion: .file())
    var module: String

    @Option(help: ArgumentHelp("The token's label.", valueName: "text"))
    var label: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let path = FilePaths.absolute(module)
            let id = try Failure.naming(path) { () throws(TokenError) in
                try session.keystore.addToken(
                    modulePath: path, tokenLabel: label, as: session.caller)
            }
            common.output.data(.object(["clusterId": .text(id)]), id + "\n")
        }
    }
}

struct TokenList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the tokens that custom key stores can use.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let tokens = try Failure.carrying { () throws(KeystoreError) in
                try session.keystore.tokens()
            }
            common.output.list(tokens, json: \.json, table: KeyStoreToken.table)
        }
    }
}

struct TokenRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a token that no custom key store uses.")

    @Argument(help: "The cluster id, from 'keyfold token list'.")
    var cluster: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            try Failure.naming(cluster) { () throws(TokenError) in
                try session.keystore.removeToken(cluster, as: session.caller)
            }
            common.output.notice("\(cluster) is forgotten; the token itself is as it was")
        }
    }
}

extension KeyStoreToken {
    fileprivate var json: JSONValue {
        .object([
            "clusterId": .text(clusterID), "module": .text(modulePath),
            "label": .text(tokenLabel),
        ])
    }

    fileprivate static func table(_ tokens: [KeyStoreToken]) -> Table {
        var table = Table("CLUSTER ID", "LABEL", "MODULE")
        for token in tokens { table.add(token.clusterID, token.tokenLabel, token.modulePath) }
        return table
    }
}

extension Failure {
    /// Runs `body`; what fails names the token.
    fileprivate static func naming<Value>(
        _ object: String, _ body: () throws(TokenError) -> Value
    ) throws(Failure) -> Value {
        do throws(TokenError) {
            return try body()
        } catch {
            switch error {
            case .invalidPath: throw Failure(.usage, object, "a module is named by its path")
            case .invalidLabel: throw Failure(.usage, object, "a token's label has 1…32 bytes")
            case .missing:
                throw Failure(
                    .notFound, object, "there is no such token",
                    wayOut: "'keyfold token list' shows them")
            case .inUse: throw Failure(.wrongState, object, "a custom key store uses it")
            case .keystore(let error): throw Failure(error)
            }
        }
    }
}
