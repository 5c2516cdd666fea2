import ArgumentParser
import Console
import Glibc
import KMSCore
import KMSModel
import Platform
import UsageLog
import Vault

struct LogVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check that no event was changed, removed, moved or cut off.",
        discussion: """
            A keystore that was put back to an older state as a whole, log and database together, \
            is found only with something that was kept elsewhere: --anchor, --vault.
            With --export, an exported file is checked with the public key alone; no keystore is \
            opened.
            Example: keyfold log verify --anchor /media/usb/log.anchor --vault ~/vault
            """)

    @Option(
        help: ArgumentHelp(
            "Hold the log against this file of 'log anchor'; may be given several times.",
            valueName: "file"), completion: .file())
    var anchor: [String] = []

    @Option(
        help: ArgumentHelp(
            "Hold the log against what this vault's mounts have kept of it.", valueName: "vault"),
        completion: .directory)
    var vault: [String] = []

    @Option(
        help: ArgumentHelp("Check this file of 'log export' instead.", valueName: "file"),
        completion: .file())
    var export: String?

    @Option(
        help: ArgumentHelp(
            "The log's verification key, as 'log public-key' printed it.", valueName: "keyfile"),
        completion: .file())
    var publicKey: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if export != nil, publicKey == nil {
            throw ValidationError("--export needs --public-key")
        }
        if export != nil, !vault.isEmpty || anchor.count > 1 {
            throw ValidationError("--export is checked against one --anchor at most")
        }
    }

    func run() throws {
        let key = try publicKey.map { path throws(Failure) in try LogFiles.key(path) }
        if let export, let key {
            try verifyExport(FilePaths.absolute(export), key)
            return
        }
        let report = try common.withSession { session throws(Failure) in
            let heads = try anchors(session.keystore.logNotary)
            return try Failure.ofLog { () throws(UsageLogError) in
                try session.keystore.usageLogVerifier()
                    .verify(against: heads, verificationKey: key?.bytes)
            }
        }
        common.output.data(report.json, report.text)
        if !report.passes { throw ArgumentParser.ExitCode(ExitStatus.damagedData.rawValue) }
    }

    private func anchors(_ notary: LogNotary) throws(Failure) -> [AnchoredHead] {
        var heads: [AnchoredHead] = []
        for path in anchor { heads.append(notary.anchor(try LogFiles.bytes(path), from: path)) }
        for vault in vault {
            let bytes: [UInt8]?
            do throws(VaultError) {
                bytes = try LogHeadFile.read(inVaultAt: vault)
            } catch {
                throw Failure(error, object: vault)
            }
            guard let bytes else {
                throw Failure(
                    .notFound, vault, "no mount has kept anything of a usage log here",
                    wayOut: "mount the vault once; mounts write \(LogHeadFile.name)")
            }
            heads.append(notary.anchor(bytes, from: "\(vault)/\(LogHeadFile.name)"))
        }
        return heads
    }

    private func verifyExport(_ path: String, _ key: VerificationKey) throws {
        var head: LogHead?
        if let anchor = anchor.first {
            head = LogHead(unauthenticated: try LogFiles.bytes(anchor))
            if head == nil { throw Failure(.damagedData, anchor, "this is no anchor of a log") }
        }
        let report = try Failure.ofLog { () throws(UsageLogError) in
            try LogExportVerifier(key: key, anchor: head).verify(path)
        }
        common.output.data(report.json, report.text)
        if !report.passes { throw ArgumentParser.ExitCode(ExitStatus.damagedData.rawValue) }
    }
}

struct LogAnchor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "anchor", abstract: "Write how far the log goes to a file, to keep elsewhere.",
        discussion: """
            Keep the file where nobody who can write the keystore can write: another machine, a \
            medium that is taken out. 'keyfold log verify --anchor FILE' then finds a log that \
            was rolled back.
            Example: keyfold log anchor --out /media/usb/log.anchor
            """)

    @Option(
        help: ArgumentHelp(
            "The file; an anchor of this log that is there already is replaced.",
            valueName: "file"), completion: .file())
    var out: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let path = FilePaths.absolute(out)
            let stored = try LogFiles.bytesIfPresent(path)
            try Failure.carrying { () throws(KeystoreError) in try session.keystore.sealLog() }
            let notary = session.keystore.logNotary
            let bytes = try Failure.ofLog { () throws(UsageLogError) in
                try notary.replacement(for: stored)
            }
            guard let bytes, let head = notary.anchor(bytes, from: path).head else {
                throw Failure(
                    .damagedData, path, "what is there is no older anchor of this log",
                    wayOut: "'keyfold log verify --anchor \(out)' tells what is wrong; else "
                        + "choose another file")
            }
            try LogFiles.replace(path, with: bytes)
            common.output.data(
                .object([
                    "anchor": .text(path), "checkpoint": .number(head.checkpoint),
                    "hash": .text(hexText(head.hash)),
                ]), common.quiet ? "" : "checkpoint \(head.checkpoint) is anchored in \(out)\n")
        }
    }
}

struct LogExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write events with their proofs to a file that anybody can check.",
        discussion: """
            Each event is in CloudTrail's record shape. Whoever has the log's public key can check \
            the file without a keystore: keyfold log verify --export FILE --public-key KEYFILE
            Example: keyfold log export --out august.jsonl --since 2026-08-01 --until 2026-09-01
            """)

    @Option(
        help: ArgumentHelp("A file that does not exist yet.", valueName: "file"),
        completion: .file())
    var out: String

    @Option(help: ArgumentHelp("Only events from then on.", valueName: "time"))
    var since: PointInTime?

    @Option(help: ArgumentHelp("Only events before then.", valueName: "time"))
    var until: PointInTime?

    @Option(help: ArgumentHelp("Only uses of this key.", valueName: "key"))
    var key: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let filter = UsageLogFilter(
                since: since?.timestamp, until: until?.timestamp,
                keys: try session.loggedNames(ofKey: key))
            try Failure.carrying { () throws(KeystoreError) in try session.keystore.sealLog() }
            let path = FilePaths.absolute(out)
            let summary = try Failure.ofLog { () throws(UsageLogError) in
                try session.keystore.usageLogExporter().export(filter, to: path)
            }
            let key = VerificationKey(bytes: summary.verificationKey)
            common.output.data(
                .object([
                    "export": .text(path), "events": .number(summary.eventCount),
                    "segments": .number(summary.segmentCount),
                    "checkpoints": .number(summary.checkpointCount),
                    "omittedSegments": .number(summary.omittedSegmentCount),
                    "fingerprint": .text(key?.fingerprint ?? ""),
                ]), common.quiet ? "" : text(summary, key))
        }
    }

    private func text(_ summary: UsageLogExporter.Summary, _ key: VerificationKey?) -> String {
        var sheet = Sheet()
        sheet.add("Events", String(summary.eventCount))
        sheet.add("Checkpoints", String(summary.checkpointCount))
        if summary.omittedSegmentCount > 0 {
            sheet.add("Segments without proofs", "\(summary.omittedSegmentCount), left out")
        }
        sheet.add("Key fingerprint", key?.fingerprint ?? "")
        return sheet.text
    }
}

struct LogPublicKey: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "public-key", abstract: "Print the key that exported logs are checked with.",
        discussion: """
            The key never changes. Keep it, or its fingerprint, where the keystore is not: whoever \
            takes the keystore can begin another log, but not one with this key.
            Example: keyfold log public-key > log-key.pem
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let notary = session.keystore.logNotary
            var bytes = try Failure.ofLog { () throws(UsageLogError) in
                try notary.verificationKey()
            }
            if bytes == nil {
                try Failure.carrying { () throws(KeystoreError) in try session.keystore.sealLog() }
                bytes = try Failure.ofLog { () throws(UsageLogError) in
                    try notary.verificationKey()
                }
            }
            guard let key = bytes.flatMap({ VerificationKey(bytes: $0) }) else {
                throw Failure(.internalError, nil, "the usage log has no checkpoint")
            }
            common.output.data(
                .object([
                    "algorithm": .text("Ed25519"), "publicKey": .text(key.hexDigits),
                    "fingerprint": .text(key.fingerprint), "pem": .text(key.pem),
                ]), key.pem)
        }
    }
}

/// Small files that people keep for the log.
private enum LogFiles {
    private static let limitBytes = 1 << 16

    static func bytesIfPresent(_ path: String) throws(Failure) -> [UInt8]? {
        do throws(Errno) {
            return try Descriptor.open(path: path, O_RDONLY).readAll(limitBytes: limitBytes)
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw Failure(ExitStatus(error), path, "\(error)")
        }
    }

    static func bytes(_ path: String) throws(Failure) -> [UInt8] {
        guard let bytes = try bytesIfPresent(path) else {
            throw Failure(.notFound, path, "\(Errno.noSuchFileOrDirectory)")
        }
        return bytes
    }

    static func key(_ path: String) throws(Failure) -> VerificationKey {
        let text = String(decoding: try bytes(path), as: UTF8.self)
        guard let key = VerificationKey(text: text) else {
            throw Failure(
                .damagedData, path, "this is no verification key of a log",
                wayOut: "'keyfold log public-key' prints one")
        }
        return key
    }

    /// Whole or not at all, and durable.
    static func replace(_ path: String, with bytes: [UInt8]) throws(Failure) {
        let cut = path.lastIndex(of: "/")
        let parent = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = FileName(cut.map { String(path[path.index(after: $0)...]) } ?? path)
        do throws(Errno) {
            let directory = try Descriptor.open(path: parent, O_RDONLY | O_DIRECTORY)
            let temporary = FileName(".\(name.string).\(getpid()).new")
            let file = try directory.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            do throws(Errno) {
                try file.write(bytes, at: 0)
                try file.synchronize(dataOnly: false)
                try directory.rename(temporary, to: directory, name)
                try directory.synchronize(dataOnly: false)
            } catch {
                try? directory.unlink(temporary)
                throw error
            }
        } catch {
            throw Failure(ExitStatus(error), path, "\(error)")
        }
    }
}

extension Failure {
    fileprivate static func ofLog<Result>(
        _ body: () throws(UsageLogError) -> Result
    ) throws(Failure) -> Result {
        do throws(UsageLogError) {
            return try body()
        } catch {
            throw Failure(error)
        }
    }
}

extension VerificationReport {
    var json: JSONValue {
        .object([
            "passes": .flag(passes), "events": .number(eventCount),
            "segments": .number(segmentCount), "liveSegments": .number(liveSegments.count),
            "crashes": .number(crashes.count), "checkpoints": .number(checkpointCount),
            "publicKey": .text(hexText(verificationKey)),
            "anchors": .list(agreeingAnchors.map(JSONValue.text)),
            "problems": .list(
                problems.map { problem in
                    .object([
                        "file": .text(problem.file), "event": .number(problem.sequence),
                        "reason": .text(problem.reason),
                    ])
                }),
        ])
    }

    var text: String {
        var sheet = Sheet()
        sheet.add("Events intact", String(eventCount))
        sheet.add("Segments", String(segmentCount))
        sheet.add("Checkpoints", String(checkpointCount))
        sheet.add("Being written now", String(liveSegments.count))
        sheet.add("Ended by a crash", String(crashes.count))
        for anchor in agreeingAnchors { sheet.add("Agrees with", anchor) }
        for problem in problems { sheet.add("PROBLEM", "\(problem)") }
        return sheet.text
            + (passes ? "The log is whole.\n" : "The log was tampered with or damaged.\n")
    }
}

extension LogExportReport {
    fileprivate var json: JSONValue {
        .object([
            "passes": .flag(passes), "events": .number(eventCount),
            "segments": .number(segmentCount), "checkpoints": .number(checkpointCount),
            "complete": .flag(passes && isComplete), "line": .number(ifAny: problem?.line),
            "reason": .text(ifAny: problem?.reason),
        ])
    }

    fileprivate var text: String {
        var sheet = Sheet()
        sheet.add("Events proved", String(eventCount))
        sheet.add("Checkpoints", String(checkpointCount))
        if let problem {
            sheet.add("PROBLEM", "line \(problem.line): \(problem.reason)")
            return sheet.text + "The export was tampered with or damaged.\n"
        }
        return sheet.text
            + (isComplete
                ? "Every event up to the last checkpoint is here, as it was logged.\n"
                : "The events that are here are as they were logged; others are left out.\n")
    }
}

extension Session {
    func verifyLog() throws(Failure) -> VerificationReport {
        try Failure.ofLog { () throws(UsageLogError) in
            try keystore.usageLogVerifier().verify()
        }
    }
}
