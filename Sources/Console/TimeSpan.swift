/// A length of time as people write it: `90s`, `15m`, `2h`, `7d`; a number alone is seconds.
package struct TimeSpan: Equatable, Sendable {
    package let seconds: Int

    package init?(argument: String) {
        let factors: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        let factor = argument.last.flatMap { factors[$0] }
        let digits = factor == nil ? argument[...] : argument.dropLast()
        guard let number = Int(digits), number > 0, digits.first != "+" else { return nil }
        let (seconds, isTooLong) = number.multipliedReportingOverflow(by: factor ?? 1)
        guard !isTooLong, seconds <= 100 * 366 * 86_400 else { return nil }
        self.seconds = seconds
    }
}
