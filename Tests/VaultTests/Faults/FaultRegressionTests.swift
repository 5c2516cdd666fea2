import Platform
import SealedFormat
import TestSupport
import Testing

@testable import Vault

/// What the trials with faults have found, one by one, and what takes more than one fault.
@Suite
struct FaultRegressionTests {
    private static func with(
        _ body: (FaultBench, VaultWorkbench, FaultScope, FaultActor) throws -> Void
    ) throws {
        try FaultBench.with { bench in
            let copy = try bench.copy()
            let scope = FaultScope(below: copy.directory)
            defer { scope.end() }
            let actor = FaultActor(vault: try FaultBench.open(copy))
            defer { actor.vault.close() }
            try body(bench, copy, scope, actor)
        }
    }

    private static func contentAfterCrash(
        _ path: String, _ bench: FaultBench, _ copy: VaultWorkbench
    ) throws -> [UInt8]? {
        let crashed = try bench.copy(of: copy)
        defer { bench.discard(crashed) }
        let vault = try FaultBench.open(crashed)
        defer { vault.close() }
        return try FaultSnapshot.take(vault).nodes[path]?.content
    }

    /// The calls of one kind, one after the other, until there are no more of them.
    private static func forEach(
        _ call: StoreCall, _ body: (_ script: FaultScript, _ hasFired: inout Bool) throws -> Void
    ) rethrows {
        for number in 1..<50 {
            var hasFired = false
            try body(FaultScript(.error(.ioError), at: number, only: call), &hasFired)
            if !hasFired { return }
        }
    }

    @Test func `a file that is emptied behind a checkpoint does not get old blocks back`() throws {
        try Self.with { bench, copy, _, actor in
            try actor.write("file", pattern(9000, seed: 1), at: 0)
            try actor.sync("file")
            let committer = try #require(actor.vault.committer)
            while !committer.journal.isHalfFull {
                try actor.write("other", pattern(4000, seed: 2), at: 0)
                try actor.sync("other")
            }
            try committer.checkpoint()
            #expect(!committer.journal.isHalfFull)
            try actor.truncate("file", to: 0)
            try actor.write("file", pattern(12_000, seed: 3), at: 0)
            try actor.sync("file")
            #expect(try Self.contentAfterCrash("file", bench, copy) == pattern(12_000, seed: 3))
        }
    }

    /// The frame of the failed truncation is in the journal although it could not be flushed.
    @Test func `a truncation that failed is not done by a later recovery`() throws {
        try Self.forEach(.synchronize) { script, hasFired in
            try Self.with { bench, copy, scope, actor in
                try actor.create("new")
                let content = pattern(1_400_000, seed: 4)
                try actor.write("new", Array(content[..<8192]), at: 0)
                try actor.sync("new")
                try actor.write("new", Array(content[8192..<1_300_000]), at: 8192)
                scope.arm(script)
                var hasFailed = false
                do { try actor.truncate("new", to: 5000) } catch { hasFailed = true }
                hasFired = scope.hasFired
                scope.disarm()
                guard hasFailed else { return }
                try actor.write("new", Array(content[1_300_000...]), at: 1_300_000)
                try actor.sync("new")
                let found = try Self.contentAfterCrash("new", bench, copy)
                #expect(found?.count == content.count)
                #expect(found == content)
            }
        }
    }

    /// Of what is in the store alone nothing may be missing when an fsync answers.
    @Test func `an fsync behind one that failed writes once more what may have been dropped`()
        throws
    {
        try Self.with { _, _, scope, actor in
            try actor.create("new")
            try actor.write("new", pattern(40_000, seed: 5), at: 0)
            let other = try actor.handle("new")
            let second = try actor.open("new")
            scope.arm(FaultScript(.error(.ioError), at: 1, stays: true, only: .synchronize))
            #expect(throws: VaultError.self) { try actor.sync("new") }
            scope.arm(.counting(.kill))
            #expect(throws: VaultError.self, "another descriptor hears of it, too") {
                try actor.vault.synchronize(other, dataOnly: false)
            }
            #expect(scope.count(of: .write) >= 10, "each block is written again")
            scope.arm(.counting(.kill))
            try actor.vault.synchronize(second, dataOnly: false)
            try actor.vault.synchronize(other, dataOnly: false)
            #expect(scope.count(of: .write) == 0, "and told and written only once")
        }
    }

    @Test(arguments: [Errno.ioError, .noSpace])
    func `a checkpoint whose sync failed is made again, and the journal never wedges`(
        _ errno: Errno
    ) throws {
        try Self.with { bench, copy, scope, actor in
            for step in 0..<6 {
                try actor.write("file", pattern(9000, seed: UInt64(step)), at: 0)
                try actor.sync("file")
            }
            for number in 1..<20 {
                while actor.vault.committer?.journal.isHalfFull == false {
                    try actor.write("other", pattern(4000, seed: 2), at: 0)
                    try actor.sync("other")
                }
                scope.arm(FaultScript(.error(errno), at: number))
                try? actor.vault.committer?.checkpoint()
                scope.disarm()
                // Far more than the journal holds.
                for step in 0..<20 {
                    try actor.write("file", pattern(9000, seed: UInt64(100 + step)), at: 5000)
                    try actor.sync("file")
                }
                let wanted = Array(pattern(9000, seed: 119))
                let found = try Self.contentAfterCrash("file", bench, copy)
                #expect(found.map { Array($0[5000..<14_000]) } == wanted)
            }
        }
    }

    // MARK: Mounting

    /// A crashed vault whose journal has the newest content.
    private static func crashed(_ bench: FaultBench) throws -> VaultWorkbench {
        let copy = try bench.copy()
        let actor = FaultActor(vault: try FaultBench.open(copy))
        defer { actor.vault.close() }
        try actor.write("file", pattern(9000, seed: 6), at: 0)
        try actor.sync("file")
        try actor.create("growing")
        try actor.write("growing", pattern(20_000, seed: 7), at: 0)
        try actor.vault.committer?.logIntents()
        return try bench.copy(of: copy)
    }

    /// Whatever goes wrong while a crashed vault is mounted: the mount is refused, or it works and
    /// what it writes stays.
    @Test(arguments: [Errno.ioError, .noSpace, .staleFileHandle, .tooManyOpenFiles])
    func `a mount that meets a fault in its recovery loses nothing`(_ errno: Errno) throws {
        try FaultBench.with { bench in
            let wanted = pattern(9000, seed: 6) + FaultBench.fileContent[9000...]
            let origin = try Self.crashed(bench)
            for number in 1..<200 {
                let copy = try bench.copy(of: origin)
                defer { bench.discard(copy) }
                let scope = FaultScope(below: copy.directory)
                defer { scope.end() }
                scope.arm(FaultScript(.error(errno), at: number))
                var content = wanted
                let vault = try? FaultBench.open(copy)
                let hasFired = scope.hasFired
                scope.disarm()
                if let vault {
                    let actor = FaultActor(vault: vault)
                    content.replaceSubrange(0..<5000, with: pattern(5000, seed: 8))
                    try actor.write("file", pattern(5000, seed: 8), at: 0)
                    try actor.sync("file")
                    let found = try Self.contentAfterCrash("file", bench, copy)
                    #expect(found == content, "fault at \(number), crashed")
                    vault.close()
                }
                let again = try FaultBench.open(copy)
                let found = try FaultSnapshot.take(again)
                #expect(found.nodes["file"]?.content == content, "fault at \(number)")
                #expect(found.nodes["growing"]?.content == pattern(20_000, seed: 7))
                again.close()
                if !hasFired { return }
            }
            Issue.record("a mount of more than 200 calls")
        }
    }

    @Test func `a recovery without room for a new journal leaves none that is out of date`() throws
    {
        try FaultBench.with { bench in
            let copy = try Self.crashed(bench)
            let scope = FaultScope(below: copy.directory)
            defer { scope.end() }
            scope.arm(FaultScript(.error(.noSpace), at: 1, stays: true, only: .allocate))
            let actor = FaultActor(vault: try FaultBench.open(copy))
            scope.disarm()
            #expect(actor.vault.committer == nil)
            try actor.write("file", pattern(9000, seed: 9), at: 0)
            try actor.sync("file")
            let found = try Self.contentAfterCrash("file", bench, copy)
            #expect(found?.starts(with: pattern(9000, seed: 9)) == true)
            actor.vault.close()
        }
    }
}
