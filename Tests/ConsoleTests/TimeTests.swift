import KMSModel
import Testing

@testable import Console

struct TimeTests {
    @Test(arguments: [
        ("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("2w", 1_209_600), ("45", 45),
        ("007s", 7), ("36600d", 3_162_240_000),
    ])
    func `a time span is a number and its unit`(_ text: String, _ seconds: Int) {
        #expect(TimeSpan(argument: text)?.seconds == seconds)
    }

    @Test(arguments: [
        "", "s", "0", "0s", "-1s", "+1s", "1.5h", "1 h", " 1h", "1h ", "1H", "1y", "1h30m", "h1",
        "36601d", "9223372036854775807w", "99999999999999999999", "१s", "1\u{301}s",
    ])
    func `what is no time span is refused`(_ text: String) {
        #expect(TimeSpan(argument: text) == nil)
    }

    @Test func `a time span alone is so long ago`() {
        #expect(moment("15m")?.iso8601 == "2026-11-23T21:45:00Z")
        #expect(moment("7d")?.iso8601 == "2026-11-16T22:00:00Z")
    }

    @Test func `what ends with Z is UTC`() {
        #expect(moment("2026-11-23T20:15:00Z")?.iso8601 == "2026-11-23T20:15:00Z")
    }

    // The zone is this machine's: what is written and read back must agree in any.

    @Test(arguments: [
        ("2026-11-23", "2026-11-23 00:00:00"),
        ("2026-11-23 20:15", "2026-11-23 20:15:00"),
        ("2026-11-23T20:15:30", "2026-11-23 20:15:30"),
        ("2024-02-29", "2024-02-29 00:00:00"),
    ])
    func `a date is local time`(_ text: String, _ local: String) throws {
        #expect(LocalTime.text(try #require(moment(text))) == local)
    }

    @Test func `a time of day is today's`() throws {
        let today = LocalTime.text(now).prefix(10)
        #expect(LocalTime.text(try #require(moment("20:15"))) == today + " 20:15:00")
        #expect(LocalTime.text(try #require(moment("20:15:59"))) == today + " 20:15:59")
    }

    @Test(arguments: [
        "", " ", "15", "yesterday", "2026-11", "2026-13-01", "2026-02-29", "2026-11-31",
        "2026-00-10", "26-11-23", "2026/11/23", "24:00", "20:60", "20:15:60", "8:15", "20",
        "20:15:30:10", ":", "20:", "-1:15", "20:+5", "2026-11-23 20:15 30", "2026-11-23 ab:cd",
        "2026-11-23T20:15:00+01:00", "0h",
    ])
    func `what is no moment is refused`(_ text: String) {
        #expect(moment(text) == nil)
    }

    @Test func `local time goes to a timestamp and back`() throws {
        for hours in stride(from: Int64(0), to: 24 * 400, by: 7) {
            let timestamp = now.advanced(byMilliseconds: hours * 3_600_000)
            let local = LocalTime(timestamp)
            let back = try #require(local.timestamp)
            // An hour that the clocks repeat has two timestamps, and one name.
            #expect(LocalTime(back) == local)
        }
    }

    /// 2026-11-23T22:00:00Z
    private let now = Timestamp(secondsSinceEpoch: 1_795_471_200)

    private func moment(_ text: String) -> Timestamp? { PointInTime(text, now: now)?.timestamp }
}
