import Foundation
import Testing

@testable import Cryptography

/// One case of a file in Tests/Vectors: `name: value` lines up to an empty line. A name may occur
/// several times. Values are hexadecimal unless said otherwise.
struct Vector: CustomTestStringConvertible, Sendable {
    private var fields: [(name: String, value: String)] = []

    /// The case's own name.
    var testDescription: String { text("case") }

    /// Whether the case says `expect: authentication failed`.
    var expectsFailure: Bool { fields.contains { $0.name == "expect" } }

    /// All cases of `Tests/Vectors/<name>.txt`.
    static func load(_ name: String) throws -> [Vector] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Vectors")
        let text = try String(contentsOf: folder.appending(path: "\(name).txt"), encoding: .utf8)
        var vectors: [Vector] = []
        var current = Vector()
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty, !current.fields.isEmpty {
                vectors.append(current)
                current = Vector()
            }
            if line.isEmpty || line.hasPrefix("#") { continue }
            guard let colon = line.firstIndex(of: ":") else { throw VectorError.malformed(name) }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            current.fields.append((String(line[..<colon]), value))
        }
        if !current.fields.isEmpty { vectors.append(current) }
        guard !vectors.isEmpty else { throw VectorError.malformed(name) }
        return vectors
    }

    func text(_ name: String) -> String {
        fields.first { $0.name == name }?.value ?? ""
    }

    func number(_ name: String) throws -> Int {
        guard let number = Int(text(name)) else { throw VectorError.missing(name) }
        return number
    }

    func bytes(_ name: String) throws -> [UInt8] {
        guard let first = try all(name).first else { throw VectorError.missing(name) }
        return first
    }

    func secret(_ name: String) throws -> SecretBytes {
        SecretBytes(copying: try bytes(name))
    }

    /// The values of every line with this name, in order.
    func all(_ name: String) throws -> [[UInt8]] {
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

enum VectorError: Error {
    case malformed(String)
    case missing(String)
}

extension SecretBytes {
    /// A copy of an array that the test keeps.
    convenience init(copying bytes: [UInt8]) {
        var copy = bytes
        self.init(consuming: &copy)
    }

    /// The bytes, in the open.
    var exposed: [UInt8] {
        withBytes { span in
            (0..<span.byteCount).map { span[$0] }
        }
    }
}

extension RawSpan {
    fileprivate subscript(offset: Int) -> UInt8 {
        // SAFETY: any byte is a UInt8; the load checks its bounds.
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
}

extension [UInt8] {
    /// The same bytes with one bit changed.
    func flippingBit(_ index: Int) -> [UInt8] {
        var copy = self
        copy[index / 8] ^= 1 << UInt8(index % 8)
        return copy
    }
}
