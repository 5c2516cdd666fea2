internal import Platform
internal import Synchronization
package import Vault

/// One line on the terminal that is written over: how far, how fast, how long still.
package final class RewrapProgressLine: Sendable {
    private struct State {
        var lastShown: Timespec?
        var isOnScreen = false
    }

    private let isShown: Bool
    private let start = Timespec.now
    private let state = Mutex(State())

    private static let pauseMilliseconds: Int64 = 200

    package init(isShown: Bool) {
        self.isShown = isShown
    }

    /// May be called from any thread, as often as there is news.
    package func show(_ progress: RewrapProgress) {
        guard isShown else { return }
        let now = Timespec.now
        state.withLock { state in
            if let last = state.lastShown, now.milliseconds(since: last) < Self.pauseMilliseconds {
                return
            }
            state.lastShown = now
            state.isOnScreen = true
            // "\u{1B}[K" clears what an earlier, longer line left.
            StandardError.write("\r" + text(progress, at: now) + "\u{1B}[K")
        }
    }

    /// Clears the line, for messages and for the end.
    package func finish() {
        state.withLock { state in
            guard state.isOnScreen else { return }
            state.isOnScreen = false
            StandardError.write("\r\u{1B}[K")
        }
    }

    private func text(_ progress: RewrapProgress, at now: Timespec) -> String {
        Self.text(progress, elapsedMilliseconds: now.milliseconds(since: start))
    }

    static func text(_ progress: RewrapProgress, elapsedMilliseconds: Int64) -> String {
        let done = progress.rewrapped + progress.skipped + progress.failed
        let rate = Double(done) * 1000 / Double(max(1, elapsedMilliseconds))
        var text = "\(done)"
        if let total = progress.total { text += " of \(total)" }
        text += " files, \(Int(rate.rounded())) a second"
        if let total = progress.total, total >= done, rate > 0 {
            text += ", \(clock(seconds: Int((Double(total - done) / rate).rounded()))) left"
        }
        return progress.failed > 0 ? text + ", \(progress.failed) failed" : text
    }

    /// `1:05`, `2:03:04`.
    private static func clock(seconds: Int) -> String {
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
