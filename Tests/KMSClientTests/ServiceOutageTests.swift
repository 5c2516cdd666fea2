import KMSModel
import Synchronization
import Testing

@testable import KMSClient

@Suite struct ServiceOutageTests {
    private final class Clock: Sendable {
        private let start = ContinuousClock.now
        private let passed = Mutex(Duration.zero)

        func pass(_ time: Duration) { passed.withLock { $0 += time } }
        func now() -> ContinuousClock.Instant { start.advanced(by: passed.withLock { $0 }) }
    }

    private let clock = Clock()
    private let gone = KMSError.keyUnavailable("gone")

    private func outage() -> ServiceOutage {
        let clock = clock
        return ServiceOutage { clock.now() }
    }

    @Test
    func `while the service answers every call is let through`() throws {
        let outage = outage()
        let (first, second) = (try outage.begin(), try outage.begin())
        outage.end(first, nil)
        outage.end(second, nil)
        _ = try outage.begin()
    }

    @Test
    func `after a failure calls fail at once, until one may try`() throws {
        let outage = outage()
        outage.end(try outage.begin(), gone)
        #expect(throws: gone) { try outage.begin() }
        clock.pass(.milliseconds(999))
        #expect(throws: gone) { try outage.begin() }
        clock.pass(.milliseconds(1))
        let probe = try outage.begin()
        // Nobody else, however long it takes.
        clock.pass(.seconds(9))
        #expect(throws: gone) { try outage.begin() }
        outage.end(probe, nil)
        _ = try outage.begin()
        _ = try outage.begin()
    }

    @Test
    func `a try that fails begins the pause anew`() throws {
        let outage = outage()
        outage.end(try outage.begin(), gone)
        clock.pass(.seconds(1))
        outage.end(try outage.begin(), .dependencyTimeout("slow"))
        #expect(throws: KMSError.dependencyTimeout("slow")) { try outage.begin() }
        clock.pass(.seconds(1))
        _ = try outage.begin()
    }

    @Test
    func `an answer to a call that was under way ends the outage`() throws {
        let outage = outage()
        let (slow, failing) = (try outage.begin(), try outage.begin())
        outage.end(failing, gone)
        outage.end(slow, nil)
        _ = try outage.begin()
    }
}
