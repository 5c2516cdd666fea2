/// One AES block as the number it stands for, most significant bit first.
struct Block128 {
    var high: UInt64
    var low: UInt64

    static let zero = Block128(high: 0, low: 0)

    init(high: UInt64, low: UInt64) {
        (self.high, self.low) = (high, low)
    }

    /// The block whose bytes are `bytes[start…]`, zero-padded after the end of the array.
    init(_ bytes: [UInt8], from start: Int = 0) {
        self = .zero
        for index in 0..<16 {
            let byte = start + index < bytes.count ? UInt64(bytes[start + index]) : 0
            if index < 8 { high = high << 8 | byte } else { low = low << 8 | byte }
        }
    }

    /// The block whose 16 bytes are these words in memory.
    init(bigEndianWords words: (UInt64, UInt64)) {
        (high, low) = (UInt64(bigEndian: words.0), UInt64(bigEndian: words.1))
    }

    /// Two words that lie in memory as the 16 bytes.
    var bigEndianWords: (UInt64, UInt64) { (high.bigEndian, low.bigEndian) }

    /// The 16 bytes.
    var bytes: [UInt8] {
        (0..<16).map { index in
            UInt8(truncatingIfNeeded: (index < 8 ? high : low) >> UInt64(56 - index % 8 * 8))
        }
    }

    /// Whether both are the same; takes the same time wherever they differ.
    func isEqual(to other: Block128) -> Bool {
        (high ^ other.high) | (low ^ other.low) == 0
    }

    /// Multiplication by x in GF(2^128), as CMAC and S2V define it ("dbl" in RFC 5297 §2.3).
    /// Without branches, since the blocks depend on keys.
    var doubled: Block128 {
        let reduction = (0 &- (high >> 63)) & 0x87
        return Block128(high: high << 1 | low >> 63, low: low << 1 ^ reduction)
    }

    static func ^ (a: Block128, b: Block128) -> Block128 {
        Block128(high: a.high ^ b.high, low: a.low ^ b.low)
    }
}
