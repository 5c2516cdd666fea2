internal import Glibc

/// The one place where tests wait for something that they cannot be told of.
package enum Deadline {
    private static let pauseMicroseconds: UInt32 = 3_000

    /// Asks `condition` again and again until it holds.
    ///
    /// - Returns: false when it did not hold within `seconds`.
    package static func wait(
        seconds: Double, until condition: () throws -> Bool
    ) rethrows -> Bool {
        let clock = ContinuousClock()
        let end = clock.now.advanced(by: .seconds(seconds))
        while true {
            if try condition() { return true }
            if clock.now >= end { return false }
            usleep(pauseMicroseconds)
        }
    }
}

/// A condition that did not come true in time.
package struct DeadlinePassed: Error, CustomStringConvertible {
    package let description: String

    package init(_ what: String) {
        description = "waited in vain for: \(what)"
    }
}
