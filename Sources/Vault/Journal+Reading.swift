import Cryptography
import Platform
import SealedFormat

extension Journal {
    /// A journal that some mount left behind, as its frames say.
    struct Remains {
        let name: FileName
        let head: JournalHead
        /// Those of the last epoch, in their order.
        let entries: [JournalEntry]
    }

    /// Reads a journal of a mount that is gone.
    ///
    /// - Returns: nil for a file that never became a journal.
    /// - Throws: for a journal of a later version, of another vault, or with a damaged frame before
    ///   others: what those say may not be left out, and may not be done without it.
    static func read(
        _ file: Descriptor, name: FileName, keys: DomainKeys
    ) throws(VaultError) -> Remains? {
        let bytes = try system { () throws(Errno) in
            try file.read(count: JournalHead.byteCount, at: 0)
        }
        // Torn when it was made: nothing was ever committed to it.
        if bytes.allSatisfy({ $0 == 0 }) { return nil }
        let head: JournalHead
        do throws(FormatError) {
            head = try JournalHead(decoding: bytes)
            try head.authenticate(bytes, with: keys)
        } catch {
            throw .journal(path: "\(ReservedName.journal)/\(name.string)", error)
        }
        let key = keys.journalKey(of: head)
        let frames = try system { () throws(Errno) in
            var frames = try Frames(file, head.version, key: key)
            try frames.lookBehindEnd()
            try frames.addStandby()
            return frames
        }
        guard !frames.hasMoreBehindEnd else {
            throw .journal(
                path: "\(ReservedName.journal)/\(name.string)",
                .malformed(.journal, "a frame at byte \(frames.end)"))
        }
        return Remains(name: name, head: head, entries: frames.entries)
    }

    /// What this journal has of the current epoch.
    func entries() throws(Errno) -> [JournalEntry] {
        let (epoch, end) = writer.withLock { ($0.epoch, $0.offset) }
        return try Frames(file, head.version, key: key, epoch: epoch, limit: end).entries
    }
}

/// The frames of one epoch, from the head to the first one that is not whole.
private struct Frames {
    private static let chunkBytes = 1 << 20

    private(set) var entries: [JournalEntry] = []
    /// Where the first one that does not count would begin.
    private(set) var end = UInt64(JournalHead.byteCount)
    private(set) var hasMoreBehindEnd = false
    private let file: Descriptor
    private let version: JournalVersion
    private let key: SecretBytes
    private let cipher = AESGCM256()
    private var epoch: UInt64?
    private var sequence: UInt64 = 0

    /// - Parameter epoch: nil for that of the first frame.
    init(
        _ file: Descriptor, _ version: JournalVersion, key: SecretBytes, epoch: UInt64? = nil,
        limit: UInt64 = .max
    ) throws(Errno) {
        self.file = file
        self.version = version
        self.key = key
        self.epoch = epoch
        while end < limit, let frame = try frame(at: end), frame.sequence == sequence,
            epoch == nil || frame.epoch == epoch, self.epoch == nil || frame.epoch == self.epoch,
            let found = JournalEntry.decode(frame.body)
        {
            entries += found
            self.epoch = frame.epoch
            sequence += 1
            end += UInt64(JournalFrame.byteCount(bodyBytes: frame.body.count))
        }
    }

    /// What begins an epoch is durable behind all frames before the first of them is written.
    mutating func addStandby() throws(Errno) {
        let size = try file.status().sizeBytes
        guard size > UInt64(Journal.standbyBytes),
            let standby = try frame(at: size - UInt64(Journal.standbyBytes)),
            standby.sequence == JournalFrame.standbySequence, standby.epoch >= epoch ?? 0,
            let found = JournalEntry.decode(standby.body)
        else { return }
        // Before what has come since; of an epoch that never began, behind the one before.
        entries = standby.epoch == epoch ? found + entries : entries + found
    }

    private func frame(at offset: UInt64) throws(Errno) -> JournalFrame? {
        let head = try file.read(count: JournalFrame.headBytes, at: offset)
        guard let count = JournalFrame.byteCount(head: head) else { return nil }
        return JournalFrame(
            decoding: try file.read(count: count, at: offset), version, with: cipher, key: key)
    }

    /// Looks for frames of the same epoch behind the end. Each frame is durable before the next one
    /// is written, so with such a one the end is no torn write but damage. Where the first frame is
    /// the bad one nothing can be said: the others may be of the epoch before.
    mutating func lookBehindEnd() throws(Errno) {
        guard let epoch, sequence > 0 else { return }
        let step = JournalFrame.alignmentBytes
        var position = end + UInt64(step)
        while !hasMoreBehindEnd {
            let bytes = try file.read(count: Self.chunkBytes, at: position)
            guard bytes.count >= JournalFrame.headBytes else { return }
            for start in stride(from: 0, through: bytes.count - JournalFrame.headBytes, by: step) {
                let head = Array(bytes[start..<start + JournalFrame.headBytes])
                guard let later = JournalFrame.place(head: head), later.epoch == epoch,
                    later.sequence > sequence, try frame(at: position + UInt64(start)) != nil
                else { continue }
                hasMoreBehindEnd = true
                return
            }
            position += UInt64(Self.chunkBytes)
        }
    }
}
