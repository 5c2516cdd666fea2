import KMSModel
import Platform
import TestSupport
import Testing

@testable import SealedFormat
@testable import Vault

/// Blocks are counted per data key, in the file's header.
@Suite
struct SealedBlockCountTests {
    /// The one file that a vault holds in its root.
    private struct OnlyFile {
        let bench: VaultWorkbench
        let path: String
        let config: VaultConfig

        init(_ bench: VaultWorkbench) throws {
            self.bench = bench
            let stored = try Disk.names(in: bench.directory).map(\.string)
                .filter { !$0.hasPrefix(".") && $0 != "keyfold.json" }
            path = bench.directory + "/" + (try #require(stored.first))
            config = try VaultInspection.config(at: bench.directory)
        }

        var header: FileHeader {
            get throws {
                try #require(try VaultInspection.header(ofFileAt: path).header)
            }
        }

        func keys() throws -> FileKeys {
            let header = try header
            let context = EncryptionContext(
                vault: config.vaultID, domain: config.rootDomainID, file: header.fileID)
            let dataKey = try unwrap(
                header.wrappedKeys, context: context, service: bench.service,
                as: VaultWorkbench.owner)
            return FileKeys(dataKey: dataKey, fileID: header.fileID)
        }

        func setCount(_ sealedBlocks: UInt64?) throws {
            let header = try header
            let changed = FileHeader(
                fileID: header.fileID, isSparse: header.isSparse, sealedBlocks: sealedBlocks,
                wrappedKeys: header.wrappedKeys, keys: try keys())
            var bytes = try Disk.read(path)
            bytes.replaceSubrange(0..<512, with: try changed.encoded(layout: config.layout))
            try Disk.write(path, bytes)
        }
    }

    private static func make(_ content: [UInt8], in bench: VaultWorkbench) throws -> OnlyFile {
        let vault = try bench.open()
        let handle = try bench.make("file", in: vault)
        try vault.put(handle, content, at: 0)
        vault.release(handle)
        vault.close()
        return try OnlyFile(bench)
    }

    @Test func `every overwrite, append, truncation and reopening raises the header's count`()
        throws
    {
        try VaultWorkbench.with { bench in
            let file = try Self.make(pattern(10_000), in: bench)
            #expect(try file.header.sealedBlocks == 64)
            var last: UInt64 = 64
            for round in 0..<5 {
                let vault = try bench.open()
                let handle = try bench.open("file", in: vault)
                try vault.put(handle, [UInt8(round)], at: 5000)
                vault.release(handle)
                vault.close()
                let now = try #require(try file.header.sealedBlocks)
                #expect(now == last + 16)
                last = now
            }
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            let inode = try vault.lookup(FileName("file"), in: .root).inode
            for round in 0..<1000 {
                if round % 10 != 0 {
                    try vault.put(handle, [1], at: UInt64(round))
                } else {
                    try vault.resize(handle, inode, to: UInt64(9_990 - round % 50))
                }
            }
            #expect(try #require(try file.header.sealedBlocks) >= last + 1000)
            vault.release(handle)
        }
    }

    @Test func `a file whose header does not count yet begins at a quarter of what a key bears`()
        throws
    {
        try VaultWorkbench.with { bench in
            let content = pattern(10_000)
            let file = try Self.make(content, in: bench)
            try file.setCount(nil)
            let vault = try bench.open()
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            #expect(try vault.contents(handle, at: 0, count: 10_000) == content)
            #expect(try file.header.sealedBlocks == nil, "reading changes nothing")
            try vault.put(handle, [7], at: 0)
            #expect(try #require(try file.header.sealedBlocks) > SealCount.uncountedBlocks)
            vault.release(handle)
        }
    }

    @Test func `a data key that has sealed all it may seals no more, and its file stays whole`()
        throws
    {
        try VaultWorkbench.with { bench in
            let content = pattern(10_000)
            let file = try Self.make(content, in: bench)
            try file.setCount(SealCount.maximumBlocks - 16)
            let told = IncidentList()
            var options = VaultOptions()
            options.onIncident = { told.add($0) }
            let vault = try bench.open(options)
            defer { vault.close() }
            let handle = try bench.open("file", in: vault)
            #expect(told.lines.count == 1, "half of it is told at the open")
            for _ in 0..<16 { try vault.put(handle, [content[0]], at: 0) }
            let inode = try vault.lookup(FileName("file"), in: .root).inode
            for attempt in [
                { try vault.put(handle, [9], at: 0) }, { try vault.put(handle, [9], at: 20_000) },
                { try vault.resize(handle, inode, to: 5000) },
            ] {
                let error = #expect(throws: VaultError.self) { try attempt() }
                #expect(error.map { Errno($0) } == .fileTooLarge)
            }
            #expect(told.lines.last?.contains("/file") == true)
            #expect(try vault.contents(handle, at: 0, count: 20_000) == content)
            vault.release(handle)

            // The way out: emptied by an open, the file has a new key.
            let entry = try vault.lookup(FileName("file"), in: .root)
            let emptied = try vault.open(
                entry.inode, flags: OpenFlags(rawValue: OpenFlag.readWrite | OpenFlag.truncate),
                as: VaultWorkbench.requester)
            try vault.put(emptied, content, at: 0)
            #expect(try file.header.sealedBlocks == 64)
            vault.release(emptied)
        }
    }
}
