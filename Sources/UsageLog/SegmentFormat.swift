internal import Cryptography

/// Bytes of a segment file: `header | record | record | …`. See docs/usage-log.md.
///
/// Invariants: a header follows from the segment's ``SegmentRecord``: 92 bytes, in version 1 the
/// first 76 of them. A record is `length 4 | sequence 8 | box`, with `length` counting sequence and
/// box, and the box being `nonce 12 | ciphertext | tag 16`. Its plaintext is
/// `kind 1 | milliseconds 8 | payload`. Numbers are big-endian.
///
/// Version 2 hashes what an event says, version 1 what lies in the file. An event's leaf is
/// `chain hash before 32 | sequence 8 | plaintext`; its hash `SHA-256(0 ‖ leaf)` is the next chain
/// hash and the event's leaf hash in the segment's ``MerkleTree`` at once.
package enum SegmentFormat {
    /// Of new segments.
    package static let version: UInt32 = 2
    package static let magic: [UInt8] = Array("KFUSELOG".utf8)
    package static let fileSuffix = ".kflog"

    /// Of the current version; no header is longer.
    package static let headerBytes = 92
    /// What stands before an event's plaintext when its hash is taken: 0, chain hash, sequence.
    static let leafPrefixBytes = 1 + hashBytes + 8
    static let bootIDBytes = 16
    /// In front of a record's box: length and sequence number.
    package static let recordPrefixBytes = 12
    /// In front of a payload: kind and time.
    static let plaintextPrefixBytes = 9
    /// Of an event's plaintext; longer ones are refused.
    package static let maximumPlaintextBytes = 1 << 20
    static let hashBytes = 32
    static let zeroHash = [UInt8](repeating: 0, count: hashBytes)
    /// What `length` may be.
    static let lengthRange: ClosedRange<Int> = {
        let shortest = lengthBytes(plaintext: plaintextPrefixBytes)
        return shortest...lengthBytes(plaintext: maximumPlaintextBytes)
    }()

    private static func lengthBytes(plaintext count: Int) -> Int {
        8 + AESGCM256.overheadBytes + count
    }

    static func headerBytes(version: UInt32) -> Int { version == 1 ? 76 : headerBytes }

    static func header(of segment: SegmentRecord) -> [UInt8] {
        var bytes = magic
        bytes.reserveCapacity(headerBytes)
        bytes.appendBigEndian(segment.version)
        bytes += segment.id.bytes
        bytes.appendBigEndian(segment.ordinal)
        bytes.appendBigEndian(segment.createdAt.millisecondsSinceEpoch)
        bytes += segment.previousDigest
        if segment.version > 1 { bytes += segment.bootID }
        precondition(
            bytes.count == headerBytes(version: segment.version), "BUG: a segment's header")
        return bytes
    }

    /// How long the record of a plaintext is.
    static func recordBytes(plaintextBytes: Int) -> Int {
        recordPrefixBytes + AESGCM256.overheadBytes + plaintextBytes
    }
}

/// What a record holds, its plaintext's first byte.
enum RecordKind: UInt8 {
    case event = 1
    case closing = 2
}

/// The last record of a segment, signed: 169 bytes of payload, in version 1 121.
struct ClosingRecord: Hashable, Sendable {
    enum Reason: UInt8 {
        /// The writer was closed.
        case closed = 1
        /// The segment had its full size.
        case rotated = 2
        /// Another process closed what a writer that died had left.
        case recovered = 3
    }

    /// What a closing record is about, and who reads it.
    struct Place {
        let version: UInt32
        let segmentDigest: [UInt8]

        init(_ record: SegmentRecord) {
            version = record.version
            segmentDigest = record.digest
        }
    }

    static func recordBytes(version: UInt32) -> Int {
        SegmentFormat.recordBytes(
            plaintextBytes: SegmentFormat.plaintextPrefixBytes + payloadBytes(version: version))
    }

    private static func payloadBytes(version: UInt32) -> Int {
        let added = version == 1 ? 0 : SegmentFormat.bootIDBytes + SegmentFormat.hashBytes
        return 1 + 8 + 32 + 8 + 8 + 64 + added
    }

    let reason: Reason
    let closedAtMilliseconds: Int64
    /// The boot in which it was closed; none in version 1.
    let bootID: [UInt8]
    /// All events of the segment.
    let head: SegmentHead
    /// Of the events, by their own times; a segment without events has equal bounds.
    let eventTimes: ClosedRange<Int64>

    /// What the signature covers: the chain of digests up to this segment, and its events.
    private func signedMessage(_ place: Place) -> [UInt8] {
        var message = Array("keyfold usage log segment \(place.version)".utf8)
        message += place.segmentDigest
        message.appendBigEndian(closedAtMilliseconds)
        return message + fields
    }

    private var fields: [UInt8] {
        var bytes = [reason.rawValue] + bootID
        bytes.appendBigEndian(head.eventCount)
        bytes += head.chainHash + head.treeRoot
        bytes.appendBigEndian(eventTimes.lowerBound)
        bytes.appendBigEndian(eventTimes.upperBound)
        return bytes
    }

    /// The record's whole plaintext.
    func plaintext(
        _ place: Place, signingKey: Ed25519PrivateKey
    ) throws(CryptographyError) -> [UInt8] {
        var bytes = [RecordKind.closing.rawValue]
        bytes.appendBigEndian(closedAtMilliseconds)
        bytes += fields
        return try bytes + signingKey.sign(signedMessage(place))
    }

    init(
        reason: Reason, closedAtMilliseconds: Int64, bootID: [UInt8], head: SegmentHead,
        eventTimes: ClosedRange<Int64>
    ) {
        self.reason = reason
        self.closedAtMilliseconds = closedAtMilliseconds
        self.bootID = bootID
        self.head = head
        self.eventTimes = eventTimes
    }

    /// nil when the bytes are no closing record or its signature is not `publicKey`'s.
    init?(plaintext: ArraySlice<UInt8>, of place: Place, publicKey: [UInt8]) {
        var bytes = ByteReader(plaintext)
        let payloadBytes = ClosingRecord.payloadBytes(version: place.version)
        let hasTree = place.version > 1
        guard plaintext.count == SegmentFormat.plaintextPrefixBytes + payloadBytes,
            bytes.number(UInt8.self) == RecordKind.closing.rawValue,
            let closedAt = bytes.number(Int64.self),
            let reason = bytes.number(UInt8.self).flatMap(Reason.init),
            let boot = bytes.take(hasTree ? SegmentFormat.bootIDBytes : 0),
            let count = bytes.number(UInt64.self), let hash = bytes.take(SegmentFormat.hashBytes),
            let root = bytes.take(hasTree ? SegmentFormat.hashBytes : 0),
            let first = bytes.number(Int64.self), let last = bytes.number(Int64.self),
            first <= last, let signature = bytes.take(Ed25519.signatureBytes)
        else { return nil }
        self.init(
            reason: reason, closedAtMilliseconds: closedAt, bootID: boot,
            head: SegmentHead(eventCount: count, chainHash: hash, treeRoot: root),
            eventTimes: first...last)
        guard Ed25519.isValid(signature, for: signedMessage(place), publicKey: publicKey) else {
            return nil
        }
    }
}

/// Reads fields from the front of some bytes; nil where they are too short.
struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ count: Int) -> [UInt8]? {
        guard count >= 0, rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    mutating func number<Value: FixedWidthInteger>(_: Value.Type) -> Value? {
        take(Value.bitWidth / 8)?.reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
    }
}

extension [UInt8] {
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Overwrites bytes from `offset` on.
    mutating func putBigEndian(_ value: some FixedWidthInteger, at offset: Int) {
        for index in 0..<value.bitWidth / 8 {
            self[offset + index] = UInt8(
                truncatingIfNeeded: value >> (value.bitWidth - 8 - 8 * index))
        }
    }

    func bigEndian<Value: FixedWidthInteger>(_: Value.Type, at offset: Int) -> Value {
        var value: Value = 0
        for index in 0..<Value.bitWidth / 8 {
            value = value << 8 | Value(truncatingIfNeeded: self[offset + index])
        }
        return value
    }
}
