// The few encodings that signatures need. Base 16 and 64: RFC 4648.

let newline = UInt8(ascii: "\n")

/// - Parameter ten: `a` or `A`.
func hexadecimalDigit(_ value: UInt8, ten: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : ten + (value - 10)
}

func hexadecimalValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
}

/// In lower case.
func appendHexadecimal(_ bytes: [UInt8], to text: inout [UInt8]) {
    for byte in bytes {
        text.append(hexadecimalDigit(byte >> 4, ten: UInt8(ascii: "a")))
        text.append(hexadecimalDigit(byte & 15, ten: UInt8(ascii: "a")))
    }
}

func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    appendHexadecimal(bytes, to: &text)
    return text
}

/// With padding.
func base64(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
        for place in 0...3 {
            let digit = digits[Int(bits >> UInt32(18 - 6 * place) & 63)]
            text.append(place <= group.count ? digit : UInt8(ascii: "="))
        }
    }
    return String(decoding: text, as: UTF8.self)
}

/// An ASCII text in lower case. Any other stays as it is, since its letters must not turn into
/// ASCII, as the Kelvin sign does.
func lowercasedASCII(_ text: String) -> String {
    var hasCapitals = false
    for byte in text.utf8 {
        if byte >= 0x80 { return text }
        hasCapitals = hasCapitals || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
    return hasCapitals ? text.lowercased() : text
}

/// A text from outside, fit to be repeated in an answer: printable ASCII, and not too long.
func quotable(_ text: some Collection<UInt8>) -> String {
    let printable = UInt8(ascii: " ")...UInt8(ascii: "~")
    return String(
        decoding: text.prefix(128).map { printable.contains($0) ? $0 : UInt8(ascii: "?") },
        as: UTF8.self)
}
