import Glibc
import KMSModel
import Platform
import Synchronization

@testable import UsageLog

/// What a keystore keeps of a log, as values: as strict as the keystore is.
struct AnchorRows: Sendable {
    enum Failure: Error { case taken, unknownSegment, wrongNumber, toldToFail }

    var state: [UInt8] = []
    var segments: [SegmentRecord] = []
    var checkpoints: [[UInt8]] = []
    var tallies: [[UInt8]: [UInt8]] = [:]
}

/// One transaction over rows.
final class AnchorTransaction: LogTransaction {
    var rows: AnchorRows

    init(_ rows: AnchorRows) { self.rows = rows }

    func state() throws -> [UInt8] { rows.state }
    func setState(_ state: [UInt8]) throws { rows.state = state }
    func segment(_ id: SegmentID) throws -> SegmentRecord? {
        rows.segments.first { $0.id == id }
    }
    func segments() throws -> [SegmentRecord] { rows.segments }

    func insert(_ segment: SegmentRecord) throws {
        let isTaken = rows.segments.contains {
            $0.ordinal == segment.ordinal || $0.id == segment.id
        }
        if isTaken { throw AnchorRows.Failure.taken }
        rows.segments.append(segment)
    }

    func replace(_ segment: SegmentRecord) throws {
        guard let index = rows.segments.firstIndex(where: { $0.id == segment.id }) else {
            throw AnchorRows.Failure.unknownSegment
        }
        rows.segments[index] = segment
    }

    func checkpoints() throws -> [[UInt8]] { rows.checkpoints }

    func checkpoint(_ number: UInt64) throws -> [UInt8]? {
        number > 0 && number <= rows.checkpoints.count ? rows.checkpoints[Int(number) - 1] : nil
    }

    func appendCheckpoint(_ number: UInt64, _ bytes: [UInt8]) throws {
        guard number == UInt64(rows.checkpoints.count) + 1 else {
            throw AnchorRows.Failure.wrongNumber
        }
        rows.checkpoints.append(bytes)
    }

    func tally(_ id: [UInt8]) throws -> [UInt8]? { rows.tallies[id] }
    func tallies() throws -> [[UInt8]] { Array(rows.tallies.values) }
    func setTally(_ id: [UInt8], _ bytes: [UInt8]) throws { rows.tallies[id] = bytes }
}

/// Anchors in memory.
final class MemoryAnchors: LogAnchorStore {
    private struct State {
        var rows = AnchorRows()
        var readCount = 0
        var fails = false
        var changesToFailure: Int?
        var hasFailed = false
    }

    private let state = Mutex(State())

    func read<Value: Sendable>(_ body: (any LogView) throws -> Value) throws -> Value {
        let rows = state.withLock { state in
            state.readCount += 1
            return state.rows
        }
        return try body(AnchorTransaction(rows))
    }

    func change<Value: Sendable>(_ body: (any LogTransaction) throws -> Value) throws -> Value {
        try state.withLock { state in
            if let left = state.changesToFailure {
                state.changesToFailure = left > 1 ? left - 1 : nil
                if left == 1 {
                    state.hasFailed = true
                    throw AnchorRows.Failure.toldToFail
                }
            }
            if state.fails { throw AnchorRows.Failure.toldToFail }
            let transaction = AnchorTransaction(state.rows)
            let value = try body(transaction)
            state.rows = transaction.rows
            return value
        }
    }

    func segments() throws -> [SegmentRecord] { rows.segments }

    /// How often the log has read here.
    var readCount: Int { state.withLock { $0.readCount } }

    func setFails(_ fails: Bool) { state.withLock { $0.fails = fails } }

    /// One change fails: the `number`th from now, from 1.
    func failAtChange(_ number: Int) { state.withLock { $0.changesToFailure = number } }

    var hasFailed: Bool { state.withLock { $0.hasFailed } }

    /// What somebody reads or puts there who has the keystore's database and its keys.
    var rows: AnchorRows {
        get { state.withLock { $0.rows } }
        set { state.withLock { $0.rows = newValue } }
    }

    func setRecords(_ records: [SegmentRecord]) { rows.segments = records }
}

/// Anchors in a file, for several processes: the rows as they are, rewritten under a lock.
struct FileAnchors: LogAnchorStore {
    let path: String

    func read<Value: Sendable>(_ body: (any LogView) throws -> Value) throws -> Value {
        try withLock { try body(AnchorTransaction(try load($0))) }
    }

    func change<Value: Sendable>(_ body: (any LogTransaction) throws -> Value) throws -> Value {
        try withLock { file in
            let transaction = AnchorTransaction(try load(file))
            let value = try body(transaction)
            try save(transaction.rows, file)
            return value
        }
    }

    func segments() throws -> [SegmentRecord] { try read { try $0.segments() } }

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

    private func load(_ file: Descriptor) throws -> AnchorRows {
        var reader = ByteReader(try file.readAll(limitBytes: 1 << 26)[...])
        var rows = AnchorRows()
        guard !reader.isAtEnd else { return rows }
        rows.state = reader.lengthPrefixed() ?? []
        for _ in 0..<(reader.number(UInt32.self) ?? 0) {
            guard let record = FileAnchors.record(&reader) else {
                throw AnchorRows.Failure.unknownSegment
            }
            rows.segments.append(record)
        }
        for _ in 0..<(reader.number(UInt32.self) ?? 0) {
            rows.checkpoints.append(reader.lengthPrefixed() ?? [])
        }
        for _ in 0..<(reader.number(UInt32.self) ?? 0) {
            rows.tallies[reader.lengthPrefixed() ?? []] = reader.lengthPrefixed() ?? []
        }
        return rows
    }

    private func save(_ rows: AnchorRows, _ file: Descriptor) throws {
        var bytes: [UInt8] = []
        bytes.appendText(rows.state)
        bytes.appendBigEndian(UInt32(rows.segments.count))
        for segment in rows.segments {
            bytes += segment.id.bytes
            bytes.appendBigEndian(segment.version)
            bytes.appendBigEndian(segment.ordinal)
            bytes.appendBigEndian(segment.createdAt.millisecondsSinceEpoch)
            bytes.appendBigEndian(segment.head.eventCount)
            bytes.append(segment.isClosed ? 1 : 0)
            for field in [
                segment.previousDigest, segment.bootID, segment.head.chainHash,
                segment.head.treeRoot, segment.tally,
            ] {
                bytes.appendText(field)
            }
        }
        bytes.appendBigEndian(UInt32(rows.checkpoints.count))
        for checkpoint in rows.checkpoints { bytes.appendText(checkpoint) }
        bytes.appendBigEndian(UInt32(rows.tallies.count))
        for (id, tally) in rows.tallies {
            bytes.appendText(id)
            bytes.appendText(tally)
        }
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
    }

    private static func record(_ reader: inout ByteReader) -> SegmentRecord? {
        guard let id = reader.take(16).flatMap(SegmentID.init),
            let version = reader.number(UInt32.self), let ordinal = reader.number(UInt64.self),
            let createdAt = reader.number(Int64.self), let count = reader.number(UInt64.self),
            let isClosed = reader.number(UInt8.self), let previous = reader.lengthPrefixed(),
            let boot = reader.lengthPrefixed(), let chainHash = reader.lengthPrefixed(),
            let root = reader.lengthPrefixed(), let tally = reader.lengthPrefixed()
        else { return nil }
        return SegmentRecord(
            id: id, version: version, ordinal: ordinal,
            createdAt: Timestamp(millisecondsSinceEpoch: createdAt), previousDigest: previous,
            bootID: boot,
            head: SegmentHead(eventCount: count, chainHash: chainHash, treeRoot: root),
            isClosed: isClosed == 1, tally: tally)
    }
}
