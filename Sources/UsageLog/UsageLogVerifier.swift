/// What a whole check of the usage log found.
package struct VerificationReport: Sendable, Hashable {
    /// Registered segments.
    package var segmentCount = 0
    /// Events that are intact and in their place.
    package var eventCount: UInt64 = 0
    /// Segments that a living process is writing.
    package var liveSegments: [SegmentID] = []
    /// Segments whose process died: not a sign of tampering.
    package var crashes: [CrashTrace] = []
    /// Segments whose process died and that another one has closed since.
    package var recoveredSegments: [SegmentID] = []
    /// Header-only files of processes that died before their first event.
    package var emptyFiles: [String] = []
    /// Checkpoints that are whole and signed, from the first on.
    package var checkpointCount: UInt64 = 0
    /// The log's verification key, 32 bytes; empty before the first checkpoint.
    package var verificationKey: [UInt8] = []
    /// Anchors from outside of the keystore that the log agrees with.
    package var agreeingAnchors: [String] = []
    package var problems: [LogProblem] = []

    /// Whether nothing is missing and nothing was changed.
    package var passes: Bool { problems.isEmpty }
}

/// The end of a segment whose process died.
package struct CrashTrace: Sendable, Hashable {
    package let segment: SegmentID
    /// Its last whole event; 0 when there is none.
    package let lastSequence: UInt64
    /// Of an event that was being written; its key use was never answered.
    package let tornBytes: UInt64
}

/// Checks the whole log against what the keystore knows of it, and against what is known elsewhere.
package struct UsageLogVerifier: Sendable {
    /// What problems with checkpoints and totals name instead of a file of the log.
    static let checkpointsName = "checkpoints"
    static let totalsName = "totals"

    private let directory: String
    private let keys: UsageLogKeys
    private let anchors: any LogAnchorStore

    /// `directory` is the log's own directory.
    package init(directory: String, keys: UsageLogKeys, anchors: any LogAnchorStore) {
        self.directory = directory
        self.keys = keys
        self.anchors = anchors
    }

    /// All that the keystore holds of the log, at one moment.
    private struct Stored {
        let state: LedgerState?
        let segments: [SegmentRecord]
        let checkpoints: [[UInt8]]
        let totals: UsageTally

        init(_ view: any LogView) throws {
            state = try LogLedger.state(view)
            segments = try view.segments()
            checkpoints = try view.checkpoints()
            totals = try UsageTally.totals(view)
        }
    }

    /// What is held against what the events say.
    fileprivate struct Expectations {
        /// By ordinal and count.
        var heads: [UInt64: [UInt64: SegmentHead]] = [:]
        var seals = SealedSegments()
        var totals = UsageTally()
    }

    /// Reads every record of every segment; processes may be writing meanwhile.
    ///
    /// - Parameters:
    ///   - anchored: heads that were kept outside of the keystore, by the names of their places.
    ///   - verificationKey: as it was kept elsewhere; nil takes the keystore's word for it.
    /// - Throws: ``UsageLogError/system(_:path:)`` when the directory cannot be read, or this user
    ///   may not read one of its files, ``UsageLogError/anchorStore(_:)`` when the keystore cannot; never
    ///   for what is wrong with the log, which is in the report.
    package func verify(
        against anchored: [AnchoredHead] = [], verificationKey: [UInt8]? = nil
    ) throws(UsageLogError) -> VerificationReport {
        var report = VerificationReport()
        let stored = try anchors.reading { try Stored($0) }
        let place = try LogDirectory.openIfPresent(directory)
        report.segmentCount = stored.segments.count
        checkChain(of: stored, &report)
        var expectations = checkCheckpoints(of: stored, verificationKey, &report)
        for segment in stored.segments { check(segment, in: place, &expectations, &report) }
        for problem in report.problems {
            let error = UsageLogError(problem, inLogAt: directory)
            if case .system = error { throw error }
        }
        // What is missing from the events is missing from their sum, and was told already.
        if report.passes, stored.state != nil, stored.totals != expectations.totals {
            report.problems.append(
                LogProblem(
                    kind: .wrongTotals, file: UsageLogVerifier.totalsName, segment: nil,
                    sequence: 0))
        }
        for place in anchored { check(place, stored, &report) }
        if let place { try checkNames(in: place, &report) }
        return report
    }

    private func checkChain(of stored: Stored, _ report: inout VerificationReport) {
        var previousDigest = SegmentFormat.zeroHash
        for (index, segment) in stored.segments.enumerated() {
            if segment.ordinal != UInt64(index) + 1 || segment.previousDigest != previousDigest {
                report.problems.append(LogProblem(segment, .brokenSegmentChain, at: 0))
            }
            previousDigest = segment.digest
        }
        guard let state = stored.state else { return }
        let last = stored.segments.last
        if state.lastOrdinal != last?.ordinal ?? 0 || state.lastDigest != previousDigest {
            report.problems.append(
                LogProblem(
                    kind: .brokenSegmentChain, file: last?.id.fileName ?? "", segment: last?.id,
                    sequence: 0))
        }
    }

    // MARK: Checkpoints

    private func checkCheckpoints(
        of stored: Stored, _ pinnedKey: [UInt8]?, _ report: inout VerificationReport
    ) -> Expectations {
        var expectations = Expectations()
        guard let state = stored.state else {
            if pinnedKey != nil || !stored.checkpoints.isEmpty {
                report.problems.append(.brokenCheckpoint(1))
            }
            return expectations
        }
        report.verificationKey = state.verificationKey
        // Before its first checkpoint nothing else tells a log from another one.
        guard pinnedKey == nil || pinnedKey == state.verificationKey else {
            report.problems.append(.brokenCheckpoint(1))
            return expectations
        }
        let byOrdinal = Dictionary(
            stored.segments.map { ($0.ordinal, $0) }, uniquingKeysWith: { first, _ in first })
        var chain = CheckpointChain(firstKey: state.verificationKey)
        for bytes in stored.checkpoints {
            let number = chain.count + 1
            guard let checkpoint = chain.take(bytes),
                let leftOut = expectations.add(checkpoint, segments: byOrdinal)
            else {
                report.problems.append(.brokenCheckpoint(number))
                report.checkpointCount = number - 1
                return expectations
            }
            for segment in leftOut {
                report.problems.append(
                    expectations.problem(with: segment, .leftOut(checkpoint: number)))
            }
        }
        report.checkpointCount = chain.count
        // The key of the next one proves that no later ones were taken away.
        if chain.count != state.checkpointCount || chain.lastHash != state.lastHash
            || chain.key != (chain.count == 0 ? chain.key : state.nextKey.publicKey)
        {
            report.problems.append(.brokenCheckpoint(chain.count + 1))
        } else {
            checkUnsealed(of: state, stored.segments, expectations, &report)
        }
        return expectations
    }

    /// Holds the list from which the next checkpoint is made against what those before left open,
    /// and what was registered since.
    private func checkUnsealed(
        of state: LedgerState, _ segments: [SegmentRecord], _ expectations: Expectations,
        _ report: inout VerificationReport
    ) {
        let due = segments.filter { !expectations.seals.isClosed($0.ordinal) }.map(\.id)
        var wrong = Set(due).symmetricDifference(state.unsealed)
        let kind = LogProblem.Kind.wrongList(checkpoint: state.checkpointCount + 1)
        for segment in segments where wrong.remove(segment.id) != nil {
            report.problems.append(expectations.problem(with: segment, kind))
        }
        for id in state.unsealed where wrong.remove(id) != nil {
            report.problems.append(
                LogProblem(kind: kind, file: id.fileName, segment: id, sequence: 0))
        }
    }

    private func check(
        _ anchored: AnchoredHead, _ stored: Stored, _ report: inout VerificationReport
    ) {
        let kind: LogProblem.Kind?
        if let head = anchored.head, let state = stored.state {
            let isThere = head.checkpoint > 0 && head.checkpoint <= stored.checkpoints.count
            let known = isThere ? stored.checkpoints[Int(head.checkpoint) - 1] : nil
            kind = head.problem(state.verificationKey, checkpoint: known)
        } else {
            kind = anchored.head == nil ? .foreignAnchor : .rolledBack
        }
        if let kind {
            report.problems.append(
                LogProblem(
                    kind: kind, file: anchored.name, segment: nil,
                    sequence: anchored.head?.checkpoint ?? 0))
        } else {
            report.agreeingAnchors.append(anchored.name)
        }
    }

    // MARK: Segments

    private func check(
        _ segment: SegmentRecord, in place: LogDirectory?, _ expectations: inout Expectations,
        _ report: inout VerificationReport
    ) {
        let scanner: SegmentScanner
        do throws(LogProblem) {
            scanner = try SegmentScanner(segment, in: place, keys: keys)
        } catch {
            report.problems.append(error)
            return
        }
        scanner.collectsTally = segment.version > 1
        scanner.expectedHeads = expectations.heads[segment.ordinal] ?? [:]
        defer { report.eventCount += scanner.head.eventCount }
        if let problem = expectations.problem(atStartOf: segment) {
            report.problems.append(problem)
            return
        }
        while true {
            switch scanner.next() {
            case .event:
                continue
            case .end(let end):
                note(end, of: scanner, &report)
                if let problem = expectations.problem(atEndOf: scanner, hasState: report.hasState)
                    ?? indexProblem(of: scanner, in: place)
                {
                    report.problems.append(problem)
                }
                return
            case .problem(let problem):
                report.problems.append(problem)
                return
            }
        }
    }

    private func indexProblem(of scanner: SegmentScanner, in place: LogDirectory?) -> LogProblem? {
        guard let place, SegmentIndex.isWorthwhile(scanner.record) else { return nil }
        switch SegmentIndex.load(scanner.record, in: place, keys: keys) {
        case .missing: return nil
        case .index(let index) where index == scanner.index: return nil
        case .index, .invalid: return LogProblem(scanner.record, .changedIndex, at: 0)
        }
    }

    private func note(
        _ end: SegmentScanner.End, of scanner: SegmentScanner, _ report: inout VerificationReport
    ) {
        let segment = scanner.record
        switch end {
        case .closed:
            if scanner.closing?.reason == .recovered { report.recoveredSegments.append(segment.id) }
        case .live:
            report.liveSegments.append(segment.id)
        case .crashed(let tornBytes):
            report.crashes.append(
                CrashTrace(
                    segment: segment.id, lastSequence: scanner.head.eventCount,
                    tornBytes: tornBytes))
        }
    }

    /// Files that no segment accounts for. Each is looked at before the segments are listed: a
    /// file has nothing but its header until its segment is registered.
    private func checkNames(
        in place: LogDirectory, _ report: inout VerificationReport
    ) throws(UsageLogError) {
        var files: [(name: String, isHeaderOnly: Bool)] = []
        for name in try place.names().sorted() {
            guard let isHeaderOnly = place.isHeaderOnly(name) else { continue }
            files.append((name, isHeaderOnly))
        }
        let known = Set(try anchors.allSegments().map(\.id.fileName))
        for file in files
        where !known.contains(file.name) && !SegmentIndex.belongs(file.name, to: known) {
            if file.isHeaderOnly {
                report.emptyFiles.append(file.name)
            } else {
                report.problems.append(
                    LogProblem(kind: .unknownFile, file: file.name, segment: nil, sequence: 0))
            }
        }
    }
}

extension VerificationReport {
    fileprivate var hasState: Bool { !verificationKey.isEmpty }
}

extension UsageLogVerifier.Expectations {
    /// - Returns: the segments that the checkpoint leaves out (``SealedSegments``); nil when its
    ///   seals do not fit the segments or those of the checkpoints before.
    fileprivate mutating func add(
        _ checkpoint: Checkpoint, segments: [UInt64: SegmentRecord]
    ) -> [SegmentRecord]? {
        for seal in checkpoint.seals {
            guard let segment = segments[seal.ordinal], segment.digest == seal.digest else {
                return nil
            }
        }
        guard let leftOut = seals.take(checkpoint) else { return nil }
        for seal in checkpoint.seals {
            var head = seal.head
            if segments[seal.ordinal]?.version == 1 { head.treeRoot = [] }
            heads[seal.ordinal, default: [:]][head.eventCount] = head
        }
        // The list of segments has one that is missing as broken already.
        return leftOut.compactMap { segments[$0] }
    }

    fileprivate func problem(with segment: SegmentRecord, _ kind: LogProblem.Kind) -> LogProblem {
        LogProblem(segment, kind, at: seals.firstUnsealed(segment.ordinal))
    }

    fileprivate func problem(atStartOf segment: SegmentRecord) -> LogProblem? {
        if let head = heads[segment.ordinal]?[0], head != segment.emptyHead {
            return LogProblem(segment, .checkpointMismatch, at: 1)
        }
        return nil
    }

    /// Adds the segment's tally to the totals, when it is closed, and holds its end against the
    /// last seal.
    fileprivate mutating func problem(
        atEndOf scanner: SegmentScanner, hasState: Bool
    ) -> LogProblem? {
        let segment = scanner.record
        if segment.isClosed {
            totals.add(scanner.tally)
        } else if segment.version > 1,
            UsageTally(decoding: segment.tally) != scanner.anchoredTally
        {
            return LogProblem(segment, .wrongTotals, at: segment.head.eventCount)
        }
        let seal = seals.last[segment.ordinal]
        if let seal, seal.head.eventCount > scanner.head.eventCount {
            return LogProblem(segment, .missingEvents, at: scanner.head.eventCount + 1)
        }
        if let seal, seal.isClosed, !segment.isClosed {
            return LogProblem(segment, .checkpointMismatch, at: seal.head.eventCount + 1)
        }
        guard hasState, segment.isClosed else { return nil }
        guard let seal, seal.isClosed, seal.head.eventCount == segment.head.eventCount else {
            return LogProblem(segment, .unsealedEnd, at: (seal?.head.eventCount ?? 0) + 1)
        }
        return nil
    }
}
