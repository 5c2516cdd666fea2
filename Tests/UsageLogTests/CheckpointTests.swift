import Cryptography
import Foundation
import KMSModel
import Platform
import Testing

@testable import UsageLog

/// Somebody who has taken the machine: the log's directory, the keystore's database and all of its
/// keys, the next checkpoint's too. What was sealed before is out of reach all the same.
@Suite struct CheckpointTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    /// Writes a segment with a checkpoint after each event that is in `sealed`, and closes it.
    private func segment(events count: Int, sealedAfter sealed: Set<Int>) throws -> SegmentRecord {
        let writer = fixture.lazyWriter()
        for number in 1...count {
            try writer.append(fixture.event("Event\(number)"))
            if sealed.contains(number) {
                try writer.synchronize()
                try fixture.ledger.seal()
            }
        }
        writer.close()
        return try #require(try fixture.anchors.segments().last)
    }

    private func forge(_ segment: SegmentRecord, names: [String]) throws {
        try Forger(fixture, segment).rewrite(names.map { fixture.event($0) })
    }

    private func state() throws -> LedgerState {
        try #require(LedgerState(decoding: fixture.anchors.rows.state))
    }

    private func setState(_ state: LedgerState) {
        fixture.anchors.rows.state = state.encoded()
    }

    @Test func `a segment that was sealed is one chain of checkpoints`() throws {
        _ = try segment(events: 5, sealedAfter: [2, 3])
        let report = try fixture.verify()
        #expect(report.problems == [])
        #expect(report.checkpointCount == 3)
        #expect(report.verificationKey == (try state().verificationKey))
        #expect(try fixture.verifier.verify(verificationKey: report.verificationKey).passes)
    }

    @Test func `a tail rewritten with every key is found at its first event`() throws {
        for sealed in 1...4 {
            let fixture = try Fixture()
            let writer = fixture.lazyWriter()
            let times = (0..<5).map { _ in fixture.clock.now() }
            func event(_ number: Int, _ name: String) -> UsageEvent {
                Fixture.event(name, at: times[number - 1])
            }
            for number in 1...5 {
                try writer.append(event(number, "Event\(number)"))
                try writer.synchronize()
                try fixture.ledger.seal()
            }
            writer.close()
            let segment = try #require(try fixture.anchors.segments().first)
            let forged = try Forger(fixture, segment).rewrite(
                (1...5).map { event($0, $0 > sealed ? "Forged" : "Event\($0)") })
            #expect(forged.head.eventCount == 5)
            let problems = try fixture.verify().problems
            #expect(problems.map(\.kind) == [.checkpointMismatch])
            #expect(problems.map(\.sequence) == [UInt64(sealed + 1)])
        }
    }

    @Test func `a checkpoint can be signed by none but its own key`() throws {
        let segment = try segment(events: 3, sealedAfter: [1, 2])
        try forge(segment, names: ["Forged"])
        let rows = fixture.anchors.rows
        // The last checkpoint is made anew, with the key of the one that comes next.
        let stolen = try state()
        let forged = Checkpoint(
            number: 3, milliseconds: 0, bootID: Boot.id,
            previousHash: Checkpoint.hash(rows.checkpoints[1]), nextKey: stolen.nextKey.publicKey,
            seals: [Checkpoint.Seal(try #require(rows.segments.first))])
        fixture.anchors.rows.checkpoints[2] = try forged.encoded(signedWith: stolen.nextKey)
        let problems = try fixture.verify().problems
        #expect(problems.first?.kind == .brokenCheckpoints)
        #expect(problems.first?.sequence == 3)
    }

    @Test func `a changed, missing, swapped or doubled checkpoint is found at its number`() throws {
        _ = try segment(events: 4, sealedAfter: [1, 2, 3])
        let rows = fixture.anchors.rows
        #expect(rows.checkpoints.count == 4)
        func first() throws -> UInt64? {
            let problem = try fixture.verify().problems.first
            #expect(problem?.kind == .brokenCheckpoints)
            return problem?.sequence
        }
        for number in 0..<4 {
            for offset in rows.checkpoints[number].indices {
                fixture.anchors.rows.checkpoints[number][offset] ^= 1 << UInt8(offset % 8)
                #expect(try first() == UInt64(number + 1), "byte \(offset)")
                fixture.anchors.rows = rows
            }
            fixture.anchors.rows.checkpoints.remove(at: number)
            #expect(try first() == UInt64(number + 1))
            fixture.anchors.rows = rows
            fixture.anchors.rows.checkpoints.insert(rows.checkpoints[number], at: number)
            #expect(try first() == UInt64(number + 2))
            fixture.anchors.rows = rows
            guard number < 3 else { continue }
            fixture.anchors.rows.checkpoints.swapAt(number, number + 1)
            #expect(try first() == UInt64(number + 1))
            fixture.anchors.rows = rows
        }
    }

    @Test func `checkpoints cut off, with the keystore's count put back, lack their key`() throws {
        _ = try segment(events: 3, sealedAfter: [1, 2])
        let rows = fixture.anchors.rows
        var state = try state()
        state.checkpointCount = 2
        state.lastHash = Checkpoint.hash(rows.checkpoints[1])
        setState(state)
        fixture.anchors.rows.checkpoints.removeLast()
        let problems = try fixture.verify().problems
        #expect(problems.first?.kind == .brokenCheckpoints)
        #expect(problems.first?.sequence == 3)
    }

    @Test func `a closed segment that no checkpoint closes fails`() throws {
        _ = try segment(events: 2, sealedAfter: [])
        let second = try segment(events: 3, sealedAfter: [1])
        // The last checkpoint never was: its key is still there.
        let rows = fixture.anchors.rows
        fixture.anchors.rows.checkpoints.removeLast()
        let problems = try fixture.verify().problems
        #expect(problems.map(\.kind).contains(.brokenCheckpoints))
        #expect(
            problems.contains {
                $0.kind == .unsealedEnd && $0.segment == second.id && $0.sequence == 2
            })
        fixture.anchors.rows = rows
    }

    @Test func `a closed segment can't be turned into one that a crash cut short`() throws {
        let segment = try segment(events: 4, sealedAfter: [2])
        let bytes = try fixture.bytes(of: segment)
        let ranges = recordRanges(bytes)
        for kept in 0...4 {
            let cut = kept == 4 ? ranges[4].lowerBound : ranges[kept].lowerBound
            try fixture.replace(segment, with: Array(bytes[..<cut]))
            var rows = fixture.anchors.rows
            rows.segments[0].isClosed = false
            rows.segments[0].head = rows.segments[0].emptyHead
            rows.segments[0].tally = []
            rows.tallies = [:]
            fixture.anchors.rows = rows
            let problems = try fixture.verify().problems
            #expect(problems.map(\.segment) == [segment.id])
            #expect(problems.map(\.sequence) == [UInt64(kept + 1)], "kept \(kept)")
        }
    }

    @Test func `another log with another key passes here, and nowhere where the key is known`()
        throws
    {
        _ = try segment(events: 3, sealedAfter: [])
        let key = try state().verificationKey
        // All of it anew: files, rows, keys.
        for segment in try fixture.anchors.segments() {
            try FileManager.default.removeItem(atPath: fixture.path(of: segment))
        }
        fixture.anchors.rows = AnchorRows()
        _ = try segment(events: 2, sealedAfter: [])
        #expect(try fixture.verify().passes)
        let problems = try fixture.verifier.verify(verificationKey: key).problems
        #expect(problems.map(\.kind).contains(.brokenCheckpoints))
        #expect(problems.first?.sequence == 1)
    }

    @Test func `another log without checkpoints passes nowhere where the key is known`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event())
        let key = try state().verificationKey
        #expect(try fixture.verifier.verify(verificationKey: key).passes)
        let other = Ed25519PrivateKey().publicKey
        let problems = try fixture.verifier.verify(verificationKey: other).problems
        #expect(problems == [.brokenCheckpoint(1)])
        writer.close()
    }

    // MARK: Epochs

    private func age(byMilliseconds milliseconds: UInt64) throws {
        var state = try state()
        state.sealedAtMilliseconds -= min(milliseconds, state.sealedAtMilliseconds)
        setState(state)
    }

    @Test func `an epoch has one checkpoint, whoever asks, and with no event in it too`() throws {
        let writers = [fixture.lazyWriter(), fixture.lazyWriter()]
        for writer in writers {
            try writer.append(fixture.event())
            try writer.synchronize()
        }
        try fixture.ledger.sealWhenDue()
        #expect(fixture.anchors.rows.checkpoints.count == 1)
        for _ in 0..<3 { try fixture.ledger.sealWhenDue() }
        #expect(fixture.anchors.rows.checkpoints.count == 1)
        for epoch in 2...4 {
            try age(byMilliseconds: LogLedger.epochMilliseconds)
            for _ in 0..<3 { try fixture.ledger.sealWhenDue() }
            #expect(fixture.anchors.rows.checkpoints.count == epoch)
        }
        var chain = CheckpointChain(firstKey: try state().verificationKey)
        for bytes in fixture.anchors.rows.checkpoints {
            let taken = chain.take(bytes)
            let checkpoint = try #require(taken)
            #expect(checkpoint.seals.map(\.head.eventCount) == [1, 1])
            #expect(checkpoint.seals.allSatisfy { !$0.isClosed })
            #expect(checkpoint.bootID == Boot.id)
        }
        #expect(try fixture.verify().problems == [])
        for writer in writers { writer.close() }
        #expect(try fixture.verify().problems == [])
    }

    @Test func `after a restart of the system a checkpoint is due at once`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event())
        try fixture.ledger.seal()
        var state = try state()
        state.sealedInBoot = [UInt8](repeating: 9, count: 16)
        setState(state)
        try fixture.ledger.sealWhenDue()
        #expect(fixture.anchors.rows.checkpoints.count == 2)
        writer.close()
    }

    // MARK: No false alarms

    @Test func `clocks that jump give no alarm`() throws {
        for jump in [-86_400_000_000, 86_400_000_000, -1, -90_000] as [Int64] {
            let writer = fixture.writer()
            try writer.append(fixture.event())
            fixture.clock.advance(milliseconds: jump)
            try writer.append(fixture.event())
            try fixture.ledger.seal()
            fixture.clock.advance(milliseconds: -2 * jump)
            try writer.append(fixture.event())
            writer.close()
            #expect(try fixture.verify().problems == [])
        }
    }

    /// The store fails, or the process dies with it, at each of its transactions.
    @Test(arguments: [false, true])
    func `a store that fails at any transaction leaves a log that is whole`(_ dies: Bool) throws {
        for number in 1...60 {
            let fixture = try Fixture()
            fixture.anchors.failAtChange(number)
            let writer = fixture.writer(
                segmentLimitBytes: 2500, syncIntervalMilliseconds: 3_600_000)
            var logged: [String] = []
            for index in 0..<8 {
                if (try? writer.append(fixture.event("Event\(index)"))) != nil {
                    logged.append("Event\(index)")
                }
                if index % 3 == 2 { try? writer.synchronize() }
                if index == 4 { try? fixture.ledger.seal() }
                if dies, fixture.anchors.hasFailed { break }
            }
            let hasFailed = fixture.anchors.hasFailed
            if dies, hasFailed { writer.abandon() } else { writer.close() }
            #expect(try fixture.verify().problems == [], "failure at \(number)")
            let next = fixture.writer()
            try next.append(fixture.event("Last"))
            next.close()
            let report = try fixture.verify()
            #expect(report.problems == [], "failure at \(number)")
            #expect(report.crashes == [], "failure at \(number)")
            #expect(try fixture.events().map(\.eventName) == logged + ["Last"])
            if !hasFailed { return }
        }
        Issue.record("the log makes more than 60 transactions for 8 events")
    }

    @Test func `segments of version 1 stay valid, and are sealed with the first checkpoint`() throws
    {
        for count in 1...2 {
            let old = fixture.oldWriter()
            for number in 1...count { try old.append(fixture.event("Old\(number)")) }
            old.close()
        }
        let crashed = fixture.oldWriter()
        try crashed.append(fixture.event("Old3"))
        crashed.abandon()
        fixture.anchors.rows.state = []
        fixture.anchors.rows.checkpoints = []
        #expect(try fixture.anchors.segments().map(\.version) == [1, 1, 1])
        #expect(try fixture.verify().problems == [])
        #expect(try fixture.verify().checkpointCount == 0)

        let writer = fixture.writer()
        try writer.append(fixture.event("New"))
        writer.close()
        let report = try fixture.verify()
        #expect(report.problems == [])
        #expect(report.eventCount == 5)
        #expect(report.recoveredSegments == [try fixture.anchors.segments()[2].id])
        #expect(try fixture.anchors.segments().map(\.version) == [1, 1, 1, 2])
        #expect(
            try fixture.events().map(\.eventName) == ["Old1", "Old1", "Old2", "Old3", "New"])
        // From here on they are as safe as all others.
        let first = try #require(try fixture.anchors.segments().first)
        fixture.anchors.rows.segments[0].head.eventCount = 0
        fixture.anchors.rows.segments[0].head.chainHash = first.digest
        #expect(try fixture.verify().problems.map(\.segment).contains(first.id))
    }
}

/// Writes a segment's file anew and makes the keystore's rows agree with it.
struct Forger {
    let fixture: Fixture
    let segment: SegmentRecord

    init(_ fixture: Fixture, _ segment: SegmentRecord) {
        self.fixture = fixture
        self.segment = segment
    }

    @discardableResult
    func rewrite(_ events: [UsageEvent]) throws -> OpenSegment {
        var record = segment
        record.head = record.emptyHead
        let folder = try LogDirectory.openOrMake(fixture.root + "/forged-\(UUID().uuidString)")
        let forged = try OpenSegment(record, in: folder, keys: fixture.keys)
        for event in events {
            let leaf = EventBuffer()
            leaf.reset(toZeros: SegmentFormat.leafPrefixBytes)
            event.appendPlaintext(to: leaf)
            try forged.append(leaf: leaf, event: event)
        }
        try forged.appendClosingRecord(.closed, at: fixture.clock.now(), keys: fixture.keys)
        let bytes = [UInt8](
            try Data(contentsOf: URL(filePath: folder.path + "/" + segment.id.fileName)))
        try fixture.replace(segment, with: bytes)
        var rows = fixture.anchors.rows
        guard let index = rows.segments.firstIndex(where: { $0.id == segment.id }) else {
            throw AnchorRows.Failure.unknownSegment
        }
        rows.segments[index].head = forged.head
        rows.tallies = [:]
        fixture.anchors.rows = rows
        try fixture.anchors.change { try forged.tally.addToTotals($0) }
        return forged
    }
}
