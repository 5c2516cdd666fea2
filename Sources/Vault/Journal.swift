import Cryptography
import Platform
import SealedFormat
import Synchronization

/// The file in which changes of old blocks are durable before they reach the stored files
/// (docs/crash-safety.md).
///
/// Frames follow each other from the head on; when the file is full and everything in it stands in
/// the stored files, it begins anew with the next epoch. Any thread may commit: whoever finds the
/// file free writes and flushes for all who wait.
final class Journal: Sendable {
    /// What a mount reserves where there is room.
    static let usualBytes = 32 << 20
    static let smallestBytes = 1 << 20
    /// Space is written once before it is used, so that later writes change no metadata.
    private static let stretchBytes = 1 << 20
    /// Behind the frames: room for what begins the next epoch (``begin(with:)``).
    static let standbyBytes = 256 << 10

    enum Outcome: Equatable {
        case durable
        /// There is no room: a checkpoint must come first.
        case full
        case failed(Errno)
    }

    private final class Request {
        let body: [UInt8]
        let usesReserve: Bool
        /// Read and written under `writer`.
        var outcome: Outcome?

        init(_ body: [UInt8], usesReserve: Bool) {
            self.body = body
            self.usesReserve = usesReserve
        }
    }

    // SAFETY: requests and cipher are used under the mutex that holds them.
    private struct Waiting: @unchecked Sendable { var requests: [Request] = [] }  // SAFETY: above
    struct Writer: @unchecked Sendable {  // SAFETY: above
        let cipher = AESGCM256()
        var epoch: UInt64 = 1
        var sequence: UInt64 = 0
        var offset = UInt64(JournalHead.byteCount)
        /// What a reader finds at the head may be an older frame, or one that was never
        /// acknowledged.
        var isUnsettled = false
        /// Everything before was written at least once.
        var preparedEnd = UInt64(JournalHead.byteCount)
    }

    static let directoryName = FileName(ReservedName.journal)

    let name: FileName
    let byteCount: Int
    private let directory: Descriptor
    let file: Descriptor
    let head: JournalHead
    let key: SecretBytes
    private let flushes: Bool
    private let waiting = Mutex(Waiting())
    let writer = Mutex(Writer())

    /// A new journal, durable and empty, with all its space reserved.
    ///
    /// - Throws: `ENOSPC` when the store has not even room for a small one.
    init(
        in vault: Descriptor, keys: DomainKeys, bootID: [UInt8], byteCount given: Int?,
        flushes: Bool
    ) throws(Errno) {
        head = JournalHead(journalID: Random.bytes(16), bootID: bootID)
        key = keys.journalKey(of: head)
        self.flushes = flushes
        directory = try vault.openOrMakeDirectory(Self.directoryName)
        name = FileName("\(ReservedName.journal).\(hexadecimal(Random.bytes(8)))")
        let statistics = try vault.fileSystemStatistics()
        let free = statistics.availableBlocks * statistics.fragmentSizeBytes
        byteCount =
            given ?? Int(min(UInt64(Self.usualBytes), max(UInt64(Self.smallestBytes), free / 16)))
        file = try directory.openNew(name, mode: 0o600)
        do throws(Errno) {
            try file.tryLock(.exclusive)
            try file.allocate(mode: 0, at: 0, count: UInt64(byteCount + Self.standbyBytes))
            try file.write(head.encoded(with: keys), at: 0)
            try file.synchronize(dataOnly: false)
            try directory.synchronize(dataOnly: false)
            try vault.synchronize(dataOnly: false)
        } catch {
            try? directory.unlink(name)
            throw error
        }
    }

    /// Everything in it stands in the stored files.
    func remove() {
        try? directory.unlink(name)
        file.unlock()
    }

    /// Leaves it for the next mount's recovery.
    func abandon() {
        file.unlock()
    }

    static func currentBootID() throws(Errno) -> [UInt8] {
        let text = try Descriptor.open(path: "/proc/sys/kernel/random/boot_id", 0)
            .read(count: JournalHead.bootIDBytes, at: 0)
        guard text.count == JournalHead.bootIDBytes else { throw .ioError }
        return text
    }

    /// A commit's body may not be larger than this; what is larger goes in several commits.
    var maximumBodyBytes: Int { min(JournalFrame.maximumBodyBytes, byteCount / 4) }
    /// Of the blocks that go with one write.
    var maximumRunBytes: Int {
        min(Scratch.runBlocks * BlockLayout.sealedBlockBytes, maximumBodyBytes / 2)
    }
    /// Blocks of less than this go with one commit, whatever the names above the file.
    var stepBytes: Int { maximumBodyBytes / 2 }
    /// Of the names that lead to a file.
    var maximumPathBytes: Int { maximumBodyBytes / 4 }

    var epoch: UInt64 { writer.withLock { $0.epoch } }

    /// Whether a checkpoint would gain much.
    var isHalfFull: Bool { writer.withLock { $0.offset > UInt64(byteCount / 2) } }

    /// What one plan may take: two of them fit, whoever makes them.
    var planBytes: Int { (byteCount - reserveBytes - JournalHead.byteCount) * 7 / 16 }

    /// The end of the file, for what makes room or must not wait for room: a full disk may keep the
    /// journal from beginning anew.
    private var reserveBytes: Int { byteCount / 16 }

    /// Makes a body of entries durable; with others that wait, in one write and one flush.
    func commit(_ body: [UInt8], usesReserve: Bool = false) -> Outcome {
        precondition(body.count <= maximumBodyBytes, "BUG: a body of \(body.count) bytes")
        let request = Request(body, usesReserve: usesReserve)
        waiting.withLock { $0.requests.append(request) }
        return writer.withLock { writer in
            while request.outcome == nil {
                let batch = takeBatch()
                let body = batch.count == 1 ? batch[0].body : Self.joined(batch)
                let end = batch[0].usesReserve ? byteCount : byteCount - reserveBytes
                let outcome = write(body, before: UInt64(end), &writer)
                for request in batch { request.outcome = outcome }
            }
            return request.outcome ?? .full
        }
    }

    private static func joined(_ batch: [Request]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(batch.reduce(0) { $0 + $1.body.count })
        for request in batch { bytes += request.body }
        return bytes
    }

    private func takeBatch() -> [Request] {
        waiting.withLock { waiting in
            var bytes = 0
            let usesReserve = waiting.requests.first?.usesReserve
            let count =
                waiting.requests.firstIndex { request in
                    bytes += request.body.count
                    return bytes > maximumBodyBytes || request.usesReserve != usesReserve
                } ?? waiting.requests.count
            defer { waiting.requests.removeFirst(count) }
            return Array(waiting.requests[..<count])
        }
    }

    /// After an error the same place is written again by the next commit.
    private func write(
        _ body: [UInt8], before limit: UInt64, _ writer: inout Writer
    ) -> Outcome {
        let count = JournalFrame.byteCount(bodyBytes: body.count)
        let end = writer.offset + UInt64(count)
        guard end <= limit else { return .full }
        let frame = JournalFrame(epoch: writer.epoch, sequence: writer.sequence, body: body)
        do throws(Errno) {
            try prepare(to: end, &writer)
            try write(frame, at: writer.offset, writer.cipher)
            if flushes { try file.synchronize(dataOnly: true) }
        } catch {
            // The frame may be on the disk all the same, or come there later.
            writer.isUnsettled = true
            return .failed(error)
        }
        writer.isUnsettled = false
        writer.offset = end
        writer.sequence += 1
        return .durable
    }

    private func write(
        _ frame: JournalFrame, at offset: UInt64, _ cipher: AESGCM256
    ) throws(Errno) {
        let (front, padding) = frame.enclosure(with: cipher, key: key)
        try front.withRawSpan { front throws(Errno) in
            try frame.body.withRawSpan { body throws(Errno) in
                try padding.withRawSpan { padding throws(Errno) in
                    try file.write(front, body, padding, at: offset)
                }
            }
        }
    }

    private func prepare(to end: UInt64, _ writer: inout Writer) throws(Errno) {
        guard end > writer.preparedEnd else { return }
        let target = min(end + UInt64(Self.stretchBytes), UInt64(byteCount))
        let zeros = [UInt8](repeating: 0, count: Int(target - writer.preparedEnd))
        try file.write(zeros, at: writer.preparedEnd)
        writer.preparedEnd = target
    }

    /// Begins anew: all that was committed stands, durable, in the stored files.
    ///
    /// The old frames are valid until one of the new epoch stands in their place: see ``settle()``.
    /// A power cut may tear that one, so what begins the new epoch is durable beside them before,
    /// as far as it has room there.
    ///
    /// - Parameter body: the entries that the caller commits next.
    /// - Throws: when that is not durable; then the old epoch goes on.
    func begin(with body: [UInt8]) throws(Errno) {
        try writer.withLock { writer throws(Errno) in
            if !body.isEmpty, JournalFrame.byteCount(bodyBytes: body.count) <= Self.standbyBytes {
                let frame = JournalFrame(
                    epoch: writer.epoch + 1, sequence: JournalFrame.standbySequence, body: body)
                try write(frame, at: UInt64(byteCount), writer.cipher)
                if flushes { try file.synchronize(dataOnly: true) }
            }
            writer.epoch += 1
            writer.sequence = 0
            writer.offset = UInt64(JournalHead.byteCount)
            writer.isUnsettled = true
        }
    }

    /// Whether a reader may find frames that must not count any more.
    var isUnsettled: Bool { writer.withLock { $0.isUnsettled } }

    /// Takes away what a reader may find and must not: a frame that could not be made durable when
    /// it was written, or those of the last epoch. Before anything is acknowledged without a frame.
    func settle() -> Outcome { isUnsettled ? commit([], usesReserve: true) : .durable }
}
