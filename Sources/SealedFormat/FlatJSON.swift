/// JSON objects of strings and whole numbers, nothing nested: the subset of RFC 8259 that the vault
/// config is written in.
///
/// Stricter than JSON in one thing: escapes are those that ``encode(_:)`` writes, so that no two
/// spellings of a string differ by a letter's case.
enum FlatJSON {
    enum Value: Equatable {
        case text(String)
        case number(Int)

        /// The value as text; a number in decimal.
        var text: String {
            switch self {
            case .text(let text): text
            case .number(let number): String(number)
            }
        }
    }

    typealias Member = (name: String, value: Value)

    /// Members sorted by name, one on a line, and a line feed at the end.
    static func encode(_ members: [Member]) -> [UInt8] {
        let lines = members.sorted { $0.name < $1.name }.map { name, value in
            let text =
                switch value {
                case .text(let text): quoted(text)
                case .number(let number): Array(String(number).utf8)
                }
            return Array("  ".utf8) + quoted(name) + Array(": ".utf8) + text
        }
        return Array("{\n".utf8) + lines.joined(separator: Array(",\n".utf8)) + Array("\n}\n".utf8)
    }

    /// The members in their order; nil for anything else than one object of this subset.
    static func decode(_ bytes: [UInt8]) -> [Member]? {
        var parser = FlatJSONParser(bytes)
        return parser.object()
    }

    private static func quoted(_ text: String) -> [UInt8] {
        var bytes = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20:
                bytes += Array("\\u00".utf8) + Hexadecimal.encode([byte])
            default:
                bytes.append(byte)
            }
        }
        return bytes + [UInt8(ascii: "\"")]
    }
}

/// Reads bytes from front to back; every method answers nil at the first that does not fit.
private struct FlatJSONParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func object() -> [FlatJSON.Member]? {
        guard takeToken("{") else { return nil }
        var members: [FlatJSON.Member] = []
        if !takeToken("}") {
            repeat {
                skipSpace()
                guard let name = string(), takeToken(":"), let value = value() else { return nil }
                members.append((name, value))
            } while takeToken(",")
            guard takeToken("}") else { return nil }
        }
        skipSpace()
        return position == bytes.count ? members : nil
    }

    private mutating func value() -> FlatJSON.Value? {
        skipSpace()
        guard position < bytes.count else { return nil }
        if bytes[position] == UInt8(ascii: "\"") { return string().map { .text($0) } }
        return number().map { .number($0) }
    }

    /// A whole number from 0 on, without leading zeros.
    private mutating func number() -> Int? {
        let start = position
        while position < bytes.count, isDigit(bytes[position]) { position += 1 }
        let digits = bytes[start..<position]
        guard digits.count == 1 || digits.first != UInt8(ascii: "0") else { return nil }
        return Int(String(decoding: digits, as: UTF8.self))
    }

    private mutating func string() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        var text: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let character = escaped() else { return nil }
                text.append(character)
            case 0..<0x20: return nil
            default: text.append(byte)
            }
        }
        return nil
    }

    /// What stands after a backslash: a quotation mark, a backslash, or u00XX for a control
    /// character.
    private mutating func escaped() -> UInt8? {
        if take(UInt8(ascii: "\"")) { return UInt8(ascii: "\"") }
        if take(UInt8(ascii: "\\")) { return UInt8(ascii: "\\") }
        for character in "u00".utf8 {
            guard take(character) else { return nil }
        }
        guard bytes.count - position >= 2,
            let byte = Hexadecimal.decode(Array(bytes[position..<position + 2]))?.first,
            byte < 0x20
        else { return nil }
        position += 2
        return byte
    }

    private mutating func takeToken(_ token: Unicode.Scalar) -> Bool {
        skipSpace()
        return take(UInt8(ascii: token))
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[position]) {
            position += 1
        }
    }

    private func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
