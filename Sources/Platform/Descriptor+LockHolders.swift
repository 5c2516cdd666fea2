/// A file as /proc/locks names it: of the device its number and of the inode its own, which on btrfs
/// and overlayfs are not those of stat(2).
struct LockedFile: Hashable {
    let majorDevice: UInt64
    let minorDevice: UInt64
    let inodeNumber: UInt64

    /// The processes that hold the file with flock(2), from lines such as
    /// `1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF`, the device in hexadecimal.
    func holders(in locks: String) -> [Int32] {
        locks.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            // "->" marks one that waits for the lock.
            guard fields.count >= 6, fields[1] == "FLOCK" else { return nil }
            let place = fields[5].split(separator: ":")
            guard place.count == 3, UInt64(place[0], radix: 16) == majorDevice,
                UInt64(place[1], radix: 16) == minorDevice, UInt64(place[2]) == inodeNumber
            else { return nil }
            return Int32(fields[4])
        }
    }

    /// - Parameters:
    ///   - information: of the open file, from /proc/self/fdinfo; it has the inode's number since
    ///     Linux 5.14.
    ///   - mounts: the text of /proc/self/mountinfo, where devices are decimal.
    init?(information: String, mounts: String, inodeNumber: UInt64) {
        func value(_ name: String) -> Substring? {
            information.split(separator: "\n").first { $0.hasPrefix(name + ":") }?
                .split(whereSeparator: \.isWhitespace).last
        }
        guard let mountID = value("mnt_id") else { return nil }
        let mount = mounts.split(separator: "\n").lazy.map { $0.split(separator: " ") }
            .first { $0.count > 2 && $0[0] == mountID }
        guard let device = mount?[2].split(separator: ":"), device.count == 2,
            let major = UInt64(device[0]), let minor = UInt64(device[1])
        else { return nil }
        majorDevice = major
        minorDevice = minor
        self.inodeNumber = value("ino").flatMap { UInt64($0) } ?? inodeNumber
    }
}

extension Descriptor {
    private static let limitBytes = 4 << 20

    /// The processes that hold this file with flock(2), as far as /proc/locks has them: those of
    /// other hosts and of other process namespaces it has not.
    ///
    /// To try the lock would be to hold it for a moment, and whoever wants it just then would be
    /// refused.
    package func lockHolders() throws(Errno) -> [Int32] {
        let place = LockedFile(
            information: try Self.text("/proc/self/fdinfo/\(rawValue)"),
            mounts: try Self.text("/proc/self/mountinfo"), inodeNumber: try status().inodeNumber)
        return try place?.holders(in: Self.text("/proc/locks")) ?? []
    }

    private static func text(_ path: String) throws(Errno) -> String {
        String(
            decoding: try Descriptor.open(path: path, 0).readAll(limitBytes: limitBytes),
            as: UTF8.self)
    }
}
