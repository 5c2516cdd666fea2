package import KMSCore
internal import KMSModel
internal import Platform

/// The ways to unlock a keystore that the person offers beside the terminal.
package struct UnlockSources: Equatable, Sendable {
    package static let passphraseVariable = "KEYFOLD_PASSPHRASE_FILE"
    package static let keyFileVariable = "KEYFOLD_KEY_FILE"

    /// The option, or else the variable.
    package var passphraseFile: String?
    package var recoveryKeyFile: String?
    /// The option, or else the variable where no option names another way.
    package var keyFile: String?

    package init(
        passphraseFile: String? = nil, recoveryKeyFile: String? = nil, keyFile: String? = nil
    ) {
        let namesAnother = passphraseFile != nil || recoveryKeyFile != nil
        self.passphraseFile =
            passphraseFile ?? EnvironmentVariable.value(Self.passphraseVariable)
        self.recoveryKeyFile = recoveryKeyFile
        self.keyFile =
            keyFile ?? (namesAnother ? nil : EnvironmentVariable.value(Self.keyFileVariable))
    }
}

/// Opens a keystore for whoever is at the terminal, or for a script.
///
/// The recovery key's and the key's file come first, since only the person names them; then the
/// kernel's keyring (`keyfold unlock`), the passphrase file, and last the terminal.
package struct Unlocking {
    private let location: KeystoreLocation
    private let sources: UnlockSources
    private let slowWorkLimits: SlowWorkLimits

    package init(
        location: KeystoreLocation, sources: UnlockSources,
        slowWorkLimits: SlowWorkLimits = SlowWorkLimits()
    ) {
        self.location = location
        self.sources = sources
        self.slowWorkLimits = slowWorkLimits
    }

    private static let triesAtTheTerminal = 3

    package func open() throws(Failure) -> Keystore {
        guard Keystore.isKeystore(at: location.directory) else {
            throw Failure(.missing(path: location.directory))
        }
        if let file = sources.recoveryKeyFile {
            var text = try SecretFile.firstLine(of: file, purpose: "recovery key")
            return try open(.recoveryKey(.init(consuming: &text)), from: file)
        }
        if let file = sources.keyFile {
            var key = try SecretFile.contents(of: file, purpose: "key")
            return try open(.keyFile(.init(consuming: &key)), from: file)
        }
        if let keystore = try openFromKeyring() { return keystore }
        if let file = sources.passphraseFile {
            return try open(Self.passphrase(in: file), from: file)
        }
        return try openAtTheTerminal()
    }

    private static func passphrase(in file: String) throws(Failure) -> UnlockMethod {
        var line = try SecretFile.firstLine(of: file, purpose: "passphrase")
        return .passphrase(.init(consuming: &line))
    }

    /// nil when the keyring does not hold this keystore's root key.
    private func openFromKeyring() throws(Failure) -> Keystore? {
        do throws(KeystoreError) {
            return try Keystore.open(
                at: location.directory, unlocking: .kernelKeyring, clock: SystemWallClock(),
                slowWorkLimits: slowWorkLimits)
        } catch {
            if case .locked = error { return nil }
            throw Failure(error)
        }
    }

    private func openAtTheTerminal() throws(Failure) -> Keystore {
        guard let terminal = Terminal() else { throw Self.noWay(location.directory) }
        for _ in 1..<Self.triesAtTheTerminal {
            if let keystore = try askAndOpen(terminal) { return keystore }
            StandardError.line("Wrong passphrase, try again.")
        }
        guard let keystore = try askAndOpen(terminal) else {
            throw Failure(.wrongPassphrase(path: location.directory))
        }
        return keystore
    }

    /// nil when the passphrase is wrong.
    private func askAndOpen(_ terminal: Terminal) throws(Failure) -> Keystore? {
        var line = try terminal.readSecret("Passphrase for keystore \(location.directory): ")
        do throws(KeystoreError) {
            return try Keystore.open(
                at: location.directory, unlocking: .passphrase(.init(consuming: &line)),
                clock: SystemWallClock(), slowWorkLimits: slowWorkLimits)
        } catch {
            if case .wrongPassphrase = error { return nil }
            throw Failure(error)
        }
    }

    private func open(_ method: UnlockMethod, from file: String) throws(Failure) -> Keystore {
        do throws(KeystoreError) {
            return try Keystore.open(
                at: location.directory, unlocking: method, clock: SystemWallClock(),
                slowWorkLimits: slowWorkLimits)
        } catch {
            var failure = Failure(error)
            // What the file holds can be no secret of any keystore.
            failure.object = failure.object ?? file
            throw failure
        }
    }

    package static func noWay(_ object: String) -> Failure {
        Failure(
            .noPermission, object, "no passphrase was given, and there is no terminal to ask at",
            wayOut: "give --passphrase-file FILE, set \(UnlockSources.passphraseVariable), "
                + "or run 'keyfold unlock' at a terminal first")
    }
}
