/// Appends JSON (RFC 8259) to an array of bytes, with nothing between tokens.
///
/// Names and values are written in the order of the calls; a comma goes where one is due.
struct JSONWriter {
    private(set) var bytes: [UInt8]
    private var needsComma = false

    /// `prefix` stays in front of the JSON.
    init(prefix: [UInt8], capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
        bytes += prefix
    }

    mutating func beginObject(_ name: StaticString? = nil) {
        open(name, UInt8(ascii: "{"))
    }

    mutating func endObject() {
        close(UInt8(ascii: "}"))
    }

    mutating func beginArray(_ name: StaticString) {
        open(name, UInt8(ascii: "["))
    }

    mutating func endArray() {
        close(UInt8(ascii: "]"))
    }

    mutating func field(_ name: StaticString, _ value: String) {
        key(name)
        string(value)
        needsComma = true
    }

    mutating func field(_ name: StaticString, _ value: some BinaryInteger) {
        key(name)
        number(value)
    }

    mutating func field(_ name: StaticString, _ value: Bool) {
        key(name)
        flag(value)
    }

    mutating func null(_ name: StaticString) {
        key(name)
        append("null")
        needsComma = true
    }

    /// A name that comes from a request.
    mutating func field(dynamic name: String, _ value: String) {
        key(dynamic: name)
        string(value)
        needsComma = true
    }

    mutating func field(dynamic name: String, _ value: Int) {
        key(dynamic: name)
        number(value)
    }

    mutating func field(dynamic name: String, _ value: Bool) {
        key(dynamic: name)
        flag(value)
    }

    // MARK: Tokens

    private mutating func open(_ name: StaticString?, _ bracket: UInt8) {
        if let name {
            key(name)
        } else {
            comma()
        }
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func comma() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func key(_ name: StaticString) {
        comma()
        bytes.append(UInt8(ascii: "\""))
        append(name)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func key(dynamic name: String) {
        comma()
        string(name)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func number(_ value: some BinaryInteger) {
        bytes.append(contentsOf: String(value).utf8)
        needsComma = true
    }

    private mutating func flag(_ value: Bool) {
        append(value ? "true" : "false")
        needsComma = true
    }

    /// Of ASCII that needs no escape.
    private mutating func append(_ text: StaticString) {
        // SAFETY: a static string's bytes live for the program's whole run.
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A string in quotes. Swift's strings are valid UTF-8 already: whoever made one from foreign
    /// bytes replaced the invalid ones.
    private mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        if text.utf8.span.needsEscape {
            escape(text)
        } else {
            bytes.append(contentsOf: text.utf8)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Escapes what JSON demands, and DEL and the C1 controls too, which a terminal would obey.
    private mutating func escape(_ text: String) {
        var previousWasC1Lead = false
        for byte in text.utf8 {
            if previousWasC1Lead {
                previousWasC1Lead = false
                if byte < 0xA0 {
                    unicodeEscape(byte)
                } else {
                    bytes.append(0xC2)
                    bytes.append(byte)
                }
                continue
            }
            switch byte {
            case 0xC2: previousWasC1Lead = true  // U+0080…U+00BF: C2, then the low byte.
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20, 0x7F: unicodeEscape(byte)
            default: bytes.append(byte)
            }
        }
    }

    private mutating func unicodeEscape(_ byte: UInt8) {
        append("\\u00")
        for digit in [byte >> 4, byte & 15] {
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}

extension Span<UInt8> {
    fileprivate var needsEscape: Bool {
        for index in indices {
            let byte = self[index]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F || byte == 0xC2 {
                return true
            }
        }
        return false
    }
}
