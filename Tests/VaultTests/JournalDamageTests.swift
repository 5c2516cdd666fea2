import Platform
import TestSupport
import Testing

@testable import SealedFormat
@testable import Vault

/// Journals that somebody, or a decaying disk, has changed: nothing synced is left out in silence.
@Suite
struct JournalDamageTests {
    private static let overwrites = 20

    /// Runs `body` with what a power cut left behind many synced overwrites: all blocks as they were
    /// before, and the journal. The body gets the content, too, and what it was before the last one.
    private static func withCrash(
        _ body: (
            VaultWorkbench, _ journal: String, _ expected: [UInt8], _ earlier: [UInt8]
        ) throws -> Void
    ) throws {
        try VaultWorkbench.with { bench in
            var (expected, earlier) = (pattern(40_000), pattern(40_000))
            let first = try bench.open()
            let made = try bench.make("file", in: first)
            try first.put(made, expected, at: 0)
            first.release(made)
            first.close()
            let stored = try #require(
                try Disk.names(in: bench.directory).map(\.string)
                    .first { !$0.hasPrefix(".") && $0 != "keyfold.json" })
            let before = try Disk.read(bench.directory + "/" + stored)
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            for number in 0..<overwrites {
                let bytes = pattern(3000, seed: UInt64(number + 2))
                let offset = number * 4096 % 36_000
                try vault.put(handle, bytes, at: UInt64(offset))
                earlier = expected
                expected.replaceSubrange(offset..<offset + bytes.count, with: bytes)
                try vault.synchronize(handle, dataOnly: true)
            }
            let crashed = try RecoveryTests.crashed(bench)
            try Disk.write(crashed.directory + "/" + stored, before)
            let names = try Disk.names(in: crashed.directory + "/.keyfold.journal")
            let name = try #require(names.first).string
            try body(
                crashed, crashed.directory + "/.keyfold.journal/" + name, expected, earlier)
        }
    }

    private static func flip(_ path: String, at offset: Int) throws {
        let file = try Disk.open(path, OpenFlag.readWrite)
        var byte = try file.read(count: 1, at: UInt64(offset))
        byte[0] ^= 16
        try file.write(byte, at: UInt64(offset))
    }

    /// Where the frames begin; the last number is their end.
    private static func frames(_ journal: String) throws -> [Int] {
        let file = try Disk.open(journal)
        var found = [JournalHead.byteCount]
        while found.count <= overwrites,
            let count = JournalFrame.byteCount(
                head: try file.read(
                    count: JournalFrame.headBytes, at: UInt64(found[found.count - 1])))
        {
            found.append(found[found.count - 1] + count)
        }
        return found
    }

    @Test func `an unharmed journal gives everything back`() throws {
        try Self.withCrash { bench, journal, expected, _ in
            let frames = try Self.frames(journal)
            #expect(frames.count == Self.overwrites + 1)
            #expect(try RecoveryTests.content(bench, RecoveryTests.afterPowerCut) == expected)
        }
    }

    /// In the head and in a frame: what keeps the vault from being mounted.
    @Test(arguments: [false, true])
    func `a check tells of a journal that a mount refuses, once`(_ isInHead: Bool) throws {
        try Self.withCrash { bench, journal, _, _ in
            let middle = try Self.frames(journal)[Self.overwrites / 2]
            try Self.flip(journal, at: isInHead ? 20 : middle + 60)
            #expect(throws: VaultError.self) {
                try bench.open(RecoveryTests.afterPowerCut).close()
            }
            for repairs in [false, true] {
                let result = try CheckBench(bench: bench).check(repairs: repairs)
                #expect(result.codes == [.journalDamaged])
                #expect(result.summary.damage == 1 && result.summary.left == 1)
                #expect(result.findings.first?.detail?.contains("VaultError") == false)
            }
            #expect(Disk.exists(journal))
        }
    }

    @Test(arguments: [0, 5, 10, 17, 32, 40, 44, 50, 59, 60, 200, 4000])
    func `a flipped bit in the middle is told, and nothing is thrown away`(
        _ offset: Int
    ) throws {
        try Self.withCrash { bench, journal, expected, _ in
            let middle = try Self.frames(journal)[Self.overwrites / 2]
            try Self.flip(journal, at: middle + offset)
            do {
                try bench.open(RecoveryTests.afterPowerCut).close()
                Issue.record("the vault was mounted")
            } catch let error as VaultError {
                guard case .journal = error else { throw error }
            }
            try Self.flip(journal, at: middle + offset)
            #expect(try RecoveryTests.content(bench, RecoveryTests.afterPowerCut) == expected)
        }
    }

    @Test func `a torn last frame is the end, whatever an earlier epoch left behind it`() throws {
        try Self.withCrash { bench, journal, _, earlier in
            let last = try Self.frames(journal)[Self.overwrites - 1]
            try Self.flip(journal, at: last + 1000)
            #expect(try RecoveryTests.content(bench, RecoveryTests.afterPowerCut) == earlier)
        }
        try VaultWorkbench.with { bench in
            var options = VaultOptions()
            options.journalBytes = 65_536
            let vault = try bench.open(options)
            defer { vault.close() }
            let handle = try bench.make("file", in: vault)
            try vault.put(handle, pattern(20_000), at: 0)
            try vault.synchronize(handle, dataOnly: true)
            // Several epochs; at each moment a crash finds frames of two.
            for number in 0..<60 {
                try vault.put(handle, [UInt8(number)], at: UInt64(number * 300))
                try vault.synchronize(handle, dataOnly: true)
                let crashed = try RecoveryTests.crashed(bench)
                try crashed.open(RecoveryTests.afterPowerCut).close()
            }
        }
    }
}
