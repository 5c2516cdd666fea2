internal import Glibc
internal import KMSModel
internal import Platform

/// Reads the usage log of all processes, while they may be writing it.
package struct UsageLogReader: Sendable {
    private static let pollMicroseconds: UInt32 = 100_000

    private let directory: String
    private let keys: UsageLogKeys
    private let anchors: any LogAnchorStore

    /// `directory` is the log's own directory. One that does not exist holds no events.
    package init(directory: String, keys: UsageLogKeys, anchors: any LogAnchorStore) {
        self.directory = directory
        self.keys = keys
        self.anchors = anchors
    }

    /// Gives the events that fit to `body`, by time; events of one process stay in its order.
    ///
    /// - Throws: ``UsageLogError/damaged(_:)`` for the first thing that is wrong, after everything
    ///   intact was given out: a damaged segment ends at its first bad event.
    ///   ``UsageLogError/interrupted(_:)`` carries what `body` threw.
    package func forEach(
        _ filter: UsageLogFilter, _ body: (LoggedEvent) throws -> Void
    ) throws(UsageLogError) {
        var merge = SegmentMerge(
            directory: try openDirectory(), keys: keys, filter: filter, keepsLiveSegments: false)
        merge.add(try anchors.allSegments())
        try deliver(&merge, until: { false }, body)
        if let problem = merge.problem { throw UsageLogError(problem, inLogAt: directory) }
    }

    /// As ``forEach(_:_:)``, and then the new events of all processes as they come, until
    /// `isCancelled` says so (asked before every event and every tenth of a second).
    ///
    /// Who wants new events only sets the filter's `since`. Events are in order within what was
    /// found at once.
    package func follow(
        _ filter: UsageLogFilter, until isCancelled: () -> Bool,
        _ body: (LoggedEvent) throws -> Void
    ) throws(UsageLogError) {
        let place = try LogDirectory.openOrMake(directory)
        var merge = SegmentMerge(
            directory: place, keys: keys, filter: filter, keepsLiveSegments: true)
        var watch = SegmentWatch(place)
        var known: Set<String> = []
        while !isCancelled() {
            // The keystore reads and decrypts the rows of all segments, under its lock.
            if try watch.hasNews(known: known) {
                let new = try anchors.allSegments().filter { !known.contains($0.id.fileName) }
                merge.add(new)
                known.formUnion(new.map(\.id.fileName))
            }
            merge.resume()
            try deliver(&merge, until: isCancelled, body)
            if let problem = merge.problem { throw UsageLogError(problem, inLogAt: directory) }
            usleep(UsageLogReader.pollMicroseconds)
        }
    }

    private func deliver(
        _ merge: inout SegmentMerge, until isCancelled: () -> Bool,
        _ body: (LoggedEvent) throws -> Void
    ) throws(UsageLogError) {
        while !isCancelled(), let event = merge.next() {
            do {
                try body(event)
            } catch {
                throw .interrupted(error)
            }
        }
    }

    private func openDirectory() throws(UsageLogError) -> LogDirectory? {
        try LogDirectory.openIfPresent(directory)
    }
}

extension LogDirectory {
    static func openIfPresent(_ path: String) throws(UsageLogError) -> LogDirectory? {
        do throws(UsageLogError) {
            return try open(path)
        } catch {
            if case .system(.noSuchFileOrDirectory, _) = error { return nil }
            throw error
        }
    }
}
