import ArgumentParser
import Console

/// The mount daemon's command line, as mount(8) and fstab use it.
struct KeyfoldFS: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keyfoldfs",
        abstract: "Mount a Keyfold vault.",
        discussion: "Mount options, separated by commas after -o:\n\n" + MountOptionHelp.text
            + """


            A line of /etc/fstab:
              VAULT MOUNTPOINT fuse.keyfoldfs defaults,nofail,key_file=FILE 0 0
            'keyfold help exit-codes' lists the exit codes; -V is --version.
            """, version: Product.version)

    @Argument(help: "The vault's directory.", completion: .directory)
    var vault: String

    @Argument(help: "An empty directory outside of the vault.", completion: .directory)
    var mountpoint: String

    @Option(
        name: .customShort("o", allowingJoined: true),
        help: ArgumentHelp("Mount options; may be given again.", valueName: "opt,…"))
    var options: [String] = []

    @Flag(name: .customShort("f"), help: "Stay in the foreground; messages go to standard error.")
    var foreground = false

    func run() throws {
        let request = try MountRequest(
            vault: vault, mountPoint: mountpoint,
            options: options, isForeground: foreground)
        try MountDaemon.run(request)
    }
}
