import Glibc
import Logging

/// syslog(3).
enum SystemLog {
    static func write(_ level: Logger.Level, _ text: String) {
        // The facility LOG_DAEMON and its levels (syslog(3)); Swift sees no such macros.
        let facility: Int32 = 3 << 3
        // SAFETY: the format takes one C string, and that one lives for the call.
        unsafe text.withCString { text in
            unsafe withVaList([text]) { unsafe vsyslog(facility | number(level), "%s", $0) }
        }
    }

    private static func number(_ level: Logger.Level) -> Int32 {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }
}
