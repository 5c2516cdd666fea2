import ArgumentParser
import Console
import Cryptography
import KMSCore
import KMSModel
import SealedFormat

struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a vault, and a keystore where there is none.",
        discussion: """
            A new keystore asks for a passphrase and prints a recovery key, once: keep it apart \
            from this machine.
            Example: keyfold init ~/vault
            """)

    @Argument(help: "A new or an empty directory.", completion: .directory)
    var vault: String

    @Flag(help: "Keep the keystore inside the vault's directory, so that both travel together.")
    var portable = false

    @Option(
        help: ArgumentHelp(
            "The key that wraps the vault's data keys (default: \(DefaultKey.alias)).",
            valueName: "key"))
    var key: String?

    @Flag(help: "Leave names readable in the vault; contents are sealed all the same.")
    var plaintextNames = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if portable, common.keystore != nil {
            throw ValidationError("--portable and --keystore name two places for the keystore.")
        }
    }

    func run() throws {
        let place = try VaultPlace(vault, isPortable: portable)
        let location = try place.keystoreLocation(option: common.keystore)
        let keystore = try openOrCreateKeystore(location)
        defer { keystore.close() }
        let session = Session(keystore)
        let keyARN = try session.vaultKeyARN(named: key)
        let config = try place.makeVault(
            session: session, keyARN: keyARN, keystore: location,
            names: plaintextNames ? .plaintext : .sealed)
        report(place, location, config)
    }

    private func openOrCreateKeystore(_ location: KeystoreLocation) throws(Failure) -> Keystore {
        if Keystore.isKeystore(at: location.directory) {
            return try Unlocking(location: location, sources: common.unlockSources).open()
        }
        return try NewKeystore(location: location, common: common).make(.random())
    }

    private func report(_ place: VaultPlace, _ location: KeystoreLocation, _ config: VaultConfig) {
        common.output.data(
            .object([
                "created": .text("vault"), "vault": .text(place.directory),
                "vaultId": .text(config.vaultID.description), "format": .number(config.format),
                "keyArn": .text(config.defaultKeyARN), "keystore": .text(location.directory),
                "names": .text(config.names.rawValue),
            ]),
            common.quiet
                ? "" : "Made the vault \(place.directory), under \(config.defaultKeyARN).\n")
        common.output.notice(Self.nextSteps(vault))
    }

    private static func nextSteps(_ vault: String) -> String {
        let steps = [
            ("mkdir -p MOUNTPOINT", "an empty directory, outside of the vault"),
            ("keyfold mount \(vault) MOUNTPOINT", "work in it as in any directory"),
            ("keyfold unmount MOUNTPOINT", "now all data are in the vault"),
            ("keyfold keystore backup FILE", "a vault is lost without its keystore"),
        ]
        let width = steps.map(\.0.count).max() ?? 0
        let lines = steps.map { command, purpose in
            "  " + command + String(repeating: " ", count: width - command.count + 3) + purpose
        }
        return "\nNext:\n" + lines.joined(separator: "\n")
    }
}

/// The key that vaults use when no other is named.
enum DefaultKey {
    static let alias = "alias/keyfold/default"
    static let description = "Default key of Keyfold vaults"
}

extension Session {
    /// The named key's ARN; without a name the default key's, which is made when it is not there.
    fileprivate func vaultKeyARN(named key: String?) throws(Failure) -> String {
        if let key { return try describe(key).arn.description }
        do throws(KMSError) {
            return try service.describeKey(DefaultKey.alias, as: caller).arn.description
        } catch {
            guard error.code == .notFound else { throw Failure(error, object: DefaultKey.alias) }
        }
        return try ask(about: DefaultKey.alias) { service, caller throws(KMSError) in
            let request = CreateKeyRequest(description: DefaultKey.description)
            let arn = try service.createKey(request, as: caller).arn
            try service.createAlias(
                DefaultKey.alias, target: arn.keyID.description, as: caller)
            return arn.description
        }
    }
}
