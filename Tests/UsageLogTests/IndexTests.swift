import Foundation
import KMSModel
import Testing

@testable import UsageLog

@Suite struct IndexTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    private func arn(_ number: Int) -> String {
        "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-00000000000\(number)"
    }

    /// A key for each run of 200 events, and one of 7 that only every 500th event names.
    private func event(_ index: Int) -> UsageEvent {
        var event = fixture.event("Event\(index)")
        event.resources =
            index % 500 == 3 ? [arn(9), arn(index / 200 % 7)] : [arn(index / 200 % 7)]
        return event
    }

    private func writeSegment(events count: Int = 2500) throws -> SegmentRecord {
        let writer = fixture.lazyWriter()
        for index in 0..<count { try writer.append(event(index)) }
        writer.close()
        return try #require(try fixture.anchors.segments().last)
    }

    private func indexPath(_ segment: SegmentRecord) -> String {
        fixture.directory + "/" + segment.id.description + SegmentIndex.fileSuffix
    }

    private func names(_ filter: UsageLogFilter) throws -> [String] {
        try fixture.events(filter).map(\.eventName)
    }

    @Test func `an answer with the index is the answer without it`() throws {
        let segment = try writeSegment()
        #expect(FileManager.default.fileExists(atPath: indexPath(segment)))
        let all = try fixture.events()
        #expect(all.count == 2500)
        let times = all.map(\.eventTime)
        var filters = (0..<10).map { UsageLogFilter(keys: [arn($0)]) }
        filters.append(UsageLogFilter(keys: [arn(2), arn(5)]))
        for (since, until) in [(0, 10), (255, 257), (1000, 1700), (2499, 2500), (512, 768)] {
            filters.append(
                UsageLogFilter(
                    since: times[since], until: until < 2500 ? times[until] : nil))
            filters.append(UsageLogFilter(since: times[since], keys: [arn(9)]))
        }
        for filter in filters {
            let expected = all.filter {
                filter.accepts(time: $0.eventTime.millisecondsSinceEpoch) && filter.accepts($0)
            }
            #expect(try fixture.events(filter) == expected)
        }
    }

    @Test func `only the blocks that may hold wanted events are read`() throws {
        let segment = try writeSegment()
        var bytes = try fixture.bytes(of: segment)
        let ranges = recordRanges(bytes)
        // Damage in a block that has nothing of key 5 (events 1000…1199, blocks 3 and 4).
        bytes[ranges[10].lowerBound + 40] ^= 1
        bytes[ranges[2000].lowerBound + 40] ^= 1
        try fixture.replace(segment, with: bytes)
        #expect(try names(UsageLogFilter(keys: [arn(5)])).first == "Event1000")
        // And in one that has.
        bytes[ranges[1100].lowerBound + 40] ^= 1
        try fixture.replace(segment, with: bytes)
        #expect(throws: UsageLogError.self) { try names(UsageLogFilter(keys: [arn(5)])) }
        #expect(try fixture.verify().problems.map(\.sequence) == [11])
    }

    @Test func `a missing index is made again, a changed one is told and not believed`() throws {
        let segment = try writeSegment()
        let path = URL(filePath: indexPath(segment))
        let original = try Data(contentsOf: path)
        let wanted = try names(UsageLogFilter(keys: [arn(9)]))
        #expect(wanted.count == 5)
        try FileManager.default.removeItem(at: path)
        #expect(try fixture.verify().problems == [])
        #expect(try names(UsageLogFilter(keys: [arn(9)])) == wanted)
        #expect(FileManager.default.fileExists(atPath: path.path()))
        for length in [0, 11, 40, original.count - 1] {
            try original.prefix(length).write(to: path)
            #expect(try fixture.verify().problems.map(\.kind) == [.changedIndex])
            #expect(try names(UsageLogFilter(keys: [arn(9)])) == wanted)
            #expect(try fixture.verify().problems == [])
        }
        for offset in stride(from: 0, to: original.count, by: 31) {
            var changed = original
            changed[offset] ^= 1
            try changed.write(to: path)
            #expect(try fixture.verify().problems.map(\.kind) == [.changedIndex])
        }
        try original.write(to: path)
        #expect(try fixture.verify().problems == [])
    }

    @Test func `another segment's index is none`() throws {
        let first = try writeSegment()
        let second = try writeSegment()
        try Data(contentsOf: URL(filePath: indexPath(first)))
            .write(to: URL(filePath: indexPath(second)))
        #expect(try fixture.verify().problems.map(\.segment) == [second.id])
        #expect(try names(UsageLogFilter(keys: [arn(9)])).count == 10)
    }

    @Test func `what a process left that died has an index when it is closed`() throws {
        let dead = fixture.lazyWriter()
        for index in 0..<1500 { try dead.append(event(index)) }
        dead.abandon()
        let writer = fixture.writer()
        try writer.append(event(0))
        writer.close()
        let segments = try fixture.anchors.segments()
        #expect(FileManager.default.fileExists(atPath: indexPath(segments[0])))
        #expect(!FileManager.default.fileExists(atPath: indexPath(segments[1])))
        #expect(try fixture.verify().problems == [])
        #expect(try names(UsageLogFilter(keys: [arn(9)])).count == 3)
    }

    @Test func `an index is read back, and no end of it is missed`() throws {
        var builder = SegmentIndexBuilder()
        for number in 1...600 as ClosedRange<UInt64> {
            builder.add(
                resources: ["a", "b\(number / 100)"], time: Int64(number % 7), sequence: number,
                offset: number * 100, chainHash: [UInt8](repeating: UInt8(number % 251), count: 32))
        }
        let index = builder.index
        #expect(index.blocks.map(\.firstSequence) == [1, 257, 513])
        #expect(index.blocks.map(\.times) == [0...6, 0...6, 0...6])
        #expect(SegmentIndex(decoding: index.encoded()) == index)
        let bytes = index.encoded()
        for length in bytes.indices {
            #expect(SegmentIndex(decoding: Array(bytes[..<length])) == nil)
        }
        #expect(SegmentIndex(decoding: bytes + [0]) == nil)
    }
}
