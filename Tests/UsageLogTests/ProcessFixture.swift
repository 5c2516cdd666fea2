import Cryptography
import Foundation
import Glibc
import KMSModel
import Platform
import Testing

@testable import UsageLog

/// The same log for several processes: keys that all know, anchors in a file.
struct ProcessFixture {
    let root: String
    let keys: UsageLogKeys
    let anchors: FileAnchors

    init(root: String) throws {
        self.root = root
        var logKey = [UInt8](repeating: 1, count: 32)
        var seed = [UInt8](repeating: 2, count: 32)
        keys = UsageLogKeys(
            logKey: SecretBytes(consuming: &logKey),
            signingKey: try Ed25519PrivateKey(seed: SecretBytes(consuming: &seed)))
        anchors = FileAnchors(path: root + "/anchors")
    }

    func writer() -> UsageLogWriter {
        UsageLogWriter(
            directory: root + "/log", keys: keys, anchors: anchors, clock: StepClock())
    }

    func verifier() -> UsageLogVerifier {
        UsageLogVerifier(directory: root + "/log", keys: keys, anchors: anchors)
    }
}

/// A file of fixed-size lines, one per call, each appended under a lock.
struct FileAnchors: LogAnchorStore {
    private static let lineBytes = 1 + 16 + 8 + 8 + 32 + 8 + 32

    let path: String

    func register(_ segment: SegmentRecord) throws {
        try withLock { file in
            let known = try records(file)
            guard known.last?.ordinal ?? 0 == segment.ordinal - 1 else {
                throw MemoryAnchors.Failure.ordinalTaken
            }
            try append(segment, kind: 0, to: file)
        }
    }

    func advance(_ segment: SegmentID, to head: SegmentHead, isClosed: Bool) throws {
        try withLock { file in
            guard var record = try records(file).first(where: { $0.id == segment }) else {
                throw MemoryAnchors.Failure.unknownSegment
            }
            if record.isClosed { throw MemoryAnchors.Failure.wentBack }
            record.head = head
            try append(record, kind: isClosed ? 2 : 1, to: file)
        }
    }

    func segments() throws -> [SegmentRecord] { try withLock { try records($0) } }

    private func withLock<Result>(_ body: (Descriptor) throws -> Result) throws -> Result {
        let file = try Descriptor.open(path: path, O_RDWR | O_CREAT, mode: 0o600)
        while true {
            do {
                try file.tryLock(.exclusive)
                break
            } catch Errno.wouldBlock {
                sched_yield()
            }
        }
        return try body(file)
    }

    private func append(_ record: SegmentRecord, kind: UInt8, to file: Descriptor) throws {
        var line = [kind] + record.id.bytes
        line.appendBigEndian(record.ordinal)
        line.appendBigEndian(record.createdAt.millisecondsSinceEpoch)
        line += record.previousDigest
        line.appendBigEndian(record.head.eventCount)
        line += record.head.chainHash
        try file.write(line, at: try file.status().sizeBytes)
    }

    private func records(_ file: Descriptor) throws -> [SegmentRecord] {
        let bytes = try file.readAll(limitBytes: 1 << 24)
        var records: [SegmentRecord] = []
        for start in stride(from: 0, to: bytes.count, by: FileAnchors.lineBytes) {
            let line = bytes[start..<start + FileAnchors.lineBytes]
            let record = try #require(FileAnchors.record(line))
            if let index = records.firstIndex(where: { $0.id == record.id }) {
                records[index] = record
            } else {
                records.append(record)
            }
        }
        return records
    }

    private static func record(_ line: ArraySlice<UInt8>) -> SegmentRecord? {
        var reader = ByteReader(line)
        guard let kind = reader.number(UInt8.self),
            let id = reader.take(16).flatMap(SegmentID.init),
            let ordinal = reader.number(UInt64.self), let createdAt = reader.number(Int64.self),
            let previousDigest = reader.take(32), let count = reader.number(UInt64.self),
            let chainHash = reader.take(32)
        else { return nil }
        return SegmentRecord(
            id: id, ordinal: ordinal, createdAt: Timestamp(millisecondsSinceEpoch: createdAt),
            previousDigest: previousDigest,
            head: SegmentHead(eventCount: count, chainHash: chainHash), isClosed: kind == 2)
    }
}
