/// Why a program stops: the object, what happened, the way out, and the exit status.
///
/// The words are lower case, without a full stop, and never hold a secret.
package struct Failure: Error, Equatable {
    /// What it is about: a path, a key as the person named it; nil when there is no one thing.
    package var object: String?
    package var message: String
    /// What the person can do; nil when only the message can help.
    package var wayOut: String?
    package var status: ExitStatus

    package init(_ status: ExitStatus, _ object: String?, _ message: String, wayOut: String? = nil)
    {
        self.status = status
        self.object = object
        self.message = message
        self.wayOut = wayOut
    }

    /// One line, or two with the way out.
    package func text(program: String) -> String {
        let subject = object.map { "\(program): \($0): " } ?? "\(program): "
        let hint = wayOut.map { "\n  \($0)" } ?? ""
        return subject + message + hint
    }
}

extension Failure: CustomStringConvertible {
    package var description: String { object.map { "\($0): \(message)" } ?? message }
}
