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

    @OptionGroup var keys: VaultKeyOptions

    func validate() throws {
        if portable, keys.keystore != nil {
            throw ValidationError("--portable and --keystore name two places for the keystore.")
        }
        if keys.kms != nil, portable || keys.keystore != nil {
            throw ValidationError("--kms names a place for the keys that is no keystore.")
        }
    }

    func run() throws {
        let place = try VaultPlace(vault, isPortable: portable)
        let keyPlace = try place.keyPlace(keystore: keys.keystore, service: keys.kms)
        let holder = try openOrCreate(keyPlace)
        defer { holder.close() }
        let session = ServiceSession(holder)
        let keyARN = try session.vaultKeyARN(named: key)
        if case .service(let address, _) = keyPlace {
            try KnownServices.meet(address.endpoint, keyARN.scope.account)
        }
        let config = try place.makeVault(
            session: session, keyARN: keyARN.description, hint: holder.hint,
            names: plaintextNames ? .plaintext : .sealed)
        report(place, holder, config)
    }

    private func openOrCreate(_ place: KeyPlace) throws(Failure) -> KeyHolder {
        if case .keystore(let location) = place,
            !Keystore.isKeystore(at: location.directory)
        {
            return KeyHolder(try NewKeystore(location: location, options: keys).make(.random()))
        }
        return try place.open(keys.unlockSources, program: "keyfold")
    }

    private func report(_ place: VaultPlace, _ holder: KeyHolder, _ config: VaultConfig) {
        keys.output.data(
            .object([
                "created": .text("vault"), "vault": .text(place.directory),
                "vaultId": .text(config.vaultID.description), "format": .number(config.format),
                "keyArn": .text(config.defaultKeyARN), "keystore": .text(holder.hint),
                "names": .text(config.names.rawValue),
            ]),
            keys.quiet
                ? "" : "Made the vault \(place.directory), under \(config.defaultKeyARN).\n")
        keys.output.notice(Self.nextSteps(vault, keystore: holder.keystore?.directory))
    }

    private static func nextSteps(_ vault: String, keystore: String?) -> String {
        var steps = [
            ("mkdir -p MOUNTPOINT", "an empty directory, outside of the vault"),
            ("keyfold mount \(vault) MOUNTPOINT", "work in it as in any directory"),
            ("keyfold unmount MOUNTPOINT", "now all data are in the vault"),
        ]
        if let keystore {
            steps.append((backup(of: keystore), "a vault is lost without its keystore"))
        }
        let width = steps.map(\.0.count).max() ?? 0
        let lines = steps.map { command, purpose in
            "  " + command + String(repeating: " ", count: width - command.count + 3) + purpose
        }
        return "\nNext:\n" + lines.joined(separator: "\n")
    }

    /// The command names no vault, so it finds the keystore only where it is the usual one.
    private static func backup(of keystore: String) -> String {
        let usual = try? KeystoreLocation.find(option: nil).directory
        return "keyfold keystore backup FILE"
            + (keystore == usual ? "" : " --keystore \(keystore)")
    }
}

/// The key that vaults use when no other is named.
enum DefaultKey {
    static let alias = "alias/keyfold/default"
    static let description = "Default key of Keyfold vaults"
}

extension ServiceSession {
    /// The named key's ARN; without a name the default key's, which is made when it is not there.
    func vaultKeyARN(named key: String?) throws(Failure) -> KeyARN {
        if let key { return try describe(key).arn }
        do throws(KMSError) {
            return try service.describeKey(DefaultKey.alias, as: caller).arn
        } catch {
            guard error.code == .notFound else { throw Failure(error, object: DefaultKey.alias) }
        }
        return try ask(about: DefaultKey.alias) { service, caller throws(KMSError) in
            let request = CreateKeyRequest(description: DefaultKey.description)
            let arn = try service.createKey(request, as: caller).arn
            try service.createAlias(
                DefaultKey.alias, target: arn.keyID.description, as: caller)
            return arn
        }
    }
}
