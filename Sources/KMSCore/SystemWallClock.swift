package import KMSModel
internal import Platform

/// The machine's wall clock, and its time since the start.
package struct SystemWallClock: MachineClock {
    package init() {}

    package func now() -> Timestamp {
        let time = Timespec.now
        return Timestamp(
            millisecondsSinceEpoch: time.seconds * 1000 + time.nanoseconds / 1_000_000)
    }

    package func reading() -> ClockReading {
        ClockReading(wall: now(), bootID: Boot.id, bootMilliseconds: Boot.milliseconds())
    }
}
