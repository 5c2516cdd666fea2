import ArgumentParser
import Console

/// The options that every command takes.
struct CommonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The keystore's directory (else KEYFOLD_KEYSTORE, else what the vault names, else "
                + "$XDG_DATA_HOME/keyfold/keystore).", valueName: "dir"), completion: .directory)
    var keystore: String?

    @OptionGroup var basic: BasicOptions

    var passphraseFile: String? { basic.passphraseFile }
    var recoveryKeyFile: String? { basic.recoveryKeyFile }
    var keyFile: String? { basic.keyFile }
    var json: Bool { basic.json }
    var quiet: Bool { basic.quiet }
    var output: Output { basic.output }
    var unlockSources: UnlockSources { basic.unlockSources }

    func keystoreLocation(vault: String? = nil) throws(Failure) -> KeystoreLocation {
        try KeystoreLocation.find(option: keystore, vault: vault)
    }
}

/// Those of them that say how to unlock and how to answer.
struct BasicOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A file with the passphrase on its first line (else KEYFOLD_PASSPHRASE_FILE, else "
                + "the terminal).", valueName: "file"), completion: .file())
    var passphraseFile: String?

    @Option(
        help: ArgumentHelp(
            "A file with the recovery key on its first line, instead of the passphrase.",
            valueName: "file"), completion: .file())
    var recoveryKeyFile: String?

    @Option(
        help: ArgumentHelp(
            "A key file, instead of the passphrase (else KEYFOLD_KEY_FILE).", valueName: "file"),
        completion: .file())
    var keyFile: String?

    @Flag(help: "Print data as JSON, one object a line.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print no notices and no progress.")
    var quiet = false

    var output: Output { Output(isJSON: json, isQuiet: quiet) }

    var unlockSources: UnlockSources {
        UnlockSources(
            passphraseFile: passphraseFile, recoveryKeyFile: recoveryKeyFile, keyFile: keyFile)
    }
}

/// For commands about a vault, whose keys may be with a service.
struct VaultKeyOptions: ParsableArguments {
    @OptionGroup var service: KeyServiceOption
    @OptionGroup var common: CommonOptions

    var kms: String? { service.kms }
}

struct KeyServiceOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where a service with the keys answers, instead of a keystore: https://HOST[:PORT], "
                + "http://127.0.0.1:PORT or unix:///PATH (else KEYFOLD_KMS, else what the vault "
                + "names).", valueName: "url"))
    var kms: String?
}
