import Testing

@testable import Console
@testable import Vault

struct RewrapProgressTests {
    @Test func `before the total is known there is how many and how fast`() {
        #expect(text(rewrapped: 30, milliseconds: 2_000) == "30 files, 15 a second")
    }

    @Test func `with the total there is what is left`() {
        #expect(
            text(rewrapped: 90, skipped: 10, total: 1_000, milliseconds: 10_000)
                == "100 of 1000 files, 10 a second, 1:30 left")
    }

    @Test(arguments: [
        (UInt64(101), "0:01"), (160, "1:00"), (3_699, "59:59"), (3_700, "1:00:00"),
        (7_484, "2:03:04"), (100, "0:00"),
    ])
    func `time is minutes and seconds, with hours when there are some`(
        _ total: UInt64, _ clock: String
    ) {
        let expected = "100 of \(total) files, 1 a second, \(clock) left"
        #expect(text(rewrapped: 100, total: total, milliseconds: 100_000) == expected)
    }

    @Test func `failures count as done, and are told`() {
        #expect(
            text(rewrapped: 5, failed: 5, total: 20, milliseconds: 1_000)
                == "10 of 20 files, 10 a second, 0:01 left, 5 failed")
    }

    @Test func `nothing done yet promises nothing`() {
        #expect(text(total: 20, milliseconds: 0) == "0 of 20 files, 0 a second")
    }

    @Test func `more than the total leaves no time to tell`() {
        let expected = "21 of 20 files, 21 a second"
        #expect(text(rewrapped: 21, total: 20, milliseconds: 1_000) == expected)
    }

    private func text(
        rewrapped: UInt64 = 0, skipped: UInt64 = 0, failed: UInt64 = 0, total: UInt64? = nil,
        milliseconds: Int64
    ) -> String {
        var progress = RewrapProgress()
        progress.rewrapped = rewrapped
        progress.skipped = skipped
        progress.failed = failed
        progress.total = total
        return RewrapProgressLine.text(progress, elapsedMilliseconds: milliseconds)
    }
}
