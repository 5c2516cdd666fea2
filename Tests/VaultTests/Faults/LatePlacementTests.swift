import Platform
import SealedFormat
import Synchronization
import TestSupport
import Testing

@testable import Vault

/// What the journal promised and the store does not have yet, when names and contents change.
@Suite
struct LatePlacementTests {
    private typealias Bench = OpenFaultBench

    private static func withoutPlace(
        _ path: String, _ bytes: [UInt8], _ body: (Bench) throws -> Void
    ) throws {
        var isDone = false
        var number = 0
        while !isDone {
            number += 1
            try Bench.with { bench in
                guard try bench.syncWithoutPlace(path, bytes, number) else { return }
                isDone = true
                try body(bench)
            }
        }
    }

    // MARK: Names

    @Test func `a directory above any of a file's names is renamed behind the file's sync`() throws
    {
        try Bench.with { bench in
            try bench.actor.write("folder/inner", pattern(4000, seed: 1), at: 0)
            try bench.actor.sync("folder/inner")
            // The newest name leads elsewhere; the journal has the old one.
            try bench.actor.link("folder/inner", as: "empty/second")
            bench.scope.arm(FaultScript(.error(.ioError), at: 1, only: .synchronize))
            #expect(throws: VaultError.self) { try bench.actor.rename("folder", to: "moved") }
            #expect(bench.scope.hasFired)
            bench.scope.disarm()
            try bench.actor.rename("folder", to: "moved")
        }
    }

    @Test func `a rename takes with it what could not be put in its place`() throws {
        let content = pattern(20_000, seed: 3)
        try Self.withoutPlace("file", content) { bench in
            try bench.actor.rename("file", to: "folder/moved")
            #expect(try bench.contentAfterCrash("folder/moved") == content)
        }
    }

    /// Deleting and moving need no room.
    @Test(arguments: ["two names", "second name"])
    func `a name goes although there is no room for what could not be put in its place`(
        _ name: String
    ) throws {
        let content = pattern(20_000, seed: 3)
        try Self.withoutPlace("two names", content) { bench in
            try bench.actor.lookup("second name")
            bench.scope.arm(FaultScript(.error(.noSpace), at: 1, only: .write))
            try bench.actor.unlink(name)
            #expect(bench.scope.hasFired)
            bench.scope.disarm()
            let left = name == "two names" ? "second name" : "two names"
            #expect(try bench.contentAfterCrash(left) == content)
        }
    }

    @Test func `a rename works although there is no room for what could not be put in its place`()
        throws
    {
        let content = pattern(20_000, seed: 3)
        try Self.withoutPlace("folder/inner", content) { bench in
            bench.scope.arm(FaultScript(.error(.noSpace), at: 1, only: .write))
            try bench.actor.rename("folder", to: "moved")
            #expect(bench.scope.hasFired)
            bench.scope.disarm()
            #expect(try bench.contentAfterCrash("moved/inner") == content)
        }
    }

    /// The store may still know the file by its name, with less than was synced of it.
    @Test func `a checkpoint makes durable that a file it had is gone`() throws {
        func synced(_ change: (Bench) throws -> Void) throws -> Int {
            var count = 0
            try Bench.with { bench in
                try bench.fillJournal(with: "bystander")
                try change(bench)
                bench.scope.arm(FaultScript(.error(.ioError), at: .max, only: .synchronize))
                try bench.committer.checkpoint()
                count = bench.scope.count(of: .synchronize)
            }
            return count
        }
        let kept = try synced { _ in }
        let gone = try synced { try $0.actor.unlink("bystander") }
        let replaced = try synced { try $0.actor.rename("other", to: "bystander") }
        #expect(kept > 1)
        #expect(gone == kept)
        #expect(replaced == kept)
    }

    // MARK: Contents

    @Test(arguments: [0, 4096, 5000])
    func `what could not be put in its place is not written over a later content`(
        _ size: Int
    ) throws {
        try Self.withoutPlace("file", pattern(20_000, seed: 3)) { bench in
            try bench.actor.truncate("file", to: UInt64(size))
            let later = pattern(14_000, seed: 4)
            try bench.actor.write("file", later, at: UInt64(size))
            try bench.actor.sync("file")
            let expected = Array(pattern(20_000, seed: 3)[..<size]) + later
            try bench.fillJournal()
            try bench.committer.checkpoint()
            #expect(try bench.actor.read("file") == expected)
            #expect(try bench.contentAfterCrash("file") == expected)
        }
    }

    /// The journal and the overlay have it, and the next commit is not there yet.
    @Test func `the last block of a file that was cut is not lost when the store refuses it`()
        throws
    {
        var isDone = false
        var number = 0
        while !isDone {
            number += 1
            try Bench.with { bench in
                try bench.actor.write("file", pattern(20_000, seed: 3), at: 0)
                try bench.actor.sync("file")
                bench.scope.arm(FaultScript(.error(.ioError), at: number, only: .write))
                defer { bench.scope.disarm() }
                guard (try? bench.actor.truncate("file", to: 5000)) != nil else { return }
                try #require(bench.scope.hasFired, "no write is the last block's")
                bench.scope.disarm()
                isDone = true
                try bench.fillJournal()
                try bench.committer.checkpoint()
                let expected = Array(pattern(20_000, seed: 3)[..<5000])
                #expect(try bench.contentAfterCrash("file") == expected)
            }
        }
    }

    /// A commit that takes a part of the overlay has others.
    @Test func `late blocks wait until they or newer ones are in their places`() throws {
        try Self.withoutPlace("file", pattern(20_000, seed: 3)) { bench in
            let committer = bench.committer
            let (backing, late) = try #require(committer.books.withLock { $0.unplaced.first })
            func indexes() -> [UInt64] {
                committer.books.withLock { books in
                    (books.unplaced[backing]?.plan.runs ?? []).flatMap { $0.blocks.map(\.index) }
                }
            }
            let all = indexes()
            #expect(all == Array(0..<5))
            func plan(of block: UInt64) -> CommitPlan {
                var (overlay, plan) = (Overlay(), late.plan)
                overlay.put([1], at: block)
                plan.runs = overlay.runs(in: block..<block + 1, maximumBytes: .max)
                return plan
            }
            committer.books.withLock { $0.notePlaced(plan(of: 100), backing) }
            #expect(indexes() == all)
            committer.books.withLock { $0.notePlaced(plan(of: 2), backing) }
            #expect(indexes() == [0, 1, 3, 4])
            committer.books.withLock { $0.noteUnplaced(plan(of: 4), late.content, backing) }
            #expect(indexes() == [0, 1, 3, 4])
            #expect(
                committer.books.withLock { $0.unplaced[backing]?.plan.runs.last?.byteCount } == 1)
            committer.books.withLock { $0.noteUnplaced(late.plan, late.content, backing) }
            #expect(indexes() == all)
        }
    }

    /// The journal can't begin anew when what it has does not get into its place.
    @Test func `a file with late blocks is emptied although the journal is full`() throws {
        try Self.withoutPlace("file", pattern(20_000, seed: 3)) { bench in
            let journal = bench.committer.journal
            let entry = JournalEntry(.clean, of: JournaledFile(fileID: FileID(), path: [1]))
            for count in [300, 1] {
                var body: [UInt8] = []
                for _ in 0..<count { entry.append(to: &body) }
                while journal.commit(body) == .durable {}
            }
            bench.scope.arm(FaultScript(.error(.noSpace), at: 1, only: .write))
            try bench.actor.truncate("file", to: 0)
            #expect(bench.scope.hasFired)
            bench.scope.disarm()
            #expect(journal.isHalfFull)
            #expect(try bench.contentAfterCrash("file") == [])
            let later = pattern(3000, seed: 6)
            try bench.actor.write("file", later, at: 0)
            try bench.actor.sync("file")
            #expect(try bench.contentAfterCrash("file") == later)
        }
    }

    @Test func `a file of many names is emptied and renamed beside late blocks of another`() throws
    {
        try Self.withoutPlace("file", pattern(20_000, seed: 3)) { bench in
            try bench.actor.write("other", pattern(4000, seed: 2), at: 0)
            try bench.actor.sync("other")
            var name = "other"
            for number in 0..<7 {
                bench.scope.arm(FaultScript(.error(.noSpace), at: 1, only: .write))
                try bench.actor.rename(name, to: "name \(number)")
                bench.scope.disarm()
                name = "name \(number)"
            }
            try bench.actor.truncate("other", to: 0)
            #expect(try bench.contentAfterCrash("file") == pattern(20_000, seed: 3))
            #expect(try bench.contentAfterCrash(name) == [])
        }
    }

    /// A rename on a full disk leaves what the journal has under the old name only.
    @Test func `a name that is too long for the journal does not change while blocks are late`()
        throws
    {
        let content = pattern(20_000, seed: 3)
        try Self.withoutPlace("folder/inner", content) { bench in
            var path = "folder"
            let name = String(repeating: "n", count: 100)
            while path.utf8.count < bench.committer.journal.maximumPathBytes {
                path += "/" + name
                try bench.actor.makeDirectory(path)
            }
            bench.scope.arm(FaultScript(.error(.noSpace), at: 1, only: .write))
            #expect(throws: VaultError.self) {
                try bench.actor.rename("folder/inner", to: path + "/inner")
            }
            #expect(bench.scope.hasFired)
            bench.scope.disarm()
            #expect(try bench.actor.read("folder/inner") == content)
        }
    }

    /// Only its name and the journal are known of it.
    @Test func `a file that is emptied without its key gets nothing back from the journal`() throws
    {
        try Bench.with { bench in
            try bench.actor.write("file", pattern(9000, seed: 5), at: 0)
            try bench.actor.sync("file")
            try bench.actor.release("file")
            try bench.actor.truncate("file", to: 0)
            let later = pattern(12_000, seed: 6)
            try bench.actor.write("file", later, at: 0)
            try bench.fillJournal()
            // A checkpoint whose sync failed puts the journal's blocks in their places again.
            bench.scope.arm(FaultScript(.error(.ioError), at: 1, only: .synchronize))
            #expect(throws: VaultError.self) { try bench.committer.checkpoint() }
            bench.scope.disarm()
            try bench.committer.checkpoint()
            #expect(try bench.actor.read("file") == later)
        }
    }

    @Test func `a file that is emptied while its key is asked for gets a new one`() throws {
        try Bench.with { bench in
            try bench.actor.write("file", pattern(9000, seed: 5), at: 0)
            try bench.actor.sync("file")
            try bench.actor.release("file")
            let other = FaultActor(vault: bench.actor.vault)
            let isDone = Mutex(false)
            let service = bench.copy.service
            service.state.withLock { state in
                state.onDecrypt = { [vault = bench.actor.vault] in
                    guard
                        isDone.withLock({ done in
                            defer { done = true }; return !done
                        })
                    else { return }
                    try? FaultActor(vault: vault).truncate("file", to: 0)
                }
            }
            defer { service.state.withLock { $0.onDecrypt = nil } }
            try other.open("file")
            #expect(isDone.withLock { $0 })
            let later = pattern(3000, seed: 6)
            try other.write("file", later, at: 0)
            try other.sync("file")
            #expect(try bench.contentAfterCrash("file") == later)
            try other.release("file")
        }
    }

    // MARK: Attributes and times

    @Test func `an fsync makes attributes durable that an fdatasync left out`() throws {
        try Bench.with { bench in
            try bench.actor.open("file")
            try bench.actor.sync("file")
            try bench.actor.setAttribute("file", "user.two", [1])
            try bench.actor.sync("file", dataOnly: true)
            bench.scope.arm(FaultScript(.error(.ioError), at: .max, only: .synchronize))
            try bench.actor.sync("file")
            #expect(bench.scope.count(of: .synchronize) == 1)
            try bench.actor.sync("file")
            #expect(bench.scope.count(of: .synchronize) == 1)
        }
    }

    // MARK: Depth

    /// Deeper than a thread's stack could follow, a frame for each directory.
    @Test func `paths of any depth are made, and let go`() throws {
        let status = try Disk.status("/tmp")
        let root = Inode(id: .root, backing: BackingID(status), kind: .directory)
        var lowest = root
        for number in 2..<200_000 {
            let next = Inode(
                id: InodeID(rawValue: UInt64(number)), backing: BackingID(status), kind: .directory)
            next.addLink(Inode.Link(parent: lowest, stored: FileName("d")))
            lowest = next
        }
        #expect(lowest.storedPath?.count == 2 * 199_998 - 1)
    }
}

extension OpenFaultBench {
    /// Other files' commits, until the journal has to begin anew.
    fileprivate func fillJournal(with path: String = "other") throws {
        while !committer.journal.isHalfFull {
            try actor.write(path, pattern(4000, seed: 2), at: 0)
            try actor.sync(path)
        }
    }

    /// The frame becomes durable, and what it holds does not get into its place.
    ///
    /// - Parameter number: of the write that fails.
    /// - Returns: whether that write was the one.
    fileprivate func syncWithoutPlace(_ path: String, _ bytes: [UInt8], _ number: Int) throws
        -> Bool
    {
        try actor.write(path, bytes, at: 0)
        scope.arm(FaultScript(.error(.ioError), at: number, only: .write))
        defer { scope.disarm() }
        guard (try? actor.sync(path)) != nil else { return false }
        try #require(scope.hasFired, "no write is the one that puts blocks in their places")
        return committer.books.withLock { $0.unplaced.count } == 1
    }
}
