import Foundation
import KMSModel
import Testing

@testable import UsageLog

@Suite struct WriterTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
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
}
