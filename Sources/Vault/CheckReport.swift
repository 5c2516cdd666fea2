/// What is to be checked, and how thoroughly.
package struct CheckRequest: Sendable {
    package var vaultDirectory: String
    /// Below the vault's root, with "/" between names; nil or empty for the whole vault.
    package var plainPath: String?
    /// Opens every block of every file; else the last one only.
    package var readsData: Bool
    /// Heals what can be healed; takes the vault's lock, so that nobody may have it mounted.
    package var repairs: Bool
    /// Counts the files first, so that progress can tell what is left.
    package var countsFirst: Bool
    /// 1…64 threads.
    package var jobs: Int

    package init(
        vaultDirectory: String, plainPath: String? = nil, readsData: Bool = false,
        repairs: Bool = false, countsFirst: Bool = false, jobs: Int = 1
    ) {
        self.vaultDirectory = vaultDirectory
        self.plainPath = plainPath
        self.readsData = readsData
        self.repairs = repairs
        self.countsFirst = countsFirst
        self.jobs = jobs
    }
}

/// One thing that a check found, after it had looked twice.
package struct CheckFinding: Sendable, Hashable {
    package enum Outcome: Sendable, Hashable {
        case left
        case repaired
        /// `--repair` tried, or had a reason not to.
        case notRepaired(String)
    }

    package let code: CheckCode
    /// Below the vault's directory; empty for the vault itself.
    package let storedPath: String
    /// Below the mount's root; nil where no key gives all of its names.
    package let plainPath: String?
    /// Which key, which blocks, what exactly.
    package let detail: String?
    package var outcome: Outcome

    package init(
        _ code: CheckCode, storedPath: String, plainPath: String?, detail: String? = nil,
        outcome: Outcome = .left
    ) {
        self.code = code
        self.storedPath = storedPath
        self.plainPath = plainPath
        self.detail = detail
        self.outcome = outcome
    }
}

/// How far a check has come.
package struct CheckProgress: Sendable, Hashable {
    package var files: UInt64 = 0
    package var directories: UInt64 = 0
    /// Sealed bytes that were read, or stepped over.
    package var bytes: UInt64 = 0
    package var findings: UInt64 = 0
    /// What there is, when it was counted first.
    package var totalFiles: UInt64?
    package var totalBytes: UInt64?

    package init() {}
}

/// What a whole check came to.
package struct CheckSummary: Sendable, Hashable {
    package var files: UInt64 = 0
    package var directories: UInt64 = 0
    package var bytes: UInt64 = 0
    package var information: UInt64 = 0
    package var repaired: UInt64 = 0
    /// Could be repaired and was not.
    package var repairable: UInt64 = 0
    package var damage: UInt64 = 0
    /// Not everything was checked: no key opened the domain, or something could not be read.
    package var isPartial = false

    package init() {}

    /// Findings that need somebody.
    package var left: UInt64 { repairable + damage }

    package mutating func add(_ finding: CheckFinding) {
        if finding.code.leavesUnchecked { isPartial = true }
        if finding.outcome == .repaired {
            repaired += 1
            return
        }
        switch finding.code.severity {
        case .information:
            // What should have been done and was not is left, whatever it is.
            if case .notRepaired = finding.outcome { repairable += 1 } else { information += 1 }
        case .repairable: repairable += 1
        case .damage: damage += 1
        }
    }
}
