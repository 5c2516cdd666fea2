package import Cryptography
package import KMSModel

/// Writes the fields of a record one after the other: numbers big-endian, texts and byte strings
/// behind their 32-bit length, options behind one byte that is 0 or 1.
package struct RecordWriter: ~Copyable {
    package private(set) var bytes: [UInt8] = []
    private var holdsSecret = false

    package init() {}

    /// Makes room for so many bytes more. An array that grows frees its memory as it is, so what is
    /// outgrown is wiped here once there is a secret in it.
    private mutating func makeRoom(for count: Int) {
        guard holdsSecret, bytes.capacity - bytes.count < count else { return }
        var grown: [UInt8] = []
        grown.reserveCapacity(2 * (bytes.count + count))
        grown.append(contentsOf: bytes)
        wipe(&bytes)
        bytes = grown
    }

    package mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        makeRoom(for: Number.bitWidth / 8)
        for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    package mutating func append(_ value: Bool) { append(value ? 1 as UInt8 : 0) }

    package mutating func append(_ value: [UInt8]) {
        append(UInt32(value.count))
        makeRoom(for: value.count)
        bytes.append(contentsOf: value)
    }

    package mutating func append(_ text: String) { append(Array(text.utf8)) }

    package mutating func append(_ time: Timestamp) { append(time.millisecondsSinceEpoch) }

    package mutating func append(_ time: Timestamp?) {
        append(time != nil)
        if let time { append(time) }
    }

    package mutating func append(_ id: KeyID) {
        append(id.isMultiRegion)
        append(id.high)
        append(id.low)
    }

    /// The bytes are wiped by whoever takes them.
    package mutating func append(_ secret: SecretBytes) {
        append(UInt32(secret.count))
        holdsSecret = true
        makeRoom(for: secret.count)
        secret.withBytes { span in
            for index in 0..<span.byteCount {
                bytes.append(span.unsafeLoadByte(at: index))
            }
        }
    }

    package consuming func finish() -> [UInt8] { bytes }
}

/// Bytes that no writer of this format makes.
package struct MalformedRecord: Error {
    /// Whether the bytes end before a field does: with more of them they might be a record.
    package let isCutOff: Bool

    package init(isCutOff: Bool = false) {
        self.isCutOff = isCutOff
    }
}

/// Reads what ``RecordWriter`` wrote, and refuses everything else.
package struct RecordReader: ~Copyable {
    private let bytes: [UInt8]
    private var position = 0

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    private mutating func take(_ count: Int) throws(MalformedRecord) -> ArraySlice<UInt8> {
        guard count >= 0 else { throw MalformedRecord() }
        guard count <= bytes.count - position else { throw MalformedRecord(isCutOff: true) }
        defer { position += count }
        return bytes[position..<position + count]
    }

    package mutating func number<Number: FixedWidthInteger>(
        _ type: Number.Type = Number.self
    ) throws(MalformedRecord) -> Number {
        var value: UInt64 = 0
        for byte in try take(Number.bitWidth / 8) { value = value << 8 | UInt64(byte) }
        return Number(truncatingIfNeeded: value)
    }

    package mutating func flag() throws(MalformedRecord) -> Bool {
        switch try number(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw MalformedRecord()
        }
    }

    package mutating func byteString() throws(MalformedRecord) -> [UInt8] {
        Array(try take(Int(try number(UInt32.self))))
    }

    package mutating func text() throws(MalformedRecord) -> String {
        let bytes = try take(Int(try number(UInt32.self)))
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw MalformedRecord()
        }
        return text
    }

    package mutating func time() throws(MalformedRecord) -> Timestamp {
        Timestamp(millisecondsSinceEpoch: try number(Int64.self))
    }

    package mutating func optionalTime() throws(MalformedRecord) -> Timestamp? {
        try flag() ? try time() : nil
    }

    package mutating func keyID() throws(MalformedRecord) -> KeyID {
        let isMultiRegion = try flag()
        return KeyID(
            high: try number(UInt64.self), low: try number(UInt64.self),
            isMultiRegion: isMultiRegion)
    }

    package mutating func secret() throws(MalformedRecord) -> SecretBytes {
        var plain = try byteString()
        return SecretBytes(consuming: &plain)
    }

    package var isAtEnd: Bool { position == bytes.count }

    /// Whether so many bytes have not been read yet.
    func hasLeft(_ count: Int) -> Bool { bytes.count - position >= count }

    /// Refuses bytes behind the last field.
    package func finish() throws(MalformedRecord) {
        guard position == bytes.count else { throw MalformedRecord() }
    }
}

extension RawSpan {
    /// One byte; the index is checked.
    func unsafeLoadByte(at index: Int) -> UInt8 {
        precondition(index >= 0 && index < byteCount, "BUG: index")
        // SAFETY: the index was checked, and any byte is a UInt8.
        return unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
    }
}
