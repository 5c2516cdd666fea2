package import KMSModel

/// When an event is on the disk.
package enum UsageLogDurability: UInt8, Sendable {
    /// About 0.4 s after it was appended; it survives the death of any process at once.
    case withinASecond = 0
    /// Before ``UsageLogWriter/append(_:)`` returns. Threads that append at once share a sync.
    case beforeRelease = 1
}

/// Appends events to the usage log: one writer per process and keystore.
///
/// Its segment file is made at the first event. May be used from any thread. Never call it inside
/// a transaction of the ``LogAnchorStore``: it registers and anchors segments there.
package final class UsageLogWriter: Sendable {
    /// When a segment ends and the next one begins.
    package static let segmentLimitBytes: UInt64 = 64 << 20
    /// From an event to its sync and anchor, about; at most a second goes by.
    package static let syncIntervalMilliseconds = 400

    private let core: SegmentWriter

    /// `directory` is the log's own directory; it is made (0700) when it is not there.
    package convenience init(
        directory: String, keys: UsageLogKeys, anchors: any LogAnchorStore, clock: any WallClock,
        durability: UsageLogDurability = .withinASecond,
        segmentLimitBytes: UInt64 = UsageLogWriter.segmentLimitBytes,
        syncIntervalMilliseconds: Int = UsageLogWriter.syncIntervalMilliseconds
    ) {
        self.init(
            directory: directory, keys: keys, anchors: anchors, clock: clock,
            durability: durability, formatVersion: SegmentFormat.version,
            segmentLimitBytes: segmentLimitBytes,
            syncIntervalMilliseconds: syncIntervalMilliseconds)
    }

    /// `formatVersion` 1 is for tests of what earlier versions of Keyfold left.
    init(
        directory: String, keys: UsageLogKeys, anchors: any LogAnchorStore, clock: any WallClock,
        durability: UsageLogDurability = .withinASecond, formatVersion: UInt32,
        segmentLimitBytes: UInt64, syncIntervalMilliseconds: Int
    ) {
        core = SegmentWriter(
            directory: directory, keys: keys, anchors: anchors, clock: clock,
            durability: durability, formatVersion: formatVersion,
            segmentLimitBytes: segmentLimitBytes,
            syncIntervalMilliseconds: syncIntervalMilliseconds)
    }

    deinit {
        core.close()
    }

    /// Writes the event (write(2)) before it returns, so that it survives the death of the
    /// process; within a second it is on the disk and anchored. With
    /// ``UsageLogDurability/beforeRelease`` it is on the disk when this returns.
    ///
    /// - Throws: when the event is not in the log: ``UsageLogError/full(path:)``,
    ///   ``UsageLogError/tampered(path:reason:)`` and ``UsageLogError/system(_:path:)`` of the
    ///   file, ``UsageLogError/anchorStore(_:)`` when events before it could not be anchored,
    ///   ``UsageLogError/eventTooLarge(byteCount:)``, ``UsageLogError/closed``. A full disk and a
    ///   failing anchor store are tried again at the next event; after the others of the file the
    ///   writer stays failed.
    package func append(_ event: UsageEvent) throws(UsageLogError) {
        try core.append(event)
    }

    /// The same with an event that was encoded before.
    package func append(_ event: EncodedEvent) throws(UsageLogError) {
        try core.append(event)
    }

    /// Whether the next event needs neither the anchor store nor a sync before it is written. Waits
    /// for nobody: false, too, while another thread is at it.
    package var isPrepared: Bool { core.isPrepared }

    /// The last use of a key that this writer's open segment has; ``LogNotary`` knows those of ended
    /// segments, and of open ones as far as they are anchored. Asked first, the two leave none out.
    package func lastUse(ofKey arn: String) -> UsageTally.LastUse? {
        core.lastUse(ofKey: arn)
    }

    /// Returns when all events appended before are on the disk and anchored.
    package func synchronize() throws(UsageLogError) {
        try core.synchronize()
    }

    /// Ends the segment with its signed closing record and anchors it. Events after that throw.
    ///
    /// - Returns: whether all events are on the disk.
    @discardableResult
    package func close() -> Bool {
        core.close()
    }

    /// As if the process had died here: the segment stays open, nothing is synced or anchored.
    func abandon() {
        core.abandon()
    }
}
