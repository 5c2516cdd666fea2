internal import Foundation
internal import Glibc
internal import Platform

/// The programs under test: those that were built together with the tests.
package enum Program {
    package static let keyfold = directory + "/keyfold"
    package static let keyfoldfs = directory + "/keyfoldfs"

    /// Where the test bundle runs from; `swift build` puts the programs there, too.
    package static let directory: String = {
        let own = (try? Disk.readLink("/proc/self/exe")) ?? CommandLine.arguments[0]
        return String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)])
    }()
}

/// One line of JSON that a program printed.
package struct JSON: @unchecked Sendable, CustomStringConvertible {
    // SAFETY: values of JSONSerialization are never changed after they were read.
    private let value: Any?

    package init(_ text: some StringProtocol) throws {
        value = try JSONSerialization.jsonObject(
            with: Data(text.utf8), options: [.fragmentsAllowed])
    }

    private init(value: Any?) {
        self.value = value
    }

    /// One value for each line.
    package static func lines(_ text: String) throws -> [JSON] {
        try text.split(separator: "\n").map { try JSON($0) }
    }

    package subscript(name: String) -> JSON { JSON(value: (value as? [String: Any])?[name]) }
    package subscript(index: Int) -> JSON {
        guard let list = value as? [Any], list.indices.contains(index) else {
            return JSON(value: nil)
        }
        return JSON(value: list[index])
    }

    package var string: String? { value as? String }
    package var int: Int? { (value as? NSNumber)?.intValue }
    package var bool: Bool? { (value as? NSNumber)?.boolValue }
    package var list: [JSON] { (value as? [Any] ?? []).map { JSON(value: $0) } }
    package var names: [String] { ((value as? [String: Any]) ?? [:]).keys.sorted() }
    package var description: String { "\(value ?? "nothing")" }
}
