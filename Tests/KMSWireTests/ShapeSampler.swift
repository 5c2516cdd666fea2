import Cryptography
import Foundation
import KMSModel
import TestSupport

/// Values of any shape, drawn from a seed. Their kinds fit the shape; lengths and patterns are the
/// service's business.
struct ShapeSampler {
    private var source: RandomSource
    /// Whether every member is set, or each with a chance of one half.
    var isComplete = true

    init(seed: UInt64) {
        source = RandomSource(seed: seed)
    }

    mutating func structure(_ shape: StructureShape) -> Structure {
        var structure = Structure()
        for member in shape.members where isComplete || source.isOne(in: 2) {
            structure[member.member] = value(member.shape)
        }
        return structure
    }

    private mutating func value(_ shape: Shape) -> Value {
        switch shape {
        case .text: .text(text())
        case .choice(let choices): .text(choices[source.number(0..<choices.count)])
        case .secretText:
            .secret(SecretBytes(copying: Array(text().utf8)))
        case .number: .number(number())
        case .flag: .flag(source.isOne(in: 2))
        case .time: .time(time())
        case .bytes: .bytes(source.bytes(source.number(0..<100)))
        case .secret: .secret(SecretBytes(copying: source.bytes(source.number(0..<100))))
        case .context: .context(context())
        case .list(let element, _):
            .list((0..<source.number(0..<4)).map { _ in value(element) })
        case .structure(let shape): .structure(structure(shape))
        }
    }

    private mutating func number() -> Int {
        [0, 1, -1, 4096, Int(Int32.max), .min, .max][source.number(0..<7)]
    }

    private mutating func time() -> Timestamp {
        let seconds = Int64(source.number(0..<4_000_000_000)) - 1_000_000_000
        let milliseconds: Int64 = [0, 1, 10, 500, 999][source.number(0..<5)]
        return Timestamp(millisecondsSinceEpoch: seconds * 1000 + milliseconds)
    }

    private mutating func context() -> EncryptionContext {
        let names = (0..<source.number(0..<5)).map { "\($0)" + text() }
        return EncryptionContext(
            Dictionary(names.map { ($0, text()) }, uniquingKeysWith: { first, _ in first }))
    }

    mutating func text() -> String {
        let pieces = [
            "a", "Z", "0", " ", "/", "\"", "\\", "\n", "\r", "\t", "\u{8}", "\u{0}", "\u{1f}",
            "\u{7f}", "ä", "€", "\u{2028}", "😀", "alias/", "\u{fffd}",
        ]
        return (0..<source.number(0..<12)).map { _ in pieces[source.number(0..<pieces.count)] }
            .joined()
    }
}

extension SecretBytes {
    convenience init(copying bytes: [UInt8]) {
        var copy = bytes
        self.init(consuming: &copy)
    }
}

/// Structures as plain values that Foundation can write, made without the codec: bytes in base 64,
/// times as milliseconds.
enum Plain {
    static func text(_ structure: Structure) throws -> String {
        try text(of: object(structure))
    }

    static func text(of object: Any) throws -> String {
        let data = try JSONSerialization.data(
            withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
        return String(decoding: data, as: UTF8.self)
    }

    static func object(_ structure: Structure) -> [String: Any] {
        var object: [String: Any] = [:]
        for (member, value) in structure.members { object[member.rawValue] = plain(value) }
        return object
    }

    private static func plain(_ value: Value) -> Any {
        switch value {
        case .text(let text): text
        case .number(let number): number
        case .flag(let flag): flag
        case .time(let time): time.millisecondsSinceEpoch
        case .bytes(let bytes): Data(bytes).base64EncodedString()
        case .secret(let secret): Data(secret.copiedBytes()).base64EncodedString()
        case .context(let context):
            Dictionary(uniqueKeysWithValues: context.pairs.map { ($0.name, $0.value) })
        case .list(let values): values.map(plain)
        case .structure(let structure): object(structure)
        }
    }
}

extension StructureShape {
    /// Every structure that a request or an answer has at its top, with a name for test output.
    static let all: [StructureShape] = KMSOperation.allCases.flatMap { [$0.input, $0.output] }
}
