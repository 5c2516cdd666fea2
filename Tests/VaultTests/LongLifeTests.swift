import Platform
import TestSupport
import Testing

@testable import Vault

/// What a mount does millions of times in its life.
@Suite
struct LongLifeTests {
    /// Once each commit made the next one a little slower, until a thread had no stack left.
    @Test func `the two hundred thousandth commit is like the first`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.make("file", in: vault)
            let file = try vault.fileHandle(handle)
            let committer = try #require(vault.committer)
            for _ in 0..<200_000 {
                committer.noteDirty(file.content, of: file.inode)
                committer.noteCommitted(file.content)
            }
            try vault.put(handle, [1, 2, 3], at: 0)
            try vault.synchronize(handle, dataOnly: true)
            #expect(try vault.contents(handle, at: 0, count: 10) == [1, 2, 3])
            vault.release(handle)
        }
    }

    /// Else the sync of every new file behind another one cost a commit more.
    @Test func `new files that were synced leave no intent to be logged`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let committer = try #require(vault.committer)
            for number in 0..<5 {
                let handle = try bench.make("file \(number)", in: vault)
                try vault.put(handle, pattern(5000), at: 0)
                #expect(committer.books.withLock { $0.unlogged.intents.count } == 1)
                try vault.synchronize(handle, dataOnly: false)
                #expect(committer.books.withLock { $0.unlogged.count } == 0)
                vault.release(handle)
            }
        }
    }
}
