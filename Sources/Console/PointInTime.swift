internal import KMSCore
package import KMSModel

/// A moment as people write it: a time span ago (`15m`, `2h`), ISO 8601 in UTC
/// (`2026-11-23T20:15:00Z`), or local time (`2026-11-23`, `2026-11-23 20:15`, `20:15` today).
package struct PointInTime: Equatable, Sendable {
    package let timestamp: Timestamp

    package init?(argument: String) {
        self.init(argument, now: SystemWallClock().now())
    }

    init?(_ text: String, now: Timestamp) {
        if let span = TimeSpan(argument: text), text.last?.isNumber == false {
            timestamp = now.advanced(byMilliseconds: -Int64(span.seconds) * 1000)
        } else if text.hasSuffix("Z"), let exact = Timestamp(iso8601: text) {
            timestamp = exact
        } else if let local = Self.localTime(text, now: now)?.timestamp {
            timestamp = local
        } else {
            return nil
        }
    }

    private static func localTime(_ text: String, now: Timestamp) -> LocalTime? {
        let parts = text.split(whereSeparator: { $0 == " " || $0 == "T" })
        switch parts.count {
        case 1 where parts[0].contains(":"):
            return clock(parts[0], on: LocalTime(now))
        case 1:
            return date(parts[0])
        case 2:
            return date(parts[0]).flatMap { clock(parts[1], on: $0) }
        default:
            return nil
        }
    }

    /// Midnight of `YYYY-MM-DD`.
    private static func date(_ text: Substring) -> LocalTime? {
        // Read as a time in UTC, a day that no month has becomes another one.
        guard text.utf8.count == 10, Timestamp(iso8601: String(text))?.iso8601Date == String(text)
        else { return nil }
        let numbers = text.split(separator: "-").compactMap { Int32($0) }
        guard numbers.count == 3 else { return nil }
        return LocalTime(year: numbers[0], month: numbers[1], day: numbers[2])
    }

    /// `HH:MM` or `HH:MM:SS` of a day.
    private static func clock(_ text: Substring, on day: LocalTime) -> LocalTime? {
        let words = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = words.compactMap { word in
            word.utf8.count == 2 && word.allSatisfy(\.isNumber) ? Int32(word) : nil
        }
        guard numbers.count == words.count, (2...3).contains(numbers.count),
            (0..<24).contains(numbers[0]),
            numbers.dropFirst().allSatisfy({ (0..<60).contains($0) })
        else { return nil }
        var time = LocalTime(year: day.year, month: day.month, day: day.day)
        time.hour = numbers[0]
        time.minute = numbers[1]
        time.second = numbers.count == 3 ? numbers[2] : 0
        return time
    }
}
