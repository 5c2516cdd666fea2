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
    let file: Descriptor
    let path: String
    /// Who opened it: a forked child must not write to its parent's segment.
    let processID: Int32
    private(set) var eventCount: UInt64 = 0
    private(set) var hasClosingRecord = false
    private(set) var sizeBytes = UInt64(SegmentFormat.headerBytes)

    private let directory: LogDirectory
    private let name: FileName
    private let device: UInt64
    private let inodeNumber: UInt64
    private let key: SecretBytes
    private let cipher = AESGCM256()
    private var eventTimes: ClosedRange<Int64>?
    /// `chain hash so far 32 | record`: what the next chain hash is made of. Grows only.
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
        processID = getpid()
        key = keys.sealingKey(of: record.id)
        frame = record.head.chainHash
        associated = record.id.bytes + [UInt8](repeating: 0, count: 8) + record.head.chainHash
        do throws(Errno) {
            file = try directory.descriptor.open(
                name, OpenSegment.flags | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            throw UsageLogError(error, path: path)
        }
        do throws(Errno) {
            try file.tryLock(.exclusive)
            try file.write(SegmentFormat.header(of: record), at: 0)
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
        processID = getpid()
        key = keys.sealingKey(of: record.id)
        let status: FileStatus
        do throws(Errno) {
            file = try directory.descriptor.open(name, OpenSegment.flags)
            try file.tryLock(.exclusive)
            status = try file.status()
        } catch {
            if error == .wouldBlock || error == .noSuchFileOrDirectory { return nil }
            throw .system(error, path: path)
        }
        guard
            let scanner = try? SegmentScanner(
                record, in: directory, keys: keys, isWriterGone: true),
            let end = scanner.readToEnd()
        else { return nil }
        device = status.device
        inodeNumber = status.inodeNumber
        frame = scanner.head.chainHash
        associated = record.id.bytes + [UInt8](repeating: 0, count: 8) + frame
        eventCount = scanner.head.eventCount
        eventTimes = scanner.eventTimes
        hasClosingRecord = end == .closed
        sizeBytes = scanner.offset
        if !hasClosingRecord { try cutBack() }
    }

    private static let flags = O_RDWR | O_APPEND

    /// Takes the file away again; only before the segment is registered.
    func remove() {
        try? directory.descriptor.unlink(name)
    }

    var head: SegmentHead {
        SegmentHead(
            eventCount: eventCount, chainHash: Array(frame[0..<SegmentFormat.hashBytes]))
    }

    func hasRoom(forPlaintextBytes count: Int, limitBytes: UInt64) -> Bool {
        let needed = SegmentFormat.recordBytes(plaintextBytes: count) + ClosingRecord.recordBytes
        return eventCount == 0 || sizeBytes + UInt64(needed) <= limitBytes
    }

    /// Writes one event; when it throws, the file and the chain are as before.
    func append(eventPlaintext plaintext: [UInt8], time: Int64) throws(UsageLogError) {
        precondition(!hasClosingRecord, "BUG: an event behind the closing record")
        try appendRecord(plaintext)
        eventCount += 1
        let times = eventTimes ?? time...time
        eventTimes = min(times.lowerBound, time)...max(times.upperBound, time)
    }

    /// Writes the last record; does nothing when it is there.
    func appendClosingRecord(
        _ reason: ClosingRecord.Reason, at time: Timestamp, keys: UsageLogKeys
    ) throws(UsageLogError) {
        guard !hasClosingRecord else { return }
        let closing = ClosingRecord(
            reason: reason, closedAtMilliseconds: time.millisecondsSinceEpoch, head: head,
            eventTimes: eventTimes
                ?? time.millisecondsSinceEpoch...time.millisecondsSinceEpoch)
        let plaintext: [UInt8]
        do throws(CryptographyError) {
            plaintext = try closing.plaintext(
                segmentDigest: record.digest, signingKey: keys.signingKey)
        } catch {
            throw .signing(error)
        }
        let head = frame
        try appendRecord(plaintext)
        hasClosingRecord = true
        // The head that is anchored covers the events, not the closing record.
        frame.replaceSubrange(0..<SegmentFormat.hashBytes, with: head[0..<SegmentFormat.hashBytes])
    }

    /// Notices a file that somebody else deleted, cut or wrote to (fstat(2), at every event).
    private func checkFile() throws(UsageLogError) {
        let status: FileStatus
        do throws(Errno) {
            status = try file.status()
        } catch {
            throw .system(error, path: path)
        }
        guard status.linkCount > 0 else {
            throw .tampered(path: path, reason: "the open segment was deleted")
        }
        guard status.sizeBytes == sizeBytes else {
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

    private func appendRecord(_ plaintext: [UInt8]) throws(UsageLogError) {
        try checkFile()
        let frameBytes = seal(plaintext)
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
        let hash = frame.withRawSpan { SHA256.hash($0.extracting(0..<frameBytes)) }
        for index in 0..<SegmentFormat.hashBytes { frame[index] = hash[index] }
    }

    /// Builds the record behind the chain hash in `frame`.
    ///
    /// - Returns: the length of hash and record.
    private func seal(_ plaintext: [UInt8]) -> Int {
        let recordBytes = SegmentFormat.recordBytes(plaintextBytes: plaintext.count)
        let frameBytes = SegmentFormat.hashBytes + recordBytes
        if frame.count < frameBytes {
            frame.append(contentsOf: repeatElement(0, count: frameBytes - frame.count))
        }
        // The closing record's number follows the last event's.
        let sequence = eventCount + 1
        frame.putBigEndian(UInt32(recordBytes - 4), at: SegmentFormat.hashBytes)
        frame.putBigEndian(sequence, at: SegmentFormat.hashBytes + 4)
        associated.putBigEndian(sequence, at: SegmentID.byteCount)
        for index in 0..<SegmentFormat.hashBytes {
            associated[SegmentID.byteCount + 8 + index] = frame[index]
        }
        cipher.use(key)
        plaintext.withRawSpan { plaintext in
            associated.withRawSpan { associated in
                frame.withMutableRawSpan { frame in
                    cipher.seal(
                        plaintext, 0..<plaintext.byteCount, authenticating: associated,
                        into: &frame,
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
            try file.synchronize(dataOnly: false)
        } catch {
            throw .tampered(path: path, reason: "a torn event could not be cut off: \(error)")
        }
    }
}
