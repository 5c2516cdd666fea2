internal import Glibc
internal import Synchronization

/// Tells a process from the children that it forks, without a system call.
struct ProcessGeneration: Sendable {
    private let number: Int

    private static let forks = Atomic(0)
    /// Has its effect once, and for good.
    private static let isWatching: Bool = {
        pthread_atfork(nil, nil) { ProcessGeneration.forks.add(1, ordering: .relaxed) } == 0
    }()

    static var current: ProcessGeneration {
        precondition(isWatching, "no memory to watch for forks")
        return ProcessGeneration(number: forks.load(ordering: .relaxed))
    }

    /// Whether this process is the one that took this, not a child of it.
    var isCurrent: Bool { number == ProcessGeneration.forks.load(ordering: .relaxed) }
}
