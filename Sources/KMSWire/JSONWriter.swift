internal import Cryptography
internal import KMSModel

/// Writes one JSON text into one array.
struct JSONWriter {
    var bytes: [UInt8] = []

    /// - Parameter capacity: where secrets are written, at least what is written, so that growing
    ///   leaves no copy behind.
    init(capacity: Int) {
        bytes.reserveCapacity(capacity)
    }

    mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: text.description.utf8)
    }

    /// A string with its quotation marks.
    mutating func appendQuoted(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        if text.utf8.contains(where: Self.needsEscape) {
            for byte in text.utf8 { appendEscaped(byte) }
        } else {
            bytes.append(contentsOf: text.utf8)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case UInt8(ascii: "\n"): append("\\n")
        case UInt8(ascii: "\r"): append("\\r")
        case UInt8(ascii: "\t"): append("\\t")
        case 0..<0x20:
            append("\\u00")
            bytes.append(hexadecimalDigit(byte >> 4, ten: UInt8(ascii: "a")))
            bytes.append(hexadecimalDigit(byte & 15, ten: UInt8(ascii: "a")))
        default: bytes.append(byte)
        }
    }
}

/// Values by their shapes.
extension JSONWriter {
    mutating func append(_ structure: Structure, _ shape: StructureShape) throws(KMSError) {
        bytes.append(UInt8(ascii: "{"))
        var isFirst = true
        for (member, value) in structure.members {
            guard let memberShape = shape[member] else {
                throw .internalFailure("\(shape.name) has no member \(member.rawValue)")
            }
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            // A member's name is letters only.
            bytes.append(UInt8(ascii: "\""))
            bytes.append(contentsOf: member.rawValue.utf8)
            append("\":")
            try append(value, memberShape.shape)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    private mutating func append(_ value: Value, _ shape: Shape) throws(KMSError) {
        switch (shape, value) {
        case (.text, .text(let text)), (.choice, .text(let text)): appendQuoted(text)
        case (.secretText, .secret(let secret)): append(secretText: secret)
        case (.number, .number(let number)): bytes.append(contentsOf: String(number).utf8)
        case (.flag, .flag(let flag)): append(flag ? "true" : "false")
        case (.time, .time(let time)): append(time)
        case (.bytes, .bytes(let blob)): append(blob: blob)
        case (.secret, .secret(let secret)): append(secret: secret)
        case (.context, .context(let context)): append(context)
        case (.list(let element, _), .list(let values)):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                try append(value, element)
            }
            bytes.append(UInt8(ascii: "]"))
        case (.structure(let shape), .structure(let structure)): try append(structure, shape)
        default: throw .internalFailure("a value is not of its shape")
        }
    }

    private mutating func append(blob: [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        Base64.append(blob, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(secret: SecretBytes) {
        var copy = secret.copiedBytes()
        defer { wipe(&copy) }
        append(blob: copy)
    }

    private mutating func append(secretText secret: SecretBytes) {
        var copy = secret.copiedBytes()
        defer { wipe(&copy) }
        bytes.append(UInt8(ascii: "\""))
        for byte in copy { appendEscaped(byte) }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(_ context: EncryptionContext) {
        bytes.append(UInt8(ascii: "{"))
        for (index, pair) in context.pairs.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            appendQuoted(pair.name)
            bytes.append(UInt8(ascii: ":"))
            appendQuoted(pair.value)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// Seconds since 1970, with a fraction where they are not whole.
    private mutating func append(_ time: Timestamp) {
        let (seconds, milliseconds) = time.millisecondsSinceEpoch.quotientAndRemainder(
            dividingBy: 1000)
        if milliseconds < 0, seconds == 0 { bytes.append(UInt8(ascii: "-")) }
        bytes.append(contentsOf: String(seconds).utf8)
        guard milliseconds != 0 else { return }
        var digits = Array(String(1000 + milliseconds.magnitude).utf8.dropFirst())
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        bytes.append(UInt8(ascii: "."))
        bytes.append(contentsOf: digits)
    }
}

/// How long a text can get at most.
extension JSONWriter {
    static func bound(_ structure: Structure) -> Int {
        structure.members.reduce(2) { $0 + 4 + $1.member.rawValue.utf8.count + bound($1.value) }
    }

    private static func bound(_ value: Value) -> Int {
        switch value {
        case .text(let text): bound(text)
        // A sign, 19 digits and a point.
        case .number, .flag, .time: 24
        case .bytes(let bytes): 2 + Base64.textCount(ofBytes: bytes.count)
        // In base 64, or each byte as an escape.
        case .secret(let secret): 8 + secret.count * 6
        case .context(let context):
            context.pairs.reduce(2) { $0 + 2 + bound($1.name) + bound($1.value) }
        case .list(let values): values.reduce(2) { $0 + 1 + bound($1) }
        case .structure(let structure): bound(structure)
        }
    }

    private static func bound(_ text: String) -> Int {
        let escapes = text.utf8.count(where: needsEscape)
        return 2 + text.utf8.count + escapes * 5
    }
}
