import Foundation
import KMSModel
import Testing

@testable import UsageLog

/// Heads that are kept outside of the keystore.
@Suite struct HeadTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    private var notary: LogNotary {
        LogNotary(keys: fixture.keys, anchors: fixture.anchors, clock: fixture.clock)
    }

    private func anchor(_ bytes: [UInt8]?) throws -> [UInt8] { try #require(bytes) }

    private func verify(_ bytes: [UInt8]) throws -> VerificationReport {
        try fixture.verifier.verify(against: [notary.anchor(bytes, from: "anchor")])
    }

    @Test func `a head is read back, and no other bytes are`() throws {
        _ = try fixture.writeClosedSegment(events: 1)
        let bytes = try anchor(try notary.replacement(for: nil))
        #expect(LogHead(decoding: bytes, fixture.keys) == LogHead(unauthenticated: bytes))
        #expect(LogHead(decoding: bytes, fixture.keys)?.checkpoint == 1)
        #expect(bytes.count < LogHead.maximumBytes)
        for offset in bytes.indices {
            for bit in 0..<8 as Range<UInt8> {
                var changed = bytes
                changed[offset] ^= 1 << bit
                #expect(LogHead(decoding: changed, fixture.keys) == nil, "byte \(offset)")
            }
            #expect(LogHead(decoding: Array(bytes[..<offset]), fixture.keys) == nil)
        }
        #expect(LogHead(decoding: bytes + [10], fixture.keys) == nil)
    }

    @Test func `a log that went on agrees with its earlier heads`() throws {
        var heads: [[UInt8]] = []
        for _ in 0..<3 {
            _ = try fixture.writeClosedSegment(events: 2)
            heads.append(try anchor(try notary.replacement(for: heads.last)))
        }
        for head in heads {
            let report = try verify(head)
            #expect(report.problems == [])
            #expect(report.agreeingAnchors == ["anchor"])
        }
    }

    /// Files, database and keys, all at once.
    @Test func `a keystore put back to an older state as a whole is found`() throws {
        let first = try fixture.writeClosedSegment(events: 2)
        let rows = fixture.anchors.rows
        let second = try fixture.writeClosedSegment(events: 2)
        let head = try anchor(try notary.replacement(for: nil))
        try FileManager.default.removeItem(atPath: fixture.path(of: second))
        fixture.anchors.rows = rows
        #expect(try fixture.verify().passes)
        let problems = try verify(head).problems
        #expect(problems.map(\.kind) == [.rolledBack])
        #expect(problems.map(\.sequence) == [2])
        // What was kept is not given up for the older log, nor when that one went on.
        #expect(try notary.replacement(for: head) == nil)
        _ = try fixture.writeClosedSegment(events: 1)
        #expect(try fixture.verify().passes)
        #expect(try verify(head).problems.map(\.kind) == [.forked])
        #expect(try notary.replacement(for: head) == nil)
        #expect(try fixture.anchors.segments().first?.id == first.id)
    }

    @Test func `a changed head and another log's head are told apart from a rollback`() throws {
        _ = try fixture.writeClosedSegment(events: 1)
        var head = try anchor(try notary.replacement(for: nil))
        let other = try Fixture()
        _ = try other.writeClosedSegment(events: 1)
        let otherNotary = LogNotary(
            keys: fixture.keys, anchors: other.anchors, clock: other.clock)
        let foreign = try anchor(try otherNotary.replacement(for: nil))
        #expect(try verify(foreign).problems.map(\.kind) == [.foreignAnchor])
        #expect(try notary.replacement(for: foreign) == nil)
        head[head.count - 3] ^= 1
        #expect(try verify(head).problems.map(\.kind) == [.foreignAnchor])
    }

    @Test func `a log without a checkpoint is older than any anchor`() throws {
        let other = try Fixture()
        _ = try other.writeClosedSegment(events: 1)
        let head = try anchor(
            try LogNotary(keys: fixture.keys, anchors: other.anchors, clock: other.clock)
                .replacement(for: nil))
        #expect(try notary.head() == nil)
        #expect(try verify(head).problems.map(\.kind) == [.rolledBack])
    }
}
