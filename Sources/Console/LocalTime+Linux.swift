internal import Glibc
package import KMSModel

/// A moment in the person's own time zone.
package struct LocalTime: Equatable {
    package var year: Int32
    /// 1…12.
    package var month: Int32
    package var day: Int32
    package var hour: Int32 = 0
    package var minute: Int32 = 0
    package var second: Int32 = 0

    package init(year: Int32, month: Int32, day: Int32) {
        self.year = year
        self.month = month
        self.day = day
    }

    package init(_ timestamp: Timestamp) {
        var seconds = time_t(timestamp.millisecondsSinceEpoch / 1000)
        // SAFETY: both values outlive the call, and the zone's name is not looked at.
        var fields = unsafe tm()
        _ = unsafe localtime_r(&seconds, &fields)
        unsafe self.init(
            year: fields.tm_year + 1900, month: fields.tm_mon + 1, day: fields.tm_mday)
        unsafe hour = fields.tm_hour
        unsafe minute = fields.tm_min
        unsafe second = fields.tm_sec
    }

    /// nil for what is no time of this world.
    package var timestamp: Timestamp? {
        // SAFETY: the fields hold no pointer, and outlive the call.
        var fields = unsafe tm()
        unsafe fields.tm_year = year - 1900
        unsafe fields.tm_mon = month - 1
        unsafe fields.tm_mday = day
        unsafe fields.tm_hour = hour
        unsafe fields.tm_min = minute
        unsafe fields.tm_sec = second
        unsafe fields.tm_isdst = -1  // The zone's own rules decide.
        let seconds = unsafe mktime(&fields)
        return seconds == -1 ? nil : Timestamp(secondsSinceEpoch: Int64(seconds))
    }

    /// `2026-11-23 21:15:00`.
    package static func text(_ timestamp: Timestamp) -> String {
        let time = LocalTime(timestamp)
        let date = [time.year, time.month, time.day].map(twoDigits)
        let clock = [time.hour, time.minute, time.second].map(twoDigits)
        return date.joined(separator: "-") + " " + clock.joined(separator: ":")
    }

    private static func twoDigits(_ number: Int32) -> String {
        number < 10 ? "0\(number)" : String(number)
    }
}
