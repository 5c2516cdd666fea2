package import KMSModel
internal import Platform

/// The machine's wall clock.
package struct SystemWallClock: WallClock {
    package init() {}

    package func now() -> Timestamp {
        let time = Timespec.now
        return Timestamp(
            millisecondsSinceEpoch: time.seconds * 1000 + time.nanoseconds / 1_000_000)
    }
}
