internal import Cryptography

/// Bytes of a segment file: `header | record | record | …`. See docs/usage-log.md.
///
/// Invariants: a header is 76 bytes and follows from the segment's ``SegmentRecord``. A record is
/// `length 4 | sequence 8 | box`, with `length` counting sequence and box, and the box being
/// `nonce 12 | ciphertext | tag 16`. Its plaintext is `kind 1 | milliseconds 8 | payload`. Numbers
/// are big-endian.
package enum SegmentFormat {
    package static let version: UInt32 = 1
    package static let magic: [UInt8] = Array("KFUSELOG".utf8)
    package static let fileSuffix = ".kflog"

    package static let headerBytes = 76
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

    static func header(of segment: SegmentRecord) -> [UInt8] {
        var bytes = magic
        bytes.reserveCapacity(headerBytes)
        bytes.appendBigEndian(version)
        bytes += segment.id.bytes
        bytes.appendBigEndian(segment.ordinal)
        bytes.appendBigEndian(segment.createdAt.millisecondsSinceEpoch)
        bytes += segment.previousDigest
        precondition(bytes.count == headerBytes, "BUG: a segment's header is 76 bytes")
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

/// The last record of a segment, signed: 121 bytes of payload.
struct ClosingRecord: Hashable, Sendable {
    enum Reason: UInt8 {
        /// The writer was closed.
        case closed = 1
        /// The segment had its full size.
        case rotated = 2
        /// Another process closed what a writer that died had left.
        case recovered = 3
    }

    static let payloadBytes = 1 + 8 + 32 + 8 + 8 + 64
    static let recordBytes = SegmentFormat.recordBytes(
        plaintextBytes: SegmentFormat.plaintextPrefixBytes + payloadBytes)

    let reason: Reason
    let closedAtMilliseconds: Int64
    /// All events of the segment.
    let head: SegmentHead
    /// Of the events, by their own times; a segment without events has equal bounds.
    let eventTimes: ClosedRange<Int64>

    /// What the signature covers: the chain of digests up to this segment, and its events.
    private func signedMessage(segmentDigest: [UInt8]) -> [UInt8] {
        var message = Array("keyfold usage log segment 1".utf8)
        message += segmentDigest
        message.appendBigEndian(closedAtMilliseconds)
        return message + fields
    }

    private var fields: [UInt8] {
        var bytes = [reason.rawValue]
        bytes.appendBigEndian(head.eventCount)
        bytes += head.chainHash
        bytes.appendBigEndian(eventTimes.lowerBound)
        bytes.appendBigEndian(eventTimes.upperBound)
        return bytes
    }

    /// The record's whole plaintext.
    func plaintext(
        segmentDigest: [UInt8], signingKey: Ed25519PrivateKey
    ) throws(CryptographyError) -> [UInt8] {
        var bytes = [RecordKind.closing.rawValue]
        bytes.appendBigEndian(closedAtMilliseconds)
        bytes += fields
        return try bytes + signingKey.sign(signedMessage(segmentDigest: segmentDigest))
    }

    init(
        reason: Reason, closedAtMilliseconds: Int64, head: SegmentHead,
        eventTimes: ClosedRange<Int64>
    ) {
        self.reason = reason
        self.closedAtMilliseconds = closedAtMilliseconds
        self.head = head
        self.eventTimes = eventTimes
    }

    /// nil when the bytes are no closing record or its signature is not `publicKey`'s.
    init?(plaintext: ArraySlice<UInt8>, segmentDigest: [UInt8], publicKey: [UInt8]) {
        var bytes = ByteReader(plaintext)
        guard plaintext.count == SegmentFormat.plaintextPrefixBytes + ClosingRecord.payloadBytes,
            bytes.number(UInt8.self) == RecordKind.closing.rawValue,
            let closedAt = bytes.number(Int64.self),
            let reason = bytes.number(UInt8.self).flatMap(Reason.init),
            let count = bytes.number(UInt64.self), let hash = bytes.take(SegmentFormat.hashBytes),
            let first = bytes.number(Int64.self), let last = bytes.number(Int64.self),
            first <= last, let signature = bytes.take(64)
        else { return nil }
        self.init(
            reason: reason, closedAtMilliseconds: closedAt,
            head: SegmentHead(eventCount: count, chainHash: hash), eventTimes: first...last)
        guard
            Ed25519.isValid(
                signature, for: signedMessage(segmentDigest: segmentDigest), publicKey: publicKey)
        else { return nil }
    }
}

/// Reads fields from the front of some bytes; nil where they are too short.
struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    mutating func take(_ count: Int) -> [UInt8]? {
        guard rest.count >= count else { return nil }
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
