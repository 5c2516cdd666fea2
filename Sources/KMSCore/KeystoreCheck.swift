internal import KMSStore
internal import UsageLog

/// What a check of a keystore and its usage log can find. The raw values are an interface, as those
/// of a vault's check are (docs/check.md).
package enum KeystoreCheckCode: String, CaseIterable, Sendable {
    case keystoreDamaged = "keystore-damaged"
    case databaseDamaged = "database-damaged"
    case anchorsDamaged = "log-anchors-damaged"
    case logDamaged = "log-damaged"
    case logEndedByCrash = "log-ended-by-crash"
    case tokenKeyUnknown = "token-key-unknown"
    case tokenNotChecked = "token-not-checked"

    package var isDamage: Bool {
        switch self {
        case .keystoreDamaged, .databaseDamaged, .anchorsDamaged, .logDamaged: true
        case .logEndedByCrash, .tokenKeyUnknown, .tokenNotChecked: false
        }
    }

    package var meaning: String {
        switch self {
        case .keystoreDamaged:
            "records were changed, removed or rolled back: the keystore is refused, and so are the "
                + "vaults it has the keys of"
        case .databaseDamaged: "SQLite finds its file damaged: keys may be lost; restore a backup"
        case .anchorsDamaged:
            "what the keystore knows of the usage log was changed, so the log proves nothing"
        case .logDamaged: "events of the usage log were changed or are missing"
        case .logEndedByCrash:
            "a process died while it wrote events; none that was acknowledged is missing"
        case .tokenKeyUnknown:
            "Keyfold made this key in a token, and this keystore does not have it: CreateKey was cut "
                + "short, the token was away when the key was deleted, or another keystore has it. "
                + "Where none has, 'pkcs11-tool --delete-object --type secrkey --id ID' removes it"
        case .tokenNotChecked:
            "a custom key store's token could not be asked for keys that this keystore does not have"
        }
    }
}

/// One thing that a check of a keystore found.
package struct KeystoreFinding: Sendable, Hashable {
    package let code: KeystoreCheckCode
    /// Below the keystore's directory.
    package let storedPath: String
    package let detail: String?

    package init(_ code: KeystoreCheckCode, storedPath: String, detail: String?) {
        self.code = code
        self.storedPath = storedPath
        self.detail = detail
    }

    fileprivate init(damagedAnchors detail: String) {
        self.init(.anchorsDamaged, storedPath: KeystorePaths.databaseName, detail: detail)
    }

    /// A keystore that could not even be opened.
    package init(unopened detail: String) {
        self.init(.keystoreDamaged, storedPath: KeystorePaths.databaseName, detail: detail)
    }
}

/// What a check of a keystore came to.
package struct KeystoreCheck: Sendable {
    package var findings: [KeystoreFinding]
    package var keyCount = 0
    package var slotCount = 0
    package var segmentCount = 0
    package var eventCount: UInt64 = 0

    package init(findings: [KeystoreFinding] = []) {
        self.findings = findings
    }
}

extension Keystore {
    /// Verifies what opening has not: the database as a file, the log's anchors, each event, and what
    /// lies in the tokens of custom key stores that are connected.
    ///
    /// - Parameters:
    ///   - tokenPatience: how long a token may take, which may hang.
    ///   - settlingTime: a key that a token has and the keystore does not is looked for once more
    ///     after this time, since it may just be being made, or deleted.
    /// - Throws: what keeps it from being read; what is wrong with it is in the result.
    package func check(
        tokenPatience: Duration = .seconds(60), settlingTime: Duration = .seconds(1)
    ) throws(KeystoreError) -> KeystoreCheck {
        var check = KeystoreCheck()
        if let problem = try store.integrityProblem() {
            check.findings.append(
                KeystoreFinding(
                    .databaseDamaged, storedPath: KeystorePaths.databaseName, detail: problem))
        }
        let snapshot = try store.snapshot()
        check.keyCount = snapshot.keyCount
        check.slotCount = try slots().count
        check.findings += tokenFindings(
            in: snapshot, patience: tokenPatience, settlingTime: settlingTime)
        do throws(KeystoreError) {
            check.segmentCount = try store.segments().count
        } catch {
            guard case .tampered(_, let what) = error else { throw error }
            check.findings.append(KeystoreFinding(damagedAnchors: what))
            return check
        }
        try checkLog(&check)
        return check
    }

    private func checkLog(_ check: inout KeystoreCheck) throws(KeystoreError) {
        let report: VerificationReport
        do throws(UsageLogError) {
            report = try usageLogVerifier().verify()
        } catch {
            guard case .tampered(_, let what) = KeystoreError(error) else {
                throw KeystoreError(error)
            }
            check.findings.append(KeystoreFinding(damagedAnchors: what))
            return
        }
        check.eventCount = report.eventCount
        for problem in report.problems {
            check.findings.append(
                KeystoreFinding(
                    .logDamaged, storedPath: KeystorePaths.logName + "/" + problem.file,
                    detail: "event \(problem.sequence): \(problem.reason)"))
        }
        for crash in report.crashes {
            check.findings.append(
                KeystoreFinding(
                    .logEndedByCrash,
                    storedPath: KeystorePaths.logName + "/" + crash.segment.fileName,
                    detail: "after event \(crash.lastSequence)"))
        }
    }
}
