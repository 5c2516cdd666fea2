import Platform
import SealedFormat
import TestSupport
import Testing

@testable import Vault

/// Power cuts behind which the store has less than it showed: names as they were before, or
/// without what a sync that failed has dropped.
@Suite
struct StoreAfterCutTests {
    fileprivate static let otherBoot = "00000000-0000-0000-0000-000000000001"
    private static let later = pattern(4096, seed: 21)

    private typealias Bench = OpenFaultBench

    // MARK: Names that the store may not keep

    @Test(arguments: [false, true])
    func `a synced overwrite is found although a directory above has its old name again`(
        _ isExchange: Bool
    ) throws {
        try Bench.with { bench in
            try bench.actor.open("folder/inner")
            try bench.actor.lookup("empty")
            let before = try bench.faults.copy(of: bench.copy)
            let new = isExchange ? "empty" : "moved"
            try bench.actor.rename(
                "folder", to: new, flags: isExchange ? RenameFlag.exchange : 0)
            try bench.actor.write("folder/inner", Self.later, at: 0)
            try bench.actor.sync("folder/inner")
            let expected = Self.later + pattern(4500, seed: 16)[4096...]
            #expect(try bench.content("folder/inner", afterCut: before) == expected)
        }
    }

    @Test func `a synced overwrite is found although a rename of the file is undone`() throws {
        try Bench.with { bench in
            try bench.actor.open("file")
            try bench.actor.sync("file")
            let before = try bench.faults.copy(of: bench.copy)
            try bench.actor.rename("file", to: "folder/one")
            try bench.actor.rename("folder", to: "moved")
            try bench.actor.write("file", Self.later, at: 0)
            try bench.actor.sync("file", dataOnly: true)
            let expected = Self.later + FaultBench.fileContent[4096...]
            #expect(try bench.content("file", afterCut: before) == expected)
        }
    }

    @Test func `a synced overwrite is found although the file's newest name is gone`() throws {
        try Bench.with { bench in
            try bench.actor.open("file")
            try bench.actor.sync("file")
            let before = try bench.faults.copy(of: bench.copy)
            try bench.actor.link("file", as: "folder/second")
            try bench.actor.write("file", Self.later, at: 0)
            try bench.actor.sync("file", dataOnly: true)
            let expected = Self.later + FaultBench.fileContent[4096...]
            #expect(try bench.content("file", afterCut: before) == expected)
        }
    }

    @Test func `a truncation is found although a rename is undone`() throws {
        try Bench.with { bench in
            try bench.actor.open("file")
            try bench.actor.sync("file")
            try bench.actor.rename("file", to: "moved")
            let before = try bench.faults.copy(of: bench.copy)
            // The store has the old name, and the truncation's first half.
            try Disk.rename(
                before.directory + "/" + bench.storedPath("file"), before.directory + "/other name")
            try bench.actor.truncate("file", to: 5000)
            let stored = try bench.storedPath("file")
            try Disk.rename(before.directory + "/other name", before.directory + "/" + stored)
            let expected = Array(FaultBench.fileContent[..<5000])
            #expect(try bench.content("moved", afterCut: before) == expected)
        }
    }

    @Test(arguments: ["rename", "link"])
    func `a file gets a name in a new directory behind the directory's record`(
        _ way: String
    ) throws {
        try Bench.with { bench in
            try bench.actor.makeDirectory("new")
            try bench.actor.lookup("new")
            if way == "rename" {
                try bench.actor.rename("file", to: "new/file")
            } else {
                try bench.actor.link("file", as: "new/file")
                try bench.actor.unlink("file")
            }
            let before = try bench.faults.copy(of: bench.copy)
            try Disk.truncate(
                before.directory + "/" + bench.storedPath("new") + "/.keyfold.dir", to: 0)
            #expect(try bench.content("new/file", afterCut: before) == FaultBench.fileContent)
        }
    }

    @Test func `a new directory is renamed behind its record under the name to come`() throws {
        try Bench.with { bench in
            try bench.actor.makeDirectory("new")
            try bench.actor.rename("file", to: "new/file")
            try bench.actor.rename("new", to: "newer")
            let before = try bench.faults.copy(of: bench.copy)
            try Disk.truncate(
                before.directory + "/" + bench.storedPath("newer") + "/.keyfold.dir", to: 0)
            #expect(try bench.content("newer/file", afterCut: before) == FaultBench.fileContent)
        }
    }

    /// The kernel forgets a directory, and asks for it again.
    @Test func `a directory that was forgotten and found again is the one that its files are in`()
        throws
    {
        try Bench.with { bench in
            let directory = try bench.actor.lookup("folder").inode
            try bench.actor.open("folder/inner")
            bench.actor.vault.forget(directory, lookups: 100)
            #expect(throws: VaultError.self) { _ = try bench.actor.vault.inode(directory) }
            let (actor, old) = (FaultActor(vault: bench.actor.vault), bench.actor)
            try actor.rename("folder", to: "moved")
            try old.write("folder/inner", Self.later, at: 0)
            try old.sync("folder/inner")
            #expect(
                try bench.storedPath("folder/inner").hasPrefix(
                    String(
                        decoding: try #require(
                            try bench.actor.vault.inode(try actor.inode("moved")).storedPath),
                        as: UTF8.self)))
            try old.release("folder/inner")
        }
    }

    /// Each of three directories was to be at one path, and one is.
    @Test func `a directory gets the record that its names were made in`() throws {
        try Bench.with { bench in
            try bench.actor.makeDirectory("first")
            try bench.actor.rename("file", to: "first/file")
            let before = try bench.faults.copy(of: bench.copy)
            try Disk.truncate(
                before.directory + "/" + bench.storedPath("first") + "/.keyfold.dir", to: 0)
            try bench.actor.rename("first", to: "moved")
            for name in ["second", "third"] {
                let actor = FaultActor(vault: bench.actor.vault)
                try actor.makeDirectory(name)
                try actor.rename(name, to: "first")
                try actor.rename("first", to: name + " moved")
            }
            #expect(try bench.content("first/file", afterCut: before) == FaultBench.fileContent)
        }
    }

    @Test func `an intent goes along with what was synced`() throws {
        try Bench.with { bench in
            try bench.actor.create("grows")
            try bench.actor.write("grows", pattern(5 * 4096), at: 0)
            try bench.committer.logIntents()
            try bench.actor.sync("grows")
            let inode = try bench.actor.vault.inode(try bench.actor.inode("grows"))
            #expect(
                bench.committer.books.withLock { $0.intents[inode.backing]?.firstBlock } == 5)
            try bench.actor.write("grows", pattern(5000), at: 5 * 4096)
            try bench.actor.rename("grows", to: "grown")
            let path = try #require(inode.storedPath)
            #expect(
                try bench.committer.journal.entries().contains {
                    $0
                        == JournalEntry(
                            .intent(firstBlock: 5),
                            of: JournaledFile(fileID: $0.file.fileID, path: path))
                })
        }
    }

    // MARK: Syncs that failed

    /// From some call on everything fails; then the disk is back.
    @Test(arguments: [0, 5000], 1...8)
    func `a truncation that fails altogether leaves one of two contents for good`(
        _ size: Int, _ number: Int
    ) throws {
        try Bench.with { bench in
            let old = pattern(20_000, seed: 3)
            try bench.actor.write("file", old, at: 0)
            try bench.actor.sync("file")
            bench.scope.arm(FaultScript(.error(.ioError), at: number, stays: true))
            _ = try? bench.actor.truncate("file", to: UInt64(size))
            bench.scope.disarm()
            let content = try bench.actor.read("file")
            #expect(content == old || content == Array(old[..<size]))
            let later = pattern(3000, seed: 6)
            try bench.actor.write("file", later, at: UInt64(content.count))
            try bench.actor.sync("file")
            while !bench.committer.journal.isHalfFull {
                try bench.actor.write("other", pattern(4000, seed: 2), at: 0)
                try bench.actor.sync("other")
            }
            try bench.committer.checkpoint()
            #expect(try bench.actor.read("file") == content + later)
            let crashed = try bench.faults.copy(of: bench.copy)
            defer { bench.faults.discard(crashed) }
            let vault = try FaultBench.open(crashed)
            defer { vault.close() }
            #expect(try FaultSnapshot.take(vault).nodes["file"]?.content == content + later)
        }
    }

    @Test(arguments: ["sync", "rename"])
    func `what a failed sync has dropped is written again before the next one counts`(
        _ next: String
    ) throws {
        try Bench.with { bench in
            try bench.actor.open("file")
            try bench.actor.sync("file")
            let stored = bench.copy.directory + "/" + (try bench.storedPath("file"))
            let old = try Disk.read("/" + stored)
            try bench.actor.write("file", Self.later, at: 0)
            try bench.actor.sync("file")
            try bench.actor.setAttribute("file", "user.two", [1])
            bench.scope.arm(FaultScript(.error(.ioError), at: 1, only: .synchronize))
            if next == "sync" {
                #expect(throws: VaultError.self) { try bench.actor.sync("file") }
            } else {
                #expect(throws: VaultError.self) { try bench.actor.rename("file", to: "moved") }
            }
            #expect(bench.scope.hasFired)
            bench.scope.disarm()
            // The kernel has let the page go, and reads the old one.
            try Disk.open("/" + stored, OpenFlag.readWrite).write(old, at: 0)
            if next == "sync" {
                try bench.actor.sync("file")
            } else {
                try bench.actor.rename("file", to: "moved")
            }
            let crashed = try bench.faults.copy(of: bench.copy)
            for name in try Disk.names(in: crashed.directory + "/.keyfold.journal") {
                try Disk.unlink(crashed.directory + "/.keyfold.journal/" + name.string)
            }
            defer { bench.faults.discard(crashed) }
            let vault = try FaultBench.open(crashed)
            defer { vault.close() }
            let content = try FaultSnapshot.take(vault)
                .nodes[next == "sync" ? "file" : "moved"]?.content
            #expect(content == Self.later + FaultBench.fileContent[4096...])
        }
    }

    @Test func `a file that grows by much behind two failed syncs stays as it was synced`() throws {
        try Bench.with { bench in
            try bench.actor.open("file")
            try bench.actor.sync("file")
            let stored = bench.copy.directory + "/" + (try bench.storedPath("file"))
            let old = try Disk.read("/" + stored)
            try bench.actor.write("file", Self.later, at: 0)
            try bench.actor.sync("file")
            try bench.actor.setAttribute("file", "user.two", [1])
            let failure = FaultScript(.error(.ioError), at: 1, only: .synchronize)
            bench.scope.arm(failure)
            #expect(throws: VaultError.self) { try bench.actor.sync("file") }
            bench.scope.arm(failure)
            let end = UInt64(FaultBench.fileContent.count)
            try bench.actor.write("file", pattern(1_200_000, seed: 9), at: end)
            #expect(bench.scope.hasFired)
            bench.scope.disarm()
            // The kernel has let the page go, and reads the old one.
            try Disk.open("/" + stored, OpenFlag.readWrite).write(Array(old[..<8192]), at: 0)
            #expect(
                try bench.contentAfterCrash("file")?.starts(with: Self.later) == true)
            #expect(throws: VaultError.self) { try bench.actor.sync("file") }
            try bench.actor.sync("file")
            let content = try bench.contentAfterCrash("file")
            #expect(
                content == Self.later + FaultBench.fileContent[4096...]
                    + pattern(1_200_000, seed: 9))
        }
    }

    @Test func `a record that a failed sync has dropped is written again`() throws {
        try Bench.with { bench in
            try bench.actor.makeDirectory("new")
            try bench.actor.create("new/file")
            try bench.actor.write("new/file", Self.later, at: 0)
            bench.scope.arm(FaultScript(.error(.ioError), at: 2, only: .synchronize))
            #expect(throws: VaultError.self) { try bench.actor.sync("new/file") }
            bench.scope.disarm()
            let record =
                bench.copy.directory + "/" + (try bench.storedPath("new")) + "/.keyfold.dir"
            let content = try Disk.read("/" + record)
            try Disk.open("/" + record, OpenFlag.readWrite)
                .write([UInt8](repeating: 0, count: content.count), at: 0)
            try bench.actor.sync("new/file")
            #expect(try Disk.read("/" + record) == content)
        }
    }

    /// The first of them is in the journal by then.
    @Test func `a commit of several frames is known from the first one on`() throws {
        try Bench.with { bench in
            try bench.actor.open("file")
            try bench.actor.sync("file")
            let committer = bench.committer
            let inode = try bench.actor.vault.inode(try bench.actor.inode("file"))
            let content = try #require(inode.openContent)
            // More than a body takes, at once.
            try content.change { state throws(VaultError) in
                for block in UInt64(0)..<12 {
                    state.overlay.put([UInt8](repeating: 7, count: 4124), at: block)
                }
            }
            bench.scope.arm(FaultScript(.error(.ioError), at: 3, only: .write))
            #expect(throws: VaultError.self) {
                try committer.commit(content, of: inode, .sync(dataOnly: true))
            }
            #expect(bench.scope.hasFired)
            bench.scope.disarm()
            #expect(committer.books.withLock { $0.live[inode.backing] != nil })
            content.discardOverlay()
        }
    }

    @Test func `a long directory name is synced with what is below it`() throws {
        try FaultBench.with { faults in
            let copy = try faults.copy()
            let scope = FaultScope(below: copy.directory)
            defer { scope.end() }
            var options = FaultBench.options
            options.overwritesInPlace = true
            let actor = FaultActor(vault: try copy.open(options))
            defer { actor.vault.close() }
            func syncs(_ name: String) throws -> Int {
                try actor.makeDirectory(name)
                try actor.create(name + "/file")
                scope.arm(FaultScript(.error(.ioError), at: .max, only: .synchronize))
                try actor.sync(name + "/file")
                return scope.count(of: .synchronize)
            }
            let short = try syncs("short")
            #expect(try syncs(String(repeating: "m", count: 230)) == short + 1)
        }
    }

    // MARK: The journal's own cuts

    /// Its first frame stands where the old epoch's did.
    @Test func `intents are found although the first frame of a new epoch is torn`() throws {
        try Bench.with { bench in
            try bench.actor.open("file")
            try bench.actor.sync("file")
            for piece in 0..<24 {
                try bench.actor.write(
                    "file", pattern(65_536, seed: UInt64(piece)),
                    at: 20_000 + UInt64(piece) * 65_536)
            }
            let backing = try bench.actor.vault.inode(try bench.actor.inode("file")).backing
            let first = try #require(
                bench.committer.books.withLock { $0.intents[backing]?.firstBlock })
            while !bench.committer.journal.isHalfFull {
                try bench.actor.write("other", pattern(4000, seed: 2), at: 0)
                try bench.actor.sync("other")
            }
            try bench.committer.checkpoint()
            // Before the last of 389 blocks.
            try #require(first + 2 < 388)
            let stored = try bench.storedPath("file")
            let before = try bench.faults.copy(of: bench.copy)
            // Torn on the disk: what was not synced of the file, and the frame.
            try Disk.open(before.directory + "/" + stored, OpenFlag.readWrite)
                .write(pattern(4124), at: 512 + 4124 * (first + 2))
            let journals = before.directory + "/.keyfold.journal"
            let name = try #require(try Disk.names(in: journals).first).string
            try Disk.open(journals + "/" + name, OpenFlag.readWrite)
                .write(pattern(40), at: UInt64(JournalHead.byteCount) + 40)
            var options = FaultBench.options
            options.bootID = Self.otherBoot
            defer { bench.faults.discard(before) }
            let vault = try before.open(options)
            defer { vault.close() }
            let content = try #require(try FaultSnapshot.take(vault).nodes["file"]?.content)
            #expect(content.count == Int(first + 2) * 4096)
            #expect(content.starts(with: FaultBench.fileContent))
        }
    }

    // MARK: What does not fit

    @Test func `intents that no journal has room for end a sync with an error`() throws {
        try Bench.with { bench in
            let entry = JournalEntry(
                .intent(firstBlock: 0),
                of: JournaledFile(
                    fileID: FileID(), path: [UInt8](repeating: 1, count: 8000)))
            #expect(throws: VaultError.self) {
                try bench.committer.withRoom { () throws(VaultError) in
                    for _ in 0..<20 {
                        var body: [UInt8] = []
                        entry.append(to: &body)
                        let outcome = bench.committer.journal.commit(body)
                        guard outcome == .durable else { return outcome }
                    }
                    return .durable
                }
            }
        }
    }
}

extension OpenFaultBench {
    /// In the store, from the vault's root down.
    fileprivate func storedPath(_ path: String) throws -> String {
        let inode = try actor.vault.inode(try actor.inode(path))
        return String(decoding: try #require(inode.storedPath), as: UTF8.self)
    }

    /// What a power cut leaves if the store had made nothing durable since `before`, and the
    /// journal has all that was flushed.
    fileprivate func afterCut(_ before: VaultWorkbench, _ body: (VaultFileSystem) throws -> Void)
        throws
    {
        let journals = "/.keyfold.journal"
        for name in try Disk.names(in: before.directory + journals) {
            try Disk.unlink(before.directory + journals + "/" + name.string)
        }
        for name in try Disk.names(in: copy.directory + journals) {
            try Disk.write(
                before.directory + journals + "/" + name.string,
                try Disk.read("/" + copy.directory + journals + "/" + name.string))
        }
        defer { faults.discard(before) }
        var options = FaultBench.options
        options.bootID = StoreAfterCutTests.otherBoot
        let vault = try before.open(options)
        defer { vault.close() }
        try body(vault)
    }

    fileprivate func content(_ path: String, afterCut before: VaultWorkbench) throws -> [UInt8]? {
        var content: [UInt8]?
        try afterCut(before) { vault in
            content = try FaultSnapshot.take(vault).nodes[path]?.content
        }
        return content
    }
}
