import KMSModel
import Platform
import Testing

@testable import UsageLog

/// Every call of the log to its store fails once: an event is in the log, or its use of a key is
/// refused. Never both, never half.
@Suite struct FaultTests {
    @Test func `a log that was full goes on when there is room again`() throws {
        let fixture = try Fixture()
        let scope = FaultScope(below: fixture.root)
        defer { scope.end() }
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event("First"))
        scope.arm(FaultScript(.error(.noSpace), at: 1, stays: true, only: .write))
        for _ in 0..<3 {
            #expect(throws: UsageLogError.self) { try writer.append(fixture.event("Refused")) }
        }
        scope.disarm()
        try writer.append(fixture.event("Last"))
        writer.close()
        #expect(try fixture.events().map(\.eventName) == ["First", "Last"])
        #expect(try fixture.verify().problems == [])
    }

    private static let faults: [FaultScript.Fault] = [
        .error(.noSpace), .error(.quotaExceeded), .error(.ioError), .error(.staleFileHandle),
        .interruption, .shortTransfer,
    ]

    @Test(arguments: faults, [false, true])
    func `an event that can't be logged is refused, and no other is lost`(
        _ fault: FaultScript.Fault, _ stays: Bool
    ) throws {
        for number in 1..<200 {
            let fixture = try Fixture()
            let scope = FaultScope(below: fixture.root)
            defer { scope.end() }
            // Small segments, so that new ones are begun as well.
            let writer = fixture.writer(
                segmentLimitBytes: 1600, syncIntervalMilliseconds: 3_600_000)
            scope.arm(FaultScript(fault, at: number, stays: stays))
            var logged: [String] = []
            for index in 0..<8 {
                do {
                    try writer.append(fixture.event("Event\(index)"))
                    logged.append("Event\(index)")
                } catch {
                    #expect(!fault.isHarmless, "event \(index), fault at \(number): \(error)")
                }
                if index == 3 { try? writer.synchronize() }
            }
            let hasFired = scope.hasFired
            scope.disarm()
            do throws(UsageLogError) {
                try writer.append(fixture.event("Last"))
                logged.append("Last")
            } catch {
                #expect(!fault.isHarmless && error.isLasting, "fault at \(number): \(error)")
            }
            writer.close()
            #expect(try fixture.events().map(\.eventName) == logged, "fault at \(number)")
            let problems = try fixture.verify().problems
            #expect(problems == [], "fault at \(number)")
            if !hasFired { return }
        }
        Issue.record("the log makes more than 200 calls for 8 events")
    }
}

extension FaultScript.Fault {
    fileprivate var isHarmless: Bool { self == .interruption || self == .shortTransfer }
}

extension UsageLogError {
    /// A sync or the cut of a torn event failed: the writer stays failed, and says so.
    fileprivate var isLasting: Bool {
        switch self {
        case .system, .tampered: true
        default: false
        }
    }
}
