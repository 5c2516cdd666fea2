internal import Foundation

/// One case of a file in Tests/Vectors: `name: value` lines up to an empty line. A name may occur
/// several times. Values are hexadecimal unless said otherwise.
///
/// A line `let word: value` stands before the cases that have `@word` for the value: keys are long,
/// and many cases share one.
package struct Vector: CustomStringConvertible, Sendable {
    private var fields: [(name: String, value: String)] = []

    /// The case's own name.
    package var description: String { text("case") }

    /// Whether the case says `expect:` and how it fails.
    package var expectsFailure: Bool { fields.contains { $0.name == "expect" } }

    /// A case that a test composes.
    package init(_ fields: [String: String] = [:]) {
        self.fields = fields.map { ($0.key, $0.value) }
    }

    /// All cases of `Tests/Vectors/<name>.txt`.
    package static func load(_ name: String) throws -> [Vector] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Vectors")
        let text = try String(contentsOf: folder.appending(path: "\(name).txt"), encoding: .utf8)
        var vectors: [Vector] = []
        var words: [String: String] = [:]
        for block in text.split(separator: "\n\n") {
            var vector = Vector()
            for line in block.split(separator: "\n") where !line.hasPrefix("#") {
                guard let colon = line.firstIndex(of: ":") else {
                    throw VectorError.malformed(name)
                }
                var value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
                if line.hasPrefix("let ") {
                    words["@" + line[..<colon].dropFirst("let ".count)] = value
                    continue
                }
                if value.hasPrefix("@") {
                    guard let meaning = words[value] else { throw VectorError.malformed(name) }
                    value = meaning
                }
                vector.fields.append((String(line[..<colon]), value))
            }
            if !vector.fields.isEmpty { vectors.append(vector) }
        }
        guard !vectors.isEmpty else { throw VectorError.malformed(name) }
        return vectors
    }

    /// The value as it stands, empty when there is none.
    package func text(_ name: String) -> String {
        fields.first { $0.name == name }?.value ?? ""
    }

    package func number(_ name: String) throws -> Int {
        guard let number = Int(text(name)) else { throw VectorError.missing(name) }
        return number
    }

    package func bytes(_ name: String) throws -> [UInt8] {
        guard let first = try all(name).first else { throw VectorError.missing(name) }
        return first
    }

    /// The values of every line with this name, in order.
    package func all(_ name: String) throws -> [[UInt8]] {
        try fields.filter { $0.name == name }.map { try Self.decode($0.value, name) }
    }

    private static func decode(_ hex: String, _ name: String) throws -> [UInt8] {
        let digits = try hex.map { character in
            guard let digit = character.hexDigitValue else { throw VectorError.missing(name) }
            return UInt8(digit)
        }
        guard digits.count.isMultiple(of: 2) else { throw VectorError.missing(name) }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

package enum VectorError: Error {
    case malformed(String)
    case missing(String)
}
