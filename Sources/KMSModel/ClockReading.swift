/// What a machine's two clocks show at one moment.
package struct ClockReading: Hashable, Sendable {
    package static let bootIDBytes = 16

    /// What anybody may set, and some machines start with wrong.
    package var wall: Timestamp
    /// Other bytes after each start of the machine; zeros where the system tells none.
    package var bootID: [UInt8]
    /// Since that start, sleep included; nobody can set it.
    package var bootMilliseconds: UInt64

    package init(wall: Timestamp, bootID: [UInt8], bootMilliseconds: UInt64) {
        self.wall = wall
        self.bootID = bootID
        self.bootMilliseconds = bootMilliseconds
    }

    /// What they show when they have run on for so long.
    package func advanced(byMilliseconds milliseconds: UInt64) -> ClockReading {
        ClockReading(
            wall: wall.advanced(byMilliseconds: Int64(clamping: milliseconds)), bootID: bootID,
            bootMilliseconds: bootMilliseconds + milliseconds)
    }

    package func advanced(byDays days: Int) -> ClockReading {
        advanced(byMilliseconds: UInt64(clamping: days) * 86_400_000)
    }

    /// Whether a moment has come that lies ahead of an earlier reading. The wall clock has a say
    /// only where the machine was started anew since.
    package func hasReached(_ moment: ClockReading) -> Bool {
        isOfBoot(of: moment)
            ? bootMilliseconds >= moment.bootMilliseconds : wall >= moment.wall
    }

    /// Boots that are not told apart may be two.
    private func isOfBoot(of other: ClockReading) -> Bool {
        bootID == other.bootID && bootID.contains { $0 != 0 }
    }
}

/// A wall clock, and one that runs on whatever somebody does to it; injected like that one.
package protocol MachineClock: WallClock {
    func reading() -> ClockReading
}
