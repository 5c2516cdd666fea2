import Foundation
import Glibc
import KMSModel
import Platform
import Testing

@testable import UsageLog

@Suite struct CrashTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    /// A segment whose writer died: two events are anchored, two more are not.
    private func deadSegment() throws -> SegmentRecord {
        let writer = fixture.lazyWriter()
        for _ in 0..<2 { try writer.append(fixture.event()) }
        try writer.synchronize()
        for _ in 0..<2 { try writer.append(fixture.event()) }
        writer.abandon()
        return try #require(try fixture.anchors.segments().last)
    }

    @Test func `a tail torn anywhere behind the anchored head passes as a crash`() throws {
        let segment = try deadSegment()
        let original = try fixture.bytes(of: segment)
        let ranges = recordRanges(original)
        #expect(ranges.count == 4)
        for length in ranges[1].upperBound...original.count {
            try fixture.replace(segment, with: Array(original[..<length]))
            let report = try fixture.verify()
            #expect(report.problems == [], "cut to \(length)")
            let whole = ranges.filter { $0.upperBound <= length }
            let torn = length - (whole.last?.upperBound ?? 0)
            #expect(
                report.crashes == [
                    CrashTrace(
                        segment: segment.id, lastSequence: UInt64(whole.count),
                        tornBytes: UInt64(torn))
                ])
            #expect(try fixture.events().count == whole.count)
        }
    }

    @Test func `a tail cut below the anchored head fails`() throws {
        let segment = try deadSegment()
        let original = try fixture.bytes(of: segment)
        let ranges = recordRanges(original)
        for length in SegmentFormat.headerBytes..<ranges[1].upperBound {
            try fixture.replace(segment, with: Array(original[..<length]))
            let problems = try fixture.verify().problems
            #expect(problems.map(\.kind) == [.missingEvents])
            #expect(problems.map(\.sequence) == [length < ranges[0].upperBound ? 1 : 2])
        }
    }

    @Test func `zeros behind the anchored head pass as a power cut, anything else fails`() throws {
        let segment = try deadSegment()
        let original = try fixture.bytes(of: segment)
        try fixture.replace(segment, with: original + [UInt8](repeating: 0, count: 700))
        #expect(try fixture.verify().crashes.map(\.tornBytes) == [700])
        var changed = original
        changed[recordRanges(original)[2].lowerBound + 40] ^= 1
        try fixture.replace(segment, with: changed)
        #expect(try fixture.verify().problems.map(\.sequence) == [3])
    }

    /// After a power cut any sectors of what was not synced may be missing.
    @Test func `lost sectors behind the anchored head pass as a power cut, whatever follows them`()
        throws
    {
        let segment = try deadSegment()
        let original = try fixture.bytes(of: segment)
        let ranges = recordRanges(original)
        let unsynced = ranges[2].lowerBound
        for sector in stride(from: 0, to: original.count, by: 512) {
            var changed = original
            let end = min(sector + 512, original.count)
            guard end > unsynced else { continue }
            let range = max(sector, unsynced)..<end
            for index in range { changed[index] = 0 }
            try fixture.replace(segment, with: changed)
            let report = try fixture.verify()
            #expect(report.problems == [], "sector at \(sector)")
            let start = try #require(ranges.first { $0.upperBound > range.lowerBound }?.lowerBound)
            #expect(report.crashes.map(\.tornBytes) == [UInt64(original.count - start)])
        }
        // What is anchored never passes as lost.
        var changed = original
        for index in ranges[0].lowerBound..<ranges[0].lowerBound + 512 { changed[index] = 0 }
        try fixture.replace(segment, with: changed)
        #expect(try fixture.verify().problems.count == 1)
    }

    @Test func `the next writer closes what a dead one left`() throws {
        let dead = try deadSegment()
        let original = try fixture.bytes(of: dead)
        try fixture.replace(dead, with: original + Array(original[92..<142]))
        let writer = fixture.writer()
        try writer.append(fixture.event())
        writer.close()
        let report = try fixture.verify()
        #expect(report.problems == [])
        #expect(report.crashes == [])
        #expect(report.recoveredSegments == [dead.id])
        #expect(report.eventCount == 5)
        // From now on the tail cannot be cut off unseen.
        let head = try #require(try fixture.anchors.segments().first)
        #expect(head.isClosed)
        #expect(head.head.eventCount == 4)
        try fixture.replace(dead, with: original)
        #expect(try fixture.verify().problems.map(\.sequence) == [5])
    }

    @Test func `a damaged segment of a dead writer is left as it is`() throws {
        let dead = try deadSegment()
        var bytes = try fixture.bytes(of: dead)
        bytes[recordRanges(bytes)[0].lowerBound + 40] ^= 1
        try fixture.replace(dead, with: bytes)
        let writer = fixture.writer()
        try writer.append(fixture.event())
        writer.close()
        #expect(try fixture.bytes(of: dead) == bytes)
        #expect(try fixture.verify().problems.map(\.segment) == [dead.id])
    }

    @Test func `a living segment with half an event gives no alarm`() throws {
        let writer = fixture.lazyWriter()
        for _ in 0..<3 { try writer.append(fixture.event()) }
        let segment = try #require(try fixture.anchors.segments().first)
        let size = try fixture.bytes(of: segment).count
        let file = try Descriptor.open(path: fixture.path(of: segment), O_RDWR)
        for torn in [1, 3, 4, 11, 50] {
            let tail = [0, 0, 4, 0] + [UInt8](repeating: 9, count: 60)
            try file.write(Array(tail[..<torn]), at: UInt64(size))
            let report = try fixture.verify()
            #expect(report.problems == [])
            #expect(report.liveSegments == [segment.id])
            #expect(report.eventCount == 3)
            #expect(try fixture.events().count == 3)
            try file.truncate(to: UInt64(size))
        }
        writer.close()
        #expect(try fixture.verify().passes)
    }

    @Test func `events of a process killed with kill -9 are there`() async throws {
        let root = fixture.root
        await #expect(processExitsWith: .signal(SIGKILL)) { [root = root as String] in
            let writer = try ProcessFixture(root: root).writer()
            for index in 0..<100 {
                try writer.append(
                    Fixture.event("Event\(index)", at: Timestamp(secondsSinceEpoch: 1)))
                if index == 60 { try writer.synchronize() }
            }
            kill(getpid(), SIGKILL)
        }
        let process = try ProcessFixture(root: root)
        let report = try process.verifier().verify()
        #expect(report.problems == [])
        #expect(report.eventCount == 100)
        #expect(report.crashes.map(\.tornBytes) == [0])
    }

    @Test func `several processes write one log at once`() async throws {
        let root = fixture.root
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    await #expect(processExitsWith: .success) { [root = root as String] in
                        let writer = try ProcessFixture(root: root).writer()
                        for _ in 0..<200 {
                            try writer.append(
                                Fixture.event("Decrypt", at: Timestamp(secondsSinceEpoch: 1)))
                        }
                        writer.close()
                    }
                }
            }
            try await group.waitForAll()
        }
        let report = try ProcessFixture(root: root).verifier().verify()
        #expect(report.problems == [])
        #expect(report.segmentCount == 3)
        #expect(report.eventCount == 600)
    }

    @Test func `a forked child writes a segment of its own`() async throws {
        let root = fixture.root
        await #expect(processExitsWith: .success) { [root = root as String] in
            let writer = try ProcessFixture(root: root).writer()
            let event = Fixture.event("Decrypt", at: Timestamp(secondsSinceEpoch: 1))
            try writer.append(event)
            try writer.synchronize()
            let child = fork()
            try writer.append(event)
            try writer.append(event)
            writer.close()
            if child == 0 { _exit(0) }
            var status: Int32 = 0
            // SAFETY: `status` outlives the call.
            guard unsafe waitpid(child, &status, 0) == child, status == 0 else { _exit(1) }
        }
        let report = try ProcessFixture(root: root).verifier().verify()
        #expect(report.problems == [])
        #expect(report.crashes == [])
        #expect(report.segmentCount == 2)
        #expect(report.eventCount == 5)
    }
}
