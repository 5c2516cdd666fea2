import ArgumentParser
import Console
import KMSModel
import Platform
import Vault

struct DomainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "domain", abstract: "Subtrees of a vault with keys of their own.",
        discussion: """
            What lies in a domain, names and contents, is under the domain's key. Where that key \
            is disabled, the domain does not open; the rest of the vault does.
            """,
        subcommands: [DomainCreate.self, DomainListCommand.self, DomainShow.self])
}

/// The vault that a command is about, by its directory or by where it is mounted.
struct VaultArgument: ParsableArguments {
    @Argument(help: "The vault's directory, or where it is mounted.", completion: .directory)
    var vault: String
}

struct DomainCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a new directory that has a key of its own.",
        discussion: """
            The vault may be mounted and in use. Move files in with mv, which copies them: that \
            puts them under the domain's key.
            Example: keyfold domain create ~/vault accounts/2026 --key alias/accounts
            """)

    @OptionGroup var place: VaultArgument

    @Argument(help: "The new directory as the mount shows it, below the mount's root.")
    var path: String

    @Option(
        help: ArgumentHelp(
            "The key that wraps the data keys of the files in it (default: \(DefaultKey.alias)).",
            valueName: "key"))
    var key: String?

    @OptionGroup var keys: VaultKeyOptions

    func run() throws {
        let view = try VaultView.find(place.vault)
        let made = try keys.withKeys(ofVault: view.vault) { session throws(Failure) in
            let keyARN = try session.vaultKeyARN(named: key).description
            let maker = try maker(view, session)
            do throws(VaultError) {
                return try maker.make(under: keyARN)
            } catch {
                throw failure(error)
            }
        }
        keys.output.data(
            .object([
                "created": .text("domain"), "path": .text(made.plainPath),
                "domainId": .text(made.id), "keyArn": .text(ifAny: made.keyARNs.first),
            ]),
            keys.quiet
                ? "" : "Made the domain \(made.plainPath), under \(made.keyARNs.joined()).\n")
    }

    private func maker(
        _ view: VaultView, _ session: ServiceSession
    ) throws(Failure) -> DomainMaker {
        var caller = session.caller
        caller.fileActivity = FileActivity(operation: .createDomain)
        do throws(VaultError) {
            return try DomainMaker(
                vaultDirectory: view.vault, mountPoint: view.mount?.mountPoint, plainPath: path,
                service: session.service, caller: caller)
        } catch {
            switch error {
            case .system(.invalidArgument):
                throw Failure(
                    .usage, path, "this names no new directory",
                    wayOut: "a path below the vault's root, without '..'")
            case .system(.noSuchFileOrDirectory), .system(.notDirectory):
                throw Failure(
                    .notFound, path, "there is no directory that it could be made in",
                    wayOut: "make the directories above it first, in the mount")
            case .system, .format, .keys, .missingKeyVersion, .foreignKey, .notAVault, .notEmpty,
                .alreadyAVault, .locked, .unknownDomain, .dataKeyUsedUp, .journal:
                throw Failure(error, object: path)
            }
        }
    }

    private func failure(_ error: VaultError) -> Failure {
        switch error {
        case .system(.fileExists):
            Failure(
                .cannotCreate, path, "there is something of that name already",
                wayOut: "a domain begins as a new directory: make it under another name, and move "
                    + "files in")
        case .system(.readOnlyFileSystem):
            Failure(
                .cannotCreate, path, "the vault is mounted read-only, or its store is",
                wayOut: "mount it without -o ro, or unmount it")
        case .keys(let error):
            Failure(error, object: key ?? DefaultKey.alias)
        case .system, .format, .missingKeyVersion, .foreignKey, .notAVault, .notEmpty,
            .alreadyAVault, .locked, .unknownDomain, .dataKeyUsedUp, .journal:
            Failure(error, object: path)
        }
    }
}

struct DomainListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List a vault's domains, with their keys.",
        discussion: """
            A domain in one whose key can't be used now is not listed: its name is under that key.
            """)

    @OptionGroup var place: VaultArgument
    @OptionGroup var keys: VaultKeyOptions

    func run() throws {
        let view = try VaultView.find(place.vault)
        let found = try keys.withKeys(ofVault: view.vault) { session throws(Failure) in
            try session.domains(of: view.vault) { list throws(VaultError) in try list.all() }
        }
        keys.output.list(found, json: \.json, table: DomainView.table)
    }
}

struct DomainShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Tell which domain a file or directory is in.")

    @OptionGroup var place: VaultArgument

    @Argument(help: "A file or directory as the mount shows it, below the mount's root.")
    var path: String

    @OptionGroup var keys: VaultKeyOptions

    func validate() throws {
        try PathInVault.check(path)
    }

    func run() throws {
        let view = try VaultView.find(place.vault)
        let found = try keys.withKeys(ofVault: view.vault) { session throws(Failure) in
            try session.domains(of: view.vault, object: path) { list throws(VaultError) in
                [try list.domain(ofEntryAt: path)]
            }
        }
        for domain in found { keys.output.data(domain.json, domain.sheet.text) }
    }
}

/// A domain with what the key service says of its key.
private struct DomainView {
    let domain: DomainDescription
    /// nil where the key service does not tell.
    let keyState: KeyState?

    private var keyARN: String? { domain.keyARNs.first }

    /// As the mount shows it; its root is "/".
    private var path: String { "/" + domain.plainPath }

    private var state: String {
        let state = keyState?.words ?? "unknown"
        return domain.closedBy == nil ? state : "\(state), closed"
    }

    var json: JSONValue {
        .object([
            "path": .text(path), "domainId": .text(domain.id),
            "outerDomainId": .text(ifAny: domain.outerID), "keyArn": .text(ifAny: keyARN),
            "keyState": .text(ifAny: keyState?.name), "open": .flag(domain.closedBy == nil),
        ])
    }

    var sheet: Sheet {
        var sheet = Sheet()
        sheet.add("Domain", path)
        sheet.add("Domain id", domain.id)
        sheet.add("In the domain", domain.outerID)
        sheet.add("Key (CMK)", keyARN)
        sheet.add("Key state", keyState?.words ?? "unknown")
        sheet.add("Closed", domain.closedBy.map { Failure($0, object: path).message })
        return sheet
    }

    static func table(_ domains: [DomainView]) -> Table {
        var table = Table("DOMAIN", "STATE OF ITS KEY", "KEY", "DOMAIN ID")
        for view in domains {
            table.add(view.path, view.state, view.keyARN ?? "", view.domain.id)
        }
        return table
    }
}

extension ServiceSession {
    fileprivate func domains(
        of vault: String, object: String? = nil,
        _ body: (DomainList) throws(VaultError) -> [DomainDescription]
    ) throws(Failure) -> [DomainView] {
        do throws(VaultError) {
            let list = try DomainList(vaultDirectory: vault, service: service, caller: caller)
            return try body(list).map(view)
        } catch {
            throw Failure(error, object: object ?? vault)
        }
    }

    private func view(_ domain: DomainDescription) -> DomainView {
        let metadata = domain.keyARNs.first.flatMap { try? service.describeKey($0, as: caller) }
        return DomainView(domain: domain, keyState: metadata?.state)
    }
}
