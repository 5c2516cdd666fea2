/// Base 64 with padding (RFC 4648 §4), in a time that depends on the length only: what it is made
/// for is often a secret.
enum Base64 {
    enum Failure: Error {
        case length(Int)
        /// A byte outside of the alphabet, padding in the wrong place, or bits behind the end.
        case text
    }

    /// How many characters `byteCount` bytes become.
    static func textCount(ofBytes byteCount: Int) -> Int { (byteCount + 2) / 3 * 4 }

    static func append(_ bytes: [UInt8], to text: inout [UInt8]) {
        var index = 0
        while index + 2 < bytes.count {
            let word =
                Int32(bytes[index]) << 16 | Int32(bytes[index + 1]) << 8 | Int32(bytes[index + 2])
            text.append(digit(word >> 18))
            text.append(digit(word >> 12 & 63))
            text.append(digit(word >> 6 & 63))
            text.append(digit(word & 63))
            index += 3
        }
        guard index < bytes.count else { return }
        let hasSecond = index + 1 < bytes.count
        let word = Int32(bytes[index]) << 16 | (hasSecond ? Int32(bytes[index + 1]) << 8 : 0)
        text.append(digit(word >> 18))
        text.append(digit(word >> 12 & 63))
        text.append(hasSecond ? digit(word >> 6 & 63) : padding)
        text.append(padding)
    }

    /// What `text[range]` stands for. Every byte string has one text only; any other is refused.
    static func decode(_ text: [UInt8], _ range: Range<Int>) throws(Failure) -> [UInt8] {
        guard range.count.isMultiple(of: 4) else { throw .length(range.count) }
        guard !range.isEmpty else { return [] }
        var paddingCount = 0
        for index in range.suffix(2).reversed() where text[index] == padding {
            // "x=y" has its mark in the wrong place, and fails as a character.
            guard index == range.upperBound - 1 - paddingCount else { break }
            paddingCount += 1
        }
        var bytes = [UInt8](repeating: 0, count: range.count / 4 * 3 - paddingCount)
        let lost = decode(text, range.dropLast(paddingCount), into: &bytes)
        guard lost == 0 else { throw .text }
        return bytes
    }

    /// - Returns: 0, or something else when a character is no digit or bits are left over.
    private static func decode(
        _ text: [UInt8], _ range: Range<Int>, into bytes: inout [UInt8]
    ) -> Int32 {
        var invalid: Int32 = 0
        var source = range.lowerBound
        var target = 0
        while range.upperBound - source >= 4 {
            let first = value(of: text[source])
            let second = value(of: text[source + 1])
            let third = value(of: text[source + 2])
            let fourth = value(of: text[source + 3])
            // A value of -1 shows in the sign, whatever it is combined with.
            invalid |= first | second | third | fourth
            bytes[target] = UInt8(truncatingIfNeeded: first << 2 | second >> 4)
            bytes[target + 1] = UInt8(truncatingIfNeeded: second << 4 | third >> 2)
            bytes[target + 2] = UInt8(truncatingIfNeeded: third << 6 | fourth)
            source += 4
            target += 3
        }
        return invalid & .min | decodeRest(text, source..<range.upperBound, into: &bytes, target)
    }

    /// The same for two or three characters, or for none.
    private static func decodeRest(
        _ text: [UInt8], _ range: Range<Int>, into bytes: inout [UInt8], _ target: Int
    ) -> Int32 {
        guard range.count >= 2 else { return Int32(range.count) }
        let first = value(of: text[range.lowerBound])
        let second = value(of: text[range.lowerBound + 1])
        bytes[target] = UInt8(truncatingIfNeeded: first << 2 | second >> 4)
        guard range.count == 3 else { return (first | second) & .min | second & 15 }
        let third = value(of: text[range.lowerBound + 2])
        bytes[target + 1] = UInt8(truncatingIfNeeded: second << 4 | third >> 2)
        return (first | second | third) & .min | third & 3
    }

    private static let padding = UInt8(ascii: "=")

    /// The character of a value from 0 to 63: a start, moved where another run of ASCII begins.
    private static func digit(_ value: Int32) -> UInt8 {
        var character = 65 + value  // A
        character += isAbove(25, value) & 6  // a, not what follows Z
        character -= isAbove(51, value) & 75  // 0
        character -= isAbove(61, value) & 15  // +
        character += isAbove(62, value) & 3  // /
        return UInt8(truncatingIfNeeded: character)
    }

    /// The value of a character; -1 for what is none.
    private static func value(of character: UInt8) -> Int32 {
        let c = Int32(character)
        var value: Int32 = -1
        value += isWithin(65, 90, c) & (c - 65 + 1)
        value += isWithin(97, 122, c) & (c - 97 + 27)
        value += isWithin(48, 57, c) & (c - 48 + 53)
        value += isWithin(43, 43, c) & 63
        value += isWithin(47, 47, c) & 64
        return value
    }

    /// All ones or zero.
    private static func isAbove(_ limit: Int32, _ value: Int32) -> Int32 { (limit - value) >> 31 }

    /// All ones or zero.
    private static func isWithin(_ low: Int32, _ high: Int32, _ value: Int32) -> Int32 {
        isAbove(low - 1, value) & ~isAbove(high, value)
    }
}
