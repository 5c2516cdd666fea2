import Console
import Platform

/// A program that is installed together with this one.
enum SiblingProgram {
    /// Beside this program first, so that a build tree and an installation each use their own.
    static func find(_ name: String, wayOut: String) throws(Failure) -> String {
        if let own = ChildProcess.ownPath, let slash = own.lastIndex(of: "/") {
            let beside = own[..<slash] + "/" + name
            if ChildProcess.isExecutable(String(beside)) { return String(beside) }
        }
        guard let found = ChildProcess.find(name) else {
            throw Failure(
                .unavailable, name, "the program is neither beside keyfold nor in PATH",
                wayOut: wayOut)
        }
        return found
    }
}
