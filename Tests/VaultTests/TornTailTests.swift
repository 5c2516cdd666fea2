import Platform
import TestSupport
import Testing

@testable import SealedFormat
@testable import Vault

/// Torn tails that no ordinary mount mends: a repair does, and a mount without a journal.
@Suite
struct TornTailTests {
    private static let content = pattern(50_000)
    /// What is before the tear: five blocks.
    private static let kept = Array(content[..<20_480])

    /// Runs `body` with a vault whose one file was cut by a crash, and was never synced.
    private static func withTornFile(_ body: (VaultWorkbench) throws -> Void) throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.make("file", in: vault)
            try vault.put(handle, content, at: 0)
            try vault.committer?.logIntents()
            let crashed = try RecoveryTests.crashed(bench)
            let stored = try #require(
                try Disk.names(in: crashed.directory).map(\.string)
                    .first { !$0.hasPrefix(".") && $0 != "keyfold.json" })
            try Disk.open(crashed.directory + "/" + stored, OpenFlag.readWrite)
                .truncate(to: 512 + 4124 * 5)
            try body(crashed)
        }
    }

    private static func journals(_ bench: VaultWorkbench) throws -> Int {
        try Disk.names(in: bench.directory + "/.keyfold.journal").count
    }

    @Test func `a repair cuts a torn tail where a journal allows it`() throws {
        try Self.withTornFile { bench in
            let check = CheckBench(bench: bench)
            let before = try check.check(readsData: true)
            #expect(Set(before.codes) == [.finalBlockMissing, .journalLeft])
            let repaired = try check.check(readsData: true, repairs: true)
            #expect(repaired.codes == [.journalLeft])
            #expect(repaired.summary.repaired == 1 && repaired.summary.left == 0)
            #expect(try Self.journals(bench) == 0)
            #expect(try check.check(readsData: true).findings == [])
            #expect(try RecoveryTests.content(bench) == Self.kept)
        }
    }

    @Test func `without a journal nothing is cut`() throws {
        try Self.withTornFile { bench in
            for name in try Disk.names(in: bench.directory + "/.keyfold.journal") {
                try Disk.open(bench.directory + "/.keyfold.journal", OpenFlag.directory)
                    .unlink(name)
            }
            let repaired = try CheckBench(bench: bench).check(readsData: true, repairs: true)
            #expect(repaired.codes == [.finalBlockMissing])
            #expect(repaired.summary.left == 1)
        }
    }

    @Test func `a repair leaves a journal that was changed, and says so`() throws {
        try Self.withTornFile { bench in
            let directory = bench.directory + "/.keyfold.journal"
            let name = try #require(try Disk.names(in: directory).first)
            let file = try Disk.open("\(directory)/\(name.string)", OpenFlag.readWrite)
            var byte = try file.read(count: 1, at: 12)
            byte[0] ^= 1
            try file.write(byte, at: 12)
            let repaired = try CheckBench(bench: bench).check(readsData: true, repairs: true)
            guard case .notRepaired = repaired.findings.first?.outcome else {
                Issue.record("\(repaired.findings)")
                return
            }
            #expect(try Self.journals(bench) == 1)
        }
    }

    @Test(arguments: [true, false])
    func `a tail whose key is off is mended later, by a mount`(_ byRepair: Bool) throws {
        try Self.withTornFile { bench in
            bench.service.state.withLock { $0.refusesFiles = true }
            if byRepair {
                let result = try CheckBench(bench: bench).check(repairs: true)
                #expect(result.summary.repaired == 1)
            } else {
                var options = VaultOptions()
                options.overwritesInPlace = true
                try bench.open(options).close()
            }
            #expect(try Self.journals(bench) == 1)
            bench.service.state.withLock { $0.refusesFiles = false }
            #expect(try RecoveryTests.content(bench) == Self.kept)
            #expect(try Self.journals(bench) == 0)
        }
    }

    /// Punched when more stood behind it, none of which has come to the disk.
    @Test func `a hole that becomes the last block is written out`() throws {
        try withTemporaryDirectory { directory in
            let layout = try BlockLayout(headerBytes: 512)
            let keys = FileKeys(dataKey: .random(count: 32), fileID: FileID())
            let cipher = BlockCipher()
            cipher.use(keys)
            let file = try Disk.open(
                directory + "/stored", OpenFlag.readWrite | OpenFlag.createNew)
            let plain = pattern(BlockLayout.plainBlockBytes)
            try file.write(
                cipher.seal(plain, block: 0, isFinal: false), at: layout.sealedOffset(ofBlock: 0))
            try file.truncate(to: layout.sealedOffset(ofBlock: 2))
            let mended = try TornTail(
                file: file, layout: layout, keys: keys, isSparse: true, firstBlock: 2,
                isSameBoot: false
            ).mend()
            #expect(mended.cutBytes == 0)
            #expect(mended.sealedSize == layout.sealedOffset(ofBlock: 2))
            let last = try file.read(
                count: BlockLayout.sealedBlockBytes, at: layout.sealedOffset(ofBlock: 1))
            let zeros = [UInt8](repeating: 0, count: BlockLayout.plainBlockBytes)
            #expect(try cipher.open(last, block: 1, expectFinal: true) == zeros)
        }
    }
}
