import Platform
import Synchronization
import TestSupport
import Testing

@testable import Vault

/// A FIFO where a file belongs: whoever opens it without care waits for ever.
@Suite
struct ForeignKindTests {
    /// Runs `body` on a thread that is left alone when it does not come back.
    private static func comesBack(_ body: @escaping @Sendable () -> Void) throws -> Bool {
        final class Done: Sendable { let value = Mutex(false) }
        let isDone = Done()
        let thread = DelayedThread(intervalMilliseconds: 1) {
            body()
            isDone.value.withLock { $0 = true }
            return false
        }
        try thread.start()
        thread.wake()
        guard Deadline.wait(seconds: 20, until: { isDone.value.withLock { $0 } }) else {
            return false
        }
        thread.stop()
        return true
    }

    @Test(arguments: ["keyfold.json", ".keyfold.dir", ".keyfold.lock", ".keyfold.journal/left"])
    func `a FIFO in place of one of Keyfold's own files holds nobody up`(_ name: String) throws {
        try VaultWorkbench.with { bench in
            try bench.open().close()
            let path = bench.directory + "/" + name
            if Disk.exists(path) { try Disk.unlink(path) }
            try Disk.makeNode(path, mode: 0o010600)
            let comesBack = try Self.comesBack {
                if let vault = try? bench.open() { vault.close() }
                _ = try? CheckBench(bench: bench).check(readsData: true)
                _ = try? VaultInspection.config(at: bench.directory)
            }
            #expect(comesBack)
        }
    }
}
