import Console
import Glibc
import Platform
import Vault

/// umount2(2) for root, fusermount3 for everyone else.
struct Unmounting {
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

/// The process behind a mount. It ends some time after its mount: then all data are in the vault
/// and all events in the usage log.
struct MountDaemonProcess {
    private let mount: MountedVault
    /// nil when it can't be learnt: it is dead already, or the vault is out of reach.
    private let pid: Int32?

    private static let pauseMicroseconds: UInt32 = 2_000
    private static let patienceMicroseconds: UInt64 = 600_000_000

    /// Looks while the mount still is there.
    init(of mount: MountedVault) {
        self.mount = mount
        let holder = (try? VaultLock.holder(ofVaultAt: mount.vault)) ?? nil
        // Another mount of a shared vault holds the lock for itself.
        pid = holder?.mountPoint == mount.mountPoint ? holder?.pid : nil
    }

    func waitForEnd() throws(Failure) {
        guard let pid else { return }
        var waited: UInt64 = 0
        while Self.isRunning(pid) {
            guard waited < Self.patienceMicroseconds else {
                throw Failure(
                    .busy, mount.vault, "unmounted, but its daemon (process \(pid)) still writes",
                    wayOut: "wait until 'keyfold status \(mount.vault)' says that it is free")
            }
            usleep(Self.pauseMicroseconds)
            waited += UInt64(Self.pauseMicroseconds)
        }
    }

    /// A process that only waits to be reaped has ended (proc_pid_stat(5), field 3).
    private static func isRunning(_ pid: Int32) -> Bool {
        guard let file = try? Descriptor.open(path: "/proc/\(pid)/stat", O_RDONLY),
            let bytes = try? file.read(count: 512, at: 0),
            let nameEnd = bytes.lastIndex(of: UInt8(ascii: ")")), nameEnd + 2 < bytes.count
        else { return false }
        let state = bytes[nameEnd + 2]
        return state != UInt8(ascii: "Z") && state != UInt8(ascii: "X")
    }
}
