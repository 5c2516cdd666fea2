internal import Cryptography
internal import Glibc
internal import KMSModel
internal import Platform

/// What a check of an exported log came to.
package struct LogExportReport: Sendable, Hashable {
    package var checkpointCount: UInt64 = 0
    package var segmentCount = 0
    /// Events that a checkpoint proves.
    package var eventCount: UInt64 = 0
    /// Whether every event that the checkpoints cover is in the file.
    package var isComplete = false
    /// The first line that is wrong, from 1, and why.
    package var problem: Problem?

    package var passes: Bool { problem == nil }

    package struct Problem: Error, Sendable, Hashable {
        package let line: Int
        package let reason: String
    }
}

/// Checks an exported log with its verification key alone: no keystore, no other key.
package struct LogExportVerifier {
    /// Longer lines than any event makes are refused.
    private static let maximumLineBytes = 4 << 20

    private let key: VerificationKey
    /// A head that the log must go through.
    private let anchor: LogHead?

    package init(key: VerificationKey, anchor: LogHead? = nil) {
        self.key = key
        self.anchor = anchor
    }

    /// - Throws: ``UsageLogError/system(_:path:)`` when the file cannot be read; what is wrong with
    ///   it is in the report.
    package func verify(_ path: String) throws(UsageLogError) -> LogExportReport {
        let file: Descriptor
        do throws(Errno) {
            file = try Descriptor.open(path: path, O_RDONLY)
        } catch {
            throw .system(error, path: path)
        }
        var check = ExportCheck(key: key, anchor: anchor)
        var lines = LineReader(file: file, limitBytes: LogExportVerifier.maximumLineBytes)
        do {
            while let line = try lines.next() { try check.take(line) }
            try check.finish()
        } catch let problem as LogExportReport.Problem {
            check.report.problem = problem
        } catch let errno as Errno {
            throw .system(errno, path: path)
        } catch {
            throw .interrupted(error)
        }
        return check.report
    }
}

/// Lines of a file, each without its end; memory is bounded by the longest.
private struct LineReader {
    private let file: Descriptor
    private let limitBytes: Int
    private var buffer: [UInt8] = []
    private var start = 0
    private var offset: UInt64 = 0
    private var number = 0
    private static let chunkBytes = 1 << 18

    init(file: Descriptor, limitBytes: Int) {
        self.file = file
        self.limitBytes = limitBytes
    }

    mutating func next() throws -> ArraySlice<UInt8>? {
        var scanned = start
        while true {
            if let end = buffer[scanned...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                number += 1
                return buffer[start..<end]
            }
            scanned = buffer.count
            guard buffer.count - start <= limitBytes else { throw problem("the line is too long") }
            let more = try file.read(count: LineReader.chunkBytes, at: offset)
            if more.isEmpty {
                if start < buffer.count { throw problem("the line has no end") }
                return nil
            }
            offset += UInt64(more.count)
            if start > 0 {
                buffer.removeSubrange(..<start)
                scanned -= start
                start = 0
            }
            buffer += more
        }
    }

    private func problem(_ reason: String) -> LogExportReport.Problem {
        LogExportReport.Problem(line: number + 1, reason: reason)
    }
}

/// The state of a check: what came so far decides what may come next.
private struct ExportCheck {
    private enum Stage { case head, checkpoints, segments, ended }

    /// A segment whose events are being read.
    private struct Segment {
        let ordinal: UInt64
        let seal: Checkpoint.Seal
        var lastSequence: UInt64 = 0
        var eventCount: UInt64 = 0
        /// Of events without a path: all of the segment's, from the first on.
        var tree = MerkleFrontier()
        /// The first event's.
        var hasPaths = false
        var lastHash: [UInt8]
    }

    var report = LogExportReport()
    private let anchor: LogHead?
    private let key: VerificationKey
    private let hasher = SHA256Hasher()
    private var chain: CheckpointChain
    private var stage = Stage.head
    private var line = 0
    private var seals = SealedSegments()
    private var hasMetAnchor = false
    private var segment: Segment?
    private var lastOrdinal: UInt64 = 0
    private var wholeSegments: Set<UInt64> = []

    init(key: VerificationKey, anchor: LogHead?) {
        self.key = key
        self.anchor = anchor
        chain = CheckpointChain(firstKey: key.bytes)
    }

    private func problem(_ reason: String) -> LogExportReport.Problem {
        LogExportReport.Problem(line: line, reason: reason)
    }

    mutating func take(_ bytes: ArraySlice<UInt8>) throws(LogExportReport.Problem) {
        line += 1
        guard let value = JSON(ofLog: Array(bytes)) else {
            throw problem("the line is not JSON")
        }
        switch stage {
        case .head: try takeHead(value)
        case .checkpoints, .segments:
            // A line has these members and no others: whatever stands there is taken for checked.
            switch value.members.map(\.name) {
            case ["checkpoint", "bytes"]: try takeCheckpoint(value)
            case ["segment", "header"]: try takeSegment(value)
            case ["segment", "sequence", "previous", "path", "record"]:
                try takeEvent(value, bytes)
            case ["end", "checkpoints", "segments", "events"]: try takeEnd(value)
            default: throw problem("the line is none of an export's")
            }
        case .ended: throw problem("there is something behind the end")
        }
    }

    private mutating func takeHead(_ value: JSON) throws(LogExportReport.Problem) {
        guard
            value.members.map(\.name) == ["keyfoldLogExport", "verificationKey", "fingerprint"]
        else { throw problem("this is not an export of version 1") }
        guard value["keyfoldLogExport"]?.integer(Int.self) == 1 else {
            throw problem("this is not an export of version 1")
        }
        guard value["verificationKey"]?.text == key.hexDigits,
            value["fingerprint"]?.text == key.fingerprint
        else { throw problem("the export is of a log with another verification key") }
        if let anchor, anchor.verificationKey != key.bytes {
            throw problem("the anchor is of a log with another verification key")
        }
        stage = .checkpoints
    }

    private mutating func takeCheckpoint(_ value: JSON) throws(LogExportReport.Problem) {
        guard stage == .checkpoints, let bytes = value["bytes"]?.text.flatMap({ bytesOfHex($0) }),
            let checkpoint = chain.take(bytes),
            value["checkpoint"]?.integer(UInt64.self) == checkpoint.number
        else { throw problem("this is not the log's checkpoint \(chain.count + 1)") }
        guard let leftOut = seals.take(checkpoint) else {
            throw problem("the checkpoint contradicts one before it")
        }
        if let ordinal = leftOut.first {
            throw problem(
                "checkpoint \(checkpoint.number) leaves segment \(ordinal) out, "
                    + "though none before it closes it")
        }
        if let anchor, anchor.checkpoint == checkpoint.number {
            guard anchor.hash == chain.lastHash else {
                throw problem("the log is not the one that the anchor has seen")
            }
            hasMetAnchor = true
        }
        report.checkpointCount = chain.count
    }

    private mutating func takeSegment(_ value: JSON) throws(LogExportReport.Problem) {
        try endSegment()
        stage = .segments
        guard let ordinal = value["segment"]?.integer(UInt64.self), ordinal > lastOrdinal,
            let header = value["header"]?.text.flatMap({ bytesOfHex($0) }),
            let seal = seals.last[ordinal], SHA256.hash(header) == seal.digest
        else { throw problem("no checkpoint covers this segment") }
        lastOrdinal = ordinal
        segment = Segment(ordinal: ordinal, seal: seal, lastHash: seal.digest)
        report.segmentCount += 1
    }

    private mutating func takeEvent(
        _ value: JSON, _ line: ArraySlice<UInt8>
    ) throws(LogExportReport.Problem) {
        guard var segment, value["segment"]?.integer(UInt64.self) == segment.ordinal else {
            throw problem("the event is of no segment that was begun")
        }
        guard let sequence = value["sequence"]?.integer(UInt64.self),
            sequence > segment.lastSequence, sequence <= segment.seal.head.eventCount,
            let previous = value["previous"]?.text.flatMap({ bytesOfHex($0) }),
            previous.count == MerkleTree.hashBytes, let path = ExportCheck.path(value),
            let leaf = ExportCheck.leaf(value, line, previous: previous, sequence: sequence)
        else { throw problem("the event is out of order or not whole") }
        var hash = [UInt8](repeating: 0, count: MerkleTree.hashBytes)
        leaf.withRawSpan { leaf in
            hash.withMutableRawSpan { hasher.hash(leaf, into: &$0, at: 0) }
        }
        if segment.eventCount == 0 { segment.hasPaths = !path.isEmpty }
        // A tree of one event has no paths either.
        if path.isEmpty {
            guard !segment.hasPaths, sequence == segment.lastSequence + 1,
                previous == segment.lastHash
            else { throw problem("an event is missing before this one") }
            segment.tree.append(leafHash: hash, hasher)
        } else {
            let head = segment.seal.head
            let root = MerkleTree.root(
                leafHash: hash, at: sequence - 1, of: head.eventCount, path: path)
            guard segment.hasPaths, root == head.treeRoot else {
                throw problem("the event is not the one that the checkpoint signed")
            }
            report.eventCount += 1
        }
        segment.lastSequence = sequence
        segment.lastHash = hash
        segment.eventCount += 1
        self.segment = segment
    }

    private static func path(_ value: JSON) -> [[UInt8]]? {
        guard let elements = value["path"]?.elements,
            elements.count <= MerkleTree.maximumPathLength
        else { return nil }
        var path: [[UInt8]] = []
        for element in elements {
            guard let hash = element.text.flatMap({ bytesOfHex($0) }) else { return nil }
            path.append(hash)
        }
        return path
    }

    /// What the event's hash is of: its record's bytes as they stand in the line.
    private static func leaf(
        _ value: JSON, _ line: ArraySlice<UInt8>, previous: [UInt8], sequence: UInt64
    ) -> [UInt8]? {
        // Hex digits come before it, so that the first one is the member's name.
        guard line.last == UInt8(ascii: "}"),
            let time = value["record"]?["additionalEventData"]?["eventTimeMilliseconds"]?
                .integer(Int64.self),
            let start = line.endOfFirst(Array(#","record":"#.utf8))
        else { return nil }
        var leaf: [UInt8] = [0] + previous
        leaf.appendBigEndian(sequence)
        leaf.append(RecordKind.event.rawValue)
        leaf.appendBigEndian(time)
        return leaf + line[start..<line.index(before: line.endIndex)]
    }

    private mutating func endSegment() throws(LogExportReport.Problem) {
        guard let segment else { return }
        self.segment = nil
        guard segment.eventCount > 0 else { throw problem("a segment without events") }
        guard !segment.hasPaths else { return }
        guard segment.tree.count == segment.seal.head.eventCount,
            segment.tree.root == segment.seal.head.treeRoot
        else { throw problem("the segment's events are not those that the checkpoint signed") }
        report.eventCount += segment.tree.count
        wholeSegments.insert(segment.ordinal)
    }

    private mutating func takeEnd(_ value: JSON) throws(LogExportReport.Problem) {
        try endSegment()
        // Nothing is signed in such a file: anybody can write it who has the public key.
        guard report.checkpointCount > 0 else { throw problem("there is no checkpoint") }
        guard value["checkpoints"]?.integer(UInt64.self) == report.checkpointCount,
            value["segments"]?.integer(Int.self) == report.segmentCount,
            value["events"]?.integer(UInt64.self) == report.eventCount
        else { throw problem("lines are missing") }
        stage = .ended
    }

    mutating func finish() throws(LogExportReport.Problem) {
        guard stage == .ended else {
            line += 1
            throw problem("the file is cut off")
        }
        if anchor != nil, !hasMetAnchor {
            throw problem("the log is older than the anchor: it was rolled back")
        }
        report.isComplete = seals.last.values.allSatisfy {
            $0.head.eventCount == 0 || wholeSegments.contains($0.ordinal)
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate func endOfFirst(_ needle: [UInt8]) -> Int? {
        guard let first = needle.first, count >= needle.count else { return nil }
        for start in startIndex...(endIndex - needle.count) where self[start] == first {
            if self[start..<start + needle.count].elementsEqual(needle) {
                return start + needle.count
            }
        }
        return nil
    }
}
