internal import Glibc

/// The running system, and a clock that nobody can set.
package enum Boot {
    private static let idBytes = 16

    /// 16 bytes that are other ones after each start (proc(5), `random/boot_id`); zeros where the
    /// system tells none.
    package static let id: [UInt8] = {
        let none = [UInt8](repeating: 0, count: idBytes)
        guard
            let file = try? Descriptor.open(path: "/proc/sys/kernel/random/boot_id", O_RDONLY),
            let text = try? file.read(count: 36, at: 0)
        else { return none }
        let digits = text.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 2 * none.count else { return none }
        return none.indices.map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }
    }()

    /// Milliseconds since the start, sleep included (clock_gettime(2), `CLOCK_BOOTTIME`).
    package static func milliseconds() -> UInt64 {
        var now = timespec()
        // SAFETY: `now` outlives the call; the clock exists.
        unsafe clock_gettime(CLOCK_BOOTTIME, &now)
        return UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
    }
}
