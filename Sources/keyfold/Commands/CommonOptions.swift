import ArgumentParser
import Console

/// How to unlock and how to answer, which every command is told.
///
/// Option groups hold no further groups: debug builds of ArgumentParser check an option some four
/// times more for each level that it lies deeper.
protocol BasicOptions {
    var passphraseFile: String? { get }
    var recoveryKeyFile: String? { get }
    var keyFile: String? { get }
    var json: Bool { get }
    var quiet: Bool { get }
}

extension BasicOptions {
    var output: Output { Output(isJSON: json, isQuiet: quiet) }

    var unlockSources: UnlockSources {
        UnlockSources(
            passphraseFile: passphraseFile, recoveryKeyFile: recoveryKeyFile, keyFile: keyFile)
    }
}

extension ArgumentHelp {
    static let keystore = ArgumentHelp(
        "The keystore's directory (else KEYFOLD_KEYSTORE, else what the vault names, else "
            + "$XDG_DATA_HOME/keyfold/keystore).", valueName: "dir")
    static let passphraseFile = ArgumentHelp(
        "A file with the passphrase on its first line (else KEYFOLD_PASSPHRASE_FILE, else "
            + "the terminal).", valueName: "file")
    static let recoveryKeyFile = ArgumentHelp(
        "A file with the recovery key on its first line, instead of the passphrase.",
        valueName: "file")
    static let keyFile = ArgumentHelp(
        "A key file, instead of the passphrase (else KEYFOLD_KEY_FILE).", valueName: "file")
    static let json = ArgumentHelp("Print data as JSON, one object a line.")
    static let quiet = ArgumentHelp("Print no notices and no progress.")
    static let kms = ArgumentHelp(
        "Where a service with the keys answers, instead of a keystore: https://HOST[:PORT], "
            + "http://127.0.0.1:PORT or unix:///PATH (else KEYFOLD_KMS, else what the vault "
            + "names).", valueName: "url")
}

/// A path in a vault, as the mount shows it.
enum PathInVault {
    /// - Throws: a `ValidationError` for one that leads up, where nothing is the vault's.
    static func check(_ path: String?) throws {
        if let path, path.split(separator: "/").contains("..") {
            throw ValidationError("'\(path)' has '..' in it: PATH is below the vault's root.")
        }
    }
}

/// The options of commands about a keystore.
struct CommonOptions: ParsableArguments, BasicOptions {
    @Option(help: .keystore, completion: .directory) var keystore: String?
    @Option(help: .passphraseFile, completion: .file()) var passphraseFile: String?
    @Option(help: .recoveryKeyFile, completion: .file()) var recoveryKeyFile: String?
    @Option(help: .keyFile, completion: .file()) var keyFile: String?
    @Flag(help: .json) var json = false
    @Flag(name: .shortAndLong, help: .quiet) var quiet = false

    func keystoreLocation(vault: String? = nil) throws(Failure) -> KeystoreLocation {
        try KeystoreLocation.find(option: keystore, vault: vault)
    }
}

/// The options of commands about a vault, whose keys may be with a service.
struct VaultKeyOptions: ParsableArguments, BasicOptions {
    @Option(help: .kms) var kms: String?
    @Option(help: .keystore, completion: .directory) var keystore: String?
    @Option(help: .passphraseFile, completion: .file()) var passphraseFile: String?
    @Option(help: .recoveryKeyFile, completion: .file()) var recoveryKeyFile: String?
    @Option(help: .keyFile, completion: .file()) var keyFile: String?
    @Flag(help: .json) var json = false
    @Flag(name: .shortAndLong, help: .quiet) var quiet = false
}
