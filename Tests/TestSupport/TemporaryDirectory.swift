internal import CLinux
internal import Glibc
package import Platform

/// A directory of one test's own. `cleanUp()` takes away whatever is left in it: mounts first, then
/// the daemons behind them, then the files.
package final class TemporaryDirectory: Sendable {
    /// Every test directory of this process begins so; the leftover check looks for it.
    package static let prefix = "/tmp/" + ownName
    private static let ownName = "keyfold-test.\(getpid())."

    package let path: String

    /// - Parameter label: tells the directories of one suite apart from those that others, which run
    ///   at the same time, may still have.
    package init(label: String = "", parent: String = "/tmp") throws(Errno) {
        path =
            parent + "/" + Self.ownName + label
            + String(UInt64.random(in: 0 ... .max), radix: 36)
        try Disk.makeDirectory(path, mode: 0o755)
    }

    package func cleanUp() {
        for mountPoint in MountTable.mountPoints(below: path).reversed() {
            _ = try? Command("umount", "-l", mountPoint).limited(toSeconds: 10).result()
            if MountTable.mountPoints(below: mountPoint).contains(mountPoint) {
                _ = try? Command("fusermount3", "-uz", mountPoint).limited(toSeconds: 10).result()
            }
        }
        for pid in Processes.withArgument(containing: path) {
            Signal.send(Signal.kill, to: pid)
            _ = Deadline.wait(seconds: 10) { !isRunning(pid) }
        }
        _ = try? Command("rm", "-rf", "--one-file-system", path).result()
    }
}

/// Runs `body` with a directory that is gone afterwards, also after a failure.
package func withTemporaryDirectory<Result>(
    _ body: (String) throws -> Result
) throws -> Result {
    let directory = try TemporaryDirectory()
    defer { directory.cleanUp() }
    return try body(directory.path)
}

/// What is mounted here.
package enum MountTable {
    /// Mount points at or below a path, parents first.
    package static func mountPoints(below path: String) -> [String] {
        let bytes =
            (try? Descriptor.open(path: "/proc/self/mounts", 0).readAll(limitBytes: 1 << 18)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 1 else { return nil }
            let mountPoint = String(fields[1])
            return mountPoint == path || mountPoint.hasPrefix(path) ? mountPoint : nil
        }
    }
}

/// What runs here.
package enum Processes {
    /// Programs of which an argument holds `text`, this process and timeout(1) left out.
    package static func withArgument(containing text: String) -> [Int32] {
        let names = (try? Disk.names(in: "/proc")) ?? []
        return names.compactMap { Int32($0.string) }.filter { pid in
            guard pid != getpid(),
                let bytes = try? Descriptor.open(path: "/proc/\(pid)/cmdline", 0)
                    .readAll(limitBytes: 1 << 16)
            else { return false }
            return String(decoding: bytes, as: UTF8.self).contains(text) && isRunning(pid)
        }
    }

    /// How many descriptors a process holds.
    package static func descriptorCount(of pid: Int32) -> Int {
        (try? Disk.names(in: "/proc/\(pid)/fd").count) ?? 0
    }
}
