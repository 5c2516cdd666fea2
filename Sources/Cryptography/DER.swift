/// The tags of DER (X.690) that keys have.
enum DERTag {
    static let integer: UInt8 = 0x02
    static let bitString: UInt8 = 0x03
    static let octetString: UInt8 = 0x04
    static let sequence: UInt8 = 0x30
    /// `[0]` and `[1]` around other elements.
    static let explicit0: UInt8 = 0xa0
    static let explicit1: UInt8 = 0xa1
}

/// Takes DER elements, one after another, from part of a byte string.
///
/// Strict: definite lengths in their shortest form, below 64 KiB, within the part. What it cannot
/// take is nil, and then it never comes to the end.
struct DERReader {
    private var position: Int
    private let end: Int
    private var hasFailed = false

    /// Reads `bytes[range]`, which is given with each call.
    init(_ range: Range<Int>) {
        (position, end) = (range.lowerBound, range.upperBound)
    }

    /// Whether all elements were taken, and could be.
    var isAtEnd: Bool { position == end && !hasFailed }

    /// The range of the contents of the next element, which must have this tag.
    mutating func take(_ tag: UInt8, in bytes: RawSpan) -> Range<Int>? {
        guard takeByte(in: bytes) == tag, let count = takeLength(in: bytes),
            count <= end - position
        else {
            hasFailed = true
            return nil
        }
        defer { position += count }
        return position..<position + count
    }

    /// Whether an element follows that has this tag.
    func isNext(_ tag: UInt8, in bytes: RawSpan) -> Bool {
        position < end && bytes.byte(at: position) == tag
    }

    /// The range of the magnitude of a positive INTEGER, without leading zeros.
    mutating func takePositiveInteger(in bytes: RawSpan) -> Range<Int>? {
        guard let range = take(DERTag.integer, in: bytes), let first = range.first else {
            return nil
        }
        if (1..<0x80).contains(bytes.byte(at: first)) { return range }
        // A zero in front where the next bit would be taken for a sign, and nowhere else.
        let magnitude = range.dropFirst()
        guard bytes.byte(at: first) == 0, let next = magnitude.first,
            bytes.byte(at: next) >= 0x80
        else { return nil }
        return magnitude
    }

    /// Whether a small INTEGER, 0…127, followed, which was taken.
    mutating func take(integer value: UInt8, in bytes: RawSpan) -> Bool {
        guard let range = take(DERTag.integer, in: bytes) else { return false }
        return range.count == 1 && bytes.byte(at: range.lowerBound) == value
    }

    private mutating func takeLength(in bytes: RawSpan) -> Int? {
        guard let first = takeByte(in: bytes) else { return nil }
        switch first {
        case ..<0x80: return Int(first)
        case 0x81:
            guard let low = takeByte(in: bytes), low >= 0x80 else { return nil }
            return Int(low)
        case 0x82:
            guard let high = takeByte(in: bytes), let low = takeByte(in: bytes), high > 0 else {
                return nil
            }
            return Int(high) << 8 | Int(low)
        default: return nil
        }
    }

    private mutating func takeByte(in bytes: RawSpan) -> UInt8? {
        guard position < end else { return nil }
        defer { position += 1 }
        return bytes.byte(at: position)
    }
}

/// Writes nested DER elements into one array that never moves, so that there is one copy to wipe.
struct DERWriter {
    /// Longer than any key: an RSA-4096 private key takes 2.4 KB.
    private static let capacity = 4096

    private(set) var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(Self.capacity)
    }

    /// An element whose contents `body` writes.
    mutating func element(_ tag: UInt8, _ body: (inout DERWriter) -> Void) {
        let start = bytes.count
        body(&self)
        let count = bytes.count - start
        precondition(
            count < 1 << 16 && bytes.count + 4 <= Self.capacity, "BUG: DER of \(count) bytes")
        let length: [UInt8] =
            switch count {
            case ..<0x80: [UInt8(count)]
            case ..<0x100: [0x81, UInt8(count)]
            default: [0x82, UInt8(count >> 8), UInt8(count & 0xff)]
            }
        bytes.insert(contentsOf: [tag] + length, at: start)
    }

    mutating func append(_ more: [UInt8]) {
        more.withRawSpan { append($0) }
    }

    mutating func append(_ more: RawSpan) {
        precondition(bytes.count + more.byteCount <= Self.capacity, "BUG: DER is too long")
        for index in 0..<more.byteCount { bytes.append(more.byte(at: index)) }
    }

    /// An INTEGER with this magnitude, which may have leading zeros.
    mutating func positiveInteger(_ magnitude: RawSpan) {
        let start = (0..<magnitude.byteCount).first { magnitude.byte(at: $0) != 0 }
        guard let start else { preconditionFailure("BUG: zero is not positive") }
        element(DERTag.integer) { writer in
            if magnitude.byte(at: start) >= 0x80 { writer.append([0]) }
            writer.append(magnitude.extracting(start..<magnitude.byteCount))
        }
    }

    /// The bytes as a secret; nothing else is left of them.
    consuming func secret() -> SecretBytes {
        SecretBytes(consuming: &bytes)
    }
}
