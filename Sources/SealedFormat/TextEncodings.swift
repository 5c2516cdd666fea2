/// Base 16 in lower case.
enum Hexadecimal {
    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }

    /// nil for anything but pairs of digits; upper case is refused, so that there is one encoding.
    static func decode(_ text: [UInt8]) -> [UInt8]? {
        guard text.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2)
        for index in stride(from: 0, to: text.count, by: 2) {
            guard let high = value(of: text[index]), let low = value(of: text[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

/// Base 64 with the URL and file name safe alphabet (RFC 4648 §5), without padding.
enum Base64URL {
    private static let digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The value of each character; 255 for those that are no digit.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, digit) in digits.enumerated() {
            values[Int(digit)] = UInt8(value)
        }
        return values
    }()

    static func encodedCount(of byteCount: Int) -> Int {
        (byteCount * 4 + 2) / 3
    }

    /// The number of bytes that a text of `textCount` characters stands for; nil for a count that
    /// no encoding has.
    static func decodedCount(of textCount: Int) -> Int? {
        guard textCount >= 0, textCount % 4 != 1 else { return nil }
        return textCount / 4 * 3 + max(0, textCount % 4 - 1)
    }

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(encodedCount(of: bytes.count))
        var pending: UInt32 = 0
        var pendingBits = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            pendingBits += 8
            while pendingBits >= 6 {
                pendingBits -= 6
                text.append(digits[Int(pending >> UInt32(pendingBits) & 63)])
            }
        }
        if pendingBits > 0 {
            text.append(digits[Int(pending << UInt32(6 - pendingBits) & 63)])
        }
        return text
    }

    /// nil for a character outside the alphabet, an impossible length, or unused bits that are not
    /// zero: every byte string has one encoding.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard let count = decodedCount(of: text.count) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        var pending: UInt32 = 0
        var pendingBits = 0
        for character in text {
            let value = values[Int(character)]
            guard value < 64 else { return nil }
            pending = pending << 6 | UInt32(value)
            pendingBits += 6
            if pendingBits >= 8 {
                pendingBits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(pendingBits)))
            }
        }
        guard pending & (1 << UInt32(pendingBits) - 1) == 0 else { return nil }
        return bytes
    }
}
