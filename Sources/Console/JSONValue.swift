/// A JSON text (RFC 8259) whose members keep the order in which they are given.
package indirect enum JSONValue: Equatable, Sendable {
    case null
    case flag(Bool)
    case number(Int64)
    case text(String)
    case list([JSONValue])
    case object([Member])

    package struct Member: Equatable, Sendable {
        let name: String
        let value: JSONValue
    }

    /// One line, without a newline.
    package var line: String {
        var text = ""
        write(to: &text)
        return text
    }

    package static func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(members.map { Member(name: $0.key, value: $0.value) })
    }

    package static func number(_ value: some BinaryInteger) -> JSONValue {
        .number(Int64(clamping: value))
    }

    /// null for nil.
    package static func text(ifAny value: String?) -> JSONValue {
        value.map(JSONValue.text) ?? .null
    }

    package static func number(ifAny value: (some BinaryInteger)?) -> JSONValue {
        value.map { .number($0) } ?? .null
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .flag(let value): text += value ? "true" : "false"
        case .number(let value): text += String(value)
        case .text(let value): Self.write(value, to: &text)
        case .list(let values):
            Self.write(values, between: ("[", "]"), to: &text) { $0.write(to: &$1) }
        case .object(let members):
            Self.write(members, between: ("{", "}"), to: &text) { member, text in
                Self.write(member.name, to: &text)
                text += ":"
                member.value.write(to: &text)
            }
        }
    }

    private static func write<Element>(
        _ elements: [Element], between marks: (open: String, close: String),
        to text: inout String, _ writeOne: (Element, inout String) -> Void
    ) {
        text += marks.open
        for (index, element) in elements.enumerated() {
            if index > 0 { text += "," }
            writeOne(element, &text)
        }
        text += marks.close
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\0"..."\u{1F}", "\u{7F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
