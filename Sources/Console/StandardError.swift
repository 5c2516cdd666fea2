internal import Glibc
internal import Platform

/// Messages for the person; data go to standard output.
package enum StandardError {
    private static let descriptor = Descriptor(adopting: STDERR_FILENO)

    /// The program's name in front of each message.
    package static var program: String {
        let path = CommandLine.arguments.first ?? "keyfold"
        return path.split(separator: "/").last.map(String.init) ?? "keyfold"
    }

    package static var isTerminal: Bool { descriptor.isTerminal }

    package static func write(_ text: String) {
        // Nothing is left to tell the person with when this fails.
        _ = try? descriptor.append(Array(text.utf8))
    }

    package static func line(_ text: String) { write(text + "\n") }

    package static func report(_ failure: Failure) { line(failure.text(program: program)) }

    package static func warn(_ object: String, _ message: String, wayOut: String? = nil) {
        report(Failure(.success, object, "warning: \(message)", wayOut: wayOut))
    }
}
