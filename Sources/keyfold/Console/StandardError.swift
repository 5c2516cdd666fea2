import Glibc
import Platform

/// Messages for the person; data go to standard output.
enum StandardError {
    private static let descriptor = Descriptor(adopting: STDERR_FILENO)

    /// The program's name in front of each message.
    static var program: String {
        let path = CommandLine.arguments.first ?? "keyfold"
        return path.split(separator: "/").last.map(String.init) ?? "keyfold"
    }

    static func write(_ text: String) {
        // Nothing is left to tell the person with when this fails.
        _ = try? descriptor.append(Array(text.utf8))
    }

    static func line(_ text: String) { write(text + "\n") }

    static func report(_ failure: Failure) { line(failure.text(program: program)) }

    static func warn(_ object: String, _ message: String, wayOut: String? = nil) {
        report(Failure(.success, object, "warning: \(message)", wayOut: wayOut))
    }
}
