import ArgumentParser
import Console
import Cryptography
import Glibc
import KMSCore
import KMSModel
import Platform

struct SlotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "slot", abstract: "The ways to unlock a keystore.",
        subcommands: [SlotAdd.self, SlotRemove.self, SlotList.self])
}

struct SlotAdd: ParsableCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case passphrase
        case recoveryKey = "recovery-key"
        case keyFile = "key-file"
    }

    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a passphrase, a recovery key or a key file.",
        discussion: """
            A new passphrase is asked for at the terminal, or read with --new-passphrase-file. \
            A new recovery key is printed once. A key file that does not exist is made.
            Example: keyfold slot add key-file /media/usb/keyfold.key --label 'USB stick'
            """)

    @Argument(help: "passphrase, recovery-key or key-file.")
    var kind: Kind

    @Argument(help: "The key file.", completion: .file())
    var file: String?

    @Option(
        help: ArgumentHelp(
            "A file with the new passphrase on its first line.", valueName: "file"),
        completion: .file())
    var newPassphraseFile: String?

    @Option(help: ArgumentHelp("What to remember the slot by.", valueName: "text"))
    var label = ""

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if (kind == .keyFile) != (file != nil) {
            throw ValidationError("A FILE belongs to key-file, and only to it.")
        }
        if kind != .passphrase, newPassphraseFile != nil {
            throw ValidationError("--new-passphrase-file belongs to passphrase.")
        }
    }

    func run() throws {
        try common.withSession { session throws(Failure) in
            let secret = try slotSecret(for: session.keystore)
            let added: UnlockSlot
            do throws(KeystoreError) {
                added = try session.keystore.addSlot(secret, label: label, as: session.caller)
            } catch {
                var failure = Failure(error)
                failure.object = failure.object ?? file
                throw failure
            }
            guard let recoveryKey = added.newRecoveryKey else {
                common.output.data(added.json, common.quiet ? "" : "Added slot \(added.id).\n")
                return
            }
            do throws(Failure) {
                try reveal(recoveryKey, in: added)
            } catch {
                throw takeBack(added, session, since: error)
            }
        }
    }

    /// Nobody has seen the recovery key, so its slot is of no use.
    private func takeBack(
        _ slot: UnlockSlot, _ session: Session, since failure: Failure
    ) -> Failure {
        var failure = failure
        do throws(KeystoreError) {
            try session.keystore.removeSlot(slot.id, as: session.caller)
            failure.wayOut = "the slot is taken away again; start anew"
        } catch {
            failure.wayOut = "nobody has the recovery key: 'keyfold slot remove \(slot.id)'"
        }
        return failure
    }

    private func slotSecret(for keystore: Keystore) throws(Failure) -> SlotSecret {
        switch kind {
        case .passphrase:
            .passphrase(
                try NewPassphrase.read(
                    file: newPassphraseFile, for: "keystore \(keystore.directory)"))
        case .recoveryKey: .newRecoveryKey
        case .keyFile: .keyFile(try KeyFile.readOrMake(file ?? ""))
        }
    }

    private func reveal(_ recoveryKey: SecretBytes, in slot: UnlockSlot) throws(Failure) {
        if common.json {
            // The object stays open for the secret, which no String is to hold.
            try common.output.reveal(
                recoveryKey, before: slot.json.line.dropLast() + ",\"recoveryKey\":\"",
                after: "\"}\n")
        } else {
            try common.output.reveal(
                recoveryKey,
                before: "Added slot \(slot.id). Its recovery key, shown this once:\n\n    ",
                after: "\n\nKeep it away from this machine.\n")
        }
    }
}

struct SlotRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a way to unlock; keys and files stay as they are.")

    @Argument(help: "The slot's id, from 'keyfold slot list'.")
    var slot: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            try Failure.carrying { () throws(KeystoreError) in
                try session.keystore.removeSlot(slot, as: session.caller)
            }
            common.output.notice("Slot \(slot) is removed.")
        }
    }
}

struct SlotList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the ways to unlock.")

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let slots = try Failure.carrying { () throws(KeystoreError) in
                try session.keystore.slots()
            }
            common.output.list(slots, json: \.json, table: UnlockSlot.table)
        }
    }
}

extension UnlockSlot {
    var json: JSONValue {
        .object([
            "slotId": .text(id), "kind": .text(kind.rawValue), "label": .text(label),
            "creationDate": .text(createdAt.iso8601),
        ])
    }

    static func table(_ slots: [UnlockSlot]) -> Table {
        var table = Table("SLOT", "KIND", "CREATED", "LABEL")
        for slot in slots {
            table.add(slot.id, slot.kind.rawValue, LocalTime.text(slot.createdAt), slot.label)
        }
        return table
    }
}

/// A file whose contents unlock a keystore.
enum KeyFile {
    private static let newFileBytes = 64

    /// The file's contents; a file that is not there, or is empty, is made of random bytes,
    /// readable by its owner only, and durable before it is used.
    ///
    /// An empty one is what a kill or a full disk left of an earlier attempt. There is no temporary
    /// name, since key files are for sticks whose file systems have no hard links.
    static func readOrMake(_ path: String) throws(Failure) -> SecretBytes {
        do throws(Errno) {
            let file = try Descriptor.open(path: path, O_WRONLY | O_CREAT, mode: 0o600)
            if try file.status().kind == .regular, try file.status().sizeBytes == 0 {
                return try make(file)
            }
        } catch {
            let status = ExitStatus(error)
            // A file that may only be read is no less a key.
            if status != .noPermission, error != .readOnlyFileSystem {
                throw Failure(
                    status == .inputOutput ? status : .cannotCreate, path,
                    "the key file can't be made: \(error)")
            }
        }
        var bytes = try SecretFile.contents(of: path, purpose: "key")
        return SecretBytes(consuming: &bytes)
    }

    private static func make(_ file: Descriptor) throws(Errno) -> SecretBytes {
        let key = SecretBytes.random(count: newFileBytes)
        try file.changeMode(to: 0o600)
        do throws(Errno) {
            try key.withBytes { bytes throws(Errno) in
                try file.write(bytes, 0..<bytes.byteCount, at: 0)
            }
            try file.synchronize(dataOnly: false)
        } catch {
            try? file.truncate(to: 0)
            throw error
        }
        return key
    }
}
