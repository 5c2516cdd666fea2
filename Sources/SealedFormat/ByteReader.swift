/// Takes fields off the front of untrusted bytes; every method checks the length first and answers
/// nil when there is too little.
struct ByteReader {
    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    /// The next `count` bytes.
    mutating func take(_ count: Int) -> [UInt8]? {
        guard count >= 0, count <= bytes.count - position else { return nil }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// The next big-endian integer.
    mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type = Value.self
    ) -> Value? {
        let count = Value.bitWidth / 8
        guard count <= bytes.count - position else { return nil }
        defer { position += count }
        return bytes[position..<position + count].reduce(0) { $0 << 8 | Value($1) }
    }

    /// Whether all that is left is zero.
    var hasOnlyZerosLeft: Bool { bytes[position...].allSatisfy { $0 == 0 } }

    /// The bytes from `start` to the position.
    func bytes(since start: Int) -> [UInt8] {
        Array(bytes[start..<position])
    }
}

extension [UInt8] {
    /// Appends an integer, most significant byte first.
    mutating func append<Value: FixedWidthInteger & UnsignedInteger>(bigEndian value: Value) {
        for shift in stride(from: Value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Appends zeros up to `count` bytes in all.
    mutating func padWithZeros(to count: Int) {
        append(contentsOf: repeatElement(0, count: Swift.max(0, count - self.count)))
    }
}
