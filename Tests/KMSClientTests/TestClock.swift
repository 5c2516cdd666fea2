import KMSModel
import Synchronization

/// A clock that stands still until it is moved.
final class TestClock: WallClock {
    private let time = Mutex(Timestamp(secondsSinceEpoch: 1_795_521_600))  // 2026-11-24T12:00:00Z

    func now() -> Timestamp { time.withLock { $0 } }

    func advance(seconds: Int64) {
        time.withLock { $0 = $0.advanced(byMilliseconds: seconds * 1000) }
    }
}
