import Foundation
import Glibc
import KMSModel
import Synchronization
import Testing

@testable import UsageLog

@Suite struct ReaderTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    private func names(_ filter: UsageLogFilter = UsageLogFilter()) throws -> [String] {
        try fixture.events(filter).map(\.eventName)
    }

    private func time(_ milliseconds: Int64) -> Timestamp {
        Timestamp(millisecondsSinceEpoch: 1_800_000_000_000 + milliseconds)
    }

    @Test func `events of several segments come in the order of their times`() throws {
        let writers = (0..<3).map { _ in fixture.lazyWriter() }
        for index in 0..<30 {
            try writers[index * 7 % 3].append(
                Fixture.event("Event\(index)", at: time(Int64(index))))
        }
        #expect(try names() == (0..<30).map { "Event\($0)" })
        for writer in writers { writer.close() }
        #expect(try names() == (0..<30).map { "Event\($0)" })
    }

    @Test func `the first event of a segment is older than the segment`() throws {
        let first = fixture.lazyWriter()
        let early = fixture.event("Early")
        for index in 0..<5 { try first.append(fixture.event("Later\(index)")) }
        let second = fixture.lazyWriter()
        try second.append(early)
        #expect(try names().first == "Early")
        second.close()
        first.close()
    }

    @Test func `a clock that goes back does not change the order within a segment`() throws {
        let writer = fixture.writer()
        for (name, at) in [("A", 50), ("B", 10), ("C", 60), ("D", 20)] as [(String, Int64)] {
            try writer.append(Fixture.event(name, at: time(at)))
        }
        writer.close()
        #expect(try names() == ["A", "B", "C", "D"])
        #expect(try names(UsageLogFilter(since: time(20), until: time(60))) == ["A", "D"])
        #expect(try fixture.verify().passes)
    }

    @Test func `filters take what fits and nothing else`() throws {
        let keyID = "1234abcd-12ab-34cd-56ef-1234567890ab"
        let arn = "arn:aws:kms:us-east-1:123456789012:key/" + keyID
        let writer = fixture.writer()
        var first = Fixture.event("Encrypt", at: time(1))
        first.resources = [arn]
        first.caller.principalARN = Fixture.scope.userARN(uid: 1000)
        var second = Fixture.event("Decrypt", at: time(2))
        // The name and the key stand in the record, but elsewhere.
        second.caller.userAgent = "\"eventName\":\"Encrypt\" " + arn
        second.caller.principalARN = Fixture.scope.userARN(uid: 11000)
        try writer.append(first)
        try writer.append(second)
        try writer.append(Fixture.event("GenerateRandom", at: time(3)))
        writer.close()
        #expect(try names(UsageLogFilter(eventName: "Encrypt")) == ["Encrypt"])
        #expect(try names(UsageLogFilter(eventName: "Enc\"rypt")) == [])
        #expect(try names(UsageLogFilter(keys: [arn])) == ["Encrypt"])
        #expect(try names(UsageLogFilter(keys: [keyID, "other"])) == ["Encrypt"])
        #expect(try names(UsageLogFilter(keys: ["34cd"])) == [])
        #expect(try names(UsageLogFilter(principal: "uid-1000")) == ["Encrypt"])
        #expect(try names(UsageLogFilter(principal: "root")) == ["GenerateRandom"])
        #expect(
            try names(UsageLogFilter(principal: Fixture.scope.userARN(uid: 11000))) == ["Decrypt"])
        #expect(try names(UsageLogFilter(since: time(2))) == ["Decrypt", "GenerateRandom"])
        #expect(try names(UsageLogFilter(until: time(2))) == ["Encrypt"])
        #expect(
            try names(UsageLogFilter(since: time(2), until: time(3), eventName: "Decrypt"))
                == ["Decrypt"])
        #expect(try names(UsageLogFilter(since: time(4))) == [])
    }

    @Test func `a closed segment outside of the filter's times is not read`() throws {
        let segment = try fixture.writeClosedSegment(events: 3)
        var bytes = try fixture.bytes(of: segment)
        bytes[recordRanges(bytes)[1].lowerBound + 30] ^= 1
        try fixture.replace(segment, with: bytes)
        #expect(try names(UsageLogFilter(since: time(0))) == [])
        #expect(throws: UsageLogError.self) { try names(UsageLogFilter(until: time(0))) }
    }

    @Test func `what the caller throws comes back`() throws {
        struct Stop: Error {}
        _ = try fixture.writeClosedSegment(events: 3)
        var count = 0
        do throws(UsageLogError) {
            try fixture.reader.forEach(UsageLogFilter()) { _ in
                count += 1
                if count == 2 { throw Stop() }
            }
            Issue.record("the error was lost")
        } catch {
            guard case .interrupted(let inner) = error, inner is Stop else { throw error }
        }
        #expect(count == 2)
    }

    @Test func `many segments need few descriptors`() throws {
        for _ in 0..<300 {
            _ = try fixture.writeClosedSegment(events: 1)
            fixture.clock.advance(milliseconds: 3000)
        }
        var merge = SegmentMerge(
            directory: try LogDirectory.open(fixture.directory), keys: fixture.keys,
            filter: UsageLogFilter(), keepsLiveSegments: false)
        merge.add(try fixture.anchors.segments())
        var count = 0
        while merge.next() != nil {
            count += 1
            #expect(merge.openSegmentCount <= 2)
        }
        #expect(count == 300)
    }

    @Test func `follow sees the events of other writers as they come`() throws {
        let first = fixture.lazyWriter()
        try first.append(fixture.event("Before"))
        let follower = Follower(fixture, UsageLogFilter())
        try follower.waitFor(["Before"])
        try first.append(fixture.event("Same segment"))
        try follower.waitFor(["Before", "Same segment"])
        let second = fixture.lazyWriter()
        try second.append(fixture.event("New segment"))
        try follower.waitFor(["Before", "Same segment", "New segment"])
        second.close()
        first.close()
        _ = try fixture.writeClosedSegment(events: 2)
        try follower.waitFor(["Before", "Same segment", "New segment", "Event1", "Event2"])
        #expect(follower.cancel() == nil)
    }

    @Test func `follow waits for a log that does not exist yet, and filters`() throws {
        let follower = Follower(fixture, UsageLogFilter(eventName: "Event2"))
        _ = try fixture.writeClosedSegment(events: 3)
        try follower.waitFor(["Event2"])
        #expect(follower.cancel() == nil)
    }

    @Test func `follow asks the keystore only when there may be new segments`() throws {
        // It has an index beside it, and a process died before its first event.
        let segment = try fixture.writeClosedSegment(events: 1024)
        let header = try fixture.bytes(of: segment)[..<SegmentFormat.headerBytes]
        try Data(header).write(
            to: URL(fileURLWithPath: fixture.directory + "/" + SegmentID().fileName))
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.directory).count == 3)
        let before = fixture.anchors.readCount
        var looks = 0
        try fixture.reader.follow(
            UsageLogFilter(eventName: "None"),
            until: {
                looks += 1
                return looks > 16
            }
        ) { _ in }
        // Two of them: a file may come within the tick of the clock in which the first one is.
        #expect(fixture.anchors.readCount - before == 2)
    }

    @Test func `follow sees a segment that is registered long after its file was made`() throws {
        _ = try fixture.writeClosedSegment(events: 1)
        let record = SegmentRecord(
            at: try fixture.ledger.place().place, createdAt: fixture.clock.now(),
            version: SegmentFormat.version)
        let segment = try OpenSegment(
            record, in: try LogDirectory.open(fixture.directory), keys: fixture.keys)
        let follower = Follower(fixture, UsageLogFilter())
        try follower.waitFor(["Event1"])
        usleep(400_000)
        #expect(try fixture.ledger.register(record))
        usleep(200_000)
        let event = fixture.event("Late")
        let leaf = EventBuffer()
        leaf.reset(toZeros: SegmentFormat.leafPrefixBytes)
        event.appendPlaintext(to: leaf)
        try segment.append(leaf: leaf, event: event)
        try follower.waitFor(["Event1", "Late"])
        #expect(follower.cancel() == nil)
    }

    @Test func `follow ends with the damage that it meets`() throws {
        let segment = try fixture.writeClosedSegment(events: 3)
        var bytes = try fixture.bytes(of: segment)
        bytes[recordRanges(bytes)[1].lowerBound + 30] ^= 1
        try fixture.replace(segment, with: bytes)
        let follower = Follower(fixture, UsageLogFilter())
        try follower.waitFor(["Event1"])
        guard case .damaged(let problem) = follower.cancel() else {
            Issue.record("the damage was not told")
            return
        }
        #expect(problem.sequence == 2)
    }

    @Test func `no bytes of a segment file can trap a reader`() throws {
        let segment = try fixture.writeClosedSegment(events: 3)
        let original = try fixture.bytes(of: segment)
        var records = try fixture.anchors.segments()
        records[0].isClosed = false
        records[0].head = records[0].emptyHead
        fixture.anchors.setRecords(records)
        var random = SeededRandom(seed: 4711)
        for _ in 0..<400 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let start = Int.random(in: 0..<bytes.count, using: &random)
                let end = min(bytes.count, start + Int.random(in: 0...40, using: &random))
                bytes.replaceSubrange(
                    start..<end,
                    with: (0..<Int.random(in: 0...40, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    })
            }
            try fixture.replace(segment, with: bytes)
            let report = try fixture.verify()
            #expect(report.eventCount <= 3)
            var count: UInt64 = 0
            try? fixture.reader.forEach(UsageLogFilter()) { _ in count += 1 }
            #expect(count == report.eventCount)
        }
    }
}

/// Follows a log on a thread of its own.
private final class Follower: Sendable {
    private let names = Mutex<[String]>([])
    private let isCancelled = Atomic(false)
    private let failure = Mutex<UsageLogError?>(nil)
    private let end = DispatchSemaphore(value: 0)

    init(_ fixture: Fixture, _ filter: UsageLogFilter) {
        Thread.detachNewThread { [self] in
            do throws(UsageLogError) {
                try fixture.reader.follow(
                    filter, until: { isCancelled.load(ordering: .relaxed) }
                ) { event in
                    names.withLock { $0.append(event.eventName) }
                }
            } catch {
                failure.withLock { $0 = error }
            }
            end.signal()
        }
    }

    func waitFor(
        _ expected: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while names.withLock({ $0.count }) < expected.count, ContinuousClock.now < deadline {
            sched_yield()
        }
        #expect(names.withLock { $0 } == expected, sourceLocation: sourceLocation)
    }

    /// Waits for the end; what it threw, if anything.
    func cancel() -> UsageLogError? {
        isCancelled.store(true, ordering: .relaxed)
        end.wait()
        return failure.withLock { $0 }
    }
}
