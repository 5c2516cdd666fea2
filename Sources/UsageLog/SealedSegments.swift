/// What the checkpoints so far say of the segments, and which of them the next one must have.
///
/// A segment is in every checkpoint from the first one after its making to the one that closes it:
/// who keeps it out of one could rewrite what that one would have sealed. Ordinals have no gaps, so
/// those that a checkpoint is the first to have follow right behind all before.
struct SealedSegments {
    /// The last seal of each segment, by ordinal.
    private(set) var last: [UInt64: Checkpoint.Seal] = [:]
    /// Ordinals of what the last checkpoint left open.
    private var open: Set<UInt64> = []
    private var lastOrdinal: UInt64 = 0

    func isClosed(_ ordinal: UInt64) -> Bool { last[ordinal]?.isClosed ?? false }

    /// Of the first event that no checkpoint has sealed.
    func firstUnsealed(_ ordinal: UInt64) -> UInt64 { (last[ordinal]?.head.eventCount ?? 0) &+ 1 }

    /// Goes on by one checkpoint.
    ///
    /// - Returns: the ordinals of the segments that it leaves out, each told once, of several new
    ///   ones in a row the first; nil when it contradicts a checkpoint before, and nothing is taken:
    ///   a segment only goes forward, and not at all once it is closed.
    mutating func take(_ checkpoint: Checkpoint) -> [UInt64]? {
        for seal in checkpoint.seals {
            guard let before = last[seal.ordinal] else { continue }
            guard !before.isClosed, before.digest == seal.digest,
                before.head.eventCount <= seal.head.eventCount
            else { return nil }
        }
        var leftOut = open.subtracting(checkpoint.seals.map(\.ordinal)).sorted()
        for seal in checkpoint.seals {
            last[seal.ordinal] = seal
            guard seal.ordinal > lastOrdinal else { continue }
            if seal.ordinal > lastOrdinal + 1 { leftOut.append(lastOrdinal + 1) }
            lastOrdinal = seal.ordinal
        }
        open = Set(checkpoint.seals.filter { !$0.isClosed }.map(\.ordinal))
        return leftOut
    }
}
