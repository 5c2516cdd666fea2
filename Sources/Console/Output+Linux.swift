// The C library declares its streams as variables.
@unsafe @preconcurrency internal import Glibc
internal import Platform

extension Output {
    /// Sends what is written so far on its way.
    ///
    /// - Throws: when that, or anything before it, could not be written.
    package static func flush() throws(Failure) {
        // SAFETY: nobody here puts another stream in the place of standard output, and its calls
        // lock it.
        let isFlushed = unsafe fflush(stdout) == 0
        let reason = Errno.current
        // What print(_:) could not write is told here alone.
        if isFlushed, unsafe ferror(stdout) == 0 { return }
        throw failure(isFlushed ? "not all of it could be written" : "\(reason)")
    }

    static func failure(_ reason: String) -> Failure {
        Failure(.inputOutput, "standard output", reason)
    }
}
