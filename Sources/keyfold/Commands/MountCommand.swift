import ArgumentParser
import Console
import Platform

struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount", abstract: "Mount a vault: runs keyfoldfs.",
        discussion: """
            Returns once the mount answers. 'keyfoldfs --help' lists the mount options.
            Example: keyfold mount ~/vault ~/private -o allow_other
            """)

    @Argument(help: "The vault's directory.", completion: .directory)
    var vault: String

    @Argument(help: "An empty directory.", completion: .directory)
    var mountpoint: String

    @Option(
        name: .customShort("o"),
        help: ArgumentHelp("Mount options; may be given again.", valueName: "opt,…"))
    var options: [String] = []

    @Flag(name: [.customShort("f"), .long], help: "Stay in the foreground.")
    var foreground = false

    @OptionGroup var keys: VaultKeyOptions

    func run() throws {
        let program = try SiblingProgram.find(
            "keyfoldfs", wayOut: "install keyfold and keyfoldfs together")
        let status: Int32
        do throws(Errno) {
            status = try ChildProcess.run(program, arguments)
        } catch {
            throw Failure(.unavailable, program, "can't be started: \(error)")
        }
        // The daemon has said why; its exit status is this program's.
        guard status == 0 else { throw ArgumentParser.ExitCode(status) }
        let mountPoint = FilePaths.resolved(mountpoint) ?? FilePaths.absolute(mountpoint)
        if keys.json {
            let vault = FilePaths.resolved(vault) ?? FilePaths.absolute(vault)
            keys.output.data(
                .object([
                    "mounted": .flag(!foreground), "vault": .text(vault),
                    "mountPoint": .text(mountPoint),
                ]), "")
        } else if !foreground {
            keys.output.notice("\(vault) is mounted at \(mountPoint)")
        }
    }

    private var arguments: [String] {
        var all = options
        let named = [
            ("keystore", keys.keystore), ("passphrase_file", keys.passphraseFile),
            ("recovery_key_file", keys.recoveryKeyFile), ("key_file", keys.keyFile),
        ]
        for (name, path) in named {
            if let path { all.append(Self.option(name, FilePaths.absolute(path))) }
        }
        if let kms = keys.kms { all.append(Self.option("kms", kms)) }
        // Only names that look like options need the mark: ps(1) shows these words.
        let mark = [vault, mountpoint].contains { $0.hasPrefix("-") } ? ["--"] : []
        return (foreground ? ["-f"] : []) + all.flatMap { ["-o", $0] } + mark + [vault, mountpoint]
    }

    /// A comma or backslash inside an option has a backslash in front (as libfuse reads it).
    private static func option(_ name: String, _ text: String) -> String {
        var value = ""
        for character in text {
            if character == "," || character == "\\" { value += "\\" }
            value.append(character)
        }
        return "\(name)=\(value)"
    }
}
