package import Cryptography
package import Platform

/// Why the usage log could not take or give events.
package enum UsageLogError: Error {
    /// A call of the system failed on a file or directory of the log.
    case system(Errno, path: String)
    /// No space, or no quota, for another event. Nothing of the event was kept.
    case full(path: String)
    /// The open segment's file was deleted, replaced, cut or written by somebody else.
    case tampered(path: String, reason: String)
    /// The keystore could not register or anchor a segment.
    case anchorStore(any Error)
    /// The event is longer than a record may be (``SegmentFormat/maximumPlaintextBytes``).
    case eventTooLarge(byteCount: Int)
    /// The writer was closed.
    case closed
    /// A closing record could not be signed.
    case signing(CryptographyError)
    /// Reading found events missing or changed; whatever was intact was delivered before.
    case damaged(LogProblem)
    /// What the caller's own closure threw.
    case interrupted(any Error)
}

extension UsageLogError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .system(let errno, let path): "usage log \(path): \(errno)"
        case .full(let path): "usage log \(path): no space left for another event"
        case .tampered(let path, let reason): "usage log \(path): \(reason)"
        case .anchorStore(let error): "usage log: the keystore did not anchor it: \(error)"
        case .eventTooLarge(let count): "usage log: an event of \(count) bytes is too long"
        case .closed: "usage log: the writer is closed"
        case .signing(let error): "usage log: signing failed: \(error)"
        case .damaged(let problem): "usage log: \(problem)"
        case .interrupted(let error): "\(error)"
        }
    }
}

extension UsageLogError {
    /// Whether what the keystore has of the log contradicts itself.
    package var isDamagedAnchor: Bool {
        guard case .anchorStore(let cause as LogLedger.Failure) = self else { return false }
        return switch cause {
        case .damagedState, .unknownSegment, .wentBack: true
        case .noCheckpoint: false
        }
    }

    /// What is wrong with a segment. One that this user may not read is not damaged.
    init(_ problem: LogProblem, inLogAt directory: String) {
        if case .unreadable(.accessDenied) = problem.kind {
            self = .system(.accessDenied, path: directory + "/" + problem.file)
        } else {
            self = .damaged(problem)
        }
    }
}

/// One thing that ``UsageLogVerifier`` or a reader found wrong.
package struct LogProblem: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// A registered segment has no file.
        case missingSegment
        /// A file in the log's directory that no segment accounts for.
        case unknownFile
        /// The keystore's list of segments is not one chain.
        case brokenSegmentChain
        /// The header is not the registered segment's.
        case changedHeader
        /// A record was changed, removed, swapped, duplicated or belongs elsewhere.
        case changedRecord
        /// The file ends before the anchored head.
        case missingEvents
        /// The anchored head has another chain hash than the file.
        case headMismatch
        /// A closed segment has no closing record.
        case missingClosingRecord
        /// The closing record's count, hash or signature is wrong.
        case invalidClosingRecord
        /// There is something behind the closing record.
        case dataBehindClosingRecord
        /// A checkpoint says something else about the events up to a later one than this.
        case checkpointMismatch
        /// A closed segment whose end no checkpoint covers.
        case unsealedEnd
        /// A checkpoint does not have the segment, though none before it has its end.
        case leftOut(checkpoint: UInt64)
        /// The keystore's list from which the next checkpoint is made does not have the segment
        /// though it must, or has it though its end is sealed.
        case wrongList(checkpoint: UInt64)
        /// A checkpoint is missing, changed, or not signed with the key that the one before named;
        /// the sequence is its number.
        case brokenCheckpoints
        /// The index beside a segment is not the one that its events give.
        case changedIndex
        /// What the keystore says the events add up to is something else.
        case wrongTotals
        /// An anchor from outside of the keystore was changed, or is another log's.
        case foreignAnchor
        /// The log does not go as far as an anchor outside of it says: it was rolled back.
        case rolledBack
        /// The log is another one than the anchor has seen.
        case forked
        /// The file could not be read.
        case unreadable(Errno)
    }

    package let kind: Kind
    /// The segment's file name in the log's directory.
    package let file: String
    /// nil for a file that is no segment's.
    package let segment: SegmentID?
    /// The first bad sequence number of the segment; 0 is its header.
    package let sequence: UInt64

    package init(kind: Kind, file: String, segment: SegmentID?, sequence: UInt64) {
        self.kind = kind
        self.file = file
        self.segment = segment
        self.sequence = sequence
    }
}

extension LogProblem: CustomStringConvertible {
    package var description: String {
        let place = kind == .brokenCheckpoints ? "checkpoint" : "event"
        return "\(file), \(place) \(sequence): \(reason)"
    }

    /// What is wrong, without where.
    package var reason: String {
        switch kind {
        case .missingSegment: "the segment's file is missing"
        case .unknownFile: "no segment accounts for this file"
        case .brokenSegmentChain: "the keystore's list of segments is broken here"
        case .changedHeader: "the header was changed"
        case .changedRecord: "an event was changed, removed or moved"
        case .missingEvents: "events are missing from here on"
        case .headMismatch: "the anchored head is another one"
        case .missingClosingRecord: "the closing record is missing"
        case .invalidClosingRecord: "the closing record is not valid"
        case .dataBehindClosingRecord: "there is data behind the closing record"
        case .checkpointMismatch: "events up to the next checkpoint are not those that it signed"
        case .unsealedEnd: "no checkpoint covers the segment's end"
        case .leftOut(let checkpoint):
            "checkpoint \(checkpoint) leaves the segment out, though none before it closes it"
        case .wrongList(let checkpoint):
            "the keystore's list of what checkpoint \(checkpoint) is to seal is wrong about it"
        case .brokenCheckpoints: "this checkpoint is missing or was changed"
        case .changedIndex: "the segment's index was changed; it can be deleted"
        case .wrongTotals: "the keystore's totals are not what the events add up to"
        case .foreignAnchor: "the anchor was changed, or belongs to another log"
        case .rolledBack: "the log is older than the anchor: it was rolled back"
        case .forked: "the log is not the one that the anchor has seen"
        case .unreadable(let errno): "cannot be read: \(errno)"
        }
    }
}
