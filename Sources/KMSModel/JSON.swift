/// A JSON value (RFC 8259). Objects keep the order of their members, numbers keep their text.
package enum JSON: Hashable, Sendable {
    case null
    case flag(Bool)
    case number(String)
    case text(String)
    case array([JSON])
    case object([Member])

    package struct Member: Hashable, Sendable {
        package let name: String
        package let value: JSON

        package init(name: String, value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// How much of a text that somebody else wrote is read.
    package struct Limits: Hashable, Sendable {
        package let maximumBytes: Int
        /// How many arrays and objects may lie in one another.
        package let maximumDepth: Int

        package init(maximumBytes: Int, maximumDepth: Int) {
            self.maximumBytes = maximumBytes
            self.maximumDepth = maximumDepth
        }
    }

    /// Reads exactly one value, with nothing but white space around it.
    ///
    /// Stricter than RFC 8259 in one thing: no two members of an object may have the same name.
    ///
    /// - Throws: ``JSONError`` at the first byte that does not fit.
    package init(parsing bytes: [UInt8], within limits: Limits) throws(JSONError) {
        guard bytes.count <= limits.maximumBytes else { throw .tooLong(byteCount: bytes.count) }
        var parser = JSONParser(bytes: bytes, maximumDepth: limits.maximumDepth)
        self = try parser.document()
    }
}

/// Why bytes are no JSON text. Offsets are in bytes from the start.
package enum JSONError: Error, Hashable, Sendable {
    case tooLong(byteCount: Int)
    case tooDeep(offset: Int)
    case unexpectedByte(offset: Int)
    /// The text ends where more must come.
    case unexpectedEnd
    case invalidNumber(offset: Int)
    /// A control character, an unknown escape, half a surrogate pair, or no UTF-8.
    case invalidString(offset: Int)
    case duplicateName(String, offset: Int)
}

extension JSONError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tooLong(let count): "\(count) bytes are too many"
        case .tooDeep(let offset): "nested too deeply at byte \(offset)"
        case .unexpectedByte(let offset): "unexpected character at byte \(offset)"
        case .unexpectedEnd: "unexpected end"
        case .invalidNumber(let offset): "invalid number at byte \(offset)"
        case .invalidString(let offset): "invalid string at byte \(offset)"
        case .duplicateName(let name, let offset): "\"\(name)\" stands twice, at byte \(offset)"
        }
    }
}

/// The names of one object. They differ when their bytes do: equal strings may have other bytes.
private struct MemberNames {
    private static let few = 16

    private var list: [String] = []
    private var set: Set<[UInt8]> = []

    /// - Returns: whether it is new.
    mutating func insert(_ name: String) -> Bool {
        guard list.count >= Self.few else {
            guard !list.contains(where: { $0.utf8.elementsEqual(name.utf8) }) else { return false }
            list.append(name)
            return true
        }
        if set.isEmpty { set = Set(list.map { Array($0.utf8) }) }
        return set.insert(Array(name.utf8)).inserted
    }
}

/// Recursive descent over bytes. The depth is bounded, and each step takes at least one byte.
private struct JSONParser {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private var position = 0

    init(bytes: [UInt8], maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    mutating func document() throws(JSONError) -> JSON {
        let value = try value(depth: 0)
        guard position == bytes.count else { throw .unexpectedByte(offset: position) }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSON {
        skipSpace()
        let value: JSON
        switch try next() {
        case UInt8(ascii: "{"): value = try object(depth: depth)
        case UInt8(ascii: "["): value = try array(depth: depth)
        case UInt8(ascii: "\""): value = .text(try string())
        case UInt8(ascii: "t"): value = try word("true", .flag(true))
        case UInt8(ascii: "f"): value = try word("false", .flag(false))
        case UInt8(ascii: "n"): value = try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            value = .number(try number())
        default: throw .unexpectedByte(offset: position)
        }
        skipSpace()
        return value
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func next() throws(JSONError) -> UInt8 {
        guard let byte = peek else { throw .unexpectedEnd }
        return byte
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            position += 1
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func require(_ byte: UInt8) throws(JSONError) {
        guard try next() == byte else { throw .unexpectedByte(offset: position) }
        position += 1
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        for byte in word.description.utf8 { try require(byte) }
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSON {
        guard depth < maximumDepth else { throw .tooDeep(offset: position) }
        position += 1
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object([]) }
        var members: [JSON.Member] = []
        var names = MemberNames()
        repeat {
            skipSpace()
            let start = position
            guard try next() == UInt8(ascii: "\"") else { throw .unexpectedByte(offset: start) }
            let name = try string()
            guard names.insert(name) else {
                throw .duplicateName(name, offset: start)
            }
            skipSpace()
            try require(UInt8(ascii: ":"))
            members.append(JSON.Member(name: name, value: try value(depth: depth + 1)))
        } while take(UInt8(ascii: ","))
        try require(UInt8(ascii: "}"))
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSON {
        guard depth < maximumDepth else { throw .tooDeep(offset: position) }
        position += 1
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array([]) }
        var elements: [JSON] = []
        repeat {
            elements.append(try value(depth: depth + 1))
        } while take(UInt8(ascii: ","))
        try require(UInt8(ascii: "]"))
        return .array(elements)
    }

    // MARK: Numbers

    private mutating func number() throws(JSONError) -> String {
        let start = position
        _ = take(UInt8(ascii: "-"))
        let first = position
        let count = digits()
        guard count == 1 || (count > 1 && bytes[first] != UInt8(ascii: "0")) else {
            throw .invalidNumber(offset: start)
        }
        if take(UInt8(ascii: ".")), digits() == 0 { throw .invalidNumber(offset: start) }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "-")) { _ = take(UInt8(ascii: "+")) }
            guard digits() > 0 else { throw .invalidNumber(offset: start) }
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// How many digits were there.
    private mutating func digits() -> Int {
        let start = position
        while let byte = peek, byte.isASCIIDigit { position += 1 }
        return position - start
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) -> String {
        let start = position
        position += 1
        while let byte = peek, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20
        {
            position += 1
        }
        var text = Array(bytes[start + 1..<position])
        while true {
            switch try next() {
            case UInt8(ascii: "\""):
                position += 1
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw .invalidString(offset: start)
                }
                return string
            case UInt8(ascii: "\\"):
                position += 1
                try appendEscaped(to: &text)
            case 0..<0x20:
                throw .invalidString(offset: position)
            case let byte:
                text.append(byte)
                position += 1
            }
        }
    }

    /// What stands after a backslash.
    private mutating func appendEscaped(to text: inout [UInt8]) throws(JSONError) {
        let byte = try next()
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(Character(try scalar())).utf8)
        default: throw .invalidString(offset: position - 1)
        }
    }

    /// The four digits after `\u`, and a second `\uHHHH` where the two are a surrogate pair.
    private mutating func scalar() throws(JSONError) -> Unicode.Scalar {
        let start = position
        let first = try hexDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first) else { throw .invalidString(offset: start) }
        try require(UInt8(ascii: "\\"))
        try require(UInt8(ascii: "u"))
        let second = try hexDigits()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw .invalidString(offset: start) }
        return scalar
    }

    private mutating func hexDigits() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = try next().hexDigitValue else {
                throw .invalidString(offset: position)
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}
