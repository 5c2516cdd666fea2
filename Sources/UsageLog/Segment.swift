internal import Cryptography
package import KMSModel
internal import Platform

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

/// How far a segment goes: its first `eventCount` events, the chain hash over them, and the root of
/// their Merkle tree.
package struct SegmentHead: Hashable, Sendable {
    package var eventCount: UInt64
    /// 32 bytes.
    package var chainHash: [UInt8]
    /// 32 bytes; none in a segment of version 1, which has no tree.
    package var treeRoot: [UInt8]

    package init(eventCount: UInt64, chainHash: [UInt8], treeRoot: [UInt8] = []) {
        self.eventCount = eventCount
        self.chainHash = chainHash
        self.treeRoot = treeRoot
    }
}

/// What the keystore knows of one segment.
///
/// Invariants over all records in the order of registration: ordinals are 1, 2, 3…; each
/// `previousDigest` is the ``digest`` of the record before, 32 zero bytes for the first.
package struct SegmentRecord: Hashable, Sendable {
    package let id: SegmentID
    /// Of the segment's format: 1 or 2.
    package let version: UInt32
    package let ordinal: UInt64
    package let createdAt: Timestamp
    /// 32 bytes.
    package let previousDigest: [UInt8]
    /// The boot in which it was made, 16 bytes; none in version 1.
    package let bootID: [UInt8]
    package var head: SegmentHead
    package var isClosed: Bool
    /// What the events up to the head add up to (``UsageTally``); of an open segment only.
    package var tally: [UInt8]

    package init(
        id: SegmentID, version: UInt32 = 1, ordinal: UInt64, createdAt: Timestamp,
        previousDigest: [UInt8], bootID: [UInt8] = [], head: SegmentHead, isClosed: Bool,
        tally: [UInt8] = []
    ) {
        self.id = id
        self.version = version
        self.ordinal = ordinal
        self.createdAt = createdAt
        self.previousDigest = previousDigest
        self.bootID = bootID
        self.head = head
        self.isClosed = isClosed
        self.tally = tally
    }

    /// A segment that is about to begin, behind `place`.
    init(at place: LogPlace, createdAt: Timestamp, version: UInt32) {
        self.init(
            id: SegmentID(), version: version, ordinal: place.lastOrdinal + 1,
            createdAt: createdAt, previousDigest: place.lastDigest,
            bootID: version == 1 ? [] : Boot.id,
            head: SegmentHead(eventCount: 0, chainHash: []), isClosed: false)
        head = emptyHead
    }

    /// SHA-256 of the segment's header: of all that never changes in this record, and through
    /// `previousDigest` of all segments before it.
    package var digest: [UInt8] { SHA256.hash(SegmentFormat.header(of: self)) }

    /// Before the first event.
    var emptyHead: SegmentHead {
        SegmentHead(
            eventCount: 0, chainHash: digest, treeRoot: version == 1 ? [] : MerkleTree.emptyRoot)
    }
}
