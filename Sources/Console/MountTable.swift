internal import Glibc
internal import Platform

/// One mounted vault, as /proc/self/mountinfo tells it.
package struct MountedVault: Equatable, Sendable {
    /// The vault's directory, absolute.
    package var vault: String
    package var mountPoint: String
    package var options: [String]
}

/// The vaults that are mounted in this mount namespace.
package enum MountTable {
    static let fileSystemType = "fuse.keyfoldfs"

    package static func mountedVaults() throws(Failure) -> [MountedVault] {
        do throws(Errno) {
            let file = try Descriptor.open(path: "/proc/self/mountinfo", O_RDONLY)
            return parse(String(decoding: try readWhole(file), as: UTF8.self))
        } catch {
            throw Failure(.unavailable, "/proc/self/mountinfo", "can't be read: \(error)")
        }
    }

    /// The newest mount of the vault in `directory`.
    package static func mount(ofVault directory: String) throws(Failure) -> MountedVault? {
        try mountedVaults().last { $0.vault == directory }
    }

    /// The mount whose root is `path`.
    package static func mount(at path: String) throws(Failure) -> MountedVault? {
        try mountedVaults().last { $0.mountPoint == path }
    }

    /// proc_pid_mountinfo(5): `id parent dev root mountpoint options … - type source super`.
    static func parse(_ text: String) -> [MountedVault] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: false)
            guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count >= dash + 3,
                fields[dash + 1] == fileSystemType
            else { return nil }
            return MountedVault(
                vault: unescaped(fields[dash + 2]), mountPoint: unescaped(fields[4]),
                options: fields[5].split(separator: ",").map(String.init))
        }
    }

    /// The kernel writes space, tab, newline and backslash as `\ooo`.
    private static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest.removeFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Files of procfs tell no size: read until nothing more comes.
    private static func readWhole(_ file: Descriptor) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let more = try file.read(count: 65_536, at: UInt64(bytes.count))
            if more.isEmpty { return bytes }
            bytes += more
        }
    }
}
