package import Platform

// Small trees, copied and removed without a program of their own: tests that do so thousands of
// times have no time for one.
extension FileTree {
    /// As `cp -a`: names, hard links, modes, owners, attributes and modification times.
    package static func copy(_ old: String, to new: String) throws(Errno) {
        var links: [UInt64: String] = [:]
        try copyDirectory(old, new, &links)
    }

    private static func copyDirectory(
        _ old: String, _ new: String, _ links: inout [UInt64: String]
    ) throws(Errno) {
        try Disk.makeDirectory(new, mode: 0o700)
        for name in try Disk.names(in: old) {
            let (from, to) = (old + "/" + name.string, new + "/" + name.string)
            let status = try Disk.status(from)
            if status.kind != .directory, status.linkCount > 1 {
                if let known = links[status.inodeNumber] {
                    try Disk.link(known, to)
                    continue
                }
                links[status.inodeNumber] = to
            }
            switch status.kind {
            case .directory: try copyDirectory(from, to, &links)
            case .regular: try copyFile(from, to)
            case .symbolicLink: try Disk.symbolicLink(to, to: try Disk.readLink(from))
            case .special:
                try Disk.makeNode(to, mode: status.mode, device: status.specialDevice)
            }
            if status.kind != .directory { try copyAttributes(from, to, status) }
        }
        try copyAttributes(old, new, try Disk.status(old))
    }

    /// Holes stay holes.
    private static func copyFile(_ old: String, _ new: String) throws(Errno) {
        let (from, to) = (try Disk.open(old), try Disk.make(new, mode: 0o600))
        let size = try from.status().sizeBytes
        try to.truncate(to: size)
        var end: UInt64 = 0
        while end < size {
            let start: UInt64
            do throws(Errno) {
                start = try from.seek(to: Int64(end), whence: SeekWhence.data)
            } catch {
                if error == .noDeviceOrAddress { return }
                throw error
            }
            end = try from.seek(to: Int64(start), whence: SeekWhence.hole)
            try to.write(try from.read(count: Int(end - start), at: start), at: start)
        }
    }

    private static func copyAttributes(
        _ old: String, _ new: String, _ status: FileStatus
    ) throws(Errno) {
        let (from, to) = (try Disk.node(old), try Disk.node(new))
        try to.changeOwner(uid: status.uid, gid: status.gid)
        guard status.kind == .regular || status.kind == .directory else { return }
        try to.changeMode(to: status.mode)
        for name in try from.extendedAttributeNames() {
            try to.setExtendedAttribute(name, to: try from.extendedAttribute(name), flags: 0)
        }
        try to.setTimes(access: .keep, modification: .set(status.modificationTime))
    }

    /// As `rm -r`.
    package static func remove(_ path: String) throws(Errno) {
        for name in try Disk.names(in: path) {
            let entry = path + "/" + name.string
            if try Disk.status(entry).kind == .directory {
                try remove(entry)
            } else {
                try Disk.unlink(entry)
            }
        }
        try Disk.removeDirectory(path)
    }
}
