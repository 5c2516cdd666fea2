import Platform
import TestSupport
import Testing

@testable import Vault

/// SEEK_DATA and SEEK_HOLE of lseek(2) while the store does not have everything yet.
@Suite
struct SeekTests {
    /// Runs `body` with a file of one block that was closed, so that all changes of it go through
    /// the overlay, and is open again.
    private static func withOldFile(
        _ body: (VaultFileSystem, HandleID) throws -> Void
    ) throws {
        try VaultWorkbench.with { bench in
            let first = try bench.open()
            let made = try bench.make("file", in: first)
            try first.put(made, pattern(4096), at: 0)
            first.release(made)
            first.close()
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            defer { vault.release(handle) }
            try body(vault, handle)
        }
    }

    /// nil when no data follow.
    private static func data(
        from offset: UInt64, _ handle: HandleID, in vault: VaultFileSystem
    ) throws -> UInt64? {
        do {
            return try vault.seek(handle, to: offset, whence: SeekWhence.data)
        } catch VaultError.system(.noDeviceOrAddress) {
            return nil
        }
    }

    @Test func `data behind a gap are found while they wait in memory`() throws {
        try Self.withOldFile { vault, handle in
            let far: UInt64 = 10 << 20
            try vault.put(handle, pattern(5000, seed: 2), at: far)
            for _ in 0..<2 {
                #expect(try Self.data(from: 0, handle, in: vault) == 0)
                #expect(try Self.data(from: 4096, handle, in: vault) == far)
                #expect(try Self.data(from: far + 4999, handle, in: vault) == far + 4999)
                #expect(try Self.data(from: far + 5000, handle, in: vault) == nil)
                #expect(try vault.seek(handle, to: 0, whence: SeekWhence.hole) == 4096)
                #expect(try vault.seek(handle, to: far, whence: SeekWhence.hole) == far + 5000)
                // What lies behind the gap stays in memory all the same.
                vault.committer?.commitAll()
            }
            try vault.synchronize(handle, dataOnly: true)
            try Self.checkHoles(handle, in: vault, limit: 11 << 20)
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `what is told to be a hole reads as zeros`(_ seed: UInt64) throws {
        try Self.withOldFile { vault, handle in
            var source = RandomSource(seed: seed)
            for _ in 0..<60 {
                let offset = source.number(0..<800_000)
                let bytes = source.bytes(source.number(1..<9000))
                try vault.put(handle, bytes, at: UInt64(offset))
                switch source.number(0..<6) {
                case 0: try vault.synchronize(handle, dataOnly: true)
                case 1: vault.committer?.commitAll()
                default: break
                }
                try Self.checkHoles(handle, in: vault)
            }
        }
    }

    private static func checkHoles(
        _ handle: HandleID, in vault: VaultFileSystem, limit: Int = 1 << 20
    ) throws {
        let content = try vault.contents(handle, at: 0, count: limit)
        let end = UInt64(content.count)
        var position: UInt64 = 0
        while position < end {
            let data = try Self.data(from: position, handle, in: vault) ?? end
            #expect(content[Int(position)..<Int(data)].allSatisfy { $0 == 0 })
            guard data < end else { return }
            position = try vault.seek(handle, to: data, whence: SeekWhence.hole)
            try #require(position > data)
        }
    }
}
