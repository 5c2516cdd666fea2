package import KMSCore
package import Vault

/// A finding as people and scripts read it, of a vault or of a keystore.
package struct CheckReport: Sendable, Equatable {
    let code: String
    let severity: CheckSeverity
    let storedPath: String
    let plainPath: String?
    let detail: String?
    let meaning: String
    /// What `--repair` does; nil where it leaves it alone.
    let repair: String?
    let outcome: CheckFinding.Outcome

    package init(_ finding: CheckFinding) {
        code = finding.code.rawValue
        severity = finding.code.severity
        storedPath = finding.storedPath
        plainPath = finding.plainPath
        detail = finding.detail
        meaning = finding.code.meaning
        repair = finding.code.repair
        outcome = finding.outcome
    }

    package init(_ finding: KeystoreFinding) {
        code = finding.code.rawValue
        severity = finding.code.isDamage ? .damage : .information
        storedPath = finding.storedPath
        plainPath = nil
        detail = finding.detail
        meaning = finding.code.meaning
        repair = nil
        outcome = .left
    }

    package var json: JSONValue {
        .object([
            "finding": .text(code), "severity": .text(severity.rawValue),
            "storedPath": .text(storedPath), "path": .text(ifAny: plainPath),
            "detail": .text(ifAny: detail), "meaning": .text(meaning),
            "repair": .text(ifAny: repair), "repaired": .flag(outcome == .repaired),
            "notRepaired": .text(ifAny: reason),
        ])
    }

    private var reason: String? {
        if case .notRepaired(let reason) = outcome { reason } else { nil }
    }

    /// Every line with its newline.
    package var text: String {
        let place = plainPath.map { $0.isEmpty ? "/" : $0 } ?? "in the store: \(storedPath)"
        var text = "\(outcome == .repaired ? "repaired" : severity.rawValue): "
        text += "\(Table.printable(place)): \(code)"
        if let detail { text += ": " + Table.printable(detail) }
        text += "\n    \(meaning)\n"
        if plainPath?.isEmpty == false {
            text += "    in the store: \(Table.printable(storedPath))\n"
        }
        switch outcome {
        case .left: if let repair { text += "    --repair \(repair)\n" }
        case .repaired: if let repair { text += "    done: \(repair)\n" }
        case .notRepaired(let reason): text += "    not repaired: \(reason)\n"
        }
        return text
    }
}

/// The last line of a check.
package struct CheckConclusion: Sendable, Equatable {
    /// What was looked at, by name.
    private let counts: [(name: String, count: UInt64)]
    private let summary: CheckSummary

    package init(_ summary: CheckSummary) {
        self.summary = summary
        counts = [
            ("files", summary.files), ("directories", summary.directories),
            ("bytes", summary.bytes),
        ]
    }

    package init(_ check: KeystoreCheck) {
        var summary = CheckSummary()
        for finding in check.findings {
            if finding.code.isDamage { summary.damage += 1 } else { summary.information += 1 }
        }
        self.summary = summary
        counts = [
            ("keys", UInt64(check.keyCount)), ("slots", UInt64(check.slotCount)),
            ("segments", UInt64(check.segmentCount)), ("events", check.eventCount),
        ]
    }

    package static func == (a: CheckConclusion, b: CheckConclusion) -> Bool {
        a.json == b.json
    }

    /// As fsck(8) does: 1 when all that was found is repaired, 4 when something is left. What could
    /// not be looked at is not clean either.
    package var status: ExitStatus {
        if summary.left > 0 { return .left }
        if summary.isPartial { return .partial }
        return summary.repaired > 0 ? .failure : .success
    }

    package var json: JSONValue {
        var members: [JSONValue.Member] = [JSONValue.Member(name: "summary", value: .flag(true))]
        members += counts.map { JSONValue.Member(name: $0.name, value: .number($0.count)) }
        members += [
            JSONValue.Member(name: "information", value: .number(summary.information)),
            JSONValue.Member(name: "repaired", value: .number(summary.repaired)),
            JSONValue.Member(name: "repairable", value: .number(summary.repairable)),
            JSONValue.Member(name: "damage", value: .number(summary.damage)),
            JSONValue.Member(name: "left", value: .number(summary.left)),
            JSONValue.Member(name: "partial", value: .flag(summary.isPartial)),
        ]
        return .object(members)
    }

    /// One line with its newline.
    package var text: String {
        let checked = counts.map { name, count in
            count == 1 ? "1 \(Self.singular(name))" : "\(count) \(name)"
        }.joined(separator: ", ")
        var found: [String] = []
        if summary.repaired > 0 { found.append("\(summary.repaired) repaired") }
        if summary.repairable > 0 { found.append("\(summary.repairable) that --repair mends") }
        if summary.damage > 0 { found.append("\(summary.damage) that nothing here mends") }
        if summary.information > 0 { found.append("\(summary.information) to know of") }
        let partly = summary.isPartial ? ", checked in part" : ""
        return checked + partly + ": "
            + (found.isEmpty ? "nothing wrong" : found.joined(separator: ", ")) + "\n"
    }

    private static func singular(_ name: String) -> String {
        name.hasSuffix("ies") ? name.dropLast(3) + "y" : String(name.dropLast())
    }
}
