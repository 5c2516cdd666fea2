package import Cryptography
internal import Glibc
internal import Platform

/// What a command writes: data as JSON lines or as text for people, notices unless `--quiet`.
package struct Output: Sendable {
    private let isJSON: Bool
    private let isQuiet: Bool

    private static let standardOutput = Descriptor(adopting: STDOUT_FILENO)

    package init(isJSON: Bool, isQuiet: Bool) {
        self.isJSON = isJSON
        self.isQuiet = isQuiet
    }

    /// Data in the form that was asked for. `text` ends with its newline.
    package func data(_ json: @autoclosure () -> JSONValue, _ text: @autoclosure () -> String) {
        print(isJSON ? json().line + "\n" : text(), terminator: "")
    }

    /// A list: one JSON object a line, or one table.
    package func list<Element>(
        _ elements: [Element], json: (Element) -> JSONValue, table: ([Element]) -> Table
    ) {
        if isJSON {
            for element in elements { print(json(element).line) }
        } else if !elements.isEmpty {
            print(table(elements).text, terminator: "")
        }
    }

    /// What was done, for people only.
    package func notice(_ text: String) {
        if !isJSON, !isQuiet { print(text) }
    }

    /// A secret that the person is to keep: written past the output's buffer, so that no copy of
    /// it stays in this process.
    ///
    /// - Throws: when any of it could not be written, also to a pipe that nobody reads; then
    ///   nobody has the secret.
    package func reveal(_ secret: SecretBytes, before: String, after: String) throws(Failure) {
        try SignalMask.withoutBrokenPipes { () throws(Failure) in
            print(before, terminator: "")
            try Self.flush()
            try Self.write(secret)
            print(after, terminator: "")
            try Self.flush()
        }
    }

    private static func write(_ secret: SecretBytes) throws(Failure) {
        do throws(Errno) {
            try secret.withBytes { bytes throws(Errno) in
                var text = [UInt8](repeating: 0, count: bytes.byteCount)
                defer { wipe(&text) }
                text.withMutableRawSpan {
                    copyBytes(bytes, 0..<bytes.byteCount, to: &$0, at: 0)
                }
                guard try standardOutput.append(text) == text.count else { throw .ioError }
            }
        } catch {
            throw failure("\(error)")
        }
    }
}
