/// Who may call into a module: any number of threads, or one that starts the module again or takes
/// a token's sessions away, for which nobody else may be inside.
///
/// A value without threads; ``PKCS11Module`` keeps it in a ``Monitor``.
struct CallGate: Sendable {
    private var callers = 0
    private var isTaken = false
    /// Counts the module's starts. Handles of an earlier one mean nothing, or something else.
    private(set) var generation = 0
    /// Why the module could not be started last time; nil while it runs.
    private(set) var startFailure: PKCS11Error?

    /// What a caller finds inside.
    struct Entry: Sendable {
        let generation: Int
        let startFailure: PKCS11Error?
    }

    /// - Returns: nil while somebody needs the module alone.
    mutating func enter() -> Entry? {
        guard !isTaken else { return nil }
        callers += 1
        return Entry(generation: generation, startFailure: startFailure)
    }

    mutating func leave() {
        precondition(callers > 0, "BUG: nobody is inside")
        callers -= 1
    }

    /// Keeps new callers out; false while somebody else does so.
    mutating func take() -> Bool {
        guard !isTaken else { return false }
        isTaken = true
        return true
    }

    var isEmpty: Bool { callers == 0 }

    mutating func giveBack() {
        precondition(isTaken, "BUG: nobody took the gate")
        isTaken = false
    }

    /// The module ended, and was then started with this result.
    mutating func restarted(_ failure: PKCS11Error?) {
        precondition(isTaken && isEmpty, "BUG: a restart among callers")
        generation += 1
        startFailure = failure
    }
}
