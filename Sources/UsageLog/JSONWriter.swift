internal import KMSModel

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

    /// Lower-case hex digits.
    mutating func field(_ name: StaticString, hex value: [UInt8]) {
        key(name)
        bytes.append(UInt8(ascii: "\""))
        for byte in value { appendHex(byte) }
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    /// ISO 8601 in UTC with whole seconds, as ``Timestamp/iso8601`` writes it.
    mutating func field(_ name: StaticString, _ time: Timestamp) {
        let second = time.millisecondsSinceEpoch / 1000
        // Years beyond 9999 and before 1970 go the slow way.
        guard time.millisecondsSinceEpoch >= 0, second < 253_402_300_800 else {
            return field(name, time.iso8601)
        }
        key(name)
        let date = CivilDate(daysSinceEpoch: second / 86_400)
        let ofDay = UInt64(second % 86_400)
        let parts: [6 of (UInt64, UInt8)] = [
            (date.year, UInt8(ascii: "-")), (date.month, UInt8(ascii: "-")),
            (date.day, UInt8(ascii: "T")), (ofDay / 3600, UInt8(ascii: ":")),
            (ofDay / 60 % 60, UInt8(ascii: ":")), (ofDay % 60, UInt8(ascii: "Z")),
        ]
        bytes.append(UInt8(ascii: "\""))
        for index in parts.indices {
            appendDigits(parts[index].0, width: index == 0 ? 4 : 2)
            bytes.append(parts[index].1)
        }
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
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
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        appendDigits(UInt64(value.magnitude), width: 1)
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

    /// Decimal digits, with zeros in front up to `width`.
    private mutating func appendDigits(_ value: UInt64, width: Int) {
        var divisor: UInt64 = 1
        var digits = 1
        while digits < width || value / divisor >= 10 {
            divisor *= 10
            digits += 1
        }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }

    private mutating func appendHex(_ byte: UInt8) {
        appendHexDigit(byte >> 4)
        appendHexDigit(byte & 15)
    }

    private mutating func appendHexDigit(_ digit: UInt8) {
        bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }

    /// A string in quotes. Swift's strings are valid UTF-8 already: whoever made one from foreign
    /// bytes replaced the invalid ones.
    private mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        let utf8 = text.utf8.span
        if utf8.needsEscape {
            escape(text)
        } else {
            // SAFETY: the buffer is the span's own and is copied within the closure.
            unsafe utf8.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
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
        appendHex(byte)
    }
}

extension Span<UInt8> {
    /// Without a branch per byte, so that the compiler can look at many at once.
    fileprivate var needsEscape: Bool {
        var found: UInt8 = 0
        for index in indices {
            let byte = self[index]
            found |= byte < 0x20 ? 1 : 0
            found |= byte == 0x22 ? 1 : 0
            found |= byte == 0x5C ? 1 : 0
            found |= byte == 0x7F ? 1 : 0
            found |= byte == 0xC2 ? 1 : 0
        }
        return found != 0
    }
}

/// A day of the proleptic Gregorian calendar, from 1970 on, counted in 400-year eras that start on
/// the first of March.
private struct CivilDate {
    let year: UInt64
    let month: UInt64
    let day: UInt64

    init(daysSinceEpoch: Int64) {
        let shifted = UInt64(daysSinceEpoch) + 719_468
        let era = shifted / 146_097
        let ofEra = shifted % 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let fromMarch = (5 * ofYear + 2) / 153
        month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
        year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        day = ofYear - (153 * fromMarch + 2) / 5 + 1
    }
}
