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
            #expect(repaired.codes.contains(.journalDamaged), "\(repaired.findings)")
            #expect(repaired.summary.repaired == 0 && repaired.summary.left > 0)
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

    /// The copy behind the block is what a second power cut leaves of it.
    @Test func `a power cut while the last synced block is made final loses nothing`() throws {
        try withTemporaryDirectory { directory in
            let layout = try BlockLayout(headerBytes: 512)
            let keys = FileKeys(dataKey: .random(count: 32), fileID: FileID())
            let cipher = BlockCipher()
            cipher.use(keys)
            let plain = pattern(BlockLayout.plainBlockBytes)
            let path = directory + "/stored"
            let scope = FaultScope(below: directory)
            defer { scope.end() }
            func mend(_ file: Descriptor) throws -> UInt64 {
                try TornTail(
                    file: file, layout: layout, keys: keys, isSparse: false, firstBlock: 2,
                    isSameBoot: false
                ).mend().sealedSize
            }
            func expectWhole(_ file: Descriptor) throws {
                #expect(try mend(file) == layout.sealedOffset(ofBlock: 2))
                #expect(try file.status().sizeBytes == layout.sealedOffset(ofBlock: 2))
                let last = try file.read(
                    count: BlockLayout.sealedBlockBytes, at: layout.sealedOffset(ofBlock: 1))
                #expect(try cipher.open(last, block: 1, expectFinal: true) == plain)
            }
            for number in 1...2 {
                let file = try Disk.open(
                    path, OpenFlag.readWrite | OpenFlag.create)
                for block in UInt64(0)..<2 {
                    try file.write(
                        cipher.seal(plain, block: block, isFinal: false),
                        at: layout.sealedOffset(ofBlock: block))
                }
                try file.write(pattern(900), at: layout.sealedOffset(ofBlock: 2))
                scope.arm(FaultScript(.error(.ioError), at: number, only: .write))
                #expect(throws: Errno.ioError) { _ = try mend(file) }
                scope.disarm()
                if number == 2 {
                    try file.write(pattern(2000), at: layout.sealedOffset(ofBlock: 1))
                }
                try expectWhole(file)
            }
        }
    }

    // MARK: Without the key

    /// Mounted without the key and unmounted; then what `body` says, with it.
    private static func waiting(
        _ bench: VaultWorkbench, _ options: VaultOptions = RecoveryTests.afterPowerCut,
        _ body: (VaultFileSystem) throws -> Void
    ) throws {
        bench.service.state.withLock { $0.refusesFiles = true }
        defer { bench.service.state.withLock { $0.refusesFiles = false } }
        let vault = try bench.open(options)
        try body(vault)
        vault.close()
    }

    @Test func `a tail that waits for its key was still torn by a power cut`() throws {
        try Self.withTornFile { bench in
            let stored = try #require(
                try Disk.names(in: bench.directory).map(\.string)
                    .first { !$0.hasPrefix(".") && $0 != "keyfold.json" })
            try Disk.open(bench.directory + "/" + stored, OpenFlag.readWrite)
                .write(pattern(4124), at: 512 + 4124 * 2)
            try Self.waiting(bench) { _ in }
            #expect(
                try RecoveryTests.content(bench, RecoveryTests.afterPowerCut)
                    == Array(Self.content[..<8192]))
        }
    }

    @Test func `a tail that waits for its key is found by its file's new name`() throws {
        try Self.withTornFile { bench in
            try Self.waiting(bench) { vault in
                try vault.rename(
                    FileName("file"), in: .root, to: FileName("other"), in: .root, flags: 0)
            }
            try Self.waiting(bench) { vault in
                try vault.rename(
                    FileName("other"), in: .root, to: FileName("file"), in: .root, flags: 0)
            }
            #expect(try RecoveryTests.content(bench, RecoveryTests.afterPowerCut) == Self.kept)
            #expect(try Self.journals(bench) == 0)
        }
    }

    @Test func `a journal with tails that can't begin anew is kept`() throws {
        try Self.withTornFile { bench in
            let scope = FaultScope(below: bench.directory)
            defer { scope.end() }
            try Self.waiting(bench) { _ in
                scope.arm(FaultScript(.error(.ioError), at: 1, stays: true, only: .write))
            }
            #expect(try Self.journals(bench) == 1)
        }
    }

    @Test func `more tails than a small journal has frames for can wait`() throws {
        try VaultWorkbench.with { bench in
            var options = VaultOptions()
            options.journalBytes = 131_072
            let vault = try bench.open(options)
            defer { vault.close() }
            let committer = try #require(vault.committer)
            let status = try Disk.status(bench.directory)
            let tails = (0..<500).map { number in
                Recovery.DeferredTail(
                    backing: BackingID(device: status.device, inodeNumber: UInt64(number)),
                    file: JournaledFile(fileID: FileID(), path: Array("name \(number)".utf8)),
                    firstBlock: 0, isSameBoot: false)
            }
            try committer.adopt(tails)
            committer.books.withLock { $0.deferred = [:] }
        }
    }
}
