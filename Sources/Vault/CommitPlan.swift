import Platform
import SealedFormat

/// Why a file's overlay is committed.
enum CommitPurpose {
    /// By the timer, or because the overlay has grown: nobody was promised anything.
    case background
    /// fsync(2); with `dataOnly` fdatasync(2).
    case sync(dataOnly: Bool)
    /// The file grows by much: once this is durable, what follows goes straight into the store.
    case spill

    var syncs: Bool { if case .sync = self { true } else { false } }

    /// Whether it waits until nothing counts any more that a failed sync may have dropped.
    var settlesFailedSync: Bool { if case .background = self { false } else { true } }
}

/// What one commit of a file takes to the journal and then to the store.
struct CommitPlan: Sendable {
    var descriptor: Descriptor
    var fileID: FileID?
    var runs: [Overlay.Run]
    /// The plain size that the stored file has with these runs in their places.
    var placedSize: UInt64
    /// The file's own sync must come before the journal's: it holds what no frame holds.
    var syncsStore: Bool
    var dataOnly: Bool
    /// The state's count of changes of the store that this sync covers.
    var storeChange: UInt64
    /// The overlay holds more than fits into one commit.
    var isPartial: Bool
    /// From here on blocks go straight into the store, for a spill.
    var intent: UInt64?

    /// The file grows in more than one step, from this block on: until the last one it ends with a
    /// block that is not final.
    var growsFrom: UInt64?
    /// Blocks from here on go straight into the store behind this commit; what is before is durable
    /// with the store's sync, or in the journal.
    var directFrom: UInt64?
    /// The file's times are to be durable, and no sync of the store makes them so.
    var logsTimes: Bool

    var isEmpty: Bool { runs.isEmpty && intent == nil && !logsTimes }
}

/// The bytes of runs as they are written from: in bodies of the journal, or alone.
struct GatheredRuns {
    private(set) var bodies: [[UInt8]] = []
    /// Where each run lies in one of the bodies.
    private(set) var places: [(body: Int, range: Range<Int>)] = []

    init() {}

    /// Each run alone.
    init(_ runs: [Overlay.Run]) {
        for run in runs {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(run.byteCount)
            add(run, to: &bytes)
            end(bytes)
        }
    }

    /// Adds a run to the body that is being made.
    mutating func add(_ run: Overlay.Run, to body: inout [UInt8]) {
        let start = body.count
        run.append(to: &body)
        places.append((bodies.count, start..<body.count))
    }

    mutating func end(_ body: [UInt8]) { bodies.append(body) }
}
