import Platform
import Synchronization
import Testing

import enum TestSupport.Deadline

@testable import UsageLog

/// When a living writer makes a checkpoint, by a boot clock that the tests move.
@Suite struct EpochTests {
    private static let epochMilliseconds = Int(LogLedger.epochMilliseconds)

    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    private func writer(_ hand: BootHand, syncIntervalMilliseconds: Int = 3_600_000)
        -> SegmentWriter
    {
        SegmentWriter(
            directory: fixture.directory, keys: fixture.keys, anchors: fixture.anchors,
            clock: fixture.clock, durability: .withinASecond, formatVersion: SegmentFormat.version,
            segmentLimitBytes: UsageLogWriter.segmentLimitBytes,
            syncIntervalMilliseconds: syncIntervalMilliseconds,
            bootMilliseconds: { hand.milliseconds })
    }

    private var checkpointCount: Int { fixture.anchors.rows.checkpoints.count }

    @Test func `an epoch begins with the last checkpoint, whoever made that`() throws {
        let hand = BootHand()
        let writer = writer(hand)
        defer { writer.close() }
        try writer.append(fixture.event())
        hand.advance(milliseconds: 60_000)
        let other = LogLedger(
            store: fixture.anchors, clock: fixture.clock,
            bootMilliseconds: { hand.milliseconds })
        try other.seal()
        hand.advance(milliseconds: 14 * 60_000)
        writer.synchronizeInBackground()
        #expect(checkpointCount == 1)
        #expect(writer.idleMilliseconds() == 60_000)
        hand.advance(milliseconds: 60_000)
        #expect(writer.idleMilliseconds() == 0)
        writer.synchronizeInBackground()
        #expect(checkpointCount == 2)
        #expect(writer.idleMilliseconds() == EpochTests.epochMilliseconds)
    }

    @Test func `an event shortly before an epoch's end does not put the end off`() throws {
        let hand = BootHand()
        let writer = writer(hand)
        defer { writer.close() }
        try writer.append(fixture.event())
        hand.advance(milliseconds: LogLedger.epochMilliseconds - 600)
        writer.synchronizeInBackground()
        #expect(checkpointCount == 0)
        #expect(writer.idleMilliseconds() == 600)
        hand.advance(milliseconds: 600)
        writer.synchronizeInBackground()
        #expect(checkpointCount == 1)
    }

    @Test func `the thread wakes by itself when an epoch ends`() throws {
        let hand = BootHand(besides: { Boot.milliseconds() })
        let writer = writer(hand, syncIntervalMilliseconds: 1)
        defer { writer.close() }
        try writer.append(fixture.event())
        hand.advance(milliseconds: LogLedger.epochMilliseconds - 200)
        try writer.append(fixture.event())
        #expect(Deadline.wait(seconds: 20) { checkpointCount == 1 })
    }

    @Test func `a writer that failed for good rests`() throws {
        let scope = FaultScope(below: fixture.root)
        defer { scope.end() }
        let hand = BootHand()
        let writer = writer(hand)
        defer { writer.close() }
        try writer.append(fixture.event())
        scope.arm(FaultScript(.error(.ioError), at: 1, only: .synchronize))
        writer.synchronizeInBackground()
        #expect(scope.hasFired)
        scope.disarm()
        hand.advance(milliseconds: LogLedger.epochMilliseconds)
        writer.synchronizeInBackground()
        #expect(writer.idleMilliseconds() == EpochTests.epochMilliseconds)
    }

    @Test func `a checkpoint that can't be made is tried again soon, and not at once`() throws {
        let hand = BootHand()
        let writer = writer(hand)
        defer { writer.close() }
        try writer.append(fixture.event())
        try writer.synchronize()
        fixture.anchors.setFails(true)
        hand.advance(milliseconds: LogLedger.epochMilliseconds)
        writer.synchronizeInBackground()
        #expect(writer.idleMilliseconds() == Int(LogLedger.sealRetryMilliseconds))
        fixture.anchors.setFails(false)
        writer.synchronizeInBackground()
        #expect(checkpointCount == 0)
        hand.advance(milliseconds: LogLedger.sealRetryMilliseconds)
        writer.synchronizeInBackground()
        #expect(checkpointCount == 1)
        #expect(writer.idleMilliseconds() == EpochTests.epochMilliseconds)
    }
}

/// A boot clock that goes as far as it is told to, besides what another one goes.
private final class BootHand: Sendable {
    private let ahead = Mutex<UInt64>(6_000_000)
    private let base: @Sendable () -> UInt64

    init(besides base: @escaping @Sendable () -> UInt64 = { 0 }) {
        self.base = base
    }

    var milliseconds: UInt64 { ahead.withLock { $0 } + base() }

    func advance(milliseconds: UInt64) { ahead.withLock { $0 += milliseconds } }
}
