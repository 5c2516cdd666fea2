import ArgumentParser
import Console

struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount", abstract: "Unmount a vault; returns when all data are in it.",
        discussion: "Example: keyfold unmount ~/private", aliases: ["umount"])

    @Argument(
        help: "Where it is mounted; the vault's directory does as well.", completion: .directory)
    var mountpoint: String

    @Flag(help: "Take it out of sight now; it ends when its last file is closed.")
    var lazy = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        let mount = try Self.find(mountpoint)
        let daemon = MountDaemonProcess(of: mount)
        try Unmounting(mount: mount, isLazy: lazy).run()
        if !lazy { try daemon.waitForEnd() }
        common.output.data(
            .object([
                "unmounted": .flag(true), "vault": .text(mount.vault),
                "mountPoint": .text(mount.mountPoint), "lazy": .flag(lazy),
            ]), common.quiet ? "" : "\(mount.mountPoint) is unmounted\n")
    }

    /// The person may name either end. The path is not resolved first: a daemon that died answers
    /// no call on its mount.
    private static func find(_ path: String) throws(Failure) -> MountedVault {
        let absolute = FilePaths.absolute(path)
        let candidates = [absolute, FilePaths.resolved(absolute)].compactMap(\.self)
        for candidate in candidates {
            if let mount = try MountTable.mount(at: candidate) { return mount }
        }
        for candidate in candidates {
            if let mount = try MountTable.mount(ofVault: candidate) { return mount }
        }
        throw Failure(
            .wrongState, path, "no vault is mounted here",
            wayOut: "'keyfold status' lists the vaults that are mounted")
    }
}
