import Cryptography
import Foundation
import Testing

@testable import UsageLog

/// Somebody who can write the log's directory, but has neither the keys nor the anchors.
@Suite struct TamperTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    /// The only problem that a verification finds, which must name the segment.
    private func problem(
        in segment: SegmentRecord, _ context: Comment? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> LogProblem {
        let report = try fixture.verify()
        #expect(report.problems.count == 1, context, sourceLocation: sourceLocation)
        let problem = try #require(report.problems.first, context, sourceLocation: sourceLocation)
        #expect(problem.segment == segment.id, context, sourceLocation: sourceLocation)
        #expect(problem.file == segment.id.fileName, context, sourceLocation: sourceLocation)
        return problem
    }

    /// The sequence number of the record that holds a byte; 0 is the header.
    private func sequence(at offset: Int, in ranges: [Range<Int>]) -> UInt64 {
        UInt64((ranges.firstIndex { offset < $0.upperBound } ?? ranges.count) + 1)
    }

    @Test func `a flipped byte anywhere is found at its event`() throws {
        let segment = try fixture.writeClosedSegment(events: 2)
        let original = try fixture.bytes(of: segment)
        let ranges = recordRanges(original)
        #expect(ranges.count == 3)
        for offset in original.indices {
            var changed = original
            changed[offset] ^= 1 << UInt8(offset % 8)
            try fixture.replace(segment, with: changed)
            let found = try problem(in: segment, "byte \(offset)")
            let expected =
                offset < SegmentFormat.headerBytes ? 0 : sequence(at: offset, in: ranges)
            #expect(found.sequence == expected, "byte \(offset)")
        }
    }

    @Test func `a closed segment cut anywhere is found at the first missing event`() throws {
        let segment = try fixture.writeClosedSegment(events: 3)
        let original = try fixture.bytes(of: segment)
        let ranges = recordRanges(original)
        for length in original.indices {
            try fixture.replace(segment, with: Array(original[..<length]))
            let found = try problem(in: segment, "cut to \(length)")
            let expected =
                length < SegmentFormat.headerBytes ? 0 : sequence(at: length, in: ranges)
            #expect(found.sequence == expected, "cut to \(length)")
        }
    }

    @Test func `a removed event is found`() throws {
        let segment = try fixture.writeClosedSegment(events: 4)
        let original = try fixture.bytes(of: segment)
        for (index, range) in recordRanges(original).enumerated() {
            var changed = original
            changed.removeSubrange(range)
            try fixture.replace(segment, with: changed)
            #expect(try problem(in: segment).sequence == UInt64(index + 1))
        }
    }

    @Test func `two swapped events are found at the first one`() throws {
        let segment = try fixture.writeClosedSegment(events: 4)
        let original = try fixture.bytes(of: segment)
        let ranges = recordRanges(original)
        for index in 0..<ranges.count - 1 {
            let changed =
                original[..<ranges[index].lowerBound] + original[ranges[index + 1]]
                + original[ranges[index]] + original[ranges[index + 1].upperBound...]
            try fixture.replace(segment, with: Array(changed))
            #expect(try problem(in: segment).sequence == UInt64(index + 1))
        }
    }

    @Test func `a duplicated event is found at the copy`() throws {
        let segment = try fixture.writeClosedSegment(events: 3)
        let original = try fixture.bytes(of: segment)
        for (index, range) in recordRanges(original).dropLast().enumerated() {
            let changed = original[..<range.upperBound] + original[range.lowerBound...]
            try fixture.replace(segment, with: Array(changed))
            #expect(try problem(in: segment).sequence == UInt64(index + 2))
        }
    }

    @Test func `data behind the closing record is found`() throws {
        let segment = try fixture.writeClosedSegment(events: 2)
        let original = try fixture.bytes(of: segment)
        let closing = try #require(recordRanges(original).last)
        for tail in [[0], Array(original[closing]), [UInt8](repeating: 7, count: 5000)] {
            try fixture.replace(segment, with: original + tail)
            let found = try problem(in: segment)
            #expect(found.kind == .dataBehindClosingRecord)
            #expect(found.sequence == 4)
        }
    }

    @Test func `a removed closing record is found`() throws {
        let segment = try fixture.writeClosedSegment(events: 2)
        let original = try fixture.bytes(of: segment)
        let closing = try #require(recordRanges(original).last)
        try fixture.replace(segment, with: Array(original[..<closing.lowerBound]))
        let found = try problem(in: segment)
        #expect(found.kind == .missingClosingRecord)
        #expect(found.sequence == 3)
    }

    @Test func `two segments spliced together are found`() throws {
        let first = try fixture.writeClosedSegment(events: 3)
        let second = try fixture.writeClosedSegment(events: 3)
        let one = try fixture.bytes(of: first)
        let two = try fixture.bytes(of: second)
        let cuts = recordRanges(one).map(\.lowerBound)
        for (index, cut) in cuts.enumerated() {
            let otherCut = recordRanges(two)[index].lowerBound
            try fixture.replace(first, with: Array(one[..<cut] + two[otherCut...]))
            #expect(try problem(in: first).sequence == UInt64(index + 1))
        }
    }

    @Test func `two segments that changed places are found`() throws {
        let first = try fixture.writeClosedSegment(events: 1)
        let second = try fixture.writeClosedSegment(events: 1)
        let one = try fixture.bytes(of: first)
        try fixture.replace(first, with: try fixture.bytes(of: second))
        try fixture.replace(second, with: one)
        let problems = try fixture.verify().problems
        #expect(problems.map(\.segment) == [first.id, second.id])
        #expect(problems.map(\.kind) == [.changedHeader, .changedHeader])
    }

    @Test func `a deleted segment is found`() throws {
        _ = try fixture.writeClosedSegment(events: 1)
        let second = try fixture.writeClosedSegment(events: 2)
        try FileManager.default.removeItem(atPath: fixture.path(of: second))
        let found = try problem(in: second)
        #expect(found.kind == .missingSegment)
        #expect(found.sequence == 1)
    }

    @Test func `a deleted log directory is found`() throws {
        let segment = try fixture.writeClosedSegment(events: 1)
        try FileManager.default.removeItem(atPath: fixture.directory)
        #expect(try problem(in: segment).kind == .missingSegment)
    }

    @Test func `files that no segment accounts for are found`() throws {
        let segment = try fixture.writeClosedSegment(events: 1)
        let copy = SegmentID().fileName
        try FileManager.default.copyItem(
            atPath: fixture.path(of: segment), toPath: fixture.directory + "/" + copy)
        try Data().write(to: URL(fileURLWithPath: fixture.directory + "/notes.txt"))
        let problems = try fixture.verify().problems
        #expect(problems.map(\.kind) == [.unknownFile, .unknownFile])
        #expect(Set(problems.map(\.file)) == [copy, "notes.txt"])
    }

    @Test func `a file with a header only is no sign of tampering`() throws {
        let segment = try fixture.writeClosedSegment(events: 1)
        let name = SegmentID().fileName
        let header = try fixture.bytes(of: segment)[..<SegmentFormat.headerBytes]
        try Data(header).write(to: URL(fileURLWithPath: fixture.directory + "/" + name))
        let report = try fixture.verify()
        #expect(report.passes)
        #expect(report.emptyFiles == [name])
    }

    @Test func `a symbolic link instead of a segment is found`() throws {
        let segment = try fixture.writeClosedSegment(events: 1)
        let moved = fixture.root + "/elsewhere"
        try FileManager.default.moveItem(atPath: fixture.path(of: segment), toPath: moved)
        try FileManager.default.createSymbolicLink(
            atPath: fixture.path(of: segment), withDestinationPath: moved)
        #expect(try problem(in: segment).kind == .changedHeader)
    }

    @Test func `a log rewritten with the log key needs the signing key too`() throws {
        // The adversary's twin of the segment: same log key, another signing key.
        let segment = try fixture.writeClosedSegment(events: 2)
        let ranges = recordRanges(try fixture.bytes(of: segment))
        let verifier = UsageLogVerifier(
            directory: fixture.directory,
            keys: fixture.keys.with(signingKey: Ed25519PrivateKey()), anchors: fixture.anchors)
        let found = try #require(try verifier.verify().problems.first)
        #expect(found.kind == .invalidClosingRecord)
        #expect(found.sequence == UInt64(ranges.count))
    }

    @Test func `an older state of a living segment is found`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event())
        try writer.synchronize()
        let segment = try #require(try fixture.anchors.segments().first)
        let older = try fixture.bytes(of: segment)
        try writer.append(fixture.event())
        try writer.append(fixture.event())
        try writer.synchronize()
        writer.abandon()
        try fixture.replace(segment, with: older)
        let found = try problem(in: segment)
        #expect(found.kind == .missingEvents)
        #expect(found.sequence == 2)
    }

    @Test func `a list of segments that is not one chain is found`() throws {
        for _ in 0..<3 { _ = try fixture.writeClosedSegment(events: 1) }
        let records = try fixture.anchors.segments()
        for changed in [
            [records[1], records[2]], [records[0], records[2]],
            [records[1], records[0], records[2]],
        ] {
            fixture.anchors.setRecords(changed)
            let kinds = try fixture.verify().problems.map(\.kind)
            #expect(kinds.contains(.brokenSegmentChain))
        }
        fixture.anchors.setRecords(Array(records[..<2]))
        let report = try fixture.verify()
        #expect(
            report.problems.map(\.kind)
                == [.brokenSegmentChain, .brokenCheckpoints, .unknownFile])
        #expect(report.problems.last?.file == records[2].id.fileName)
    }

    @Test func `a reader gives what is intact and then tells what is wrong`() throws {
        let first = try fixture.writeClosedSegment(events: 3)
        _ = try fixture.writeClosedSegment(events: 1)
        var bytes = try fixture.bytes(of: first)
        bytes[recordRanges(bytes)[1].lowerBound + 30] ^= 1
        try fixture.replace(first, with: bytes)
        var names: [String] = []
        do throws(UsageLogError) {
            try fixture.reader.forEach(UsageLogFilter()) { names.append($0.eventName) }
            Issue.record("the damage was not told")
        } catch {
            guard case .damaged(let problem) = error else { throw error }
            #expect(problem.segment == first.id)
            #expect(problem.sequence == 2)
        }
        #expect(names == ["Event1", "Event1"])
    }
}
