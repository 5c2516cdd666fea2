import KMSModel
import Platform
import TestSupport
import Testing

@testable import SealedFormat
@testable import Vault

/// A vault is copied while it is open, which leaves what a crash at that moment leaves; what the
/// store had not made durable is put back to what it was.
@Suite
struct RecoveryTests {
    /// Another boot than the one that ran the crashed mount.
    private static let otherBoot = "00000000-0000-0000-0000-000000000001"

    /// Makes a vault with one closed file, and runs `body` with it.
    private static func with(
        _ content: [UInt8], _ body: (VaultWorkbench, _ stored: String) throws -> Void
    ) throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            let handle = try bench.make("file", in: vault)
            try vault.put(handle, content, at: 0)
            vault.release(handle)
            vault.close()
            let stored = try Disk.names(in: bench.directory).map(\.string)
                .filter { !$0.hasPrefix(".") && $0 != "keyfold.json" }
            try body(bench, try #require(stored.first))
        }
    }

    /// What a crash at this moment leaves.
    static func crashed(_ bench: VaultWorkbench) throws -> VaultWorkbench {
        let copy = VaultWorkbench(service: bench.service, directory: bench.directory + ".crashed")
        try Command("rm", "-rf", copy.directory).run()
        try Command("cp", "-a", bench.directory, copy.directory).run()
        return copy
    }

    static func content(
        _ bench: VaultWorkbench, _ options: VaultOptions = VaultOptions(), limit: Int = 5_000_000
    ) throws -> [UInt8] {
        let vault = try bench.open(options)
        defer { vault.close() }
        let handle = try bench.open("file", in: vault)
        defer { vault.release(handle) }
        return try vault.contents(handle, at: 0, count: limit)
    }

    static var afterPowerCut: VaultOptions {
        var options = VaultOptions()
        options.bootID = otherBoot
        return options
    }

    @Test func `synced overwrites and appends come back where the store lost them`() throws {
        var expected = pattern(50_000)
        try Self.with(expected) { bench, stored in
            let before = try Disk.read(bench.directory + "/" + stored)
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            for (offset, bytes) in [
                (10_000, pattern(9000, seed: 2)), (50_000, pattern(100, seed: 3)),
                (10_500, pattern(10, seed: 4)), (50_100, pattern(9000, seed: 5)),
            ] {
                try vault.put(handle, bytes, at: UInt64(offset))
                if offset + bytes.count > expected.count {
                    expected += [UInt8](
                        repeating: 0, count: offset + bytes.count - expected.count)
                }
                expected.replaceSubrange(offset..<offset + bytes.count, with: bytes)
                try vault.synchronize(handle, dataOnly: true)
                let crashed = try Self.crashed(bench)
                #expect(try Self.content(crashed) == expected)
                let again = try Self.crashed(bench)
                try Disk.write(again.directory + "/" + stored, before)
                #expect(try Self.content(again, Self.afterPowerCut) == expected)
                #expect(try Self.content(again) == expected, "and after a second mount")
            }
            // What nobody synced is not in the store before its commit, which comes within a second.
            let begun = ContinuousClock.now
            try vault.put(handle, [1, 2, 3], at: 0)
            let crashed = try Self.crashed(bench)
            let isEarly = ContinuousClock.now - begun < .milliseconds(900)
            #expect(try Self.content(crashed) == expected || !isEarly)
        }
    }

    /// What a power cut leaves that took all blocks back to `before`; the header is one sector and
    /// was synced before a hole.
    private static func contentAfterLoss(
        of before: [UInt8], in bench: VaultWorkbench, _ stored: String
    ) throws -> [UInt8] {
        let copy = try crashed(bench)
        let path = copy.directory + "/" + stored
        var bytes = before
        let now = try Disk.read(path)
        bytes.replaceSubrange(0..<512, with: now[0..<512])
        try Disk.write(path, bytes)
        return try content(copy, afterPowerCut)
    }

    @Test func `truncations and holes are made again`() throws {
        var expected = pattern(60_000)
        try Self.with(expected) { (bench: VaultWorkbench, stored: String) throws -> Void in
            let before = try Disk.read(bench.directory + "/" + stored)
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            let inode = try vault.lookup(FileName("file"), in: .root).inode
            let hole = TestSupport.AllocateFlag.punchHole | TestSupport.AllocateFlag.keepSize
            try vault.allocate(handle, mode: hole, at: 8192, count: 12_288)
            for index in 8192..<20_480 { expected[index] = 0 }
            #expect(try Self.contentAfterLoss(of: before, in: bench, stored) == expected)
            try vault.resize(handle, inode, to: 33_333)
            expected.removeLast(60_000 - 33_333)
            #expect(try Self.contentAfterLoss(of: before, in: bench, stored) == expected)
            try vault.put(handle, [9], at: 33_333)
            try vault.synchronize(handle, dataOnly: false)
            expected.append(9)
            #expect(try Self.contentAfterLoss(of: before, in: bench, stored) == expected)
        }
    }

    /// The store's last block is the file's end for as long as growth is in memory alone.
    @Test func `a hole over the stored end, behind growth that nobody synced, leaves an end`()
        throws
    {
        let start = pattern(6144)
        try Self.with(start) { (bench: VaultWorkbench, _: String) throws -> Void in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            try vault.put(handle, pattern(34_816, seed: 2), at: 6144)
            let hole = TestSupport.AllocateFlag.punchHole | TestSupport.AllocateFlag.keepSize
            try vault.allocate(handle, mode: hole, at: 4096, count: 32_768)
            for options in [VaultOptions(), Self.afterPowerCut] {
                let left = try Self.content(try Self.crashed(bench), options)
                #expect(left.count >= 6144)
                #expect(left.prefix(4096) == start.prefix(4096))
                let tail = Array(left[4096..<6144])
                #expect(tail == Array(start[4096...]) || tail.allSatisfy { $0 == 0 })
            }
            try vault.synchronize(handle, dataOnly: false)
            var whole = start + pattern(34_816, seed: 2)
            for index in 4096..<36_864 { whole[index] = 0 }
            #expect(try Self.content(try Self.crashed(bench), Self.afterPowerCut) == whole)
        }
    }

    /// The kernel writes dirty pages back in any order: what comes behind a gap makes the old last
    /// block final no more, and waits itself until the gap is filled.
    @Test(arguments: [0, 3000, 20_000], [100_000, 1_300_000])
    func `a file that grows behind a gap can be read after a crash`(
        _ before: Int, _ behind: Int
    ) throws {
        let expected = pattern(1369)
        try Self.with(expected) { bench, stored in
            let old = try Disk.read(bench.directory + "/" + stored)
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            defer { vault.release(handle) }
            if before > 0 { try vault.put(handle, pattern(before, seed: 2), at: 1369) }
            try vault.put(handle, pattern(behind, seed: 3), at: 40_000)
            vault.committer?.commitAll()
            let crashed = try Self.crashed(bench)
            let grown = try Self.content(crashed, Self.afterPowerCut)
            let all = expected + pattern(before, seed: 2)
            #expect(grown.starts(with: all.prefix(grown.count)) && grown.count >= 1369)
            let lost = try Self.crashed(bench)
            try Disk.write(lost.directory + "/" + stored, old)
            #expect(try Self.content(lost, Self.afterPowerCut).starts(with: expected))
        }
    }

    /// As a log that is rotated while it is written.
    @Test(arguments: ["file", "directory"])
    func `a file that grows under a new name can be read after a crash`(_ renamed: String) throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let directory = try vault.makeDirectory(
                FileName("directory"), in: .root, mode: 0o700, as: VaultWorkbench.requester)
            let isFile = renamed == "file"
            let handle = try vault.create(
                FileName("file"), in: isFile ? .root : directory.inode, mode: 0o644,
                flags: OpenFlags(rawValue: OpenFlag.readWrite | OpenFlag.create),
                as: VaultWorkbench.requester
            ).1
            defer { vault.release(handle) }
            try vault.put(handle, pattern(10_000), at: 0)
            try vault.synchronize(handle, dataOnly: false)
            let size = 1_300_000
            try vault.put(handle, pattern(size, seed: 2), at: 10_000)
            try vault.rename(
                FileName(renamed), in: .root, to: FileName("new"), in: .root, flags: 0)
            try vault.put(handle, pattern(100_000, seed: 3), at: UInt64(size + 10_000))
            let crashed = try Self.crashed(bench)
            // Of that last write only the old last block came to the disk, which is full now.
            let kept = 512 + 4124 * ((size + 10_000) / 4096 + 1)
            try Command(
                "find", crashed.directory, "-size", "+1000k", "-not", "-name", ".keyfold*",
                "-exec", "truncate", "-s", "\(kept)", "{}", ";"
            ).run()
            let again = try crashed.open(Self.afterPowerCut)
            defer { again.close() }
            let new = try again.lookup(FileName("new"), in: .root)
            let file = isFile ? new : try again.lookup(FileName("file"), in: new.inode)
            let opened = try again.open(
                file.inode, flags: OpenFlags(rawValue: 0),
                as: VaultWorkbench.requester)
            defer { again.release(opened) }
            let content = try again.contents(opened, at: 0, count: 2_000_000)
            #expect(content.count > size)
            #expect(content.starts(with: pattern(10_000)))
        }
    }

    /// Blocks of a new file, of which one in the middle and the end never came to the disk.
    @Test func `a torn new file is cut, before the tear after a power cut, behind it after a kill`()
        throws
    {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.make("file", in: vault)
            let content = pattern(100_000)
            try vault.put(handle, content, at: 0)
            try vault.committer?.logIntents()
            func torn() throws -> VaultWorkbench {
                let crashed = try Self.crashed(bench)
                let stored = try #require(
                    try Disk.names(in: crashed.directory).map(\.string)
                        .first { !$0.hasPrefix(".") && $0 != "keyfold.json" })
                let file = try Disk.open(crashed.directory + "/" + stored, OpenFlag.readWrite)
                try file.write([UInt8](repeating: 0, count: 3000), at: 512 + 4124 * 7 + 100)
                try file.write([UInt8](repeating: 0, count: 4124), at: 512 + 4124 * 23)
                return crashed
            }
            #expect(
                try Self.content(try torn(), Self.afterPowerCut) == Array(content[..<28_672]))
            let killed = try torn()
            let again = try killed.open()
            defer { again.close() }
            let opened = try killed.open("file", in: again)
            #expect(try again.lookup(FileName("file"), in: .root).attributes.sizeBytes > 94_208)
            #expect(try again.contents(opened, at: 0, count: 28_672) == Array(content[..<28_672]))
            #expect(throws: VaultError.self) { try again.contents(opened, at: 30_000, count: 10) }
            #expect(
                try again.contents(opened, at: 40_960, count: 40_000)
                    == Array(content[40_960..<80_960]))
            again.release(opened)
        }
    }

    /// What of it came to the disk before nobody synced, and no intent of its own tells of it.
    @Test func `a new file that grows in steps when it is opened again is cut at its first tear`()
        throws
    {
        try VaultWorkbench.with { bench in
            var options = VaultOptions()
            options.journalBytes = 131_072
            let vault = try bench.open(options)
            defer { vault.close() }
            let made = try bench.make("file", in: vault)
            let content = pattern(50_000)
            try vault.put(made, content, at: 0)
            vault.release(made)
            let handle = try bench.open("file", in: vault)
            defer { vault.release(handle) }
            try vault.put(handle, pattern(40_000, seed: 2), at: 50_000)
            let crashed = try Self.crashed(bench)
            let stored = try #require(
                try Disk.names(in: crashed.directory).map(\.string)
                    .first { !$0.hasPrefix(".") && $0 != "keyfold.json" })
            try Disk.open(crashed.directory + "/" + stored, OpenFlag.readWrite)
                .write([UInt8](repeating: 0, count: 3000), at: 512 + 4124 * 7 + 100)
            let left = try Self.content(crashed, Self.afterPowerCut)
            #expect(left == Array(content[..<28_672]))
        }
    }

    @Test func `a tail whose key is switched off is mended when somebody opens the file`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.make("file", in: vault)
            let content = pattern(50_000)
            try vault.put(handle, content, at: 0)
            try vault.committer?.logIntents()
            let crashed = try Self.crashed(bench)
            let stored = try #require(
                try Disk.names(in: crashed.directory).map(\.string)
                    .first { !$0.hasPrefix(".") && $0 != "keyfold.json" })
            try Disk.open(crashed.directory + "/" + stored, OpenFlag.readWrite)
                .truncate(to: 512 + 4124 * 5)
            bench.service.state.withLock { $0.refusesFiles = true }
            let again = try crashed.open(Self.afterPowerCut)
            defer { again.close() }
            #expect(throws: VaultError.self) { try crashed.open("file", in: again) }
            // That mount crashes as well: what waits for the key is in its journal.
            let second = try Self.crashed(crashed)
            let last = try second.open(Self.afterPowerCut)
            defer { last.close() }
            bench.service.state.withLock { $0.refusesFiles = false }
            for (bench, vault) in [(crashed, again), (second, last)] {
                let opened = try bench.open("file", in: vault)
                #expect(
                    try vault.contents(opened, at: 0, count: 50_000) == Array(content[..<20_480]))
                vault.release(opened)
            }
        }
    }

    @Test func `times that were synced come back`() throws {
        try Self.with(pattern(5000)) { bench, stored in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            try vault.synchronize(handle, dataOnly: false)
            let inode = try vault.lookup(FileName("file"), in: .root).inode
            var change = AttributeChange()
            change.modificationTime = .at(Timespec(seconds: 1_000_000, nanoseconds: 123_456_789))
            change.accessTime = .at(Timespec(seconds: 2_000_000, nanoseconds: 1))
            _ = try vault.setAttributes(
                of: inode, handle: nil, to: change, as: VaultWorkbench.requester)
            try vault.synchronize(handle, dataOnly: false)
            let crashed = try Self.crashed(bench)
            try Command("touch", crashed.directory + "/" + stored).run()
            let again = try crashed.open(Self.afterPowerCut)
            defer { again.close() }
            let attributes = try again.lookup(FileName("file"), in: .root).attributes
            #expect(
                attributes.modificationTime == .init(seconds: 1_000_000, nanoseconds: 123_456_789))
        }
    }

    @Test(arguments: [true, false], [": >", "rm"])
    func `a directory whose record was lost has it again, or begins anew`(
        _ isInJournal: Bool, _ loss: String
    ) throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let made = try vault.makeDirectory(
                FileName("folder"), in: .root, mode: 0o755, as: VaultWorkbench.requester)
            _ = try vault.makeDirectory(
                FileName("inner"), in: made.inode, mode: 0o755, as: VaultWorkbench.requester)
            if isInJournal { try vault.committer?.logIntents() }
            let crashed = try Self.crashed(bench)
            try Command.shell(
                "for d in $(find \"$1\" -mindepth 2 -name .keyfold.dir); do \(loss) $d; done",
                crashed.directory
            ).run()
            let again = try crashed.open(Self.afterPowerCut)
            defer { again.close() }
            let folder = try again.lookup(FileName("folder"), in: .root).inode
            if isInJournal {
                _ = try again.lookup(FileName("inner"), in: folder)
            } else {
                #expect(throws: VaultError.self) { try again.lookup(FileName("inner"), in: folder) }
            }
            _ = try again.makeDirectory(
                FileName("new"), in: folder, mode: 0o755, as: VaultWorkbench.requester)
        }
    }

    @Test func `a directory has the record back that was logged last for its path`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            func make(_ name: String, in parent: InodeID) throws -> InodeID {
                try vault.makeDirectory(
                    FileName(name), in: parent, mode: 0o755, as: VaultWorkbench.requester
                ).inode
            }
            _ = try make("folder", in: .root)
            try vault.committer?.logIntents()
            try vault.rename(
                FileName("folder"), in: .root, to: FileName("old"), in: .root, flags: 0)
            _ = try make("inner", in: try make("folder", in: .root))
            try vault.committer?.logIntents()
            let crashed = try Self.crashed(bench)
            let folder = try CheckBench(bench: crashed).stored("folder")
            try Disk.unlink(folder + "/.keyfold.dir")
            let again = try crashed.open(Self.afterPowerCut)
            defer { again.close() }
            let found = try again.lookup(FileName("folder"), in: .root).inode
            _ = try again.lookup(FileName("inner"), in: found)
        }
    }

    /// A journal of 64 KiB begins anew every few commits.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a crash at any moment of many checkpoints keeps what was synced`(_ seed: UInt64) throws {
        try Self.with(pattern(40_000)) { bench, _ in
            var source = RandomSource(seed: seed)
            var options = VaultOptions()
            options.journalBytes = 65_536
            let vault = try bench.open(options)
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            var expected = pattern(40_000)
            for step in 0..<120 {
                let offset = source.number(0..<expected.count)
                let bytes = source.bytes(source.number(1..<20_000))
                try vault.put(handle, bytes, at: UInt64(offset))
                if offset + bytes.count > expected.count {
                    expected += [UInt8](repeating: 0, count: offset + bytes.count - expected.count)
                }
                expected.replaceSubrange(offset..<offset + bytes.count, with: bytes)
                try vault.synchronize(handle, dataOnly: source.isOne(in: 2))
                guard source.isOne(in: 12) else { continue }
                let crashed = try Self.crashed(bench)
                try #require(
                    try Self.content(crashed, Self.afterPowerCut) == expected,
                    "seed \(seed), step \(step)")
            }
        }
    }
}
