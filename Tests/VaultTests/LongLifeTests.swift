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
}
