internal import Cryptography
internal import Glibc
internal import KMSModel
internal import Platform

/// The segment that a writer is appending to.
///
/// Not thread-safe: the writer's lock owns it. The file is locked (flock(2), exclusive) while it
/// is open, so that others know that its writer lives.
final class OpenSegment {
    let record: SegmentRecord
    let sync: SegmentSync
    let path: String
    /// Who opened it: a forked child must not write to its parent's segment.
    let process: ProcessGeneration
    private(set) var eventCount: UInt64 = 0
    private(set) var hasClosingRecord = false
    private(set) var sizeBytes: UInt64

    private let file: Descriptor
    private let directory: LogDirectory
    private let name: FileName
    private let device: UInt64
    private let inodeNumber: UInt64
    private let key: SecretBytes
    private let cipher = AESGCM256()
    private let hasher = SHA256Hasher()
    private var eventTimes: ClosedRange<Int64>?
    private var tree: MerkleFrontier
    /// What the events so far add up to.
    private(set) var tally: UsageTally
    private var indexBuilder: SegmentIndexBuilder
    private var chainHash: [UInt8]
    /// In version 1 `chain hash so far 32 | record`, what the next chain hash is made of; the record
    /// stands at the same place in version 2. Grows only.
    private var frame: [UInt8]
    /// Segment id, sequence, chain hash: authenticated with each box.
    private var associated: [UInt8]

    /// Makes the segment's file with its header, durably; the record is not registered yet.
    init(
        _ record: SegmentRecord, in directory: LogDirectory, keys: UsageLogKeys
    ) throws(UsageLogError) {
        self.record = record
        self.directory = directory
        name = FileName(record.id.fileName)
        path = directory.filePath(record.id)
        process = ProcessGeneration.current
        key = keys.sealingKey(of: record)
        chainHash = record.head.chainHash
        tree = MerkleFrontier()
        tally = UsageTally()
        indexBuilder = SegmentIndexBuilder()
        frame = record.head.chainHash
        associated = record.id.bytes + [UInt8](repeating: 0, count: 8) + record.head.chainHash
        let header = SegmentFormat.header(of: record)
        sizeBytes = UInt64(header.count)
        do throws(Errno) {
            file = try directory.descriptor.openNew(name, OpenSegment.flags, mode: 0o600)
        } catch {
            throw UsageLogError(error, path: path)
        }
        sync = SegmentSync(of: file)
        do throws(Errno) {
            try file.tryLock(.exclusive)
            try file.write(header, at: 0)
            try file.synchronize(dataOnly: false)
            try directory.descriptor.synchronize(dataOnly: false)
            let status = try file.status()
            device = status.device
            inodeNumber = status.inodeNumber
        } catch {
            try? directory.descriptor.unlink(name)
            throw UsageLogError(error, path: path)
        }
    }

    /// Goes on with the segment of a process that is gone, behind its last whole event.
    ///
    /// nil: it is being written, or mended, or is not what was anchored.
    init?(
        recovering record: SegmentRecord, in directory: LogDirectory, keys: UsageLogKeys
    ) throws(UsageLogError) {
        self.record = record
        self.directory = directory
        name = FileName(record.id.fileName)
        path = directory.filePath(record.id)
        process = ProcessGeneration.current
        key = keys.sealingKey(of: record)
        let status: FileStatus
        do throws(Errno) {
            file = try directory.descriptor.open(name, OpenSegment.flags)
            try file.tryLock(.exclusive)
            status = try file.status()
        } catch {
            if error == .wouldBlock || error == .noSuchFileOrDirectory { return nil }
            throw .system(error, path: path)
        }
        sync = SegmentSync(of: file)
        guard
            let scanner = try? SegmentScanner(
                record, in: directory, keys: keys, isWriterGone: true)
        else { return nil }
        scanner.collectsTally = true
        guard let end = scanner.readToEnd() else { return nil }
        device = status.device
        inodeNumber = status.inodeNumber
        chainHash = scanner.head.chainHash
        tree = scanner.tree
        tally = scanner.tally
        indexBuilder = scanner.indexBuilder
        frame = chainHash
        associated = record.id.bytes + [UInt8](repeating: 0, count: 8) + chainHash
        eventCount = scanner.head.eventCount
        eventTimes = scanner.eventTimes
        hasClosingRecord = end == .closed
        sizeBytes = scanner.offset
        if !hasClosingRecord { try cutBack() }
    }

    private static let flags = O_RDWR | O_APPEND

    /// Writes what is there once more, bytes in their places: where a sync of its writer's failed,
    /// they are in memory alone, and the next sync says nothing of it (fsync(2), "EIO").
    func writeAgain() throws(UsageLogError) {
        do throws(Errno) {
            // In a file that is open for appending all goes to its end (pwrite(2), "BUGS").
            let writer = try directory.descriptor.open(name, O_RDWR)
            var offset: UInt64 = 0
            while offset < sizeBytes {
                let count = Int(min(UInt64(OpenSegment.pieceBytes), sizeBytes - offset))
                let piece = try file.read(count: count, at: offset)
                guard piece.count == count else { throw .ioError }
                try writer.write(piece, at: offset)
                offset += UInt64(count)
            }
        } catch {
            throw .system(error, path: path)
        }
    }

    private static let pieceBytes = 1 << 20

    /// Takes the file away again; only before the segment is registered.
    func remove() {
        try? directory.descriptor.unlink(name)
    }

    var head: SegmentHead {
        SegmentHead(
            eventCount: eventCount, chainHash: chainHash,
            treeRoot: record.version == 1 ? [] : tree.root)
    }

    func hasRoom(forPlaintextBytes count: Int, limitBytes: UInt64) -> Bool {
        let closingBytes = ClosingRecord.recordBytes(version: record.version)
        let needed = SegmentFormat.recordBytes(plaintextBytes: count) + closingBytes
        return eventCount == 0 || sizeBytes + UInt64(needed) <= limitBytes
    }

    /// Writes one event; when it throws, the file and the chain are as before.
    ///
    /// - Parameter leaf: the event's plaintext, behind room for what an event's hash begins with
    ///   (``SegmentFormat/leafPrefixBytes``), which is filled in here.
    func append(leaf: EventBuffer, event: some LoggableEvent) throws(UsageLogError) {
        precondition(!hasClosingRecord, "BUG: an event behind the closing record")
        let offset = sizeBytes
        let frameBytes = try appendRecord(leaf)
        let time = event.time.millisecondsSinceEpoch
        indexBuilder.add(
            resources: event.resources, time: time, sequence: eventCount + 1, offset: offset,
            chainHash: chainHash)
        if record.version == 1 {
            for index in 0..<SegmentFormat.hashBytes { frame[index] = chainHash[index] }
            frame.withRawSpan { frame in
                chainHash.withMutableRawSpan {
                    hasher.hash(frame.extracting(0..<frameBytes), into: &$0, at: 0)
                }
            }
        } else {
            leaf.withRawSpan { leaf in
                chainHash.withMutableRawSpan { hasher.hash(leaf, into: &$0, at: 0) }
            }
            tree.append(leafHash: chainHash, hasher)
        }
        eventCount += 1
        let times = eventTimes ?? time...time
        eventTimes = min(times.lowerBound, time)...max(times.upperBound, time)
        tally.add(event)
    }

    /// Writes the last record; does nothing when it is there. The head covers the events, not this.
    func appendClosingRecord(
        _ reason: ClosingRecord.Reason, at time: Timestamp, keys: UsageLogKeys
    ) throws(UsageLogError) {
        guard !hasClosingRecord else { return }
        let closing = ClosingRecord(
            reason: reason, closedAtMilliseconds: time.millisecondsSinceEpoch,
            bootID: record.version == 1 ? [] : Boot.id, head: head,
            eventTimes: eventTimes
                ?? time.millisecondsSinceEpoch...time.millisecondsSinceEpoch)
        let leaf = EventBuffer()
        leaf.reset(toZeros: SegmentFormat.leafPrefixBytes)
        do throws(CryptographyError) {
            leaf.append(
                try closing.plaintext(ClosingRecord.Place(record), signingKey: keys.signingKey))
        } catch {
            throw .signing(error)
        }
        _ = try appendRecord(leaf)
        hasClosingRecord = true
    }

    /// Puts an index beside the segment, which must be closed by now.
    func saveIndex(_ keys: UsageLogKeys) {
        var closed = record
        closed.head = head
        closed.isClosed = true
        indexBuilder.index.save(closed, in: directory, keys: keys)
    }

    /// Notices a file that somebody else deleted, cut or wrote to (statx(2), at every event).
    private func checkFile() throws(UsageLogError) {
        let now: (sizeBytes: UInt64, linkCount: UInt32)
        do throws(Errno) {
            now = try file.sizeAndLinks()
        } catch {
            throw .system(error, path: path)
        }
        guard now.linkCount > 0 else {
            throw .tampered(path: path, reason: "the open segment was deleted")
        }
        guard now.sizeBytes == sizeBytes else {
            throw .tampered(path: path, reason: "the open segment was changed from outside")
        }
    }

    /// Notices also a file that was moved away or replaced (at every sync).
    func checkName() throws(UsageLogError) {
        try checkFile()
        let status: FileStatus
        do throws(Errno) {
            status = try directory.descriptor.status(of: name)
        } catch {
            if error == .noSuchFileOrDirectory {
                throw .tampered(path: path, reason: "the open segment was moved away")
            }
            throw .system(error, path: path)
        }
        guard status.inodeNumber == inodeNumber, status.device == device else {
            throw .tampered(path: path, reason: "the open segment was replaced")
        }
    }

    /// Notices a log directory that was moved away or replaced.
    func checkDirectory() throws(UsageLogError) {
        let now: FileStatus
        let opened: FileStatus
        do throws(Errno) {
            opened = try directory.descriptor.status()
            now = try Descriptor.open(path: directory.path, OpenFlag.path | O_DIRECTORY).status()
        } catch {
            if error == .noSuchFileOrDirectory {
                throw .tampered(path: directory.path, reason: "the directory was removed")
            }
            throw .system(error, path: directory.path)
        }
        guard now.inodeNumber == opened.inodeNumber, now.device == opened.device else {
            throw .tampered(path: directory.path, reason: "the directory was replaced")
        }
    }

    // MARK: Records

    /// - Returns: the length of hash and record in `frame`.
    private func appendRecord(_ leaf: EventBuffer) throws(UsageLogError) -> Int {
        try checkFile()
        let frameBytes = seal(leaf)
        do throws(Errno) {
            // One pwrite(2); with O_APPEND the kernel ignores the offset and appends.
            try frame.withRawSpan { frame throws(Errno) in
                try file.write(frame, SegmentFormat.hashBytes..<frameBytes, at: sizeBytes)
            }
        } catch {
            try cutBack()
            throw UsageLogError(error, path: path)
        }
        sizeBytes += UInt64(frameBytes - SegmentFormat.hashBytes)
        return frameBytes
    }

    /// Builds the record in `frame`, and completes the leaf.
    ///
    /// - Returns: the length of hash and record.
    private func seal(_ leaf: EventBuffer) -> Int {
        let recordBytes = SegmentFormat.recordBytes(
            plaintextBytes: leaf.count - SegmentFormat.leafPrefixBytes)
        let frameBytes = SegmentFormat.hashBytes + recordBytes
        if frame.count < frameBytes {
            frame.append(contentsOf: repeatElement(0, count: frameBytes - frame.count))
        }
        // The closing record's number follows the last event's.
        let sequence = eventCount + 1
        leaf.replace(at: 1, with: chainHash)
        leaf.putBigEndian(sequence, at: 1 + SegmentFormat.hashBytes)
        frame.putBigEndian(UInt32(recordBytes - 4), at: SegmentFormat.hashBytes)
        frame.putBigEndian(sequence, at: SegmentFormat.hashBytes + 4)
        associated.putBigEndian(sequence, at: SegmentID.byteCount)
        for index in 0..<SegmentFormat.hashBytes {
            associated[SegmentID.byteCount + 8 + index] = chainHash[index]
        }
        cipher.use(key)
        leaf.withRawSpan { leaf in
            associated.withRawSpan { associated in
                frame.withMutableRawSpan { frame in
                    cipher.seal(
                        leaf, SegmentFormat.leafPrefixBytes..<leaf.byteCount,
                        authenticating: associated, into: &frame,
                        at: SegmentFormat.hashBytes + SegmentFormat.recordPrefixBytes)
                }
            }
        }
        return frameBytes
    }

    /// Takes away what a failed write, or a crash, left of a record.
    ///
    /// The cut is durable before anything is written in its place: else a power cut may leave the
    /// new record with the rest of the old one behind it.
    private func cutBack() throws(UsageLogError) {
        do throws(Errno) {
            guard try file.status().sizeBytes != sizeBytes else { return }
            try file.truncate(to: sizeBytes)
            try sync.synchronize(dataOnly: false)
        } catch {
            throw .tampered(path: path, reason: "a torn event could not be cut off: \(error)")
        }
    }
}
