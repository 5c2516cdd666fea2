import ArgumentParser
import Console
import Glibc
import KMSModel
import Vault

struct RewrapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rewrap", abstract: "Wrap data keys anew, under the key's current version.",
        discussion: """
            Only headers are written; the vault may be mounted and in use. It can be stopped at \
            any time: the next run goes on where this one ended.
            Example: keyfold key rotate alias/keyfold/default && keyfold rewrap ~/vault
            """)

    @Argument(help: "The vault's directory.", completion: .directory)
    var vault: String

    @Argument(help: "A file or directory as the mount shows it, below the mount's root.")
    var path: String?

    @Option(help: ArgumentHelp("Wrap under this key instead.", valueName: "key"))
    var to: String?

    @Option(help: ArgumentHelp("How many at a time (default: one for each core).", valueName: "n"))
    var jobs: Int?

    @OptionGroup var keys: VaultKeyOptions

    func validate() throws {
        if let jobs, !(1...64).contains(jobs) {
            throw ValidationError("--jobs is a number from 1 to 64.")
        }
        try PathInVault.check(path)
    }

    func run() throws {
        let directory = FilePaths.resolved(vault) ?? FilePaths.absolute(vault)
        let result = try keys.withKeys(ofVault: directory) { session throws(Failure) in
            try rewrap(directory, session)
        }
        keys.output.data(result.json, keys.quiet ? "" : result.text)
        if result.failed > 0 { throw ArgumentParser.ExitCode(ExitStatus.partial.rawValue) }
    }

    private func rewrap(_ directory: String, _ session: ServiceSession) throws(Failure)
        -> RewrapProgress
    {
        let progress = RewrapProgressLine(isShown: !keys.quiet && StandardError.isTerminal)
        let interruption = Interruption { signal in
            progress.finish()
            StandardError.line(
                "keyfold: stopped; every file is readable, and the same command goes on from here")
            _exit(128 + signal)
        }
        defer { interruption.end() }
        let request = RewrapRequest(
            vaultDirectory: directory, plainPath: path, destinationKey: to,
            jobs: jobs ?? min(64, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
        var caller = session.caller
        caller.fileActivity = FileActivity(operation: .rewrap)
        let quiet = keys.quiet
        let rewrapper = Rewrapper(
            request, service: session.service, caller: caller,
            onProgress: { progress.show($0) },
            onFailure: { path, error in
                progress.finish()
                StandardError.report(Failure(error, object: path))
            },
            onDomainLeft: { path in
                guard !quiet else { return }
                progress.finish()
                StandardError.line(
                    "keyfold: \(path): a domain of its own, left as it is "
                        + "('keyfold rewrap VAULT PATH --to KEY' moves it)")
            })
        defer { progress.finish() }
        do throws(VaultError) {
            return try rewrapper.run()
        } catch {
            throw Failure(error, object: path.map { "\(vault): \($0)" } ?? vault)
        }
    }
}

extension RewrapProgress {
    var json: JSONValue {
        .object([
            "files": .number(files), "rewrapped": .number(rewrapped), "skipped": .number(skipped),
            "failed": .number(failed),
        ])
    }

    fileprivate var text: String {
        let failures = failed > 0 ? ", \(failed) failed" : ""
        return "\(files) files: \(rewrapped) rewrapped, \(skipped) were so already\(failures)\n"
    }
}
