import Platform
import SealedFormat
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
