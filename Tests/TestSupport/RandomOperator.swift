internal import Platform
internal import Glibc

/// Applies the same seeded operations to several directories, which must answer alike.
package struct RandomOperator {
    /// An operation that one directory took otherwise than the other.
    package struct Difference: Error, CustomStringConvertible {
        package let description: String
    }

    private static let nameCount = 24
    private static let directoryCount = 6
    /// Sizes around the borders of blocks, and some that are far from them.
    private static let interestingSizes: [Int] = [
        0, 1, 15, 16, 4067, 4068, 4095, 4096, 4097, 8191, 8192, 8193, 12_288, 40_959, 40_960,
        65_536, 131_071, 131_072, 131_073, 1_048_575, 1_048_576, 1_060_000,
    ]

    package let seed: UInt64
    private let roots: [String]
    private var source: RandomSource
    package private(set) var step = 0
    private var last = ""

    package init(seed: UInt64, roots: [String]) {
        self.seed = seed
        self.roots = roots
        source = RandomSource(seed: seed)
    }

    /// - Throws: ``Difference`` with the seed, the step and the operation.
    package mutating func run(steps: Int) throws {
        for _ in 0..<steps {
            step += 1
            try runOne()
        }
    }

    private mutating func name() -> String {
        let number = source.number(0..<Self.nameCount)
        // One name in eight is as long as names get.
        let base = number % 8 == 7 ? String(repeating: "n", count: 240) + "\(number)" : "f\(number)"
        let depth = source.number(0..<3)
        return (0..<depth).map { _ in "d\(source.number(0..<Self.directoryCount))/" }.joined()
            + base
    }

    private mutating func directoryName() -> String {
        let depth = source.number(1..<4)
        return (0..<depth).map { _ in "d\(source.number(0..<Self.directoryCount))" }
            .joined(separator: "/")
    }

    private mutating func anyName() -> String {
        source.isOne(in: 5) ? directoryName() : name()
    }

    private mutating func size() -> Int {
        source.isOne(in: 3)
            ? source.number(0..<200_000)
            : Self.interestingSizes[source.number(0..<Self.interestingSizes.count)]
    }

    private mutating func runOne() throws {
        switch source.number(0..<100) {
        case 0..<22: try write()
        case 22..<32: try truncate()
        case 32..<40: try append()
        case 40..<47: try check("unlink", name()) { path throws(Errno) in try Disk.unlink(path) }
        case 47..<54: try rename()
        case 54..<60:
            try check("mkdir", directoryName()) { path throws(Errno) in
                try Disk.makeDirectory(path)
            }
        case 60..<63:
            try check("rmdir", directoryName()) { path throws(Errno) in
                try Disk.removeDirectory(path)
            }
        case 63..<67: try link()
        case 67..<70: try symbolicLink()
        case 70..<74: try changeMode()
        case 74..<76: try changeOwner()
        case 76..<79: try setTimes()
        case 79..<83: try setAttribute()
        case 83..<88: try allocate()
        case 88..<91: try writeMapped()
        case 91..<94: try writeUnlinked()
        default: try read()
        }
    }

    // MARK: Operations

    private mutating func write() throws {
        let (path, offset, count) = (name(), size(), source.number(1..<70_000))
        let bytes = pattern(count, seed: source.next())
        try check("write \(count) at \(offset)", path) { path throws(Errno) in
            try Disk.make(path).write(bytes, at: UInt64(offset))
        }
    }

    private mutating func append() throws {
        let (path, count) = (name(), source.number(1..<9000))
        let bytes = pattern(count, seed: source.next())
        try check("append \(count)", path) { path throws(Errno) in
            let file = try Disk.open(path, OpenFlag.writeOnly | OpenFlag.append)
            guard try file.append(bytes) == count else { throw .ioError }
        }
    }

    private mutating func truncate() throws {
        let (path, size) = (name(), size())
        try check("truncate to \(size)", path) { path throws(Errno) in
            try Disk.truncate(path, to: UInt64(size))
        }
    }

    private mutating func rename() throws {
        let (old, new) = (anyName(), anyName())
        let flags = [0, 0, 0, RenameFlag.noReplace, RenameFlag.exchange][source.number(0..<5)]
        try check("rename to \(new) flags \(flags)", old, new) {
            old, new throws(Errno) in try Disk.rename(old, new, flags: flags)
        }
    }

    private mutating func link() throws {
        let (old, new) = (name(), name())
        try check("link as \(new)", old, new) { old, new throws(Errno) in try Disk.link(old, new) }
    }

    private mutating func symbolicLink() throws {
        let (path, count) = (name(), source.number(1..<1000))
        let target = String(repeating: "t/", count: count)
        try check("symlink", path) { path throws(Errno) in
            try Disk.symbolicLink(path, to: target)
        }
    }

    private mutating func changeMode() throws {
        let (path, mode) = (anyName(), UInt32(source.number(0..<0o1000)) | 0o600)
        try check("chmod \(String(mode, radix: 8))", path) { path throws(Errno) in
            guard try Disk.status(path).kind != .symbolicLink else { return }
            try Disk.changeMode(path, to: mode)
        }
    }

    private mutating func changeOwner() throws {
        guard runsAsRoot else { return }
        let (path, uid, gid) = (
            anyName(), UInt32(source.number(0..<9)), UInt32(source.number(0..<9))
        )
        try check("chown \(uid):\(gid)", path) { path throws(Errno) in
            try Disk.changeOwner(path, uid: uid, gid: gid)
        }
    }

    private mutating func setTimes() throws {
        let path = anyName()
        let time = Timespec(
            seconds: Int64(source.number(0..<2_000_000_000)),
            nanoseconds: Int64(source.number(0..<1_000_000_000)))
        try check("utimens", path) { path throws(Errno) in
            guard try Disk.status(path).kind != .symbolicLink else { return }
            try Disk.node(path).setTimes(access: .set(time), modification: .set(time))
            guard try Disk.status(path).modificationTime == time else { throw .ioError }
        }
    }

    private mutating func setAttribute() throws {
        let (path, number) = (anyName(), source.number(0..<4))
        let value = pattern(source.number(0..<200), seed: source.next())
        let removes = source.isOne(in: 3)
        let flags = Int32(source.number(0..<3))
        try check("xattr \(number)", path) { path throws(Errno) in
            guard try Disk.status(path).kind != .symbolicLink else { return }
            let node = try Disk.node(path)
            if removes {
                try node.removeExtendedAttribute("user.test\(number)")
            } else {
                try node.setExtendedAttribute("user.test\(number)", to: value, flags: flags)
            }
        }
    }

    private mutating func allocate() throws {
        let modes = [
            0, AllocateFlag.keepSize, AllocateFlag.punchHole | AllocateFlag.keepSize,
            AllocateFlag.zeroRange, AllocateFlag.zeroRange | AllocateFlag.keepSize,
        ]
        let mode = modes[source.number(0..<modes.count)]
        let (path, offset, count) = (name(), size(), 1 + size())
        try check("fallocate \(mode) \(offset)+\(count)", path) { path throws(Errno) in
            try Disk.open(path, OpenFlag.readWrite)
                .allocate(mode: mode, at: UInt64(offset), count: UInt64(count))
        }
    }

    private mutating func writeMapped() throws {
        let path = name()
        let (fraction, bytes) = (source.number(0..<1000), pattern(600, seed: source.next()))
        try check("write mapped", path) { path throws(Errno) in
            let file = try Disk.open(path, OpenFlag.readWrite)
            let size = Int(try file.status().sizeBytes)
            guard size > bytes.count else { return }
            try file.writeMapped(bytes, at: (size - bytes.count) * fraction / 1000)
        }
    }

    private mutating func writeUnlinked() throws {
        let path = name()
        let bytes = pattern(5000, seed: source.next())
        try check("write unlinked", path) { path throws(Errno) in
            let file = try Disk.open(path, OpenFlag.readWrite)
            let before = try file.status().sizeBytes
            try Disk.unlink(path)
            try file.write(bytes, at: before)
            guard try file.read(count: 6000, at: before) == bytes else { throw .ioError }
            try file.synchronize(dataOnly: false)
        }
    }

    private mutating func read() throws {
        let (path, offset, count) = (name(), size(), source.number(1..<100_000))
        var found: [[UInt8]] = []
        try check("read \(count) at \(offset)", path) { path throws(Errno) in
            found.append(try Disk.open(path).read(count: count, at: UInt64(offset)))
        }
        guard Set(found).count <= 1 else { throw difference("different contents") }
    }

    // MARK: Comparison

    private mutating func check(
        _ operation: String, _ name: String, _ body: (String) throws(Errno) -> Void
    ) throws {
        try check(operation, name, name) { path, _ throws(Errno) in try body(path) }
    }

    private mutating func check(
        _ operation: String, _ first: String, _ second: String,
        _ body: (String, String) throws(Errno) -> Void
    ) throws {
        last = "\(operation) \(first.prefix(40))"
        let answers = roots.map { root -> Errno? in
            do throws(Errno) {
                try body(root + "/" + first, root + "/" + second)
                return nil
            } catch {
                return error
            }
        }
        guard Set(answers).count == 1 else {
            throw difference(
                answers.map { $0.map { "\($0)" } ?? "success" }.joined(separator: " and "))
        }
    }

    private func difference(_ what: String) -> Difference {
        Difference(description: "seed \(seed), step \(step), \(last): \(what)")
    }
}
