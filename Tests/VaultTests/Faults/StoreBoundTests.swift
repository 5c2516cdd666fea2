import KMSModel
import Platform
import SealedFormat
import TestSupport
import Testing

@testable import Vault

/// Stores that cannot do what others can, and mounts that hold more than they should.
@Suite
struct StoreBoundTests {
    // MARK: Flags of renameat2(2)

    private static func withoutFlags(_ body: (OpenFaultBench) throws -> Void) throws {
        try OpenFaultBench.with { bench in
            bench.scope.arm(
                FaultScript(
                    .error(.invalidArgument), at: 1, stays: true, only: .renameWithFlags))
            try body(bench)
            #expect(bench.scope.hasFired)
        }
    }

    @Test func `directories are made where the store knows no flags of a rename`() throws {
        try Self.withoutFlags { bench in
            try bench.actor.makeDirectory("new")
            try bench.actor.create("new/file")
            let error = #expect(throws: VaultError.self) {
                try bench.actor.makeDirectory("folder")
            }
            #expect(error.map { Errno($0) } == .fileExists)
            let file = #expect(throws: VaultError.self) { try bench.actor.makeDirectory("file") }
            #expect(file.map { Errno($0) } == .fileExists)
            #expect(try bench.actor.names(in: "new") == ["file"])
            #expect(try bench.actor.names(in: "folder") == ["inner"])
        }
    }

    @Test func `an empty directory is replaced where the store knows no flags of a rename`()
        throws
    {
        try Self.withoutFlags { bench in
            try bench.actor.rename("folder", to: "empty")
            #expect(try bench.actor.names(in: "empty") == ["inner"])
            try bench.actor.makeDirectory("full")
            try bench.actor.create("full/file")
            #expect(throws: VaultError.self) { try bench.actor.rename("empty", to: "full") }
            #expect(try bench.actor.names(in: "full") == ["file"])
            #expect(try bench.actor.names(in: "empty") == ["inner"])
        }
    }

    // MARK: Sizes

    /// ext4's largest file has 16 TiB; other stores may have none.
    private static let size: UInt64 = 20 << 40

    @Test func `a file larger than the store's files can be is refused before it is promised`()
        throws
    {
        try VaultWorkbench.with { bench in
            let probe = try Disk.make(bench.directory + "/../probe")
            guard (try? probe.truncate(to: Self.size)) == nil else { return }
            let vault = try bench.open()
            let handle = try bench.make("file", in: vault)
            try vault.put(handle, pattern(5000), at: 0)
            try vault.synchronize(handle, dataOnly: false)
            let inode = try vault.lookup(FileName("file"), in: .root).inode
            let error = #expect(throws: VaultError.self) {
                try vault.resize(handle, inode, to: Self.size)
            }
            #expect(error.map { Errno($0) } == .fileTooLarge)
            #expect(throws: VaultError.self) {
                try vault.put(handle, pattern(10), at: Self.size)
            }
            try vault.synchronize(handle, dataOnly: false)
            vault.release(handle)
            vault.close()
            #expect(try RecoveryTests.content(bench) == pattern(5000))
        }
    }

    // MARK: What waits

    @Test func `what lies behind a gap does not wait in memory for ever`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.make("file", in: vault)
            try vault.put(handle, pattern(5000), at: 0)
            try vault.synchronize(handle, dataOnly: false)
            let committer = try #require(vault.committer)
            let piece = pattern(1 << 20, seed: 2)
            for number in 0..<40 {
                try vault.put(handle, piece, at: UInt64(100_000 + number * piece.count))
            }
            #expect(committer.overlayBytes.load(ordering: .relaxed) < 16 << 20)
            let gap = try vault.contents(handle, at: 5000, count: 100)
            #expect(gap.allSatisfy { $0 == 0 })
            #expect(try vault.contents(handle, at: 100_000, count: piece.count) == piece)
        }
    }

    @Test func `a file that was synced needs no look at its end by a recovery`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let committer = try #require(vault.committer)
            let handle = try bench.make("file", in: vault)
            try vault.put(handle, pattern(5000), at: 0)
            try committer.logIntents()
            #expect(committer.books.withLock { $0.intents.count } == 1)
            try vault.synchronize(handle, dataOnly: true)
            #expect(committer.books.withLock { $0.intents.isEmpty })
        }
    }

    @Test func `a sidecar that is not there yet is kept by a checkpoint`() throws {
        try OpenFaultBench.with { bench in
            let root = try bench.actor.vault.inode(.root)
            let name = FileName("sidecar")
            bench.committer.noteMetadata([1], name, in: root, isMade: false)
            try bench.committer.checkpoint(whenFull: bench.committer.journal.epoch)
            #expect(bench.committer.books.withLock { $0.metadata.count } == 1)
            bench.committer.noteMade(name, in: root)
            try bench.committer.checkpoint(whenFull: bench.committer.journal.epoch)
            #expect(bench.committer.books.withLock { $0.metadata.isEmpty })
        }
    }

    // MARK: Commits in several frames

    /// The journal may have a part of what nobody was told of, when the file is cut.
    @Test(arguments: 1...8)
    func `what a failed commit left in the journal does not come back behind a truncation`(
        _ number: Int
    ) throws {
        try OpenFaultBench.with { bench in
            let grown = pattern(100_000, seed: 41)
            try bench.actor.write("bystander", grown, at: 0)
            bench.scope.arm(FaultScript(.error(.ioError), at: number, only: .write))
            _ = try? bench.actor.sync("bystander")
            bench.scope.disarm()
            try bench.actor.truncate("bystander", to: 50_000)
            try bench.actor.sync("bystander")
            let content = try bench.contentAfterCrash("bystander")
            #expect(content == Array(grown.prefix(50_000)))
        }
    }

    // MARK: The domain's key

    @Test func `a record that could not be read is looked at again`() throws {
        let keys = [WrappedKey(keyARN: "a", blob: [1])]
        let domain = Domain(
            keys: DomainKeys(domainKey: .random(count: 32), domainID: DomainID()),
            wrappedKeys: keys)
        try withTemporaryDirectory { path in
            let stamp = RecordStamp(try Disk.status(path))
            #expect(domain.hasNewRecord(stamp))
            #expect(domain.hasNewRecord(stamp))
            domain.noteKeys([WrappedKey(keyARN: "b", blob: [2])], of: stamp)
            #expect(!domain.hasNewRecord(stamp))
            #expect(domain.keyARN == "b")
        }
    }
}
