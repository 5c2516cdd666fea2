internal import Cryptography

/// The canonical form of a request: what its signature covers.
///
/// ```
/// method \n path \n query \n (name:value \n)… \n name;name;… \n hex(SHA-256(body))
/// ```
///
/// Source: AWS IAM user guide, "Create a signed AWS API request", step 1; for services other than
/// S3, whose paths are normalized and encoded once more than on the wire.
enum CanonicalRequest {
    /// nil when the request lacks one of the headers, or one has a line break.
    ///
    /// - Parameter names: the signed headers in lower case, in ascending order.
    static func bytes(
        of head: HTTPRequestHead, _ headers: HeaderTable, signing names: [String],
        bodyDigest: [UInt8]
    ) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1024)
        bytes.append(contentsOf: head.method.utf8)
        bytes.append(newline)
        appendPath(head.path, to: &bytes)
        bytes.append(newline)
        appendQuery(head.query, to: &bytes)
        bytes.append(newline)
        for name in names {
            guard headers.append(name, to: &bytes) else { return nil }
            bytes.append(newline)
        }
        bytes.append(newline)
        for (index, name) in names.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ";")) }
            bytes.append(contentsOf: name.utf8)
        }
        bytes.append(newline)
        appendHexadecimal(bodyDigest, to: &bytes)
        return bytes
    }

    /// Dot segments and empty ones go, then everything but `/` and the unreserved characters is
    /// encoded, percent signs too.
    static func appendPath(_ path: String, to bytes: inout [UInt8]) {
        let slash = UInt8(ascii: "/")
        bytes.append(slash)
        if path.utf8.count <= 1 { return }
        var kept: [Substring.UTF8View] = []
        for segment in path.utf8.split(separator: slash) {
            if segment.elementsEqual(".".utf8) { continue }
            if segment.elementsEqual("..".utf8) {
                _ = kept.popLast()
            } else {
                kept.append(segment)
            }
        }
        for (index, segment) in kept.enumerated() {
            if index > 0 { bytes.append(slash) }
            for byte in segment { appendEncoded(byte, to: &bytes) }
        }
        if path.utf8.last == slash, !kept.isEmpty { bytes.append(slash) }
    }

    /// Names and values, encoded in the one way there is, sorted by name and then by value.
    static func appendQuery(_ query: String, to bytes: inout [UInt8]) {
        if query.isEmpty { return }
        var pairs = query.utf8.split(
            separator: UInt8(ascii: "&"), omittingEmptySubsequences: false
        ).map { pair in
            let cut = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            return (name: recoded(pair[..<cut]), value: recoded(pair[cut...].dropFirst()))
        }
        pairs.sort { a, b in
            a.name == b.name
                ? a.value.lexicographicallyPrecedes(b.value)
                : a.name.lexicographicallyPrecedes(b.name)
        }
        for (index, pair) in pairs.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: "&")) }
            bytes.append(contentsOf: pair.name)
            bytes.append(UInt8(ascii: "="))
            bytes.append(contentsOf: pair.value)
        }
    }

    /// Decodes what is encoded on the wire, and encodes it again. An escape that is none stands
    /// for its own characters.
    private static func recoded(_ text: Substring.UTF8View) -> [UInt8] {
        var result: [UInt8] = []
        let bytes = Array(text)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = hexadecimalValue(bytes[index + 1]),
                let low = hexadecimalValue(bytes[index + 2])
            {
                appendEncoded(high << 4 | low, to: &result)
                index += 3
            } else {
                appendEncoded(bytes[index], to: &result)
                index += 1
            }
        }
        return result
    }

    /// RFC 3986 §2.3: letters, digits and `-._~` stand for themselves, all else is `%XX`.
    private static func appendEncoded(_ byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            bytes.append(byte)
        default:
            bytes.append(UInt8(ascii: "%"))
            bytes.append(hexadecimalDigit(byte >> 4, ten: UInt8(ascii: "A")))
            bytes.append(hexadecimalDigit(byte & 15, ten: UInt8(ascii: "A")))
        }
    }
}
