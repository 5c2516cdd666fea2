internal import CLinux
internal import Glibc
internal import Platform

/// What the kernel tells of mounts in /proc/self/mountinfo (proc_pid_mountinfo(5)).
enum MountTable {
    struct Mount: Hashable {
        let device: UInt64
        let mountPoint: String
        let type: String
    }

    /// The mount table of a host with containers is long, but not that long.
    private static let limitBytes = 16 << 20

    /// The uppermost mount at `path`, an absolute path without links; nil when there is none.
    static func mount(at path: String) -> Mount? {
        guard let file = try? Descriptor.open(path: "/proc/self/mountinfo", 0),
            let bytes = try? file.readAll(limitBytes: limitBytes)
        else { return nil }
        let lines = bytes.split(separator: UInt8(ascii: "\n"))
        return lines.reversed().lazy.compactMap(parse).first { $0.mountPoint == path }
    }

    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    static func parse(_ line: some Collection<UInt8>) -> Mount? {
        let fields = line.split(separator: UInt8(ascii: " "))
        guard fields.count > 6,
            let separator = fields.dropFirst(6).firstIndex(where: { $0.elementsEqual("-".utf8) }),
            fields.indices.contains(separator + 1)
        else { return nil }
        let numbers = fields[2].split(separator: UInt8(ascii: ":")).compactMap {
            UInt32(String(decoding: $0, as: UTF8.self))
        }
        guard numbers.count == 2 else { return nil }
        return Mount(
            device: device(major: numbers[0], minor: numbers[1]),
            mountPoint: String(decoding: unescaped(fields[4]), as: UTF8.self),
            type: String(decoding: fields[separator + 1], as: UTF8.self))
    }

    /// Space, tab, newline and backslash are written as `\` and three octal digits.
    private static func unescaped(_ field: some Collection<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = Array(field)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            if byte == UInt8(ascii: "\\"), digits.count == 3, let value {
                result.append(value)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }
}

/// A device number as stat(2) shows it (makedev(3) of glibc).
private func device(major: UInt32, minor: UInt32) -> UInt64 {
    let (major, minor) = (UInt64(major), UInt64(minor))
    return (major & 0xffff_f000) << 32 | (major & 0xfff) << 8
        | (minor & 0xffff_ff00) << 12 | minor & 0xff
}
