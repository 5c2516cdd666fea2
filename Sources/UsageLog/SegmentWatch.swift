internal import Platform

/// Tells a follower from the log's directory alone when the keystore may have new segments.
///
/// A segment's file is made, then registered, then written to. So a file with more than its header
/// has its segment in the keystore by now, or none at all; one with its header only is looked at
/// until it grows: its process is about to register it, or died before.
struct SegmentWatch {
    private let directory: LogDirectory
    /// The directory's time at the last look.
    private var seenAt: Timespec?
    /// There were two looks at that time: what changes within one tick of the clock has one time.
    private var isSettled = false
    /// Files with a header only.
    private var unregistered: [String] = []

    init(_ directory: LogDirectory) {
        self.directory = directory
    }

    /// Whether to ask the keystore, which is to be done after this and not before.
    ///
    /// - Parameter known: the names of the known segments' files.
    mutating func hasNews(known: Set<String>) throws(UsageLogError) -> Bool {
        let directory = directory
        let changedAt = try directory.modificationTime()
        if isSettled, changedAt == seenAt,
            unregistered.allSatisfy({ directory.isHeaderOnly($0) ?? true })
        {
            return false
        }
        isSettled = changedAt == seenAt
        seenAt = changedAt
        unregistered = try directory.names().filter {
            $0.hasSuffix(SegmentFormat.fileSuffix) && !known.contains($0)
                && directory.isHeaderOnly($0) == true
        }
        return true
    }
}
