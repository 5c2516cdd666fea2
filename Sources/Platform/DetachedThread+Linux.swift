internal import Glibc

/// A thread that nobody waits for, with a stack that crypto and SQLite have room in.
package enum DetachedThread {
    private static let stackBytes = 1 << 20

    private final class Start {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    /// Starts one; signals stay blocked in it as they are in the caller.
    ///
    /// - Throws: `EAGAIN` when the process may not have more threads.
    package static func start(_ body: @escaping @Sendable () -> Void) throws(Errno) {
        var attributes = pthread_attr_t()
        // SAFETY: the attributes are made, used and destroyed here.
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, stackBytes)
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let start = unsafe Unmanaged.passRetained(Start(body))
        var thread = pthread_t()
        // SAFETY: the new thread takes over the reference made above.
        let status = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument = unsafe argument else {
                    preconditionFailure("BUG: a thread starts with its body")
                }
                unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            unsafe start.release()
            throw Errno(rawValue: status)
        }
    }
}
