internal import Synchronization

/// Keyed contexts of libcrypto that wait for their next use.
///
/// A context serves one thread at a time. The pool keeps at most ``maximumIdle``; its lock is held
/// only to take one and to put it back.
struct ContextPool<Context: AnyObject & Sendable>: ~Copyable, Sendable {
    static var maximumIdle: Int { 8 }

    private let idle: Mutex<[Context]>

    init(_ first: [Context] = []) {
        idle = Mutex(first)
    }

    /// Lends an idle context to `body`, or a new one from `make`, which `body` must not keep.
    func withContext<R, E: Error>(
        orNew make: () -> Context, _ body: (Context) throws(E) -> R
    ) throws(E) -> R {
        let context = idle.withLock { $0.popLast() } ?? make()
        defer { idle.withLock { if $0.count < Self.maximumIdle { $0.append(context) } } }
        return try body(context)
    }
}
