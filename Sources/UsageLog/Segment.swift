internal import Cryptography
package import KMSModel

/// Names one segment: 16 random bytes.
package struct SegmentID: Hashable, Sendable, CustomStringConvertible {
    package static let byteCount = 16

    package let bytes: [UInt8]

    /// A new id.
    package init() {
        bytes = Random.bytes(SegmentID.byteCount)
    }

    package init?(bytes: [UInt8]) {
        guard bytes.count == SegmentID.byteCount else { return nil }
        self.bytes = bytes
    }

    /// 32 lower-case hex digits.
    package var description: String { hexText(bytes) }

    /// Of the segment's file in the log's directory.
    package var fileName: String { description + SegmentFormat.fileSuffix }
}

/// How far a segment goes: its first `eventCount` events, and the chain hash over them.
package struct SegmentHead: Hashable, Sendable {
    package var eventCount: UInt64
    /// 32 bytes.
    package var chainHash: [UInt8]

    package init(eventCount: UInt64, chainHash: [UInt8]) {
        self.eventCount = eventCount
        self.chainHash = chainHash
    }
}

/// What the keystore knows of one segment.
///
/// Invariants over all records in the order of registration: ordinals are 1, 2, 3…; each
/// `previousDigest` is the ``digest`` of the record before, 32 zero bytes for the first.
package struct SegmentRecord: Hashable, Sendable {
    package let id: SegmentID
    package let ordinal: UInt64
    package let createdAt: Timestamp
    /// 32 bytes.
    package let previousDigest: [UInt8]
    package var head: SegmentHead
    package var isClosed: Bool

    package init(
        id: SegmentID, ordinal: UInt64, createdAt: Timestamp, previousDigest: [UInt8],
        head: SegmentHead, isClosed: Bool
    ) {
        self.id = id
        self.ordinal = ordinal
        self.createdAt = createdAt
        self.previousDigest = previousDigest
        self.head = head
        self.isClosed = isClosed
    }

    /// A segment that is about to begin, behind `previous`.
    init(after previous: SegmentRecord?, createdAt: Timestamp) {
        self.init(
            id: SegmentID(), ordinal: (previous?.ordinal ?? 0) + 1, createdAt: createdAt,
            previousDigest: previous?.digest ?? SegmentFormat.zeroHash,
            head: SegmentHead(eventCount: 0, chainHash: []), isClosed: false)
        head.chainHash = digest
    }

    /// SHA-256 of the segment's header: of all that never changes in this record, and through
    /// `previousDigest` of all segments before it.
    package var digest: [UInt8] { SHA256.hash(SegmentFormat.header(of: self)) }
}

/// What the log needs from the keystore: which segments exist and how far each one surely goes.
///
/// Called from any thread, and by several processes at once. What it keeps must be safe from
/// whoever can write the log's directory.
package protocol LogAnchorStore: Sendable {
    /// Returns when the record is durable; the segment's first event is written after that.
    ///
    /// - Throws: when the ordinal or the id is taken; the writer then looks at ``segments()`` and
    ///   tries with the next ordinal.
    func register(_ segment: SegmentRecord) throws

    /// Moves a segment's head on, durably. Never called with a head before the one it has.
    func advance(_ segment: SegmentID, to head: SegmentHead, isClosed: Bool) throws

    /// In the order of registration.
    func segments() throws -> [SegmentRecord]
}
