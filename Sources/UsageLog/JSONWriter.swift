internal import KMSModel

/// Appends JSON (RFC 8259) to a buffer, with nothing between tokens.
///
/// What never changes is written as it stands (``raw(_:)``), commas included: a record has some
/// forty names, and a call for each token would cost more than the record's encryption.
struct JSONWriter {
    let buffer: EventBuffer

    /// Text that is JSON already.
    @inline(__always)
    func raw(_ json: StaticString) { buffer.append(json) }

    /// A string in quotes. Swift's strings are valid UTF-8 already: whoever made one from foreign
    /// bytes replaced the invalid ones.
    func string(_ text: String) {
        string(text.utf8.span)
    }

    /// The same, of UTF-8.
    func string(_ utf8: Span<UInt8>) {
        buffer.append(UInt8(ascii: "\""))
        if utf8.mayNeedEscape {
            escape(utf8)
        } else {
            buffer.append(utf8)
        }
        buffer.append(UInt8(ascii: "\""))
    }

    /// A string in quotes that is known to need no escape.
    func plainString(_ text: String) {
        buffer.append(UInt8(ascii: "\""))
        buffer.append(text.utf8.span)
        buffer.append(UInt8(ascii: "\""))
    }

    /// Lower-case hex digits in quotes.
    func hex(_ bytes: [UInt8]) {
        buffer.append(2 * bytes.count + 2) { target in
            target[0] = UInt8(ascii: "\"")
            for index in bytes.indices {
                target[2 * index + 1] = hexDigit(bytes[index] >> 4)
                target[2 * index + 2] = hexDigit(bytes[index] & 15)
            }
            target[2 * bytes.count + 1] = UInt8(ascii: "\"")
        }
    }

    func flag(_ value: Bool) {
        if value { raw("true") } else { raw("false") }
    }

    func number(_ value: some BinaryInteger) {
        if value < 0 { buffer.append(UInt8(ascii: "-")) }
        let magnitude = UInt64(value.magnitude)
        var digits = 1
        var bound: UInt64 = 10
        while digits < 20, magnitude >= bound {
            digits += 1
            let (next, isPast) = bound.multipliedReportingOverflow(by: 10)
            if isPast { break }
            bound = next
        }
        buffer.append(digits) { target in
            var rest = magnitude
            for index in stride(from: digits - 1, through: 0, by: -1) {
                target[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
        }
    }

    /// ISO 8601 in UTC with whole seconds, in quotes, as ``Timestamp/iso8601`` writes it.
    func time(_ time: Timestamp) {
        let second = time.millisecondsSinceEpoch / 1000
        // Years beyond 9999 and before 1970 go the slow way.
        guard time.millisecondsSinceEpoch >= 0, second < 253_402_300_800 else {
            return string(time.iso8601)
        }
        let date = CivilDate(daysSinceEpoch: second / 86_400)
        let ofDay = UInt64(second % 86_400)
        buffer.append(22) { target in
            target[0] = UInt8(ascii: "\"")
            target.putDigits(date.year / 100, at: 1)
            target.putDigits(date.year % 100, at: 3)
            target[5] = UInt8(ascii: "-")
            target.putDigits(date.month, at: 6)
            target[8] = UInt8(ascii: "-")
            target.putDigits(date.day, at: 9)
            target[11] = UInt8(ascii: "T")
            target.putDigits(ofDay / 3600, at: 12)
            target[14] = UInt8(ascii: ":")
            target.putDigits(ofDay / 60 % 60, at: 15)
            target[17] = UInt8(ascii: ":")
            target.putDigits(ofDay % 60, at: 18)
            target[20] = UInt8(ascii: "Z")
            target[21] = UInt8(ascii: "\"")
        }
    }

    // MARK: Values of requests

    func value(_ value: UsageEvent.Parameter.Value) {
        switch value {
        case .text(let text): string(text)
        case .number(let number): self.number(number)
        case .flag(let flag): self.flag(flag)
        case .list(let values):
            var separator = UInt8(ascii: "[")
            if values.isEmpty { buffer.append(separator) }
            for value in values {
                buffer.append(separator)
                self.value(value)
                separator = UInt8(ascii: ",")
            }
            buffer.append(UInt8(ascii: "]"))
        case .map(let members):
            buffer.append(UInt8(ascii: "{"))
            self.members(members)
            buffer.append(UInt8(ascii: "}"))
        }
    }

    /// `"name":value,…` without braces.
    func members(_ members: [UsageEvent.Parameter]) {
        var isFirst = true
        for member in members {
            if !isFirst { buffer.append(UInt8(ascii: ",")) }
            isFirst = false
            string(member.name)
            buffer.append(UInt8(ascii: ":"))
            value(member.value)
        }
    }

    // MARK: Escapes

    /// Escapes what JSON demands, and DEL and the C1 controls too, which a terminal would obey.
    private func escape(_ utf8: Span<UInt8>) {
        var previousWasC1Lead = false
        for index in utf8.indices {
            let byte = utf8[index]
            if previousWasC1Lead {
                previousWasC1Lead = false
                if byte < 0xA0 {
                    unicodeEscape(byte)
                } else {
                    buffer.append(0xC2)
                    buffer.append(byte)
                }
                continue
            }
            switch byte {
            case 0xC2: previousWasC1Lead = true  // U+0080…U+00BF: C2, then the low byte.
            case UInt8(ascii: "\""): raw("\\\"")
            case UInt8(ascii: "\\"): raw("\\\\")
            case 0x0A: raw("\\n")
            case 0x0D: raw("\\r")
            case 0x09: raw("\\t")
            case 0..<0x20, 0x7F: unicodeEscape(byte)
            default: buffer.append(byte)
            }
        }
    }

    private func unicodeEscape(_ byte: UInt8) {
        raw("\\u00")
        buffer.append(hexDigit(byte >> 4))
        buffer.append(hexDigit(byte & 15))
    }
}

private func hexDigit(_ digit: UInt8) -> UInt8 {
    digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
}

extension MutableSpan<UInt8> {
    /// Two decimal digits.
    fileprivate mutating func putDigits(_ value: UInt64, at index: Int) {
        self[index] = UInt8(ascii: "0") + UInt8(value / 10)
        self[index + 1] = UInt8(ascii: "0") + UInt8(value % 10)
    }
}

extension Span<UInt8> {
    /// Whether anything may need an escape: all but ASCII that needs none, eight bytes at a time.
    fileprivate var mayNeedEscape: Bool {
        // SAFETY: the pointer ends with the closure, and each load lies in the buffer.
        unsafe withUnsafeBytes { bytes in
            let count = bytes.count
            guard count >= 8 else {
                var found: UInt64 = 0
                for index in 0..<count {
                    found |= Span.special(UInt64(unsafe bytes[index]) | 0x3030_3030_3030_3000)
                }
                return found != 0
            }
            var found: UInt64 = 0
            var offset = 0
            while offset <= count - 8 {
                found |= Span.special(
                    unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                offset += 8
            }
            found |= Span.special(
                unsafe bytes.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self))
            return found != 0
        }
    }

    /// Not zero when any of eight bytes is below 0x20, a quote, a backslash, or above 0x7E.
    @inline(__always)
    private static func special(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = word ^ (ones &* 0x22)
        let slashes = word ^ (ones &* 0x5C)
        let high = word | (word &+ ones)
        let low = (word &- (ones &* 0x20)) & ~word
        let found = (quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes
        return (high | low | found) & (ones &* 0x80)
    }
}

/// A day of the proleptic Gregorian calendar, from 1970 on, counted in 400-year eras that start on
/// the first of March.
struct CivilDate {
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
