import ArgumentParser
import Console
import FoundationEssentials
import Glibc
import Platform
import SealedFormat
import Vault

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell whether a vault is mounted, and what it does.",
        discussion: """
            Without a name: every vault that is mounted here.
            Example: keyfold status --json ~/vault
            """)

    @Argument(help: "A vault's directory, or where it is mounted.", completion: .directory)
    var path: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        guard let path else {
            let views = try MountTable.mountedVaults().map(VaultView.init(mounted:))
            common.output.list(views, json: \.json, table: VaultView.table)
            if views.isEmpty { common.output.notice("No vault is mounted.") }
            return
        }
        let view = try VaultView.find(path)
        common.output.data(view.json, view.sheet.text)
    }
}

/// `keyfold.json`, read without any key.
enum VaultConfigFile {
    static func read(_ vault: String) throws(Failure) -> VaultConfig {
        do throws(VaultError) {
            return try VaultInspection.config(at: vault)
        } catch {
            throw Failure(error, object: vault)
        }
    }
}

/// What can be told of a vault without any key.
struct VaultView {
    let vault: String
    let config: VaultConfig?
    let mount: MountedVault?
    /// What the mount's daemon says; nil when there is none or it does not answer.
    let live: VaultStatus?
    /// A process that holds the vault, perhaps where this one can't see its mount.
    let holder: VaultLock.Holder?

    init(mounted mount: MountedVault) throws(Failure) {
        // The vault may be out of this process's reach while its mount is not.
        self.init(
            vault: mount.vault, config: try? VaultConfigFile.read(mount.vault), mount: mount)
    }

    private init(vault: String, config: VaultConfig?, mount: MountedVault?) {
        self.vault = vault
        self.config = config
        self.mount = mount
        live = mount.flatMap { Self.ask($0.mountPoint) }
        holder = (try? VaultLock.holder(ofVaultAt: vault)) ?? nil
    }

    /// - Throws: a ``Failure`` when `path` is neither a mount nor a vault.
    static func find(_ path: String) throws(Failure) -> VaultView {
        let absolute = FilePaths.absolute(path)
        for candidate in [absolute, FilePaths.resolved(absolute)].compactMap(\.self) {
            if let mount = try MountTable.mount(at: candidate) {
                return try VaultView(mounted: mount)
            }
        }
        let vault = FilePaths.resolved(absolute) ?? absolute
        return VaultView(
            vault: vault, config: try VaultConfigFile.read(vault),
            mount: try MountTable.mount(ofVault: vault))
    }

    private static func ask(_ mountPoint: String) -> VaultStatus? {
        guard let root = try? Descriptor.open(path: mountPoint, OpenFlag.directory),
            let json = try? root.extendedAttribute("user.keyfold.status")
        else { return nil }
        return try? JSONDecoder().decode(VaultStatus.self, from: Data(json))
    }
}

extension VaultView {
    var json: JSONValue {
        .object([
            "vault": .text(vault),
            "mounted": .flag(mount != nil),
            "mountPoint": .text(ifAny: mount?.mountPoint),
            "answers": .flag(live != nil),
            "inUse": .flag(holder != nil),
            "pid": .number(ifAny: live?.pid ?? holder?.pid),
            "format": .number(ifAny: config?.format ?? live?.format),
            "vaultId": .text(ifAny: config?.vaultID.description ?? live?.vaultID),
            "keyArn": .text(ifAny: config?.defaultKeyARN ?? live?.keyARN),
            "names": .text(ifAny: config?.names.rawValue),
            "keystore": .text(ifAny: keystore),
            "filesOpened": .number(ifAny: live?.filesOpened),
            "openFiles": .number(ifAny: live?.openFiles),
            "undecodableNames": .number(ifAny: live?.undecodableNames),
            "readOnly": live.map { .flag($0.isReadOnly) } ?? .null,
            "shared": live.map { .flag($0.isShared) } ?? .null,
        ])
    }

    var sheet: Sheet {
        var sheet = Sheet()
        sheet.add("Vault", vault)
        sheet.add("State", state)
        sheet.add("Daemon", (live?.pid ?? holder?.pid).map { "process \($0)" })
        sheet.add("Files opened", live.map { String($0.filesOpened) })
        sheet.add("Files open now", live.map { String($0.openFiles) })
        sheet.add("Undecodable names", live.map { String($0.undecodableNames) })
        sheet.add("Key (CMK)", config?.defaultKeyARN ?? live?.keyARN)
        sheet.add("Keystore", keystore)
        sheet.add("Names", config?.names.rawValue)
        sheet.add("Format", (config?.format ?? live?.format).map { String($0) })
        sheet.add("Vault id", config?.vaultID.description ?? live?.vaultID)
        return sheet
    }

    static func table(_ views: [VaultView]) -> Table {
        var table = Table("VAULT", "MOUNTED AT", "FILES OPENED", "OPEN NOW", "STATE")
        for view in views {
            table.add(
                view.vault, view.mount?.mountPoint ?? "",
                view.live.map { String($0.filesOpened) } ?? "",
                view.live.map { String($0.openFiles) } ?? "", view.state)
        }
        return table
    }

    private var keystore: String? {
        config?.keystore.map { KeyPlace.isURL($0) ? $0 : FilePaths.joined($0, below: vault) }
    }

    private var state: String {
        guard let mount else {
            return holder == nil
                ? "not mounted" : "in use by a process whose mount is not visible here"
        }
        guard let live else {
            return "mounted at \(mount.mountPoint), but its daemon does not answer: "
                + "keyfold unmount \(mount.mountPoint)"
        }
        return "mounted at \(mount.mountPoint)" + (live.isReadOnly ? ", read-only" : "")
    }
}
