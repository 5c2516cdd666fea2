import Testing

@testable import UsageLog

/// Somebody with the open keystore keeps a segment out of checkpoints, so that he can rewrite later
/// what they would have sealed.
@Suite struct LeftOutTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    private func state() throws -> LedgerState {
        try #require(LedgerState(decoding: fixture.anchors.rows.state))
    }

    private func setUnsealed(_ segments: [SegmentID]) throws {
        var state = try state()
        state.unsealed = segments
        fixture.anchors.rows.state = state.encoded()
    }

    /// Each with a segment of one event, which is anchored.
    private func writers(_ count: Int) throws -> [UsageLogWriter] {
        try (0..<count).map { _ in
            let writer = fixture.lazyWriter()
            try writer.append(fixture.event())
            try writer.synchronize()
            return writer
        }
    }

    private func problems() throws -> [LogProblem] { try fixture.verify().problems }

    /// Two checkpoints have the first segment, and the one between them has not.
    private func leaveFirstSegmentOut() throws {
        try fixture.ledger.seal()
        let list = try state().unsealed
        try setUnsealed(Array(list.dropFirst()))
        try fixture.ledger.seal()
        try setUnsealed(list)
        try fixture.ledger.seal()
    }

    @Test func `an open segment that a checkpoint leaves out is found, though the next one has it`()
        throws
    {
        let writers = try writers(2)
        let segment = try #require(try fixture.anchors.segments().first)
        try leaveFirstSegmentOut()
        let problem = LogProblem(segment, .leftOut(checkpoint: 2), at: 2)
        #expect(try problems() == [problem])
        #expect("\(problem)".contains("\(segment.id.fileName), event 2: checkpoint 2 "))
        for writer in writers { writer.close() }
        #expect(try problems().map(\.kind) == [.leftOut(checkpoint: 2)])
    }

    @Test func `a segment that is kept out of the next checkpoint is found before it is made`()
        throws
    {
        let writers = try writers(2)
        let segments = try fixture.anchors.segments()
        try fixture.ledger.seal()
        try setUnsealed([segments[1].id])
        #expect(try problems() == [LogProblem(segments[0], .wrongList(checkpoint: 2), at: 2)])
        try fixture.ledger.seal()
        #expect(
            try problems() == [
                LogProblem(segments[0], .leftOut(checkpoint: 2), at: 2),
                LogProblem(segments[0], .wrongList(checkpoint: 3), at: 2),
            ])
        for writer in writers { writer.close() }
    }

    @Test func `a new segment that the first checkpoint after it leaves out is found`() throws {
        let writers = try writers(3)
        let segments = try fixture.anchors.segments()
        try setUnsealed([segments[0].id, segments[2].id])
        #expect(try problems() == [LogProblem(segments[1], .wrongList(checkpoint: 1), at: 1)])
        try fixture.ledger.seal()
        try setUnsealed(segments.map(\.id))
        try fixture.ledger.seal()
        #expect(try problems() == [LogProblem(segments[1], .leftOut(checkpoint: 1), at: 1)])
        for writer in writers { writer.close() }
    }

    @Test func `the next checkpoint's list has nothing that is sealed to its end, or unknown`()
        throws
    {
        let segment = try fixture.writeClosedSegment(events: 1)
        try setUnsealed([segment.id])
        #expect(try problems() == [LogProblem(segment, .wrongList(checkpoint: 2), at: 2)])
        let stranger = SegmentID()
        try setUnsealed([stranger])
        #expect(
            try problems() == [
                LogProblem(
                    kind: .wrongList(checkpoint: 2), file: stranger.fileName, segment: stranger,
                    sequence: 0)
            ])
    }

    @Test func `an export whose checkpoints leave an open segment out fails at that checkpoint`()
        throws
    {
        let writers = try writers(2)
        try leaveFirstSegmentOut()
        let path = fixture.root + "/export"
        _ = try UsageLogExporter(
            directory: fixture.directory, keys: fixture.keys, anchors: fixture.anchors
        ).export(UsageLogFilter(), to: path)
        let key = try #require(VerificationKey(bytes: try state().verificationKey))
        let problem = try #require(try LogExportVerifier(key: key).verify(path).problem)
        // The file's head is the first line.
        #expect(problem.line == 3)
        #expect(problem.reason.hasPrefix("checkpoint 2 leaves segment 1 out"))
        for writer in writers { writer.close() }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `segments that begin, end and die in any order leave nothing out`(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var writers: [UsageLogWriter] = []
        for step in 0..<80 {
            let index = writers.indices.randomElement(using: &random)
            switch (Int.random(in: 0..<6, using: &random), index) {
            case (0, let index?): writers.remove(at: index).close()
            case (1, let index?): writers.remove(at: index).abandon()
            case (2, let index?): try writers[index].synchronize()
            case (3, let index?): try writers[index].append(fixture.event())
            case (4, _): try fixture.ledger.seal()
            default:
                let writer = fixture.lazyWriter()
                try writer.append(fixture.event())
                writers.append(writer)
            }
            #expect(try problems() == [], "step \(step)")
        }
        for writer in writers { writer.close() }
        #expect(try problems() == [])
    }
}
