internal import Platform
internal import Synchronization

/// One line on the terminal that is written over. Any thread may use it.
final class ProgressLine: Sendable {
    private struct State {
        var lastShown: Timespec?
        var isOnScreen = false
    }

    private let isShown: Bool
    private let start = Timespec.now
    private let state = Mutex(State())

    private static let pauseMilliseconds: Int64 = 200

    init(isShown: Bool) {
        self.isShown = isShown
    }

    /// As often as there is news; `text` gets the milliseconds since the line was made.
    func show(_ text: (Int64) -> String) {
        guard isShown else { return }
        let now = Timespec.now
        state.withLock { state in
            if let last = state.lastShown, now.milliseconds(since: last) < Self.pauseMilliseconds {
                return
            }
            state.lastShown = now
            state.isOnScreen = true
            // "\u{1B}[K" clears what an earlier, longer line left.
            StandardError.write("\r" + text(now.milliseconds(since: start)) + "\u{1B}[K")
        }
    }

    /// Clears the line, for messages and for the end.
    func finish() {
        state.withLock { state in
            guard state.isOnScreen else { return }
            state.isOnScreen = false
            StandardError.write("\r\u{1B}[K")
        }
    }

    /// `1:05`, `2:03:04`.
    static func clock(seconds: Int) -> String {
        let parts = seconds >= 3600 ? [seconds / 3600, seconds / 60 % 60] : [seconds / 60]
        let tail = (parts.dropFirst() + [seconds % 60]).map { $0 < 10 ? "0\($0)" : "\($0)" }
        return ([String(parts[0])] + tail).joined(separator: ":")
    }
}

extension Timespec {
    fileprivate func milliseconds(since earlier: Timespec) -> Int64 {
        (seconds - earlier.seconds) * 1000 + (nanoseconds - earlier.nanoseconds) / 1_000_000
    }
}
