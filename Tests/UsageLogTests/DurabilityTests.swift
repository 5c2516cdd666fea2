import Dispatch
import KMSModel
import Platform
import Synchronization
import Testing

@testable import UsageLog

@Suite struct DurabilityTests {
    private func writer(_ fixture: Fixture, _ durability: UsageLogDurability) -> UsageLogWriter {
        UsageLogWriter(
            directory: fixture.directory, keys: fixture.keys, anchors: fixture.anchors,
            clock: fixture.clock, durability: durability, syncIntervalMilliseconds: 3_600_000)
    }

    @Test func `an event is synced before the key is released, where that is asked for`() throws {
        for durability in [UsageLogDurability.withinASecond, .beforeRelease] {
            let fixture = try Fixture()
            let scope = FaultScope(below: fixture.root)
            defer { scope.end() }
            let writer = writer(fixture, durability)
            try writer.append(fixture.event("First"))
            scope.arm(FaultScript.counting(.error(.ioError)))
            for _ in 0..<5 { try writer.append(fixture.event("More")) }
            let syncs = scope.count(of: .synchronize)
            #expect(syncs == (durability == .beforeRelease ? 5 : 0))
            scope.disarm()
            writer.close()
            #expect(try fixture.verify().problems == [])
        }
    }

    @Test func `an event that can't be synced is refused, and so are all after it`() throws {
        let fixture = try Fixture()
        let scope = FaultScope(below: fixture.root)
        defer { scope.end() }
        let writer = writer(fixture, .beforeRelease)
        try writer.append(fixture.event("First"))
        scope.arm(FaultScript(.error(.ioError), at: 1, only: .synchronize))
        for _ in 0..<2 {
            #expect(throws: UsageLogError.self) { try writer.append(fixture.event("Refused")) }
        }
        scope.disarm()
        #expect(throws: UsageLogError.self) { try writer.append(fixture.event("Refused")) }
        writer.close()
        #expect(try fixture.verify().problems == [])
    }

    /// Each event has a segment of its own: the second one's begins with the end of the first.
    private func rotatingWriter(
        _ fixture: Fixture, _ durability: UsageLogDurability = .withinASecond
    ) -> SegmentWriter {
        SegmentWriter(
            directory: fixture.directory, keys: fixture.keys, anchors: fixture.anchors,
            clock: fixture.clock, durability: durability, formatVersion: SegmentFormat.version,
            segmentLimitBytes: 1, syncIntervalMilliseconds: 3_600_000)
    }

    /// Nothing is known of the only segment's events, and nothing signed.
    private func expectNothingAnchored(_ fixture: Fixture) throws {
        let segments = try fixture.anchors.segments()
        #expect(segments.map(\.isClosed) == [false])
        #expect(segments.map(\.head.eventCount) == [0])
        #expect(fixture.anchors.rows.checkpoints == [])
        #expect(try fixture.verify().problems == [])
    }

    @Test(arguments: [Errno.ioError, .noSpace])
    func `a segment whose last sync fails is not synced again, not anchored and not sealed`(
        _ errno: Errno
    ) throws {
        let fixture = try Fixture()
        let scope = FaultScope(below: fixture.root)
        defer { scope.end() }
        let writer = rotatingWriter(fixture)
        try writer.append(fixture.event("First"))
        scope.arm(FaultScript(.error(errno), at: 1, only: .synchronize))
        for _ in 0..<3 {
            #expect(throws: UsageLogError.self) { try writer.append(fixture.event("Refused")) }
        }
        writer.close()
        #expect(scope.count(of: .synchronize) == 1)
        scope.disarm()
        try expectNothingAnchored(fixture)
    }

    @Test(arguments: [Errno.ioError, .noSpace])
    func `a writer whose last sync fails when it is closed does not sync again`(
        _ errno: Errno
    ) throws {
        let fixture = try Fixture()
        let scope = FaultScope(below: fixture.root)
        defer { scope.end() }
        let writer = writer(fixture, .withinASecond)
        for _ in 0..<2 { try writer.append(fixture.event()) }
        scope.arm(FaultScript(.error(errno), at: 1, only: .synchronize))
        writer.close()
        #expect(scope.count(of: .synchronize) == 1)
        scope.disarm()
        try expectNothingAnchored(fixture)
    }

    @Test(arguments: [false, true])
    func `who waits for a sync is refused when the segment ends with one that fails`(
        _ isClosed: Bool
    ) throws {
        let fixture = try Fixture()
        let scope = FaultScope(below: fixture.root)
        defer { scope.end() }
        let writer = rotatingWriter(fixture, .beforeRelease)
        try writer.append(fixture.event("First"))
        scope.arm(FaultScript(.error(.ioError), at: 1, only: .synchronize))
        if isClosed {
            writer.close()
        } else {
            #expect(throws: UsageLogError.self) { try writer.append(fixture.event("Refused")) }
        }
        // As the thread of an event does that was written just before the end.
        #expect(throws: UsageLogError.self) { try writer.commit(2) }
        #expect(scope.count(of: .synchronize) == 1)
        scope.disarm()
        writer.close()
    }

    @Test func `threads share their syncs`() throws {
        let fixture = try Fixture()
        let scope = FaultScope(below: fixture.root)
        defer { scope.end() }
        let writer = writer(fixture, .beforeRelease)
        try writer.append(fixture.event("First"))
        scope.arm(FaultScript.counting(.error(.ioError)))
        let failures = Mutex(0)
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            for _ in 0..<20 {
                if (try? writer.append(fixture.event("More"))) == nil {
                    failures.withLock { $0 += 1 }
                }
            }
        }
        #expect(failures.withLock { $0 } == 0)
        #expect(scope.count(of: .synchronize) <= 320)
        scope.disarm()
        writer.close()
        let report = try fixture.verify()
        #expect(report.problems == [])
        #expect(report.eventCount == 321)
    }

    @Test func `a segment that ends between an event and its sync has synced it`() throws {
        let fixture = try Fixture()
        let writer = UsageLogWriter(
            directory: fixture.directory, keys: fixture.keys, anchors: fixture.anchors,
            clock: fixture.clock, durability: .beforeRelease, segmentLimitBytes: 3000,
            syncIntervalMilliseconds: 1)
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for _ in 0..<25 {
                do throws(UsageLogError) {
                    try writer.append(fixture.event())
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
        }
        writer.close()
        #expect(failures.withLock { $0 } == [])
        let report = try fixture.verify()
        #expect(report.problems == [])
        #expect(report.eventCount == 100)
    }
}
