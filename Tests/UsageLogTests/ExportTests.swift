import Cryptography
import Foundation
import KMSModel
import Testing

@testable import UsageLog

/// An export is checked by somebody who has the verification key and nothing else.
@Suite struct ExportTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    private var exporter: UsageLogExporter {
        UsageLogExporter(
            directory: fixture.directory, keys: fixture.keys, anchors: fixture.anchors)
    }

    private func key() throws -> VerificationKey {
        let state = try #require(LedgerState(decoding: fixture.anchors.rows.state))
        return try #require(VerificationKey(bytes: state.verificationKey))
    }

    /// The export's bytes.
    private func export(_ filter: UsageLogFilter = UsageLogFilter()) throws -> [UInt8] {
        let path = fixture.root + "/\(UUID().uuidString).jsonl"
        _ = try exporter.export(filter, to: path)
        return [UInt8](try Data(contentsOf: URL(filePath: path)))
    }

    private func check(
        _ bytes: [UInt8], key: VerificationKey? = nil, anchor: LogHead? = nil
    ) throws -> LogExportReport {
        let path = fixture.root + "/checked.jsonl"
        try Data(bytes).write(to: URL(filePath: path))
        return try LogExportVerifier(key: try key ?? self.key(), anchor: anchor).verify(path)
    }

    private func lines(_ bytes: [UInt8]) -> [[UInt8]] {
        bytes.split(separator: 10).map { Array($0) + [10] }
    }

    @Test func `an export of everything proves every event, and that none is missing`() throws {
        _ = try fixture.writeClosedSegment(events: 5)
        _ = try fixture.writeClosedSegment(events: 1)
        let living = fixture.lazyWriter()
        for _ in 0..<3 { try living.append(fixture.event("Living")) }
        try living.synchronize()
        try fixture.ledger.seal()
        try living.append(fixture.event("Not sealed yet"))
        let bytes = try export()
        let report = try check(bytes)
        #expect(report.problem == nil)
        #expect(report.eventCount == 9)
        #expect(report.segmentCount == 3)
        #expect(report.checkpointCount == 3)
        #expect(report.isComplete)
        #expect(!String(decoding: bytes, as: UTF8.self).contains("Not sealed yet"))
        living.close()
    }

    @Test func `a record is CloudTrail's, as it was logged`() throws {
        let event = fixture.event("Decrypt")
        let writer = fixture.writer()
        try writer.append(event)
        writer.close()
        let line = try #require(lines(try export()).dropLast().last)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        let record = try #require(object["record"] as? [String: Any])
        #expect(record["eventName"] as? String == "Decrypt")
        #expect(record["eventSource"] as? String == "kms.amazonaws.com")
        #expect(
            String(decoding: line, as: UTF8.self).contains(
                String(decoding: event.cloudTrailJSON(), as: UTF8.self)))
    }

    @Test func `an export of some events proves each, and says that others are left out`() throws {
        let writer = fixture.lazyWriter()
        for number in 0..<21 {
            try writer.append(fixture.event(number % 4 == 1 ? "Wanted" : "Other"))
        }
        writer.close()
        let report = try check(try export(UsageLogFilter(eventName: "Wanted")))
        #expect(report.problem == nil)
        #expect(report.eventCount == 5)
        #expect(!report.isComplete)
        let nothing = try check(try export(UsageLogFilter(eventName: "None")))
        #expect(nothing.passes)
        #expect(nothing.eventCount == 0)
        #expect(!nothing.isComplete)
    }

    @Test(arguments: [nil, "Wanted"])
    func `no byte of an export can be changed`(_ name: String?) throws {
        let writer = fixture.lazyWriter()
        for number in 0..<3 {
            try writer.append(fixture.event(number == 1 ? "Wanted" : "Other"))
        }
        writer.close()
        let bytes = try export(UsageLogFilter(eventName: name))
        #expect(try check(bytes).passes)
        for offset in bytes.indices {
            var changed = bytes
            changed[offset] ^= 1 << UInt8(offset % 8)
            #expect(try !check(changed).passes, "byte \(offset)")
        }
        for length in stride(from: 0, to: bytes.count, by: 7) {
            #expect(try !check(Array(bytes[..<length])).passes, "cut to \(length)")
        }
    }

    @Test func `no line of an export takes anything more`() throws {
        _ = try fixture.writeClosedSegment(events: 2)
        let all = lines(try export())
        for index in all.indices {
            for member in [#""record":{"eventName":"Forged"}"#, #""more":1"#] {
                let line = String(decoding: all[index], as: UTF8.self)
                for forged in [
                    "{" + member + "," + line.dropFirst(), line.dropLast(2) + "," + member + "}\n",
                ] {
                    var changed = all
                    changed[index] = Array(forged.utf8)
                    #expect(try !check(changed.flatMap(\.self)).passes, "line \(index + 1)")
                }
            }
        }
    }

    @Test func `no line of an export can be removed, doubled or moved`() throws {
        for events in [3, 1] { _ = try fixture.writeClosedSegment(events: events) }
        let all = lines(try export())
        for index in all.indices {
            var removed = all
            removed.remove(at: index)
            #expect(try !check(removed.flatMap(\.self)).passes, "without line \(index + 1)")
            var doubled = all
            doubled.insert(all[index], at: index)
            #expect(try !check(doubled.flatMap(\.self)).passes, "line \(index + 1) twice")
            guard index + 1 < all.count else { continue }
            var swapped = all
            swapped.swapAt(index, index + 1)
            #expect(try !check(swapped.flatMap(\.self)).passes, "line \(index + 1) moved")
        }
    }

    @Test func `events of another log can't be spliced in, with its own key or without`() throws {
        _ = try fixture.writeClosedSegment(events: 2)
        let other = try Fixture()
        _ = try other.writeClosedSegment(events: 2)
        let path = other.root + "/export"
        _ = try UsageLogExporter(
            directory: other.directory, keys: other.keys, anchors: other.anchors
        ).export(UsageLogFilter(), to: path)
        let theirs = lines([UInt8](try Data(contentsOf: URL(filePath: path))))
        let ours = lines(try export())
        #expect(ours.count == theirs.count)
        #expect(try !check(theirs.flatMap(\.self)).passes)
        for index in ours.indices {
            var mixed = ours
            mixed[index] = theirs[index]
            let isSame = mixed[index] == ours[index]
            #expect(try check(mixed.flatMap(\.self)).passes == isSame, "line \(index + 1)")
            for end in index..<ours.count where end > index {
                let spliced = Array(ours[..<index] + theirs[index...])
                #expect(try !check(spliced.flatMap(\.self)).passes)
            }
        }
    }

    @Test func `an anchor that the export does not reach is a rollback`() throws {
        _ = try fixture.writeClosedSegment(events: 2)
        let older = try export()
        _ = try fixture.writeClosedSegment(events: 2)
        let notary = LogNotary(
            keys: fixture.keys, anchors: fixture.anchors, clock: fixture.clock)
        let head = try #require(try notary.head())
        #expect(try check(try export(), anchor: head).passes)
        #expect(try check(older).passes)
        #expect(try check(older, anchor: head).problem?.reason.contains("rolled back") == true)
    }

    @Test func `an export without any checkpoint proves nothing`() throws {
        let writer = fixture.lazyWriter()
        try writer.append(fixture.event())
        let key = try self.key()
        let forged = """
            {"keyfoldLogExport":1,"verificationKey":"\(key.hexDigits)",\
            "fingerprint":"\(key.fingerprint)"}
            {"end":true,"checkpoints":0,"segments":0,"events":0}

            """
        let report = try check(Array(forged.utf8))
        #expect(report.problem?.line == 2)
        #expect(report.problem?.reason == "there is no checkpoint")
        writer.close()
    }

    @Test func `an export stands in nobody's way`() throws {
        _ = try fixture.writeClosedSegment(events: 1)
        let path = fixture.root + "/there"
        try Data("mine".utf8).write(to: URL(filePath: path))
        #expect(throws: UsageLogError.self) { try exporter.export(UsageLogFilter(), to: path) }
        #expect(try Data(contentsOf: URL(filePath: path)) == Data("mine".utf8))
        // Damage is told, and leaves no file.
        let segment = try #require(try fixture.anchors.segments().first)
        var bytes = try fixture.bytes(of: segment)
        bytes[recordRanges(bytes)[0].lowerBound + 40] ^= 1
        try fixture.replace(segment, with: bytes)
        let new = fixture.root + "/new"
        #expect(throws: UsageLogError.self) { try exporter.export(UsageLogFilter(), to: new) }
        #expect(!FileManager.default.fileExists(atPath: new))
    }

    @Test func `a verification key is read as PEM and as hex digits`() throws {
        let key = try #require(VerificationKey(bytes: Array(0..<32)))
        #expect(VerificationKey(text: key.pem) == key)
        #expect(VerificationKey(text: " \(key.hexDigits)\n") == key)
        #expect(key.pem.contains("MCowBQYDK2VwAyEAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
        for text in ["", "abc", key.hexDigits + "00", key.pem.replacing("MCow", with: "MCox")] {
            #expect(VerificationKey(text: text) == nil)
        }
    }
}
