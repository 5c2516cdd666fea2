/// Why a program stops: the object, what happened, the way out, and the exit status.
///
/// The words are lower case, without a full stop, and never hold a secret.
struct Failure: Error, Equatable {
    /// What it is about: a path, a key as the person named it; nil when there is no one thing.
    var object: String?
    var message: String
    /// What the person can do; nil when only the message can help.
    var wayOut: String?
    var status: ExitStatus

    init(_ status: ExitStatus, _ object: String?, _ message: String, wayOut: String? = nil) {
        self.status = status
        self.object = object
        self.message = message
        self.wayOut = wayOut
    }

    /// One line, or two with the way out.
    func text(program: String) -> String {
        let subject = object.map { "\(program): \($0): " } ?? "\(program): "
        let hint = wayOut.map { "\n  \($0)" } ?? ""
        return subject + message + hint
    }
}

extension Failure: CustomStringConvertible {
    var description: String { object.map { "\($0): \(message)" } ?? message }
}
