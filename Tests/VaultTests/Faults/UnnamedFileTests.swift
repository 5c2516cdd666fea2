import Platform
import TestSupport
import Testing

@testable import Vault

/// Files that the journal had by a name that is gone: what comes later goes past it.
@Suite
struct UnnamedFileTests {
    private static let older = pattern(300, seed: 31)
    private static let newer = pattern(300, seed: 32)

    /// A file of two names, of which the mount knows one; the journal has ``older`` of it, and that
    /// name is gone.
    private static func withUnnamed(_ body: (OpenFaultBench) throws -> Void) throws {
        try OpenFaultBench.with { bench in
            try bench.actor.write("two names", older, at: 0)
            try bench.actor.sync("two names", dataOnly: true)
            try bench.actor.unlink("two names")
            try body(bench)
        }
    }

    @Test func `what is synced without a name is not made older by a recovery`() throws {
        try Self.withUnnamed { bench in
            try bench.actor.write("two names", Self.newer, at: 0)
            try bench.actor.sync("two names", dataOnly: true)
            // Now the journal has it by its other name, too.
            try bench.actor.lookup("second name")
            try bench.actor.write("two names", Self.newer, at: 300)
            try bench.actor.sync("two names", dataOnly: true)
            #expect(try bench.contentAfterCrash("second name") == Self.newer + Self.newer)
        }
    }

    @Test func `a truncation without a name is not undone by a recovery`() throws {
        try Self.withUnnamed { bench in
            try bench.actor.truncate("two names", to: 100)
            try bench.actor.sync("two names", dataOnly: true)
            try bench.actor.lookup("second name")
            var change = AttributeChange()
            change.modificationTime = .at(FaultBench.setTime)
            try bench.actor.set("second name", change)
            try bench.actor.sync("two names")
            #expect(
                try bench.contentAfterCrash("second name") == Array(Self.older.prefix(100)))
        }
    }

    @Test(arguments: ["write", "truncation"])
    func `what was put in its place without a name is synced by the next fdatasync`(
        _ way: String
    ) throws {
        try Self.withUnnamed { bench in
            if way == "write" {
                try bench.actor.write("two names", Self.newer, at: 0)
            } else {
                try bench.actor.truncate("two names", to: 100)
            }
            bench.committer.commitAll()
            bench.scope.arm(.counting(.kill))
            try bench.actor.sync("two names", dataOnly: true)
            #expect(bench.scope.count(of: .synchronize) > 0)
        }
    }

    @Test func `a sync without a name that failed does not count as done`() throws {
        try Self.withUnnamed { bench in
            try bench.actor.write("two names", Self.newer, at: 0)
            bench.scope.arm(FaultScript(.error(.ioError), at: 2, only: .synchronize))
            #expect(throws: VaultError.self) { try bench.actor.sync("two names", dataOnly: true) }
            #expect(bench.scope.hasFired)
            bench.scope.arm(.counting(.kill))
            try bench.actor.sync("two names", dataOnly: true)
            #expect(bench.scope.count(of: .synchronize) > 0)
        }
    }

    /// A file with more names than are remembered.
    @Test func `a directory is renamed behind the sync of what the journal has below it`() throws {
        try OpenFaultBench.with { bench in
            let content = pattern(4500, seed: 33)
            let others = (0...Inode.maximumLinks).map { "name\($0)" }
            for name in others { try bench.actor.link("folder/inner", as: name) }
            try bench.committer.checkpoint(whenFull: bench.committer.journal.epoch)
            try bench.actor.lookup("folder/inner")
            try bench.actor.write("folder/inner", content, at: 0)
            try bench.actor.sync("folder/inner")
            for name in others { try bench.actor.lookup(name) }
            bench.scope.arm(FaultScript(.error(.ioError), at: 1, only: .synchronize))
            #expect(throws: VaultError.self) { try bench.actor.rename("folder", to: "moved") }
            bench.scope.disarm()
            try bench.actor.rename("folder", to: "moved")
            #expect(try bench.contentAfterCrash("moved/inner") == content)
        }
    }
}
