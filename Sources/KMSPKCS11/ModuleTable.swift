/// Which libraries this process has started, and which ones it is starting: a value without
/// threads, clocks or calls. ``PKCS11Module`` keeps it in a ``Monitor``.
struct ModuleTable<Module: Sendable>: Sendable {
    /// What is begun once: opening a file, and starting the library that was in it, since one
    /// library may have many paths.
    enum Name: Hashable, Sendable {
        case path(String)
        /// Of the library's list of functions.
        case address(UInt)
    }

    enum Step: Sendable {
        case use(Module)
        /// Do it, as the only one. Tell ``ended(_:_:)``.
        case begin
        /// It was begun so long ago that it may never end.
        case giveUp
    }

    /// For how long a start is waited for, counted from when it began: a library that hangs delays
    /// those who come first, and not everybody after them.
    private let patience: Duration
    /// As many as paths were given that lead to modules, and these modules.
    private var started: [Name: Module] = [:]
    private var begun: [Name: ContinuousClock.Instant] = [:]

    init(patience: Duration) {
        self.patience = patience
    }

    /// - Returns: nil while it is worth waiting: ask again after a change.
    mutating func next(_ name: Name, at now: ContinuousClock.Instant) -> Step? {
        if let module = started[name] { return .use(module) }
        guard let beginning = begun[name] else {
            begun[name] = now
            return .begin
        }
        return now < beginning + patience ? nil : .giveUp
    }

    /// - Parameter module: nil when it did not start; the next one begins anew.
    mutating func ended(_ name: Name, _ module: Module?) {
        begun[name] = nil
        started[name] = module
    }
}
