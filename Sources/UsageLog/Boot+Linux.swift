internal import Glibc
internal import Platform
internal import Synchronization

/// The running system, and a clock that nobody can set.
enum Boot {
    /// 16 bytes that are other ones after each start (proc(5), `random/boot_id`); zeros where the
    /// system tells none.
    static let id: [UInt8] = {
        let none = [UInt8](repeating: 0, count: SegmentFormat.bootIDBytes)
        guard
            let file = try? Descriptor.open(path: "/proc/sys/kernel/random/boot_id", O_RDONLY),
            let text = try? file.read(count: 36, at: 0)
        else { return none }
        let digits = text.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 2 * none.count else { return none }
        return none.indices.map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }
    }()

    /// Milliseconds since the start, sleep included (clock_gettime(2), `CLOCK_BOOTTIME`).
    static func milliseconds() -> UInt64 {
        var now = timespec()
        // SAFETY: `now` outlives the call; the clock exists.
        unsafe clock_gettime(CLOCK_BOOTTIME, &now)
        return UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
    }
}

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
