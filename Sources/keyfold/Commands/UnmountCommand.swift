import ArgumentParser
import Glibc
import Platform
import Vault

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
        try Unmounting(mount: mount, isLazy: lazy).run()
        if !lazy { try DaemonEnd(mount: mount).wait() }
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

/// umount2(2) for root, fusermount3 for everyone else.
private struct Unmounting {
    let mount: MountedVault
    let isLazy: Bool

    func run() throws(Failure) {
        do throws(Errno) {
            try unmountDirectly()
            return
        } catch {
            switch error {
            case .notPermitted: break
            case .resourceBusy: throw busy
            default:
                throw Failure(
                    ExitStatus(error), mount.mountPoint, "can't be unmounted: \(error)")
            }
        }
        try unmountThroughHelper()
    }

    private func unmountDirectly() throws(Errno) {
        // UMOUNT_NOFOLLOW (umount(2)): the path may have been swapped for a symbolic link.
        let flags = Int32(8) | (isLazy ? Int32(MNT_DETACH) : 0)
        // SAFETY: the string becomes a C string for the length of the call.
        _ = try systemCall { unsafe umount2(mount.mountPoint, flags) }
    }

    private func unmountThroughHelper() throws(Failure) {
        let name = "fusermount3"
        guard let helper = ChildProcess.find(name) else {
            throw Failure(
                .unavailable, name, "the program is not in PATH",
                wayOut: "install the package fuse3, or unmount as root")
        }
        let status: Int32
        do throws(Errno) {
            status = try ChildProcess.run(
                helper, ["-u"] + (isLazy ? ["-z"] : []) + ["--", mount.mountPoint])
        } catch {
            throw Failure(.unavailable, helper, "can't be started: \(error)")
        }
        if status != 0 { throw busy }
    }

    private var busy: Failure {
        Failure(
            .busy, mount.mountPoint, "the mount is in use",
            wayOut: "close what uses it ('fuser -vm \(mount.mountPoint)' lists it), or: "
                + "keyfold unmount --lazy \(mount.mountPoint)")
    }
}

/// The end of a daemon whose mount is gone: then the vault's lock is free and all data are in it.
private struct DaemonEnd {
    let mount: MountedVault

    private static let pauseMicroseconds: UInt32 = 5_000
    private static let patienceMicroseconds: UInt64 = 600_000_000

    func wait() throws(Failure) {
        var waited: UInt64 = 0
        while try isRunning() {
            guard waited < Self.patienceMicroseconds else {
                throw Failure(
                    .busy, mount.vault, "unmounted, but its daemon still writes",
                    wayOut: "wait until 'keyfold status \(mount.vault)' says that it is free")
            }
            usleep(Self.pauseMicroseconds)
            waited += UInt64(Self.pauseMicroseconds)
        }
    }

    private func isRunning() throws(Failure) -> Bool {
        let holder: VaultLock.Holder?
        do throws(VaultError) {
            holder = try VaultLock.holder(ofVaultAt: mount.vault)
        } catch {
            // An unreadable lock belongs to another user's mount: nothing more can be learnt.
            return false
        }
        // Another mount of a shared vault holds the lock for itself.
        guard let holder else { return false }
        return holder.mountPoint.map { $0 == mount.mountPoint } ?? (holder.pid == 0)
    }
}
