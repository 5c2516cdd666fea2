import Foundation
import Testing

@testable import SealedFormat

/// The named blocks of docs/format.md.
struct Specification {
    private var blocks: [String: [Substring]] = [:]

    init() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
        let text = try String(
            contentsOf: root.appending(path: "../../docs/format.md").standardized, encoding: .utf8)
        var name: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if let open = name {
                if line == "```" { name = nil } else { blocks[open, default: []].append(line) }
            } else if line.hasPrefix("```") {
                name = line.split(separator: " ").last.map(String.init)
            }
        }
    }

    /// The lines of a block, joined by line feeds.
    func text(_ name: String) throws -> String {
        try #require(blocks[name], "no block \(name)").joined(separator: "\n")
    }

    /// The bytes of a hex block: digits, and lines `zeros N`.
    func bytes(_ name: String) throws -> [UInt8] {
        try #require(blocks[name], "no block \(name)").flatMap { line in
            if line.hasPrefix("zeros ") {
                let count = try #require(Int(line.dropFirst("zeros ".count)))
                return [UInt8](repeating: 0, count: count)
            }
            return try #require(Hexadecimal.decode(Array(line.utf8)), "not hex: \(line)")
        }
    }
}
