import Foundation
import Glibc
import KMSModel
import Platform
import Synchronization
import Testing

@testable import UsageLog

@Suite struct WriterTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    private var onlySegment: SegmentRecord {
        get throws {
            let segments = try fixture.anchors.segments()
            #expect(segments.count == 1)
            return try #require(segments.first)
        }
    }

    @Test func `events come back in order and the log verifies`() throws {
        let segment = try fixture.writeClosedSegment(events: 3)
        #expect(try fixture.events().map(\.eventName) == ["Event1", "Event2", "Event3"])
        #expect(try fixture.events().map(\.sequence) == [1, 2, 3])
        let report = try fixture.verify()
        #expect(report.problems == [])
        #expect(report.eventCount == 3)
        #expect(report.segmentCount == 1)
        #expect(segment.isClosed)
        #expect(segment.head.eventCount == 3)
    }

    @Test func `a writer without events leaves nothing behind`() throws {
        fixture.writer().close()
        #expect(try fixture.anchors.segments() == [])
        #expect(!FileManager.default.fileExists(atPath: fixture.directory))
        #expect(try fixture.verify().passes)
    }

    @Test func `files and directory are for their owner only`() throws {
        let segment = try fixture.writeClosedSegment(events: 1)
        let directory = try Descriptor.open(path: fixture.directory, O_RDONLY).status()
        let file = try Descriptor.open(path: fixture.path(of: segment), O_RDONLY).status()
        #expect(directory.mode & 0o777 == 0o700)
        #expect(file.mode & 0o777 == 0o600)
    }

    @Test func `nothing of an event stands in the file in clear`() throws {
        let segment = try fixture.writeClosedSegment(events: 2)
        let bytes = try fixture.bytes(of: segment)
        for word in ["Event1", "123456789012", "eventName", "kms.amazonaws.com"] {
            #expect(Data(bytes).range(of: Data(word.utf8)) == nil)
        }
    }

    @Test func `an event is in the file before append returns`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event("First"))
        #expect(try fixture.events().map(\.eventName) == ["First"])
        try writer.append(fixture.event("Second"))
        #expect(try fixture.events().map(\.eventName) == ["First", "Second"])
        writer.close()
    }

    @Test func `the thread anchors by itself`() throws {
        let writer = fixture.writer(syncIntervalMilliseconds: 5)
        for count in 1...3 as ClosedRange<UInt64> {
            try writer.append(fixture.event())
            let deadline = Date(timeIntervalSinceNow: 10)
            while try onlySegment.head.eventCount < count {
                try #require(Date() < deadline)
                sched_yield()
            }
        }
        writer.close()
    }

    @Test func `a closed writer takes no events`() throws {
        let writer = fixture.writer()
        writer.close()
        writer.close()
        expectFailure(of: writer) { error in
            guard case .closed = error else { return false }
            return true
        }
    }

    @Test func `a full segment gives way to the next one`() throws {
        let writer = fixture.writer(segmentLimitBytes: 4096)
        for _ in 0..<50 { try writer.append(fixture.event()) }
        writer.close()
        let report = try fixture.verify()
        #expect(report.problems == [])
        #expect(report.eventCount == 50)
        #expect(report.segmentCount > 5)
        for segment in try fixture.anchors.segments() {
            #expect(segment.isClosed)
            #expect(try fixture.bytes(of: segment).count <= 4096)
        }
        #expect(try fixture.events().count == 50)
    }

    @Test func `several threads and writers at once, with verifications in between`() throws {
        let writers = (0..<4).map { _ in self.fixture.writer(segmentLimitBytes: 100_000) }
        let failures = Mutex<[String]>([])
        let fixture = fixture
        DispatchQueue.concurrentPerform(iterations: 10) { index in
            do {
                if index >= 8 {
                    for _ in 0..<20 {
                        let problems = try fixture.verify().problems
                        if !problems.isEmpty { failures.withLock { $0.append("\(problems)") } }
                        _ = try fixture.events(UsageLogFilter(eventName: "None"))
                    }
                } else {
                    for _ in 0..<250 { try writers[index % 4].append(fixture.event()) }
                }
            } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        for writer in writers { writer.close() }
        #expect(failures.withLock { $0 } == [])
        let report = try self.fixture.verify()
        #expect(report.problems == [])
        #expect(report.eventCount == 2000)
    }

    // MARK: Failures

    private func expectFailure(
        of writer: UsageLogWriter, sourceLocation: SourceLocation = #_sourceLocation,
        _ matches: (UsageLogError) -> Bool
    ) {
        do throws(UsageLogError) {
            try writer.append(fixture.event())
            Issue.record("the event was taken", sourceLocation: sourceLocation)
        } catch {
            #expect(matches(error), "\(error)", sourceLocation: sourceLocation)
        }
    }

    private func isTampered(_ error: UsageLogError) -> Bool {
        guard case .tampered = error else { return false }
        return true
    }

    @Test func `a deleted segment is noticed at the next event, and for good`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event())
        try FileManager.default.removeItem(atPath: fixture.path(of: onlySegment))
        expectFailure(of: writer, isTampered)
        expectFailure(of: writer, isTampered)
    }

    @Test func `a replaced segment is noticed`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event())
        let path = fixture.path(of: try onlySegment)
        try FileManager.default.copyItem(atPath: path, toPath: path + ".copy")
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + ".copy", toPath: path)
        expectFailure(of: writer, isTampered)
    }

    @Test func `a segment that was moved away is noticed at the next sync`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event())
        let path = fixture.path(of: try onlySegment)
        try FileManager.default.copyItem(atPath: path, toPath: path + ".copy")
        try FileManager.default.moveItem(atPath: path, toPath: fixture.root + "/moved")
        try FileManager.default.moveItem(atPath: path + ".copy", toPath: path)
        #expect(throws: UsageLogError.self) { try writer.synchronize() }
        expectFailure(of: writer, isTampered)
    }

    @Test func `a cut or extended segment is noticed`() throws {
        for change in [-1, 1] {
            let fixture = try Fixture()
            let writer = fixture.lazyWriter()
            try writer.append(fixture.event())
            let segment = try #require(try fixture.anchors.segments().first)
            let file = try Descriptor.open(path: fixture.path(of: segment), O_RDWR)
            try file.truncate(to: UInt64(Int(file.status().sizeBytes) + change))
            expectFailure(of: writer, isTampered)
        }
    }

    @Test func `a replaced log directory is noticed at the next sync`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event())
        try FileManager.default.moveItem(
            atPath: fixture.directory, toPath: fixture.root + "/moved")
        try FileManager.default.createDirectory(
            atPath: fixture.directory, withIntermediateDirectories: false)
        #expect(throws: UsageLogError.self) { try writer.synchronize() }
        expectFailure(of: writer, isTampered)
    }

    @Test func `an anchor store that fails stops events until it works again`() throws {
        let writer = fixture.lazyWriter()
        fixture.anchors.setFails(true)
        expectFailure(of: writer, isAnchorFailure)
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.directory) == [])
        fixture.anchors.setFails(false)
        try writer.append(fixture.event("First"))
        fixture.anchors.setFails(true)
        #expect(throws: UsageLogError.self) { try writer.synchronize() }
        expectFailure(of: writer, isAnchorFailure)
        fixture.anchors.setFails(false)
        try writer.append(fixture.event("Second"))
        writer.close()
        #expect(try fixture.events().map(\.eventName) == ["First", "Second"])
        #expect(try fixture.verify().passes)
    }

    @Test func `a writer is prepared when the next event needs neither a segment nor an anchor`()
        throws
    {
        let writer = fixture.lazyWriter()
        #expect(!writer.isPrepared)
        try writer.append(fixture.event("First"))
        #expect(writer.isPrepared)
        fixture.anchors.setFails(true)
        #expect(throws: UsageLogError.self) { try writer.synchronize() }
        #expect(!writer.isPrepared)
        fixture.anchors.setFails(false)
        try writer.synchronize()
        #expect(writer.isPrepared)
        writer.close()
        #expect(!writer.isPrepared)
        // The next event makes a segment.
        let full = fixture.writer(segmentLimitBytes: 1, syncIntervalMilliseconds: 3_600_000)
        try full.append(fixture.event("Second"))
        #expect(!full.isPrepared)
        full.close()
    }

    @Test func `a sync closes the segment that could not be closed before it, or fails`() throws {
        let writer = fixture.writer(segmentLimitBytes: 1, syncIntervalMilliseconds: 3_600_000)
        try writer.append(fixture.event("First"))
        fixture.anchors.setFails(true)
        // The first segment gets its closing record, and stays open in the store.
        expectFailure(of: writer, isAnchorFailure)
        for _ in 0..<2 { #expect(throws: UsageLogError.self) { try writer.synchronize() } }
        #expect(try onlySegment.head.eventCount == 0)
        fixture.anchors.setFails(false)
        try writer.synchronize()
        let segment = try onlySegment
        #expect(segment.isClosed)
        #expect(segment.head.eventCount == 1)
        try writer.append(fixture.event("Second"))
        writer.close()
        #expect(try fixture.events().map(\.eventName) == ["First", "Second"])
        #expect(try fixture.verify().problems == [])
    }

    private func isAnchorFailure(_ error: UsageLogError) -> Bool {
        guard case .anchorStore = error else { return false }
        return true
    }

    @Test func `an event that is too long is refused and harms nothing`() throws {
        let writer = fixture.writer()
        try writer.append(fixture.event("Before"))
        var event = fixture.event("TooLong")
        event.requestParameters = [
            .init("text", .text(String(repeating: "x", count: 1 << 20)))
        ]
        do throws(UsageLogError) {
            try writer.append(event)
            Issue.record("the event was taken")
        } catch {
            guard case .eventTooLarge = error else { throw error }
        }
        event.eventName = "Long"
        event.requestParameters = [
            .init("text", .text(String(repeating: "x", count: 1_000_000)))
        ]
        try writer.append(event)
        writer.close()
        #expect(try fixture.events().map(\.eventName) == ["Before", "Long"])
        #expect(try fixture.verify().passes)
    }

    @Test(.enabled(if: geteuid() == 0, "mounting a small tmpfs needs root"))
    func `a full disk gives an error, keeps the chain and heals`() throws {
        try FileManager.default.createDirectory(
            atPath: fixture.directory, withIntermediateDirectories: false)
        #expect(try run("mount", "-t", "tmpfs", "-o", "size=64k", "none", fixture.directory) == 0)
        defer { #expect((try? run("umount", "--lazy", fixture.directory)) == 0) }
        let filler = fixture.directory + "/filler"
        let writer = fixture.lazyWriter()
        var taken = 0
        func fill() throws {
            do throws(UsageLogError) {
                while taken < 10_000 {
                    try writer.append(fixture.event())
                    taken += 1
                }
                Issue.record("the disk never got full")
            } catch {
                guard case .full = error else { throw error }
            }
        }
        try Data(count: 20_000).write(to: URL(fileURLWithPath: filler))
        try fill()
        let before = taken
        #expect(before > 10)
        try fill()
        #expect(taken == before)
        try FileManager.default.removeItem(atPath: filler)
        try fill()
        #expect(taken > before)
        writer.abandon()
        let report = try fixture.verify()
        #expect(report.problems == [])
        #expect(report.eventCount == UInt64(taken))
        #expect(report.crashes.map(\.tornBytes) == [0])
    }

    private func run(_ program: String, _ arguments: String...) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
