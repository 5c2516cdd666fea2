internal import Platform

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

/// Checks the whole log against the keystore's anchors.
package struct UsageLogVerifier: Sendable {
    private let directory: String
    private let keys: UsageLogKeys
    private let anchors: any LogAnchorStore

    /// `directory` is the log's own directory.
    package init(directory: String, keys: UsageLogKeys, anchors: any LogAnchorStore) {
        self.directory = directory
        self.keys = keys
        self.anchors = anchors
    }

    /// Reads every record of every segment; processes may be writing meanwhile.
    ///
    /// - Throws: ``UsageLogError/system(_:path:)`` when the directory cannot be read,
    ///   ``UsageLogError/anchorStore(_:)`` when the keystore cannot; never for what is wrong with
    ///   the log, which is in the report.
    package func verify() throws(UsageLogError) -> VerificationReport {
        var report = VerificationReport()
        let segments = try anchors.allSegments()
        let place = try LogDirectory.openIfPresent(directory)
        report.segmentCount = segments.count
        checkChain(of: segments, &report)
        for segment in segments { check(segment, in: place, &report) }
        if let place { try checkNames(in: place, &report) }
        return report
    }

    private func checkChain(of segments: [SegmentRecord], _ report: inout VerificationReport) {
        var previousDigest = SegmentFormat.zeroHash
        for (index, segment) in segments.enumerated() {
            if segment.ordinal != UInt64(index) + 1 || segment.previousDigest != previousDigest {
                report.problems.append(LogProblem(segment, .brokenSegmentChain, at: 0))
            }
            previousDigest = segment.digest
        }
    }

    private func check(
        _ segment: SegmentRecord, in place: LogDirectory?, _ report: inout VerificationReport
    ) {
        let scanner: SegmentScanner
        do throws(LogProblem) {
            scanner = try SegmentScanner(segment, in: place, keys: keys)
        } catch {
            report.problems.append(error)
            return
        }
        defer { report.eventCount += scanner.head.eventCount }
        while true {
            switch scanner.next() {
            case .event:
                continue
            case .end(.closed):
                if scanner.closing?.reason == .recovered {
                    report.recoveredSegments.append(segment.id)
                }
                return
            case .end(.live):
                report.liveSegments.append(segment.id)
                return
            case .end(.crashed(let tornBytes)):
                report.crashes.append(
                    CrashTrace(
                        segment: segment.id, lastSequence: scanner.head.eventCount,
                        tornBytes: tornBytes))
                return
            case .problem(let problem):
                report.problems.append(problem)
                return
            }
        }
    }

    /// Files that no segment accounts for. Each is looked at before the segments are listed: a
    /// file has nothing but its header until its segment is registered.
    private func checkNames(
        in place: LogDirectory, _ report: inout VerificationReport
    ) throws(UsageLogError) {
        var files: [(name: String, isHeaderOnly: Bool)] = []
        for name in try place.names().sorted() {
            guard let isHeaderOnly = isHeaderOnly(name, in: place) else { continue }
            files.append((name, isHeaderOnly))
        }
        let known = Set(try anchors.allSegments().map(\.id.fileName))
        for file in files where !known.contains(file.name) {
            if file.isHeaderOnly {
                report.emptyFiles.append(file.name)
            } else {
                report.problems.append(
                    LogProblem(kind: .unknownFile, file: file.name, segment: nil, sequence: 0))
            }
        }
    }

    /// nil when the file is gone by now.
    private func isHeaderOnly(_ name: String, in place: LogDirectory) -> Bool? {
        do throws(Errno) {
            let status = try place.descriptor.status(of: FileName(name))
            return status.kind == .regular && name.hasSuffix(SegmentFormat.fileSuffix)
                && status.sizeBytes <= UInt64(SegmentFormat.headerBytes)
        } catch {
            return error == .noSuchFileOrDirectory ? nil : false
        }
    }
}
