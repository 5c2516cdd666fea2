package import Vault

/// How far a rewrap is, how fast, how long still.
package final class RewrapProgressLine: Sendable {
    private let line: ProgressLine

    package init(isShown: Bool) {
        line = ProgressLine(isShown: isShown)
    }

    /// May be called from any thread, as often as there is news.
    package func show(_ progress: RewrapProgress) {
        line.show { Self.text(progress, elapsedMilliseconds: $0) }
    }

    /// Clears the line, for messages and for the end.
    package func finish() {
        line.finish()
    }

    static func text(_ progress: RewrapProgress, elapsedMilliseconds: Int64) -> String {
        let done = progress.rewrapped + progress.skipped + progress.failed
        let rate = Double(done) * 1000 / Double(max(1, elapsedMilliseconds))
        var text = "\(done)"
        if let total = progress.total { text += " of \(total)" }
        text += " files, \(Int(rate.rounded())) a second"
        if let total = progress.total, total >= done, rate > 0 {
            let left = Int((Double(total - done) / rate).rounded())
            text += ", \(ProgressLine.clock(seconds: left)) left"
        }
        return progress.failed > 0 ? text + ", \(progress.failed) failed" : text
    }
}
