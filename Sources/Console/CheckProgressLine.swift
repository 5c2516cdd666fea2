package import Vault

/// How far a check is, how fast, how long still.
package final class CheckProgressLine: Sendable {
    private let line: ProgressLine
    /// Time goes with the bytes when each of them is read, else with the files.
    private let readsData: Bool

    package init(isShown: Bool, readsData: Bool) {
        line = ProgressLine(isShown: isShown)
        self.readsData = readsData
    }

    /// May be called from any thread, as often as there is news.
    package func show(_ progress: CheckProgress) {
        line.show { Self.text(progress, readsData: readsData, elapsedMilliseconds: $0) }
    }

    /// Clears the line, for messages and for the end.
    package func finish() {
        line.finish()
    }

    static func text(
        _ progress: CheckProgress, readsData: Bool, elapsedMilliseconds: Int64
    ) -> String {
        let seconds = Double(max(1, elapsedMilliseconds)) / 1000
        var text = "\(progress.files)"
        if let total = progress.totalFiles { text += " of \(total)" }
        text += " files"
        if readsData {
            text += ", \(Int((Double(progress.bytes) / seconds / 1e6).rounded())) MB a second"
        } else {
            text += ", \(Int((Double(progress.files) / seconds).rounded())) a second"
        }
        let (done, total) =
            readsData
            ? (progress.bytes, progress.totalBytes) : (progress.files, progress.totalFiles)
        if let total, total >= done, done > 0 {
            let left = Double(total - done) / Double(done) * seconds
            text += ", \(ProgressLine.clock(seconds: Int(left.rounded()))) left"
        }
        guard progress.findings > 0 else { return text }
        return text + ", \(progress.findings) found"
    }
}
