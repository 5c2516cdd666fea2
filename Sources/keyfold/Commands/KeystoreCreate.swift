import ArgumentParser
import Console
import Cryptography
import KMSCore
import KMSModel

struct KeystoreCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a keystore without a vault.",
        discussion: """
            For 'keyfold serve', or for vaults that are made later. The recovery key is printed \
            once.
            Example: keyfold keystore create --keystore ~/keys --region eu-central-1
            """)

    @Option(
        help: ArgumentHelp("The account's number (default: a random one).", valueName: "12 digits"))
    var account: String?

    @Option(help: ArgumentHelp("The default Region.", valueName: "name"))
    var region = "us-east-1"

    @OptionGroup var common: CommonOptions

    func run() throws {
        let location = try common.keystoreLocation()
        guard !Keystore.isKeystore(at: location.directory) else {
            throw Failure(
                .cannotCreate, location.directory, "there is a keystore already",
                wayOut: "name another place with --keystore")
        }
        let number = account ?? AccountScope.random().account
        guard TextPattern.region.matches(region),
            let scope = AccountScope(account: number, region: region)
        else {
            throw Failure(
                .usage, "\(number) in \(region)",
                "an account has twelve digits, a Region a name like eu-central-1")
        }
        try NewKeystore(location: location, options: common).make(scope).close()
    }
}

/// Makes a keystore and shows its recovery key.
struct NewKeystore {
    let location: KeystoreLocation
    let options: any BasicOptions

    func make(_ scope: AccountScope) throws(Failure) -> Keystore {
        let passphrase = try NewPassphrase.read(
            file: options.unlockSources.passphraseFile, for: "keystore \(location.directory)")
        let made: (keystore: Keystore, recoveryKey: SecretBytes)
        do throws(KeystoreError) {
            made = try Keystore.create(
                at: location.directory, scope: scope, slots: passphrase, clock: SystemWallClock())
        } catch {
            throw Failure(error)
        }
        do throws(Failure) {
            try reveal(made.recoveryKey, of: made.keystore)
        } catch {
            var failure = error
            failure.wayOut = Self.wayOut(withoutRecoveryKeyOf: made.keystore)
            made.keystore.close()
            throw failure
        }
        return made.keystore
    }

    /// Nobody has seen the recovery key, so its slot is of no use.
    private static func wayOut(withoutRecoveryKeyOf keystore: Keystore) -> String {
        let slots = (try? keystore.slots()) ?? []
        let id = slots.first { $0.kind == .recoveryKey }?.id ?? "ID"
        return
            "the keystore \(keystore.directory) is made and opens with its passphrase, but nobody "
            + "has its recovery key: 'keyfold slot remove \(id)' and "
            + "'keyfold slot add recovery-key' give it another"
    }

    /// Prints the recovery key: this once, also with `--quiet`.
    private func reveal(_ recoveryKey: SecretBytes, of keystore: Keystore) throws(Failure) {
        if options.json {
            let head = JSONValue.object([
                "created": .text("keystore"), "keystore": .text(keystore.directory),
                "account": .text(keystore.scope.account), "region": .text(keystore.scope.region),
            ])
            // The object stays open for the secret, which no String is to hold.
            try options.output.reveal(
                recoveryKey, before: head.line.dropLast() + ",\"recoveryKey\":\"", after: "\"}\n")
        } else {
            try options.output.reveal(
                recoveryKey,
                before: """
                    Made the keystore \(keystore.directory) (account \(keystore.scope.account)).

                    Its recovery key, shown this once:

                        
                    """,
                after: """


                    It opens the keystore when the passphrase is lost. Write it down and keep it
                    away from this machine. Who has it can read your vaults.


                    """)
        }
    }
}
