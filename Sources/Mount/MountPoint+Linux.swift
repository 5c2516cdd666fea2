internal import CLinux
internal import Glibc
internal import Platform

/// A directory that a vault is or will be mounted on.
struct MountPoint: Sendable {
    /// Absolute, without links.
    let path: String

    private static let type = "fuse.keyfoldfs"

    /// Checks all that can be known before mounting, and clears away what a process of ours that
    /// died left behind.
    init(preparing path: String, _ options: MountOptions) throws(MountError) {
        try Self.requireFUSE()
        self.path = try Self.resolve(path)
        try requireUsable(options)
    }

    /// Of a mount that is there already.
    init?(existing path: String) {
        guard let path = try? Self.resolve(path) else { return nil }
        self.path = path
    }

    // MARK: Before the mount

    private static func requireFUSE() throws(MountError) {
        do throws(Errno) {
            _ = try Descriptor.open(path: "/dev/fuse", O_RDWR)
        } catch {
            if error == .noSuchFileOrDirectory { throw .deviceMissing }
            throw .deviceNotPermitted(error)
        }
        if geteuid() != 0, Command.find("fusermount3") == nil { throw .helperMissing }
    }

    /// realpath(3), which needs no permission on the directory itself: a dead mount answers only
    /// to its name.
    private static func resolve(_ path: String) throws(MountError) -> String {
        // SAFETY: realpath allocates the answer, which is copied and freed here.
        if let resolved = unsafe realpath(path, nil) {
            defer { unsafe free(resolved) }
            return unsafe String(cString: resolved)
        }
        let error = Errno.current
        guard error != .noSuchFileOrDirectory else { throw .missing(mountPoint: path) }
        guard error != .notDirectory else { throw .notADirectory(mountPoint: path) }
        guard isDead(error) else { throw .cannotInspect(mountPoint: path, error) }
        return try resolveInParent(path)
    }

    private static func resolveInParent(_ path: String) throws(MountError) -> String {
        let components = path.split(separator: "/")
        guard let name = components.last else { throw .deadMount(mountPoint: path) }
        let parent = components.dropLast().joined(separator: "/")
        let start = path.hasPrefix("/") ? "/" : "./"
        // SAFETY: as in resolve(_:).
        guard let resolved = unsafe realpath(start + parent, nil) else {
            throw .deadMount(mountPoint: path)
        }
        defer { unsafe free(resolved) }
        let directory = unsafe String(cString: resolved)
        return directory == "/" ? "/" + name : directory + "/" + name
    }

    /// How a FUSE mount whose process has ended answers (the kernel's fuse_simple_request).
    private static func isDead(_ error: Errno) -> Bool {
        error.rawValue == ENOTCONN || error.rawValue == ECONNABORTED
    }

    private func requireUsable(_ options: MountOptions) throws(MountError) {
        do throws(Errno) {
            _ = try directory().status()
        } catch {
            if error == .notDirectory { throw .notADirectory(mountPoint: path) }
            guard Self.isDead(error) else {
                throw .cannotInspect(mountPoint: path, error)
            }
            try clearDeadMount()
        }
        if MountTable.mount(at: path) != nil { throw .alreadyMounted(mountPoint: path) }
        do throws(Errno) {
            if !options.hidesFiles, try !isEmpty() { throw Errno.directoryNotEmpty }
        } catch {
            if error == .directoryNotEmpty { throw .notEmpty(mountPoint: path) }
            throw .cannotInspect(mountPoint: path, error)
        }
    }

    private func clearDeadMount() throws(MountError) {
        guard MountTable.mount(at: path)?.type == Self.type,
            case .success = unmount(.detached)
        else { throw .deadMount(mountPoint: path) }
    }

    func directory() throws(Errno) -> Descriptor {
        try Descriptor.open(path: path, O_DIRECTORY)
    }

    private func isEmpty() throws(Errno) -> Bool {
        var stream = DirectoryStream(try directory())
        while let entry = try stream.next() {
            if !entry.name.isDots { return false }
        }
        return true
    }

    // MARK: While mounted

    func status() throws(Errno) -> FileStatus { try directory().status() }

    /// Whether the mount of `device` is still visible here.
    func shows(device: UInt64) -> Bool {
        MountTable.mount(at: path)?.device == device
    }

    /// Lets the kernel read further ahead than its 128 KiB, where that is permitted.
    func raiseReadAhead(of device: UInt64, toKilobytes kilobytes: Int) {
        let name = "\(keyfold_major(dev_t(device))):\(keyfold_minor(dev_t(device)))"
        guard
            let file = try? Descriptor.open(
                path: "/sys/class/bdi/\(name)/read_ahead_kb", O_RDWR),
            let bytes = try? file.read(count: 32, at: 0),
            let present = Int(
                String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)),
            present < kilobytes
        else { return }
        try? file.write(Array("\(kilobytes)".utf8), at: 0)
    }

    enum UnmountMode {
        /// Fails with `EBUSY` while somebody uses the mount.
        case whole
        /// Takes the name away at once; the rest goes when its last user does.
        case detached
    }

    /// Unmounts; the kernel writes dirty pages back before this returns.
    func unmount(_ mode: UnmountMode) -> Result<Void, Errno> {
        // UMOUNT_NOFOLLOW of umount(2), which Swift's view of glibc leaves out.
        let noFollow: Int32 = 8
        let flags = mode == .detached ? Int32(MNT_DETACH) | noFollow : noFollow
        do throws(Errno) {
            try systemCall { unsafe umount2(path, flags) }
            return .success(())
        } catch {
            guard error == .notPermitted else { return .failure(error) }
        }
        let arguments = mode == .detached ? ["-u", "-z", "--", path] : ["-u", "--", path]
        // fusermount3 does not tell why; what it refuses, a user of the mount causes nearly always.
        return Command.run("fusermount3", arguments) ? .success(()) : .failure(.resourceBusy)
    }
}
