import Foundation
import KMSCore
import Testing
import Vault

@testable import Console

struct CheckReportTests {
    /// The rows of docs/check.md: code, severity, and whether a repair does anything.
    private static func documented() throws -> [String: (severity: String, isRepaired: Bool)] {
        let page = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../docs/check.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        var rows: [String: (String, Bool)] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count >= 3, cells[0].hasSuffix("`"),
                CheckSeverity(rawValue: cells[1]) != nil
            else { continue }
            let code = cells[0].trimmingCharacters(in: ["`"])
            rows[code] = (cells[1], cells.count > 3 && cells[3] != "–")
        }
        return rows
    }

    @Test func `docs-check tells of every code what the program does`() throws {
        let rows = try Self.documented()
        for code in CheckCode.allCases {
            let row = try #require(rows[code.rawValue], "\(code.rawValue)")
            #expect(row.severity == code.severity.rawValue, "\(code.rawValue)")
            #expect(row.isRepaired == (code.repair != nil), "\(code.rawValue)")
        }
        for code in KeystoreCheckCode.allCases {
            let row = try #require(rows[code.rawValue], "\(code.rawValue)")
            #expect((row.severity == "damage") == code.isDamage, "\(code.rawValue)")
        }
        #expect(rows.count == CheckCode.allCases.count + KeystoreCheckCode.allCases.count)
    }

    @Test func `what is repairable is what a repair does something about`() {
        // A journal is no fault: every mount that ends without warning leaves one.
        for code in CheckCode.allCases where code != .journalLeft {
            #expect((code.severity == .repairable) == (code.repair != nil), "\(code.rawValue)")
        }
    }

    private static func finding(_ outcome: CheckFinding.Outcome) -> CheckFinding {
        CheckFinding(
            .sidecarOrphan, storedPath: "A/.keyfold.name.B", plainPath: nil, outcome: outcome)
    }

    @Test func `a finding has one JSON shape`() {
        let left = CheckReport(Self.finding(.left)).json.line
        #expect(
            left == #"{"finding":"sidecar-orphan","severity":"repairable","#
                + #""storedPath":"A/.keyfold.name.B","path":null,"detail":null,"#
                + #""meaning":"a long name of an entry that is gone","repair":"removes it","#
                + #""repaired":false,"notRepaired":null}"#)
        #expect(CheckReport(Self.finding(.repaired)).json.line.contains(#""repaired":true"#))
        #expect(
            CheckReport(Self.finding(.notRepaired("why"))).json.line
                .contains(#""repaired":false,"notRepaired":"why""#))
    }

    @Test func `a finding's text says where, what and what can be done`() {
        #expect(
            CheckReport(Self.finding(.left)).text == """
                repairable: in the store: A/.keyfold.name.B: sidecar-orphan
                    a long name of an entry that is gone
                    --repair removes it

                """)
        #expect(CheckReport(Self.finding(.repaired)).text.hasPrefix("repaired: "))
        let damage = CheckFinding(
            .blockDamaged, storedPath: "A/B", plainPath: "photos/\u{1B}[2J", detail: "block 3")
        #expect(
            CheckReport(damage).text == """
                damage: photos/\u{FFFD}[2J: block-damaged: block 3
                    these blocks can't be read; the others can
                    in the store: A/B

                """)
    }

    @Test(arguments: [
        (CheckFinding.Outcome.left, CheckCode.keyUnusable, Int32(0)), (.left, .blockDamaged, 4),
        (.left, .temporaryStale, 4), (.repaired, .temporaryStale, 1),
        (.notRepaired("why"), .temporaryStale, 4), (.left, .journalLeft, 0),
        (.left, .notPermitted, 2), (.left, .changing, 2),
        (.left, .holeUnsettled, 2), (.repaired, .journalLeft, 1),
        (.notRepaired("why"), .journalLeft, 4),
    ])
    func `the exit code says what is left`(
        _ outcome: CheckFinding.Outcome, _ code: CheckCode, _ status: Int32
    ) {
        var summary = CheckSummary()
        summary.add(CheckFinding(.nameForeign, storedPath: "x", plainPath: nil))
        summary.add(CheckFinding(code, storedPath: "y", plainPath: nil, outcome: outcome))
        #expect(CheckConclusion(summary).status.rawValue == status)
        summary.isPartial = true
        #expect(CheckConclusion(summary).status.rawValue == (status == 4 ? 4 : 2))
        summary.add(CheckFinding(.headerChanged, storedPath: "z", plainPath: nil))
        #expect(CheckConclusion(summary).status.rawValue == 4)
    }

    @Test func `the last line counts`() {
        var summary = CheckSummary()
        summary.files = 1
        summary.directories = 2
        #expect(CheckConclusion(summary).text == "1 file, 2 directories, 0 bytes: nothing wrong\n")
        var partial = summary
        partial.add(CheckFinding(.notPermitted, storedPath: "z", plainPath: nil))
        #expect(
            CheckConclusion(partial).text
                == "1 file, 2 directories, 0 bytes, checked in part: 1 to know of\n")
        summary.add(CheckFinding(.headerChanged, storedPath: "z", plainPath: nil))
        #expect(
            CheckConclusion(summary).json.line
                == #"{"summary":true,"files":1,"directories":2,"bytes":0,"information":0,"#
                + #""repaired":0,"repairable":0,"damage":1,"left":1,"partial":false}"#)
    }

    @Test func `progress tells how much, how fast, and how long still`() {
        func text(_ readsData: Bool, _ change: (inout CheckProgress) -> Void) -> String {
            var progress = CheckProgress()
            progress.files = 100
            progress.bytes = 50_000_000
            change(&progress)
            return CheckProgressLine.text(
                progress, readsData: readsData, elapsedMilliseconds: 10_000)
        }
        #expect(text(false) { _ in } == "100 files, 10 a second")
        #expect(text(false) { $0.totalFiles = 1000 } == "100 of 1000 files, 10 a second, 1:30 left")
        #expect(
            text(true) {
                $0.totalFiles = 1000
                $0.totalBytes = 100_000_000
                $0.findings = 2
            } == "100 of 1000 files, 5 MB a second, 0:10 left, 2 found")
        #expect(text(false) { $0.totalFiles = 99 } == "100 of 99 files, 10 a second")
    }
}
