internal import Cryptography
internal import Glibc
internal import KMSModel
internal import Platform

/// Reads one segment's events in order and holds them against the chain and the anchor.
///
/// May be used while the segment is written: what is incomplete behind the anchored head is then
/// left for a later call. One thread at a time; memory is bounded by the longest record.
final class SegmentScanner {
    enum Step {
        case event(Event)
        case end(End)
        /// Nothing more will come.
        case problem(LogProblem)
    }

    struct Event {
        let sequence: UInt64
        let time: Int64
        let json: [UInt8]
        /// The chain hash before the event, where ``SegmentScanner/keepsPreviousHash`` is set.
        let previousHash: [UInt8]
    }

    enum End: Hashable {
        /// A valid closing record, and nothing behind it.
        case closed
        /// The writer lives; there may be more later.
        case live
        /// The writer is gone without a closing record; so many bytes of a torn event are left.
        case crashed(tornBytes: UInt64)
    }

    /// The smallest piece that a disk writes whole.
    private static let sectorBytes: UInt64 = 512
    private static let chunkBytes = 128 << 10
    /// Behind the anchored head of a living writer: a short write that is being cut off looks like
    /// damage for a moment.
    private static let retries = 100
    private static let retryMicroseconds: UInt32 = 2000

    let record: SegmentRecord
    /// Of the events read so far.
    private(set) var head: SegmentHead
    private(set) var closing: ClosingRecord?
    /// Of the events read so far, by their own times.
    private(set) var eventTimes: ClosedRange<Int64>?
    /// Of the events read so far; version 1 has none.
    private(set) var tree = MerkleFrontier()
    private(set) var tally = UsageTally()
    private(set) var indexBuilder = SegmentIndexBuilder()
    var index: SegmentIndex { indexBuilder.index }
    /// The tally at the anchored head.
    private(set) var anchoredTally = UsageTally()
    /// Whether events are metered and indexed, which needs them parsed.
    var collectsTally = false
    var keepsPreviousHash = false
    private var previousHash: [UInt8] = []
    /// Of the event that was read last, in the file.
    private var recordOffset: UInt64 = 0
    /// The parts that are to be read; nil for the whole segment, which is checked as a whole then.
    private var parts: [Range<UInt64>]?
    private var partsIndex: SegmentIndex?
    /// Heads that the events must lead through, by count: what checkpoints and anchors say.
    var expectedHeads: [UInt64: SegmentHead] = [:]
    /// The last of them that the events did lead through.
    private(set) var lastSealedCount: UInt64 = 0

    private let file: Descriptor
    private let key: SecretBytes
    private let publicKey: [UInt8]
    private let filter: UsageLogFilter
    private let cipher = AESGCM256()
    private let hasher = SHA256Hasher()
    private var mayBeLive: Bool
    private var retriesLeft = SegmentScanner.retries

    /// Room for a chain hash, then what was read and not yet taken: `start..<end`.
    private var buffer: [UInt8]
    private var start = SegmentFormat.hashBytes
    private var end = SegmentFormat.hashBytes
    /// Of the byte behind `end` in the file.
    private var fileOffset: UInt64
    private var associated: [UInt8]
    /// An event's plaintext, behind what its hash begins with.
    private var leaf: [UInt8]

    /// Events whose time `filter` does not take are checked but not given out. `isWriterGone` is
    /// for who holds the segment's lock.
    ///
    /// - Throws: a problem with the file as a whole.
    init(
        _ record: SegmentRecord, in directory: LogDirectory?, keys: UsageLogKeys,
        filter: UsageLogFilter = UsageLogFilter(), isWriterGone: Bool = false
    ) throws(LogProblem) {
        self.record = record
        self.filter = filter
        mayBeLive = !isWriterGone
        head = record.emptyHead
        key = keys.sealingKey(of: record)
        leaf = [UInt8](repeating: 0, count: 4096)
        let headerBytes = SegmentFormat.headerBytes(version: record.version)
        fileOffset = UInt64(headerBytes)
        publicKey = keys.publicKey
        buffer = [UInt8](repeating: 0, count: SegmentFormat.hashBytes + SegmentScanner.chunkBytes)
        associated = record.id.bytes + [UInt8](repeating: 0, count: 8) + record.digest
        guard let directory else { throw LogProblem(record, .missingSegment, at: 1) }
        do throws(Errno) {
            file = try directory.descriptor.open(
                FileName(record.id.fileName), O_RDONLY | O_NONBLOCK)
        } catch {
            switch error {
            case .noSuchFileOrDirectory: throw LogProblem(record, .missingSegment, at: 1)
            case .symbolicLinkLoop, .isDirectory: throw LogProblem(record, .changedHeader, at: 0)
            default: throw LogProblem(record, .unreadable(error), at: 0)
            }
        }
        let header: [UInt8]
        do throws(Errno) {
            header = try file.read(count: headerBytes, at: 0)
        } catch {
            throw LogProblem(record, .unreadable(error), at: 0)
        }
        guard header == SegmentFormat.header(of: record) else {
            throw LogProblem(record, .changedHeader, at: 0)
        }
        if record.head.eventCount == 0, record.head != record.emptyHead {
            throw LogProblem(record, .headMismatch, at: 0)
        }
    }

    /// The next event that the filter's times take, or why there is none.
    func next() -> Step {
        while true {
            do throws(Errno) {
                if let step = try advance() { return step }
            } catch {
                return problem(.unreadable(error))
            }
        }
    }

    /// Reads only where the index says that wanted events may be. Each record is held against the
    /// chain before it as ever; the segment as a whole is not checked then.
    func read(parts: [Range<UInt64>], of index: SegmentIndex) {
        self.parts = parts
        partsIndex = index
    }

    private enum Place { case here, atEnd, nowhere }

    /// Moves to the part that comes next, when the one before is read.
    private func moveToPart() -> Place {
        guard let part = parts?.first else { return parts == nil ? .here : .atEnd }
        let next = head.eventCount + 1
        if next > part.lowerBound, next < part.upperBound { return .here }
        if next >= part.upperBound {
            parts?.removeFirst()
            return moveToPart()
        }
        guard let block = partsIndex?.block(of: part.lowerBound),
            block.offset >= UInt64(SegmentFormat.headerBytes(version: record.version))
        else { return .nowhere }
        if next == part.lowerBound, offset == block.offset { return .here }
        start = SegmentFormat.hashBytes
        end = start
        fileOffset = block.offset
        head.eventCount = block.firstSequence - 1
        head.chainHash = block.chainHash
        return .here
    }

    /// Passes over all that is left; nil when something is wrong with it.
    func readToEnd() -> End? {
        while true {
            switch next() {
            case .event: continue
            case .end(let end): return end
            case .problem: return nil
            }
        }
    }

    /// For a segment that its anchor calls closed: the times of its events, without reading them.
    /// nil when the closing record is not what it should be.
    func closedEventTimes() -> ClosedRange<Int64>? {
        let recordBytes = ClosingRecord.recordBytes(version: record.version)
        guard record.isClosed, let size = try? file.status().sizeBytes,
            size >= fileOffset + UInt64(recordBytes),
            let bytes = try? file.read(count: recordBytes, at: size - UInt64(recordBytes))
        else { return nil }
        let boxRange = SegmentFormat.recordPrefixBytes..<bytes.count
        guard bytes.count == recordBytes,
            bytes.bigEndian(UInt64.self, at: 4) == record.head.eventCount + 1,
            open(
                bytes, boxRange, sequence: record.head.eventCount + 1,
                chainHash: record.head.chainHash),
            let closing = ClosingRecord(
                plaintext: plaintext(boxRange.count - AESGCM256.overheadBytes),
                of: ClosingRecord.Place(record), publicKey: publicKey)
        else { return nil }
        return closing.eventTimes
    }

    private func plaintext(_ count: Int) -> ArraySlice<UInt8> {
        leaf[SegmentFormat.leafPrefixBytes..<SegmentFormat.leafPrefixBytes + count]
    }

    /// Where the next record begins in the file.
    var offset: UInt64 { fileOffset - UInt64(end - start) }

    // MARK: One record

    /// nil: go on.
    private func advance() throws(Errno) -> Step? {
        if closing != nil { return .end(.closed) }
        switch moveToPart() {
        case .here: break
        case .atEnd: return .end(.closed)
        case .nowhere: return problem(.changedIndex)
        }
        guard try fill(4) else { return try atEnd() }
        let length = Int(buffer.bigEndian(UInt32.self, at: start))
        guard SegmentFormat.lengthRange.contains(length) else { return try atDamage() }
        guard try fill(4 + length) else { return try atEnd() }
        let sequence = head.eventCount + 1
        let boxRange = start + SegmentFormat.recordPrefixBytes..<start + 4 + length
        guard buffer.bigEndian(UInt64.self, at: start + 4) == sequence,
            open(buffer, boxRange, sequence: sequence, chainHash: head.chainHash)
        else { return try atDamage() }
        let plaintextBytes = boxRange.count - AESGCM256.overheadBytes
        switch RecordKind(rawValue: leaf[SegmentFormat.leafPrefixBytes]) {
        case .event:
            return takeEvent(frameEnd: boxRange.upperBound, plaintextBytes: plaintextBytes)
        case .closing:
            start = boxRange.upperBound
            return try takeClosing(plaintext(plaintextBytes))
        case nil:
            return problem(.changedRecord)
        }
    }

    private func takeEvent(frameEnd: Int, plaintextBytes: Int) -> Step? {
        recordOffset = offset
        hashEvent(frameEnd: frameEnd, plaintextBytes: plaintextBytes)
        head.eventCount += 1
        start = frameEnd
        retriesLeft = SegmentScanner.retries
        if let problem = checkHead() { return .problem(problem) }
        if case .unread = meter(plaintextBytes) {
            return .problem(LogProblem(record, .changedRecord, at: head.eventCount))
        }
        let time = leaf.bigEndian(Int64.self, at: SegmentFormat.leafPrefixBytes + 1)
        let times = eventTimes ?? time...time
        eventTimes = min(times.lowerBound, time)...max(times.upperBound, time)
        let json = plaintext(plaintextBytes).dropFirst(SegmentFormat.plaintextPrefixBytes)
        guard filter.accepts(time: time) else { return nil }
        return .event(
            Event(
                sequence: head.eventCount, time: time, json: Array(json),
                previousHash: previousHash))
    }

    private enum Metering { case done, unread }

    /// Adds the event in `leaf` to the tally.
    private func meter(_ plaintextBytes: Int) -> Metering {
        guard collectsTally else { return .done }
        let milliseconds = leaf.bigEndian(Int64.self, at: SegmentFormat.leafPrefixBytes + 1)
        let json = plaintext(plaintextBytes).dropFirst(SegmentFormat.plaintextPrefixBytes)
        guard
            let event = MeteredRecord(
                json: json, time: Timestamp(millisecondsSinceEpoch: milliseconds))
        else { return .unread }
        tally.add(event)
        indexBuilder.add(
            resources: event.resources, time: milliseconds, sequence: head.eventCount,
            offset: recordOffset, chainHash: previousHash)
        if head.eventCount == record.head.eventCount { anchoredTally = tally }
        return .done
    }

    /// Moves the chain, and the tree, on by the event that lies in `leaf`.
    private func hashEvent(frameEnd: Int, plaintextBytes: Int) {
        if keepsPreviousHash || collectsTally { previousHash = head.chainHash }
        guard record.version == 1 else {
            leaf[0] = 0
            for index in 0..<SegmentFormat.hashBytes { leaf[1 + index] = head.chainHash[index] }
            leaf.putBigEndian(head.eventCount + 1, at: 1 + SegmentFormat.hashBytes)
            let leafBytes = SegmentFormat.leafPrefixBytes + plaintextBytes
            leaf.withRawSpan { leaf in
                head.chainHash.withMutableRawSpan {
                    hasher.hash(leaf.extracting(0..<leafBytes), into: &$0, at: 0)
                }
            }
            tree.append(leafHash: head.chainHash, hasher)
            return
        }
        // The bytes in front of the record were taken before, or are room left for this.
        let frame = start - SegmentFormat.hashBytes..<frameEnd
        for index in 0..<SegmentFormat.hashBytes {
            buffer[frame.lowerBound + index] = head.chainHash[index]
        }
        head.chainHash = buffer.withRawSpan { SHA256.hash($0.extracting(frame)) }
    }

    /// The head as it is now, with its tree's root.
    var fullHead: SegmentHead {
        var head = head
        if record.version > 1 { head.treeRoot = tree.root }
        return head
    }

    /// Holds the head against what the keystore and its checkpoints say of this count.
    private func checkHead() -> LogProblem? {
        if parts != nil { return nil }
        if head.eventCount == record.head.eventCount, fullHead != record.head {
            return LogProblem(record, .headMismatch, at: head.eventCount)
        }
        if record.isClosed, head.eventCount > record.head.eventCount {
            return LogProblem(record, .headMismatch, at: head.eventCount)
        }
        if !expectedHeads.isEmpty, let expected = expectedHeads[head.eventCount] {
            guard expected == fullHead else {
                return LogProblem(record, .checkpointMismatch, at: lastSealedCount + 1)
            }
            lastSealedCount = head.eventCount
        }
        return nil
    }

    private func takeClosing(_ plaintext: ArraySlice<UInt8>) throws(Errno) -> Step? {
        guard
            let closing = ClosingRecord(
                plaintext: plaintext, of: ClosingRecord.Place(record), publicKey: publicKey),
            closing.head == fullHead
        else { return problem(.invalidClosingRecord) }
        if head.eventCount < record.head.eventCount { return problem(.missingEvents) }
        self.closing = closing
        if try fill(1) {
            return .problem(LogProblem(record, .dataBehindClosingRecord, at: head.eventCount + 2))
        }
        return .end(.closed)
    }

    /// Opens a box into `leaf`.
    private func open(
        _ bytes: [UInt8], _ range: Range<Int>, sequence: UInt64, chainHash: [UInt8]
    ) -> Bool {
        associated.putBigEndian(sequence, at: SegmentID.byteCount)
        for index in 0..<SegmentFormat.hashBytes {
            associated[SegmentID.byteCount + 8 + index] = chainHash[index]
        }
        let offset = SegmentFormat.leafPrefixBytes
        let needed = offset + range.count - AESGCM256.overheadBytes
        if leaf.count < needed {
            leaf.append(contentsOf: repeatElement(0, count: needed - leaf.count))
        }
        cipher.use(key)
        do throws(CryptographyError) {
            try bytes.withRawSpan { bytes throws(CryptographyError) in
                try associated.withRawSpan { associated throws(CryptographyError) in
                    try leaf.withMutableRawSpan { leaf throws(CryptographyError) in
                        try cipher.open(
                            bytes, range, authenticating: associated, into: &leaf, at: offset)
                    }
                }
            }
            return true
        } catch {
            return false
        }
    }

    // MARK: Ends

    /// The file ends before the next record does.
    private func atEnd() throws(Errno) -> Step? {
        let tornBytes = UInt64(end - start)
        dropBuffered()
        if head.eventCount < record.head.eventCount { return problem(.missingEvents) }
        if record.isClosed { return problem(.missingClosingRecord) }
        if mayBeLive {
            if try isLocked() { return .end(.live) }
            // The writer's last bytes may have come since the read: look once more.
            mayBeLive = false
            return nil
        }
        return .end(.crashed(tornBytes: tornBytes))
    }

    /// The next record is whole and not what its writer wrote.
    private func atDamage() throws(Errno) -> Step? {
        let isAnchored = record.isClosed || head.eventCount < record.head.eventCount
        if isAnchored { return problem(.changedRecord) }
        if mayBeLive {
            if try !isLocked() { mayBeLive = false }
            if retriesLeft > 0 {
                retriesLeft -= 1
                dropBuffered()
                usleep(mayBeLive ? SegmentScanner.retryMicroseconds : 0)
                return nil
            }
        }
        if let torn = try tornTail() { return .end(.crashed(tornBytes: torn)) }
        return problem(.changedRecord)
    }

    /// What a power cut can leave of records that were not synced: some of a disk's sectors are
    /// there and others are zeros. Whoever could zero one could as well cut the file here, which no
    /// reader can tell from a crash either; what is anchored never counts as torn.
    ///
    /// - Returns: the bytes from the record on, when it has such a sector.
    private func tornTail() throws(Errno) -> UInt64? {
        let size = try file.status().sizeBytes
        let prefix = try file.read(count: 4, at: offset)
        let length = prefix.count == 4 ? prefix.reduce(0) { $0 << 8 | Int($1) } : 0
        let isLength = SegmentFormat.lengthRange.contains(length)
        let recordEnd = isLength ? min(size, offset + 4 + UInt64(length)) : size
        var sector = offset / SegmentScanner.sectorBytes * SegmentScanner.sectorBytes
        while sector < recordEnd {
            let start = max(sector, offset)
            let end = min(sector + SegmentScanner.sectorBytes, size)
            let bytes = try file.read(count: Int(end - start), at: start)
            if bytes.allSatisfy({ $0 == 0 }) { return size - offset }
            sector += SegmentScanner.sectorBytes
        }
        return nil
    }

    private func problem(_ kind: LogProblem.Kind) -> Step {
        .problem(LogProblem(record, kind, at: head.eventCount + 1))
    }

    /// Whether a writer, or another process that mends the segment, holds it.
    private func isLocked() throws(Errno) -> Bool {
        do throws(Errno) {
            try file.tryLock(.shared)
        } catch {
            if error == .wouldBlock { return true }
            throw error
        }
        file.unlock()
        return false
    }

    // MARK: Buffer

    /// Makes the next `count` bytes available from `start` on; false when the file is too short.
    private func fill(_ count: Int) throws(Errno) -> Bool {
        if end - start >= count { return true }
        makeRoom(count)
        let read = try buffer.withMutableRawSpan { bytes throws(Errno) in
            try file.read(into: &bytes, end..<bytes.byteCount, at: fileOffset)
        }
        end += read
        fileOffset += UInt64(read)
        return end - start >= count
    }

    /// Moves what is left to the front and grows the buffer for a long record.
    private func makeRoom(_ count: Int) {
        let kept = end - start
        for index in 0..<kept {
            buffer[SegmentFormat.hashBytes + index] = buffer[start + index]
        }
        start = SegmentFormat.hashBytes
        end = start + kept
        if buffer.count < start + count {
            buffer.append(contentsOf: repeatElement(0, count: start + count - buffer.count))
        }
    }

    /// Forgets what was read of the next record, so that it is read again.
    private func dropBuffered() {
        fileOffset -= UInt64(end - start)
        end = start
    }
}

extension LogProblem {
    init(_ record: SegmentRecord, _ kind: Kind, at sequence: UInt64) {
        self.init(
            kind: kind, file: record.id.fileName, segment: record.id, sequence: sequence)
    }
}
