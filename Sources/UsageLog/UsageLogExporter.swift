internal import Cryptography
internal import Glibc
internal import KMSModel
internal import Platform

/// Writes events with all that proves them to one file: who checks it needs nothing but the log's
/// verification key.
///
/// Lines of JSON (docs/usage-log.md §8): what the file is; each checkpoint, from the first on; of
/// each segment with events its header, and then its events, each with its place in the tree that a
/// checkpoint signed; a last line with the counts. An event has an audit path unless all events of
/// its segment are there: then the tree is made of them.
package struct UsageLogExporter: Sendable {
    package struct Summary: Sendable, Hashable {
        package var checkpointCount = 0
        package var segmentCount = 0
        package var eventCount: UInt64 = 0
        /// Segments of version 1, which have no proofs, and are not in the file.
        package var omittedSegmentCount = 0
        package var verificationKey: [UInt8] = []
    }

    private let directory: String
    private let keys: UsageLogKeys
    private let anchors: any LogAnchorStore

    package init(directory: String, keys: UsageLogKeys, anchors: any LogAnchorStore) {
        self.directory = directory
        self.keys = keys
        self.anchors = anchors
    }

    private struct Stored {
        let state: LedgerState
        let segments: [SegmentRecord]
        let checkpoints: [[UInt8]]
    }

    /// Exports the events that fit, as far as the last checkpoint goes.
    ///
    /// - Parameter path: of the file, which must not exist; it is made for its owner only.
    /// - Throws: ``UsageLogError/damaged(_:)`` when the log does not agree with its checkpoints, and
    ///   what the file system answers; no file is left then.
    package func export(
        _ filter: UsageLogFilter, to path: String
    ) throws(UsageLogError) -> Summary {
        let stored = try anchors.reading { view in
            try LogLedger.state(view).map {
                Stored(
                    state: $0, segments: try view.segments(), checkpoints: try view.checkpoints())
            }
        }
        guard let stored, stored.state.checkpointCount > 0 else {
            throw .anchorStore(LogLedger.Failure.noCheckpoint)
        }
        let place = try LogDirectory.openIfPresent(directory)
        let output: Descriptor
        do throws(Errno) {
            output = try Descriptor.open(path: path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            throw UsageLogError(error, path: path)
        }
        do throws(UsageLogError) {
            var file = ExportFile(output, path: path)
            let summary = try write(stored, filter, place, to: &file)
            try file.finish()
            return summary
        } catch {
            // SAFETY: the path is NUL-terminated for the length of the call.
            _ = unsafe unlink(path)
            throw error
        }
    }

    private func write(
        _ stored: Stored, _ filter: UsageLogFilter, _ place: LogDirectory?,
        to file: inout ExportFile
    ) throws(UsageLogError) -> Summary {
        var summary = Summary()
        summary.verificationKey = stored.state.verificationKey
        try file.line { $0.head(stored.state.verificationKey) }
        var chain = CheckpointChain(firstKey: stored.state.verificationKey)
        var seals: [UInt64: Checkpoint.Seal] = [:]
        for bytes in stored.checkpoints {
            guard let checkpoint = chain.take(bytes) else {
                throw .damaged(.brokenCheckpoint(chain.count + 1))
            }
            for seal in checkpoint.seals { seals[seal.ordinal] = seal }
            try file.line { $0.checkpoint(checkpoint.number, bytes) }
            summary.checkpointCount += 1
        }
        for segment in stored.segments {
            guard let seal = seals[segment.ordinal], seal.head.eventCount > 0 else { continue }
            guard segment.version > 1 else {
                summary.omittedSegmentCount += 1
                continue
            }
            let events = try events(of: segment, upTo: seal, filter, in: place)
            guard !events.chosen.isEmpty else { continue }
            try file.line { $0.segment(segment) }
            summary.segmentCount += 1
            let isWhole = UInt64(events.chosen.count) == seal.head.eventCount
            let tree = MerkleLevels(leafHashes: isWhole ? [] : events.leafHashes)
            for event in events.chosen {
                let index = Int(event.sequence) - 1
                let path = isWhole ? [] : tree.path(of: index, in: events.leafHashes.count)
                try file.line { $0.event(event, in: segment.ordinal, path: path) }
                summary.eventCount += 1
            }
        }
        try file.line { $0.end(summary) }
        return summary
    }

    /// A segment's events up to its last seal: the hashes of all, and those that fit.
    private func events(
        of segment: SegmentRecord, upTo seal: Checkpoint.Seal, _ filter: UsageLogFilter,
        in place: LogDirectory?
    ) throws(UsageLogError) -> (leafHashes: [[UInt8]], chosen: [SegmentScanner.Event]) {
        let scanner: SegmentScanner
        do throws(LogProblem) {
            scanner = try SegmentScanner(segment, in: place, keys: keys)
        } catch {
            throw UsageLogError(error, inLogAt: directory)
        }
        scanner.keepsPreviousHash = true
        scanner.expectedHeads = [seal.head.eventCount: seal.head]
        var leafHashes: [[UInt8]] = []
        var chosen: [SegmentScanner.Event] = []
        while scanner.head.eventCount < seal.head.eventCount {
            switch scanner.next() {
            case .event(let event):
                leafHashes.append(scanner.head.chainHash)
                guard filter.accepts(time: event.time), filter.mayAccept(json: event.json),
                    let logged = LoggedEvent(
                        segment: segment.id, sequence: event.sequence, time: event.time,
                        json: event.json),
                    filter.accepts(logged)
                else { continue }
                chosen.append(event)
            case .end:
                throw .damaged(LogProblem(segment, .missingEvents, at: scanner.head.eventCount + 1))
            case .problem(let problem):
                throw UsageLogError(problem, inLogAt: directory)
            }
        }
        return (leafHashes, chosen)
    }
}

/// A file that is written line by line, through one buffer.
private struct ExportFile {
    private static let chunkBytes = 1 << 20

    private let file: Descriptor
    private let path: String
    private let buffer = EventBuffer(capacity: 2 * ExportFile.chunkBytes)
    private var offset: UInt64 = 0

    init(_ file: Descriptor, path: String) {
        self.file = file
        self.path = path
    }

    mutating func line(_ write: (JSONWriter) -> Void) throws(UsageLogError) {
        write(JSONWriter(buffer: buffer))
        buffer.append(UInt8(ascii: "\n"))
        if buffer.count >= ExportFile.chunkBytes { try flush() }
    }

    private mutating func flush() throws(UsageLogError) {
        do throws(Errno) {
            try file.write(buffer.bytes(), at: offset)
        } catch {
            throw UsageLogError(error, path: path)
        }
        offset += UInt64(buffer.count)
        buffer.reset()
    }

    mutating func finish() throws(UsageLogError) {
        try flush()
        do throws(Errno) {
            try file.synchronize(dataOnly: false)
        } catch {
            throw UsageLogError(error, path: path)
        }
    }
}

extension JSONWriter {
    fileprivate func head(_ verificationKey: [UInt8]) {
        raw(#"{"keyfoldLogExport":1,"verificationKey":"#)
        hex(verificationKey)
        raw(#","fingerprint":"#)
        hex(SHA256.hash(verificationKey))
        raw("}")
    }

    fileprivate func checkpoint(_ checkpoint: UInt64, _ bytes: [UInt8]) {
        raw(#"{"checkpoint":"#)
        number(checkpoint)
        raw(#","bytes":"#)
        hex(bytes)
        raw("}")
    }

    fileprivate func segment(_ segment: SegmentRecord) {
        raw(#"{"segment":"#)
        number(segment.ordinal)
        raw(#","header":"#)
        hex(SegmentFormat.header(of: segment))
        raw("}")
    }

    fileprivate func event(_ event: SegmentScanner.Event, in segment: UInt64, path: [[UInt8]]) {
        raw(#"{"segment":"#)
        number(segment)
        raw(#","sequence":"#)
        number(event.sequence)
        raw(#","previous":"#)
        hex(event.previousHash)
        raw(#","path":["#)
        var isFirst = true
        for hash in path {
            if !isFirst { raw(",") }
            isFirst = false
            hex(hash)
        }
        raw(#"],"record":"#)
        buffer.append(event.json)
        raw("}")
    }

    fileprivate func end(_ summary: UsageLogExporter.Summary) {
        raw(#"{"end":true,"checkpoints":"#)
        number(summary.checkpointCount)
        raw(#","segments":"#)
        number(summary.segmentCount)
        raw(#","events":"#)
        number(summary.eventCount)
        raw("}")
    }
}

extension LogProblem {
    static func brokenCheckpoint(_ number: UInt64) -> LogProblem {
        LogProblem(
            kind: .brokenCheckpoints, file: UsageLogVerifier.checkpointsName, segment: nil,
            sequence: number)
    }
}
