import Cryptography
import Platform
import TestSupport
import Testing

@testable import KMSStore

@Suite struct BackupHeaderTests {
    private static let keys = KeystoreKeys(
        rootKey: .random(count: 32), keystoreID: Random.bytes(16))

    private static func header(entryCount: Int) -> BackupHeader {
        BackupHeader(
            entries: (0..<entryCount).map {
                BackupHeader.Entry(
                    name: "log/\($0)", sizeBytes: UInt64($0), digest: Random.bytes(32))
            })
    }

    /// How much this thread has read until now (proc_pid_io(5)).
    private static func bytesRead() throws -> Int {
        let lines = try Disk.readText("/proc/thread-self/io").split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix("rchar: ") })
        return try #require(Int(line.dropFirst("rchar: ".count)))
    }

    @Test(arguments: [1, 500, 1400, 5000])
    func `a header of any length is read, and little of what comes after it`(
        _ entryCount: Int
    ) throws {
        try withTemporaryDirectory { path in
            let header = Self.header(entryCount: entryCount)
            let bytes = header.encoded(Self.keys)
            let file = try Disk.make(path + "/backup")
            try file.write(bytes, at: 0)
            try file.truncate(to: 300 << 20)
            let before = try Self.bytesRead()
            let found = try BackupHeader.read(file, path: path)
            #expect(try Self.bytesRead() - before < 2 * bytes.count + (128 << 10))
            #expect(found.sizeBytes == bytes.count)
            #expect(found.seal == header.seal(Self.keys))
            #expect(found.header.entries.map(\.name) == header.entries.map(\.name))
            #expect(found.header.entries.map(\.digest) == header.entries.map(\.digest))
        }
    }

    @Test(arguments: [1, 500, 1400, 5000])
    func `a header that is cut off is damaged`(_ entryCount: Int) throws {
        try withTemporaryDirectory { path in
            let bytes = Self.header(entryCount: entryCount).encoded(Self.keys)
            let file = try Disk.make(path + "/backup")
            try file.write(bytes, at: 0)
            for size in [bytes.count - 1, bytes.count - 64, bytes.count / 2, 64 << 10, 20]
            where size < bytes.count {
                try file.truncate(to: UInt64(size))
                #expect(
                    throws: KeystoreError.damagedBackup(
                        path: path, reason: "its header is damaged")
                ) { try BackupHeader.read(file, path: path) }
                try file.write(bytes, at: 0)
            }
        }
    }
}
