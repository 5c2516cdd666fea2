import Cryptography
import Foundation
import KMSModel
import Platform
import Synchronization
import Testing

@testable import UsageLog

/// A log directory, keys, anchors and a clock for one test.
final class Fixture: Sendable {
    static let scope: AccountScope = {
        guard let scope = AccountScope(account: "123456789012", region: "us-east-1") else {
            preconditionFailure("BUG: the account is one")
        }
        return scope
    }()

    let root: String
    let keys = UsageLogKeys(
        logKey: SecretBytes.random(count: 32), signingKey: Ed25519PrivateKey())
    let anchors = MemoryAnchors()
    let clock = StepClock()

    init() throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("keyfold-log-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: path, withIntermediateDirectories: true)
        root = path.path
    }

    deinit {
        try? FileManager.default.removeItem(atPath: root)
    }

    var directory: String { root + "/log" }

    func writer(
        segmentLimitBytes: UInt64 = UsageLogWriter.segmentLimitBytes,
        syncIntervalMilliseconds: Int = 1
    ) -> UsageLogWriter {
        UsageLogWriter(
            directory: directory, keys: keys, anchors: anchors, clock: clock,
            segmentLimitBytes: segmentLimitBytes,
            syncIntervalMilliseconds: syncIntervalMilliseconds)
    }

    /// What a version of Keyfold that knew no checkpoints wrote.
    func oldWriter() -> UsageLogWriter {
        UsageLogWriter(
            directory: directory, keys: keys, anchors: anchors, clock: clock, formatVersion: 1,
            segmentLimitBytes: UsageLogWriter.segmentLimitBytes,
            syncIntervalMilliseconds: 3_600_000)
    }

    /// One that syncs only when it is told to.
    func lazyWriter() -> UsageLogWriter {
        writer(syncIntervalMilliseconds: 3_600_000)
    }

    var reader: UsageLogReader {
        UsageLogReader(directory: directory, keys: keys, anchors: anchors)
    }

    var ledger: LogLedger { LogLedger(store: anchors, clock: clock) }

    var verifier: UsageLogVerifier {
        UsageLogVerifier(directory: directory, keys: keys, anchors: anchors)
    }

    func verify() throws -> VerificationReport { try verifier.verify() }

    func events(_ filter: UsageLogFilter = UsageLogFilter()) throws -> [LoggedEvent] {
        var events: [LoggedEvent] = []
        try reader.forEach(filter) { events.append($0) }
        return events
    }

    func event(_ name: String = "Decrypt") -> UsageEvent {
        Fixture.event(name, at: clock.now())
    }

    static func event(_ name: String, at time: Timestamp) -> UsageEvent {
        UsageEvent(
            eventID: "1f0c0b9e-0000-4000-8000-000000000000", eventTime: time, eventName: name,
            scope: scope,
            caller: Caller(
                principalARN: scope.rootPrincipalARN, process: nil, userAgent: "test/1"))
    }

    /// Writes a closed segment with so many events.
    func writeClosedSegment(events count: Int) throws -> SegmentRecord {
        let writer = writer()
        for index in 0..<count { try writer.append(event("Event\(index + 1)")) }
        writer.close()
        return try #require(anchors.segments().last)
    }

    func path(of segment: SegmentRecord) -> String { directory + "/" + segment.id.fileName }

    func bytes(of segment: SegmentRecord) throws -> [UInt8] {
        try [UInt8](Data(contentsOf: URL(fileURLWithPath: path(of: segment))))
    }

    func replace(_ segment: SegmentRecord, with bytes: [UInt8]) throws {
        // In place: the file keeps its inode.
        let file = try Descriptor.open(path: path(of: segment), O_RDWR)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
    }
}

/// Every look is a millisecond later.
final class StepClock: WallClock {
    fileprivate let time = Mutex<Int64>(1_795_000_000_000)

    func now() -> Timestamp {
        time.withLock { time in
            time += 1
            return Timestamp(millisecondsSinceEpoch: time)
        }
    }
}

extension StepClock {
    func advance(milliseconds: Int64) { time.withLock { $0 += milliseconds } }
}

/// Where the records of a segment file begin and end.
func recordRanges(_ bytes: [UInt8]) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = SegmentFormat.headerBytes(version: bytes.bigEndian(UInt32.self, at: 8))
    while start + 4 <= bytes.count {
        let end = start + 4 + Int(bytes.bigEndian(UInt32.self, at: start))
        guard end <= bytes.count else { break }
        ranges.append(start..<end)
        start = end
    }
    return ranges
}
