internal import Cryptography
internal import KMSModel

/// Values by their shapes, and AWS's words for those that are of another kind.
extension JSONReader {
    /// A structure, which the caller has seen to begin here.
    mutating func structure(_ shape: StructureShape) throws(KMSError) -> Structure {
        var structure = Structure()
        var seen: UInt64 = 0
        try open()
        var isFirst = true
        while try hasNext(until: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            guard let index = shape.index(of: try string(try memberName())) else {
                try skip()
                continue
            }
            let member = shape.members[index]
            // Two parsers could take two different ones of them.
            guard seen & 1 << index == 0 else {
                throw .serialization("Duplicate field '\(member.member.rawValue)'")
            }
            seen |= 1 << index
            if try !takeNull() { structure[member.member] = try value(member.shape) }
        }
        return structure
    }

    private mutating func value(_ shape: Shape) throws(KMSError) -> Value {
        let kind = try kind()
        switch shape {
        case .text, .choice: return .text(try text(kind))
        case .secretText: return .secret(try secretText(kind))
        case .number: return .number(try wholeNumber(kind))
        case .flag: return .flag(try flag(kind))
        case .time: return .time(try time(kind))
        case .bytes: return .bytes(try blob(kind))
        case .secret:
            var bytes = try blob(kind)
            return .secret(SecretBytes(consuming: &bytes))
        case .context: return .context(try context(kind))
        case .list(let element, _): return .list(try list(element, kind))
        case .structure(let shape):
            guard kind == .object else { throw kind.isNot(.collection) }
            return .structure(try structure(shape))
        }
    }

    // MARK: Scalars

    private mutating func text(_ kind: Kind) throws(KMSError) -> String {
        guard kind == .text else { throw kind.isNot(.string) }
        return try string(try rawText())
    }

    private mutating func secretText(_ kind: Kind) throws(KMSError) -> SecretBytes {
        guard kind == .text else { throw kind.isNot(.string) }
        var text = try unescaped(try rawText())
        // Not by way of a String, which nobody wipes.
        guard isUTF8(text) else {
            wipe(&text)
            throw .malformedBody("a string is no UTF-8")
        }
        return SecretBytes(consuming: &text)
    }

    private mutating func flag(_ kind: Kind) throws(KMSError) -> Bool {
        switch kind {
        case .yes: try takeWord("true")
        case .no: try takeWord("false")
        default: throw kind.isNot(.boolean)
        }
        return kind == .yes
    }

    /// Also `1e3` and `10.0`, which are whole.
    private mutating func wholeNumber(_ kind: Kind) throws(KMSError) -> Int {
        guard kind == .whole || kind == .decimal else { throw kind.isNot(.integer) }
        let digits = String(decoding: bytes[try number()], as: UTF8.self)
        let number =
            kind == .whole ? Int(digits) : Double(digits).flatMap { Int(exactly: $0) }
        guard let number else { throw kind.isNot(.integer) }
        return number
    }

    /// Seconds since 1970, or a text as ISO 8601 has it.
    private mutating func time(_ kind: Kind) throws(KMSError) -> Timestamp {
        switch kind {
        case .whole, .decimal:
            let digits = String(decoding: bytes[try number()], as: UTF8.self)
            guard let seconds = Double(digits), seconds.magnitude <= Self.lastSecond else {
                throw kind.isNot(.date)
            }
            return Timestamp(millisecondsSinceEpoch: Int64((seconds * 1000).rounded()))
        case .text:
            guard let time = Timestamp(iso8601: try string(try rawText())) else {
                throw kind.isNot(.date)
            }
            return time
        default: throw kind.isNot(.date)
        }
    }

    /// The end of the year 9999.
    private static let lastSecond = 253_402_300_799.0

    /// Bytes in base 64, which the caller wipes where they are secret.
    private mutating func blob(_ kind: Kind) throws(KMSError) -> [UInt8] {
        guard kind == .text else { throw kind.isNot(.blob) }
        let raw = try rawText()
        do throws(Base64.Failure) {
            if !raw.hasEscapes { return try Base64.decode(bytes, raw.range) }
        } catch {
            throw KMSError(error)
        }
        // Writers that escape "/" are rare, and right.
        var text = try unescaped(raw)
        defer { wipe(&text) }
        do throws(Base64.Failure) {
            return try Base64.decode(text, text.indices)
        } catch {
            throw KMSError(error)
        }
    }

    // MARK: Collections

    private mutating func list(_ element: Shape, _ kind: Kind) throws(KMSError) -> [Value] {
        guard kind == .list else { throw kind.isNot(.list) }
        var values: [Value] = []
        try open()
        var isFirst = true
        while try hasNext(until: UInt8(ascii: "]"), isFirst: isFirst) {
            isFirst = false
            if try takeNull() { throw .serialization("A list has an element that is null") }
            values.append(try value(element))
        }
        return values
    }

    private mutating func context(_ kind: Kind) throws(KMSError) -> EncryptionContext {
        guard kind == .object else { throw kind.isNot(.collection) }
        var pairs: [String: String] = [:]
        try open()
        var isFirst = true
        while try hasNext(until: UInt8(ascii: "}"), isFirst: isFirst) {
            isFirst = false
            let name = try string(try memberName())
            let text = try text(try self.kind())
            // Names that Unicode calls equivalent are one name to Swift; two would become one.
            guard pairs.updateValue(text, forKey: name) == nil else {
                throw .serialization("An encryption context has a name twice")
            }
        }
        return EncryptionContext(pairs)
    }
}

private func isUTF8(_ bytes: [UInt8]) -> Bool {
    var parser = UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    while true {
        switch parser.parseScalar(from: &iterator) {
        case .valid: continue
        case .emptyInput: return true
        case .error: return false
        }
    }
}

extension StructureShape {
    private static let byName = Dictionary(
        uniqueKeysWithValues: Member.allCases.map { ($0.rawValue, $0) })

    /// Where the member of that name is; at most 63.
    fileprivate func index(of name: String) -> Int? {
        guard let member = Self.byName[name] else { return nil }
        return members.firstIndex { $0.member == member }
    }
}

extension KMSError {
    fileprivate init(_ failure: Base64.Failure) {
        switch failure {
        case .length(let count):
            self = .serialization(
                "Base64 encoded length is expected a multiple of 4 bytes but found: \(count)")
        case .text: self = .serialization("Invalid Base64 character detected")
        }
    }
}

extension JSONReader.Kind {
    /// What was wanted, by the name that AWS has for it.
    fileprivate enum Wanted: String {
        case string = "String"
        case boolean = "Boolean"
        case integer = "Integer"
        case date = "Date"
        case blob, list, collection
    }

    /// AWS's words, as recorded from services with the same protocol.
    fileprivate func isNot(_ wanted: Wanted) -> KMSError {
        .serialization(words(wanted))
    }

    private func words(_ wanted: Wanted) -> String {
        switch (self, wanted) {
        case (.object, _): "Start of structure or map found where not expected"
        case (.list, _): "Unrecognized collection type"
        case (_, .list), (_, .collection): "Unexpected field type"
        case (_, .blob): "only base-64-encoded strings are convertible to bytes"
        case (.text, .boolean): "Unexpected token received from parser"
        default: "\(token) cannot be converted to \(wanted.rawValue)"
        }
    }

    private var token: String {
        switch self {
        case .object: "START_OBJECT"
        case .list: "START_ARRAY"
        case .text: "STRING_VALUE"
        case .whole: "NUMBER_VALUE"
        case .decimal: "DECIMAL_VALUE"
        case .yes: "TRUE_VALUE"
        case .no: "FALSE_VALUE"
        case .null: "NULL_VALUE"
        }
    }
}
