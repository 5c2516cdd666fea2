/// A point in wall-clock time, in milliseconds since 1970-01-01T00:00:00Z.
package struct Timestamp: Hashable, Comparable, Sendable {
    package let millisecondsSinceEpoch: Int64

    package init(millisecondsSinceEpoch: Int64) {
        self.millisecondsSinceEpoch = millisecondsSinceEpoch
    }

    package init(secondsSinceEpoch: Int64) {
        self.init(millisecondsSinceEpoch: secondsSinceEpoch * 1000)
    }

    package static func < (a: Timestamp, b: Timestamp) -> Bool {
        a.millisecondsSinceEpoch < b.millisecondsSinceEpoch
    }

    package func advanced(byDays days: Int) -> Timestamp {
        Timestamp(millisecondsSinceEpoch: millisecondsSinceEpoch + Int64(days) * 86_400_000)
    }

    package func advanced(byMilliseconds milliseconds: Int64) -> Timestamp {
        Timestamp(millisecondsSinceEpoch: millisecondsSinceEpoch + milliseconds)
    }

    /// ISO 8601 in UTC with whole seconds, as CloudTrail writes `eventTime`: `2026-11-23T20:15:00Z`.
    package var iso8601: String {
        let seconds = floorDivide(millisecondsSinceEpoch, by: 1000)
        let day = floorDivide(seconds, by: 86_400)
        let (year, month, dayOfMonth) = civilDate(daysSinceEpoch: day)
        let second = seconds - day * 86_400
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(dayOfMonth, 2))"
            + "T\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))Z"
    }

    /// The UTC day, `2026-11-23`.
    package var iso8601Date: String { String(iso8601.prefix(10)) }

    /// Reads `2026-11-23T20:15:00Z`, the same with milliseconds, or the date alone (midnight UTC).
    package init?(iso8601 text: String) {
        let date = Array(text.utf8)
        guard date.count >= 10, date[4] == UInt8(ascii: "-"), date[7] == UInt8(ascii: "-"),
            let year = digits(date, 0..<4), let month = digits(date, 5..<7),
            (1...12).contains(month),
            let day = digits(date, 8..<10), (1...31).contains(day)
        else { return nil }
        var milliseconds = daysSinceEpoch(year: year, month: month, day: day) * 86_400_000
        if date.count > 10 {
            guard date.count >= 20, date[10] == UInt8(ascii: "T"), date[13] == UInt8(ascii: ":"),
                date[16] == UInt8(ascii: ":"), date[date.count - 1] == UInt8(ascii: "Z"),
                let hour = digits(date, 11..<13), hour < 24,
                let minute = digits(date, 14..<16), minute < 60,
                let second = digits(date, 17..<19), second < 61
            else { return nil }
            milliseconds += (hour * 3600 + minute * 60 + second) * 1000
            if date.count == 24 {
                guard date[19] == UInt8(ascii: "."), let fraction = digits(date, 20..<23) else {
                    return nil
                }
                milliseconds += fraction
            } else if date.count != 20 {
                return nil
            }
        }
        self.init(millisecondsSinceEpoch: milliseconds)
    }
}

/// Where the time comes from; injected, so that rules about time are tested without waiting.
package protocol WallClock: Sendable {
    func now() -> Timestamp
}

private func floorDivide(_ value: Int64, by divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}

private func padded(_ value: Int64, _ width: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.count)) + text
}

private func digits(_ bytes: [UInt8], _ range: Range<Int>) -> Int64? {
    var value: Int64 = 0
    for byte in bytes[range] {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
        value = value * 10 + Int64(byte - UInt8(ascii: "0"))
    }
    return value
}

// The proleptic Gregorian calendar in whole 400-year eras, which start on the first of March.

private func civilDate(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = daysSinceEpoch + 719_468
    let era = floorDivide(shifted, by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
}

private func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = floorDivide(shiftedYear, by: 400)
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
}
