/// Reads one JSON object (RFC 8259) down to its own members, strictly, and copies no string before
/// it is asked for it.
struct JSONScanner {
    enum Value: Equatable {
        /// A string, by its place between the quotation marks; ``text(_:)`` has its characters.
        case text(Range<Int>)
        /// Anything else, as it is written; an object or an array is `{}` or `[]`.
        case other(String)
    }

    struct Malformed: Error {}

    private static let maximumDepth = 16
    private static let maximumMembers = 64

    private let bytes: [UInt8]
    private var place = 0

    /// - Throws: for what is not UTF-8.
    init(_ bytes: [UInt8]) throws(Malformed) {
        guard (try? UTF8Span(validating: bytes.span)) != nil else { throw Malformed() }
        self.bytes = bytes
    }

    /// Refuses members of one name, more than 64 of them, and anything behind the object.
    mutating func topLevelMembers() throws(Malformed) -> [String: Value] {
        var found: [(name: Range<Int>, value: Value)] = []
        skipSpace()
        try takeObject(depth: 0) { found.append(($0, $1)) }
        skipSpace()
        guard place == bytes.count, found.count <= Self.maximumMembers else { throw Malformed() }
        var members: [String: Value] = [:]
        for member in found {
            let name = String(decoding: try text(member.name), as: UTF8.self)
            guard members.updateValue(member.value, forKey: name) == nil else { throw Malformed() }
        }
        return members
    }

    /// The characters of a string that was found, escapes resolved, in an array of its own.
    func text(_ range: Range<Int>) throws(Malformed) -> [UInt8] {
        var reader = self
        reader.place = range.lowerBound
        var text: [UInt8] = []
        // What is written is never shorter, so the text does not move while it grows.
        text.reserveCapacity(range.count)
        while reader.place < range.upperBound { try reader.takeCharacter { text.append($0) } }
        return text
    }

    // MARK: Values

    private mutating func takeValue(depth: Int) throws(Malformed) -> Value {
        skipSpace()
        switch current {
        case UInt8(ascii: "\""): return .text(try takeString())
        case UInt8(ascii: "{"):
            try takeObject(depth: depth + 1) { _, _ in }
            return .other("{}")
        case UInt8(ascii: "["):
            try takeArray(depth: depth + 1)
            return .other("[]")
        default: return .other(try takeWord())
        }
    }

    private mutating func takeObject(
        depth: Int, _ member: (Range<Int>, Value) -> Void
    ) throws(Malformed) {
        guard depth <= Self.maximumDepth else { throw Malformed() }
        try take(UInt8(ascii: "{"))
        skipSpace()
        if takeIf(UInt8(ascii: "}")) { return }
        repeat {
            skipSpace()
            let name = try takeString()
            skipSpace()
            try take(UInt8(ascii: ":"))
            member(name, try takeValue(depth: depth))
            skipSpace()
        } while takeIf(UInt8(ascii: ","))
        try take(UInt8(ascii: "}"))
    }

    private mutating func takeArray(depth: Int) throws(Malformed) {
        guard depth <= Self.maximumDepth else { throw Malformed() }
        try take(UInt8(ascii: "["))
        skipSpace()
        if takeIf(UInt8(ascii: "]")) { return }
        repeat {
            _ = try takeValue(depth: depth)
            skipSpace()
        } while takeIf(UInt8(ascii: ","))
        try take(UInt8(ascii: "]"))
    }

    /// A number, true, false or null.
    private mutating func takeWord() throws(Malformed) -> String {
        let word = bytes[place...].prefix { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "E"):
                true
            default: false
            }
        }
        place = word.endIndex
        let text = String(decoding: word, as: UTF8.self)
        guard ["true", "false", "null"].contains(text) || Self.isNumber(word) else {
            throw Malformed()
        }
        return text
    }

    private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
        let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        var rest = text.first == UInt8(ascii: "-") ? text.dropFirst() : text
        let whole = rest.prefix(while: isDigit)
        if whole.isEmpty || whole.count > 1 && whole.first == UInt8(ascii: "0") { return false }
        rest = rest[whole.endIndex...]
        if rest.first == UInt8(ascii: ".") {
            let fraction = rest.dropFirst().prefix(while: isDigit)
            if fraction.isEmpty { return false }
            rest = rest[fraction.endIndex...]
        }
        guard let mark = rest.first else { return true }
        guard mark == UInt8(ascii: "e") || mark == UInt8(ascii: "E") else { return false }
        rest = rest.dropFirst()
        if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") {
            rest = rest.dropFirst()
        }
        return !rest.isEmpty && rest.allSatisfy(isDigit)
    }

    // MARK: Strings

    private mutating func takeString() throws(Malformed) -> Range<Int> {
        try take(UInt8(ascii: "\""))
        let start = place
        while let byte = current, byte != UInt8(ascii: "\"") { try takeCharacter { _ in } }
        let range = start..<place
        try take(UInt8(ascii: "\""))
        return range
    }

    /// One byte or one escape.
    private mutating func takeCharacter(_ give: (UInt8) -> Void) throws(Malformed) {
        guard let byte = current, byte >= 0x20 else { throw Malformed() }
        place += 1
        guard byte == UInt8(ascii: "\\") else { return give(byte) }
        guard let mark = current else { throw Malformed() }
        place += 1
        switch mark {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): give(mark)
        case UInt8(ascii: "b"): give(0x08)
        case UInt8(ascii: "f"): give(0x0C)
        case UInt8(ascii: "n"): give(0x0A)
        case UInt8(ascii: "r"): give(0x0D)
        case UInt8(ascii: "t"): give(0x09)
        case UInt8(ascii: "u"): String(try takeScalar()).utf8.forEach(give)
        default: throw Malformed()
        }
    }

    private mutating func takeScalar() throws(Malformed) -> Unicode.Scalar {
        let first = try takeCodeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        // A surrogate, so the second half of a pair follows.
        try take(UInt8(ascii: "\\"))
        try take(UInt8(ascii: "u"))
        let second = try takeCodeUnit()
        guard (0xD800...0xDBFF).contains(first), (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(
                0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw Malformed() }
        return scalar
    }

    private mutating func takeCodeUnit() throws(Malformed) -> UInt16 {
        guard place + 4 <= bytes.count else { throw Malformed() }
        let digits = bytes[place..<place + 4]
        let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        // The initializer would take a sign, too.
        guard let unit, digits.first != UInt8(ascii: "+"), digits.first != UInt8(ascii: "-") else {
            throw Malformed()
        }
        place += 4
        return unit
    }

    // MARK: Bytes

    private var current: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func skipSpace() {
        while let byte = current, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { place += 1 }
    }

    private mutating func takeIf(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        place += 1
        return true
    }

    private mutating func take(_ byte: UInt8) throws(Malformed) {
        guard takeIf(byte) else { throw Malformed() }
    }
}
