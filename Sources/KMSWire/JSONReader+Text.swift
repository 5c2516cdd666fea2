internal import KMSModel

/// What strings mean: escapes (RFC 8259 §7) and UTF-8.
extension JSONReader {
    /// The characters, which must be Unicode.
    func string(_ raw: RawText) throws(KMSError) -> String {
        let text =
            raw.hasEscapes
            ? String(validating: try unescaped(raw), as: UTF8.self)
            : String(validating: bytes[raw.range], as: UTF8.self)
        guard let text else { throw .malformedBody("a string is no UTF-8") }
        return text
    }

    /// The bytes that the characters are in UTF-8, which is not checked.
    func unescaped(_ raw: RawText) throws(KMSError) -> [UInt8] {
        guard raw.hasEscapes else { return Array(bytes[raw.range]) }
        var text: [UInt8] = []
        // An escape is never shorter than what it stands for, so the array never moves.
        text.reserveCapacity(raw.range.count)
        var index = raw.range.lowerBound
        while index < raw.range.upperBound {
            if bytes[index] == UInt8(ascii: "\\") {
                try appendEscaped(at: &index, to: &text)
            } else {
                text.append(bytes[index])
                index += 1
            }
        }
        return text
    }

    /// - Parameter index: at the backslash; afterwards behind the escape. A string never ends in
    ///   the middle of one, but for the digits of `\u`.
    private func appendEscaped(at index: inout Int, to text: inout [UInt8]) throws(KMSError) {
        let byte = bytes[index + 1]
        index += 2
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): Self.append(try scalar(at: &index), to: &text)
        default: throw invalidEscape
        }
    }

    private func scalar(at index: inout Int) throws(KMSError) -> Unicode.Scalar {
        let first = try codeUnit(at: &index)
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first), index + 1 < bytes.count,
            bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
        else { throw invalidEscape }
        index += 2
        let second = try codeUnit(at: &index)
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw invalidEscape }
        return scalar
    }

    /// Four hexadecimal digits. The quotation mark that ends every string is none.
    private func codeUnit(at index: inout Int) throws(KMSError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard index < bytes.count, let digit = hexadecimalValue(bytes[index]) else {
                throw invalidEscape
            }
            unit = unit << 4 | UInt32(digit)
            index += 1
        }
        return unit
    }

    private static func append(_ scalar: Unicode.Scalar, to text: inout [UInt8]) {
        guard let units = UTF8.encode(scalar) else { return }
        text.append(contentsOf: units)
    }

    private var invalidEscape: KMSError { .malformedBody("a string has an invalid escape") }
}
