import Platform
import TestSupport
import Testing

@testable import Vault

/// What single calls answer where the kernel relies on it.
@Suite
struct VaultCallTests {
    @Test func `room for less than there is by now does not shorten a file`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.make("file", in: vault)
            defer { vault.release(handle) }
            let content = try vault.fileHandle(handle).content
            try content.extend(to: 10_000)
            try vault.put(handle, pattern(100_000), at: 0)
            // As when that write came between allocate's look at the size and its change of it.
            try content.extend(to: 50_000)
            #expect(try vault.contents(handle, at: 0, count: 200_000) == pattern(100_000))
            try content.extend(to: 100_003)
            let longer = pattern(100_000) + [0, 0, 0]
            #expect(try vault.contents(handle, at: 0, count: 200_000) == longer)
        }
    }

    @Test func `who remembers attributes is told of set-id bits that a change clears`() throws {
        try VaultWorkbench.with { bench in
            let told = IncidentList()
            let vault = try bench.open()
            defer { vault.close() }
            vault.observeAttributes { told.add("\($0.rawValue)") }
            let handle = try bench.make("file", in: vault)
            defer { vault.release(handle) }
            let inode = try vault.lookup(FileName("file"), in: .root).inode
            var change = AttributeChange()
            change.mode = 0o4755
            for round in 1...2 {
                let attributes = try vault.setAttributes(
                    of: inode, handle: nil, to: change, as: VaultWorkbench.requester)
                #expect(attributes.mode & 0o7777 == 0o4755)
                if round == 1 {
                    let content: [UInt8] = [1]
                    // SAFETY: a byte has no padding.
                    _ = try vault.write(
                        handle, at: 0, unsafe content.span.bytes, clearsSetID: true)
                } else {
                    try vault.allocate(handle, mode: 0, at: 0, count: 100, clearsSetID: true)
                }
                #expect(told.lines == [String](repeating: "\(inode.rawValue)", count: round))
                let now = try vault.attributes(of: inode, handle: nil)
                #expect(now.mode & 0o7777 == 0o755)
            }
            // Nothing to clear, nothing to tell.
            try vault.allocate(handle, mode: 0, at: 0, count: 200, clearsSetID: true)
            #expect(told.lines.count == 2)
        }
    }

    @Test func `a look at the store before a commit does not count behind it`() throws {
        try VaultWorkbench.with { bench in
            let first = try bench.open()
            let made = try bench.make("file", in: first)
            try first.put(made, pattern(5000), at: 0)
            first.release(made)
            first.close()
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            let entry = try vault.lookup(FileName("file"), in: .root)
            let inode = try vault.inode(entry.inode)
            let early = try vault.status(of: inode)
            try vault.put(handle, pattern(5000, seed: 2), at: 5000)
            vault.release(handle)
            vault.committer?.commitAll()
            let isLetGo = Deadline.wait(seconds: 10) { inode.openContent == nil }
            #expect(isLetGo)
            func size(wasWaiting: Bool) -> UInt64 {
                vault.attributes(early, of: inode, wasWaiting: wasWaiting) {
                    try? vault.status(of: inode)
                }.sizeBytes
            }
            #expect(size(wasWaiting: false) == 5000)
            #expect(size(wasWaiting: true) == 10_000)
        }
    }

    @Test func `who makes a file that is there by now is told to look again`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.make("file", in: vault)
            vault.release(handle)
            let error = #expect(throws: VaultError.self) { try bench.make("file", in: vault) }
            #expect(error.map { Errno($0) } == .staleFileHandle)
            let exclusive = #expect(throws: VaultError.self) {
                try vault.create(
                    FileName("file"), in: .root, mode: 0o644,
                    flags: OpenFlags(rawValue: OpenFlag.createNew), as: VaultWorkbench.requester)
            }
            #expect(exclusive.map { Errno($0) } == .fileExists)
        }
    }
}
