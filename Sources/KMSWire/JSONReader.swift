internal import KMSModel

/// A cursor over one JSON text (RFC 8259), made for bytes from strangers: every step takes at least
/// one byte, nesting is bounded, and nothing is allocated but what the caller asks for.
struct JSONReader {
    /// What a value begins as.
    enum Kind {
        case object, list, text, whole, decimal, yes, no, null
    }

    /// A string's characters between its quotation marks, not yet looked at for what they mean.
    struct RawText {
        let range: Range<Int>
        let hasEscapes: Bool
    }

    let bytes: [UInt8]
    private(set) var position = 0
    private var depth = 0
    private let maximumDepth: Int

    init(_ bytes: [UInt8], maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    // MARK: Structure

    /// What comes next, behind white space. A number is not yet known to be well formed.
    mutating func kind() throws(KMSError) -> Kind {
        switch try nextByte() {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .list
        case UInt8(ascii: "\""): .text
        case UInt8(ascii: "t"): .yes
        case UInt8(ascii: "f"): .no
        case UInt8(ascii: "n"): .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            isDecimal ? .decimal : .whole
        default: throw unexpected
        }
    }

    /// Steps over a null, if one comes next.
    mutating func takeNull() throws(KMSError) -> Bool {
        guard try nextByte() == UInt8(ascii: "n") else { return false }
        try takeWord("null")
        return true
    }

    /// Steps over `{` or `[`, which the caller has seen.
    mutating func open() throws(KMSError) {
        guard depth < maximumDepth else { throw .malformedBody("nested too deeply") }
        depth += 1
        position += 1
    }

    /// Whether another element follows, and steps to it; else over the closing `bracket`.
    mutating func hasNext(until bracket: UInt8, isFirst: Bool) throws(KMSError) -> Bool {
        let byte = try nextByte()
        if byte == bracket {
            position += 1
            depth -= 1
            return false
        }
        if isFirst { return true }
        guard byte == UInt8(ascii: ",") else { throw unexpected }
        position += 1
        return true
    }

    /// A member's name, and the colon behind it.
    mutating func memberName() throws(KMSError) -> RawText {
        guard try nextByte() == UInt8(ascii: "\"") else { throw unexpected }
        let name = try rawText()
        guard try nextByte() == UInt8(ascii: ":") else { throw unexpected }
        position += 1
        return name
    }

    mutating func expectEnd() throws(KMSError) {
        skipSpace()
        guard position == bytes.count else { throw unexpected }
    }

    /// Steps over any value.
    mutating func skip() throws(KMSError) {
        switch try kind() {
        case .object:
            try open()
            var isFirst = true
            while try hasNext(until: UInt8(ascii: "}"), isFirst: isFirst) {
                isFirst = false
                _ = try memberName()
                try skip()
            }
        case .list:
            try open()
            var isFirst = true
            while try hasNext(until: UInt8(ascii: "]"), isFirst: isFirst) {
                isFirst = false
                try skip()
            }
        case .text: _ = try rawText()
        case .whole, .decimal: _ = try number()
        case .yes: try takeWord("true")
        case .no: try takeWord("false")
        case .null: try takeWord("null")
        }
    }

    // MARK: Scalars

    mutating func takeWord(_ word: StaticString) throws(KMSError) {
        for byte in word.description.utf8 {
            guard position < bytes.count, bytes[position] == byte else { throw unexpected }
            position += 1
        }
    }

    /// A number's characters, checked for their form.
    mutating func number() throws(KMSError) -> Range<Int> {
        let start = position
        if peek == UInt8(ascii: "-") { position += 1 }
        let first = position
        let count = skipDigits()
        guard count == 1 || count > 1 && bytes[first] != UInt8(ascii: "0") else {
            throw .malformedBody("a number has a wrong form at byte \(start)")
        }
        if peek == UInt8(ascii: ".") {
            position += 1
            guard skipDigits() > 0 else { throw unexpected }
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            position += 1
            if peek == UInt8(ascii: "-") || peek == UInt8(ascii: "+") { position += 1 }
            guard skipDigits() > 0 else { throw unexpected }
        }
        return start..<position
    }

    /// A string, which the caller has seen to begin here. Its escapes are not checked before they
    /// are read, but never end it.
    mutating func rawText() throws(KMSError) -> RawText {
        position += 1
        let start = position
        var hasEscapes = false
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return RawText(range: start..<position - 1, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                position += 2
            case 0..<0x20: throw unexpected
            default: position += 1
            }
        }
        position = bytes.count
        throw unexpected
    }

    // MARK: Bytes

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// The next byte that is no white space.
    private mutating func nextByte() throws(KMSError) -> UInt8 {
        skipSpace()
        guard position < bytes.count else { throw unexpected }
        return bytes[position]
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            position += 1
        }
        return position - start
    }

    /// Whether the number here has a fraction or an exponent.
    private var isDecimal: Bool {
        for byte in bytes[position...] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): continue
            case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): return true
            default: return false
            }
        }
        return false
    }

    /// Names the place and nothing of what stands there.
    private var unexpected: KMSError {
        position < bytes.count
            ? .malformedBody("unexpected character at byte \(position)")
            : .malformedBody("it ends too early")
    }
}

extension KMSError {
    static func malformedBody(_ reason: String) -> KMSError {
        .serialization("The body is no well-formed JSON: \(reason)")
    }
}
