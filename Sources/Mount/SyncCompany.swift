internal import Synchronization

/// Whether a sync is carried out by the worker that read it, or hands the reader's role on first.
///
/// A caller that syncs alone waits for nothing else, and waking another worker would cost it as much
/// as the rest of a short sync. Several callers must not wait for each other, since one flush of the
/// journal serves all that are there. So company is expected for a while after it was seen.
final class SyncCompany: Sendable {
    /// Syncs that hand the role on after one that others had to wait for.
    static let memory = 64

    private let expected = Atomic<Int>(0)

    /// When a sync begins.
    ///
    /// - Parameter hasWaiting: another request is there already.
    func handsOn(hasWaiting: Bool) -> Bool {
        if hasWaiting {
            noteHeldUp()
            return true
        }
        // Two at once may both take the last one: it is a habit, not a count.
        guard expected.load(ordering: .relaxed) > 0 else { return false }
        expected.subtract(1, ordering: .relaxed)
        return true
    }

    /// A sync ended that was carried out in place, and others waited meanwhile.
    func noteHeldUp() {
        expected.store(Self.memory, ordering: .relaxed)
    }
}
