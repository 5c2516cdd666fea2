import KMSModel
import Platform
import SealedFormat

/// What is wrong with one entry, as one look saw it.
struct CheckProblem: Sendable, Equatable {
    /// A block that fails, and what stood there.
    struct Block: Sendable, Equatable {
        let index: UInt64
        /// The beginning of the SHA-256 of its sealed bytes.
        let digest: UInt64
    }

    /// Blocks of one file that are remembered for the second look.
    static let maximumBlocks = 1024

    let code: CheckCode
    var detail: String?
    /// What was seen: the same bytes give the same evidence.
    var evidence: [UInt8] = []
    var blocks: [Block] = []
    /// More blocks fail than are remembered.
    var hasMoreBlocks = false

    init(_ code: CheckCode, _ detail: String? = nil, evidence: [UInt8] = []) {
        self.code = code
        self.detail = detail
        self.evidence = evidence
    }

    mutating func add(_ block: Block) {
        guard blocks.count < Self.maximumBlocks else {
            hasMoreBlocks = true
            return
        }
        blocks.append(block)
    }

    /// What both looks saw; nil when the second one saw something else.
    func confirmed(by second: CheckProblem) -> CheckProblem? {
        guard code == second.code, detail == second.detail, evidence == second.evidence else {
            return nil
        }
        guard !blocks.isEmpty else { return self }
        var both = self
        both.blocks = blocks.filter { second.blocks.contains($0) }
        return both.blocks.isEmpty ? nil : both
    }

    /// The detail, with the blocks that fail.
    var words: String? {
        guard !blocks.isEmpty else { return detail }
        return (detail.map { $0 + ", " } ?? "") + Self.words(blocks.map(\.index))
            + (hasMoreBlocks ? " and more" : "")
    }

    /// `blocks 3, 7…9`; the first of them when there are many.
    private static func words(_ indices: [UInt64]) -> String {
        var ranges: [ClosedRange<UInt64>] = []
        for index in indices.sorted() {
            if let last = ranges.last, index == last.upperBound + 1 {
                ranges[ranges.count - 1] = last.lowerBound...index
            } else {
                ranges.append(index...index)
            }
        }
        let shown = ranges.prefix(16).map { range in
            range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)…\(range.upperBound)"
        }
        let noun = indices.count == 1 ? "block " : "blocks "
        return noun + shown.joined(separator: ", ") + (ranges.count > 16 ? "…" : "")
    }
}

/// What an entry's stored name says that it is.
enum CheckNameKind: Equatable {
    /// One of Keyfold's own files in its place; who uses it checks it.
    case own
    case journal
    case temporary
    case sidecar
    /// Kept for Keyfold, and nothing that this version makes here.
    case reserved
    /// An entry whose name is in a sidecar.
    case long
    /// An entry whose name is its own.
    case direct

    init(_ stored: String, isRoot: Bool, names: NameStorage) {
        func begins(_ prefix: String) -> Bool { stored.utf8.starts(with: prefix.utf8) }
        if isRoot {
            switch stored {
            case ReservedName.config, ReservedName.lock, ReservedName.keystore,
                ReservedName.logHead:
                self = .own
                return
            case ReservedName.journal:
                self = .journal
                return
            default: break
            }
        }
        if stored == ReservedName.directoryRecord {
            self = .own
        } else if begins(ReservedName.temporaryPrefix) {
            self = .temporary
        } else if names == .sealed, begins(ReservedName.longPrefix) {
            self = .long
        } else if names == .sealed, begins(ReservedName.sidecarPrefix) {
            self = .sidecar
        } else {
            self = ReservedName.isReserved(stored) ? .reserved : .direct
        }
    }
}

extension CheckCode {
    /// What a refusal of the key service says of a wrapped key.
    init(_ error: KMSError) {
        switch error.kind {
        case .notGenuine, .badRequest: self = .wrappedKeyDamaged
        case .missing: self = .keyMissing
        case .denied, .wrongState, .unavailable, .timedOut, .unsupported, .limit, .failed, .taken,
            .wouldSucceed:
            self = .keyUnusable
        }
    }

    /// What a refusal of the file system below says of an entry.
    init(_ errno: Errno) {
        self = errno == .accessDenied || errno == .notPermitted ? .notPermitted : .unreadable
    }
}

/// Who holds files of a vault with flock(2), as /proc/locks tells it.
///
/// Asking the file itself would take its lock for a moment, and a mount that begins just then
/// would be refused. Locks of other hosts are not listed.
enum CheckLocks {
    struct Lock: Equatable {
        let inodeNumber: UInt64
        let pid: Int32
        let isExclusive: Bool
    }

    /// The files under an flock(2), from the text of /proc/locks:
    /// `1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF`.
    static func locks(in text: String) -> [Lock] {
        var locks: [Lock] = []
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            // "->" marks one that waits for the lock.
            guard fields.count >= 6, fields[1] == "FLOCK",
                let number = fields[5].split(separator: ":").last.flatMap({ UInt64($0) }),
                let pid = Int32(fields[4])
            else { continue }
            locks.append(Lock(inodeNumber: number, pid: pid, isExclusive: fields[3] == "WRITE"))
        }
        return locks
    }

    static func current() -> [Lock] {
        guard let file = try? Descriptor.open(path: "/proc/locks", 0),
            let bytes = try? file.readAll(limitBytes: 4 << 20)
        else { return [] }
        return locks(in: String(decoding: bytes, as: UTF8.self))
    }
}
