import ArgumentParser
import Console
import Glibc
import KMSCore
import KMSModel
import Vault

struct CheckCommand: ParsableCommand, BasicOptions {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a vault, or a keystore, and repair a vault.",
        discussion: """
            The vault may be mounted and in use, but not for a repair, which never deletes data: \
            what it can't name goes to lost+found. Exit codes: 0 nothing to do, 1 all that was \
            found is repaired, 2 not everything could be checked, 4 something is left.
            Example: keyfold check --read-data ~/vault
            Example: keyfold check --keystore
            """)

    @Argument(help: "The vault's directory.", completion: .directory)
    var vault: String?

    @Argument(help: "A file or directory as the mount shows it, below the mount's root.")
    var path: String?

    @Option(
        defaultAsFlag: "", parsing: .next,
        help: ArgumentHelp(
            "With a vault: its keystore. Without one, or without DIR: check the keystore.",
            valueName: "dir"), completion: .directory)
    var keystore: String?

    @Flag(help: "Repair what can be repaired without a guess; the vault must not be mounted.")
    var repair = false

    @Flag(help: "Read and authenticate every block of every file.")
    var readData = false

    @Option(help: ArgumentHelp("How many at a time (default: one for each core).", valueName: "n"))
    var jobs: Int?

    @Option(help: .kms) var kms: String?
    @Option(help: .passphraseFile, completion: .file()) var passphraseFile: String?
    @Option(help: .recoveryKeyFile, completion: .file()) var recoveryKeyFile: String?
    @Option(help: .keyFile, completion: .file()) var keyFile: String?
    @Flag(help: .json) var json = false
    @Flag(name: .shortAndLong, help: .quiet) var quiet = false

    private var checksKeystore: Bool { vault == nil || keystore == "" }

    /// The option's directory; nil when it has none, as with an empty one.
    private var keystoreDirectory: String? { keystore == "" ? nil : keystore }

    func validate() throws {
        if let jobs, !(1...64).contains(jobs) {
            throw ValidationError("--jobs is a number from 1 to 64.")
        }
        try PathInVault.check(path)
        guard vault != nil || keystore != nil else {
            throw ValidationError("Name a vault, or give --keystore to check the keystore.")
        }
        if checksKeystore, kms != nil {
            throw ValidationError("--kms is for vaults.")
        }
        if checksKeystore, repair || readData || path != nil || jobs != nil {
            throw ValidationError(
                "--repair, --read-data, --jobs and PATH are for vaults; a keystore is mended by "
                    + "'keyfold keystore restore'.")
        }
    }

    func run() throws {
        let conclusion = try checksKeystore ? checkKeystore() : checkVault(vault ?? "")
        output.data(conclusion.json, quiet ? "" : conclusion.text)
        if conclusion.status != .success {
            throw ArgumentParser.ExitCode(conclusion.status.rawValue)
        }
    }

    // MARK: Vaults

    private func checkVault(_ vault: String) throws(Failure) -> CheckConclusion {
        let directory = FilePaths.resolved(vault) ?? FilePaths.absolute(vault)
        do throws(VaultError) {
            // Where such a vault's keystore is, nobody can say; and no key is needed.
            if let finding = try Checker.configFinding(vaultDirectory: directory) {
                var summary = CheckSummary()
                summary.add(finding)
                show(CheckReport(finding))
                return CheckConclusion(summary)
            }
        } catch {
            throw Failure(error, object: vault)
        }
        let place = try KeyPlace.find(
            keystore: keystoreDirectory, service: kms, vault: directory)
        let holder = try place.open(unlockSources, program: "keyfold")
        defer { holder.close() }
        return CheckConclusion(try check(directory, ServiceSession(holder)))
    }

    private func check(_ directory: String, _ session: ServiceSession) throws(Failure)
        -> CheckSummary
    {
        let isShown = !quiet && StandardError.isTerminal
        let progress = CheckProgressLine(isShown: isShown, readsData: readData)
        let repairs = repair
        let interruption = Interruption { signal in
            progress.finish()
            try? Output.flush()
            StandardError.line(
                "keyfold: stopped; "
                    + (repairs ? "the same command goes on from here" : "nothing was changed"))
            _exit(128 + signal)
        }
        defer { interruption.end() }
        let request = CheckRequest(
            vaultDirectory: directory, plainPath: path, readsData: readData, repairs: repair,
            countsFirst: isShown,
            jobs: jobs ?? min(64, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
        var caller = session.caller
        caller.fileActivity = FileActivity(operation: .check)
        let checker = Checker(
            request, service: session.service, caller: caller,
            onProgress: { progress.show($0) },
            onFinding: { finding in
                progress.finish()
                show(CheckReport(finding))
            })
        defer { progress.finish() }
        do throws(VaultError) {
            return try checker.run()
        } catch {
            throw Failure(error, object: path.map { "\(directory): \($0)" } ?? directory)
        }
    }

    /// At once, since a long check may be stopped. What can't be written is told at the end.
    private func show(_ report: CheckReport) {
        output.data(report.json, report.text)
        try? Output.flush()
    }

    // MARK: The keystore

    private func checkKeystore() throws(Failure) -> CheckConclusion {
        let directory = vault.map { FilePaths.resolved($0) ?? FilePaths.absolute($0) }
        let location = try KeystoreLocation.find(option: keystoreDirectory, vault: directory)
        let keystore: Keystore
        do throws(Failure) {
            keystore = try openKeystore(at: location)
        } catch {
            // Opening verifies every record.
            guard error.status == .damagedData else { throw error }
            return conclude(KeystoreCheck(findings: [KeystoreFinding(unopened: error.message)]))
        }
        defer { keystore.close() }
        return conclude(
            try Failure.carrying { () throws(KeystoreError) in try keystore.check() })
    }

    private func conclude(_ check: KeystoreCheck) -> CheckConclusion {
        for finding in check.findings { show(CheckReport(finding)) }
        return CheckConclusion(check)
    }
}
