internal import KMSModel

/// Events of many segments in the order of their times; those of one segment stay in its order.
///
/// A segment is opened only when the merge comes near the time at which it was made, and closed at
/// its end, so that about as many are open as were written at once.
struct SegmentMerge {
    /// How long before its segment was made an event may have got its time: the first event has it
    /// already when the segment is made.
    private static let leadMilliseconds: Int64 = 2000

    private struct Source {
        let scanner: SegmentScanner
        var next: LoggedEvent?
        /// At the end of a living segment, until ``resume()``.
        var isWaiting = false
    }

    private let directory: LogDirectory?
    private let keys: UsageLogKeys
    private let filter: UsageLogFilter
    private let keepsLiveSegments: Bool
    /// By time of making, the first one last.
    private var unopened: [SegmentRecord] = []
    private var sources: [Source] = []
    /// The first problem that was met; its segment gives no more events.
    private(set) var problem: LogProblem?

    var openSegmentCount: Int { sources.count }

    init(
        directory: LogDirectory?, keys: UsageLogKeys, filter: UsageLogFilter,
        keepsLiveSegments: Bool
    ) {
        self.directory = directory
        self.keys = keys
        self.filter = filter
        self.keepsLiveSegments = keepsLiveSegments
    }

    mutating func add(_ segments: some Sequence<SegmentRecord>) {
        unopened += segments
        unopened.sort { ($0.createdAt, $0.ordinal) > ($1.createdAt, $1.ordinal) }
    }

    /// Looks again at the living segments' ends.
    mutating func resume() {
        for index in sources.indices { sources[index].isWaiting = false }
    }

    /// nil: there is no more, for now at least.
    mutating func next() -> LoggedEvent? {
        while true {
            load()
            let first = earliest()
            if let segment = unopened.last,
                first.flatMap({ sources[$0].next }).map({ isDue(segment, at: $0.eventTime) })
                    ?? true
            {
                unopened.removeLast()
                open(segment)
                continue
            }
            guard let first else { return nil }
            defer { sources[first].next = nil }
            return sources[first].next
        }
    }

    private func isDue(_ segment: SegmentRecord, at time: Timestamp) -> Bool {
        segment.createdAt.advanced(byMilliseconds: -SegmentMerge.leadMilliseconds) <= time
    }

    private func earliest() -> Int? {
        sources.indices.lazy.filter { sources[$0].next != nil }.min { a, b in
            guard let left = sources[a].next, let right = sources[b].next else { return false }
            return (left.eventTime, sources[a].scanner.record.ordinal)
                < (right.eventTime, sources[b].scanner.record.ordinal)
        }
    }

    private mutating func open(_ segment: SegmentRecord) {
        do throws(LogProblem) {
            let scanner = try SegmentScanner(segment, in: directory, keys: keys, filter: filter)
            if filter.since != nil || filter.until != nil,
                let times = scanner.closedEventTimes(), !filter.accepts(anyOf: times)
            {
                return
            }
            if filter.isSelective, let directory,
                let index = SegmentIndex.loadOrMake(segment, in: directory, keys: keys)
            {
                let parts = index.ranges(for: filter, eventCount: segment.head.eventCount)
                scanner.read(parts: parts, of: index)
            }
            sources.append(Source(scanner: scanner))
        } catch {
            note(error)
        }
    }

    /// Gives every source its next event, and lets go of those that have none.
    private mutating func load() {
        var index = 0
        while index < sources.count {
            let isNeeded = sources[index].next == nil && !sources[index].isWaiting
            if isNeeded, !loadNext(index) {
                sources.remove(at: index)
            } else {
                index += 1
            }
        }
    }

    /// - Returns: whether the source may give more.
    private mutating func loadNext(_ index: Int) -> Bool {
        let scanner = sources[index].scanner
        while true {
            switch scanner.next() {
            case .event(let event):
                guard filter.mayAccept(json: event.json) else { continue }
                guard
                    let logged = LoggedEvent(
                        segment: scanner.record.id, sequence: event.sequence, time: event.time,
                        json: event.json)
                else {
                    note(LogProblem(scanner.record, .changedRecord, at: event.sequence))
                    return false
                }
                guard filter.accepts(logged) else { continue }
                sources[index].next = logged
                return true
            case .end(.live) where keepsLiveSegments:
                sources[index].isWaiting = true
                return true
            case .end:
                return false
            case .problem(let problem):
                note(problem)
                return false
            }
        }
    }

    private mutating func note(_ problem: LogProblem) {
        if self.problem == nil { self.problem = problem }
    }
}
