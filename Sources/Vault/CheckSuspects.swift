import Platform

/// An entry that a look found something about.
struct CheckSuspect: Sendable {
    let place: CheckPlace
    let name: FileName
    var seen: CheckInspection
}

/// Entries with problems that wait for their second look.
struct CheckSuspects {
    static let maximumCount = 8192
    /// Of all entries together: a damaged file alone may have some thousand.
    static let maximumBlocks = 1 << 16

    private var entries: [CheckSuspect] = []
    private var blockCount = 0

    /// Whether it is time for their second look.
    var isFull: Bool { entries.count >= Self.maximumCount || blockCount >= Self.maximumBlocks }

    mutating func add(_ suspect: CheckSuspect) {
        entries.append(suspect)
        blockCount += suspect.seen.problems.reduce(0) { $0 + $1.blocks.count }
    }

    mutating func takeAll() -> [CheckSuspect] {
        defer { self = CheckSuspects() }
        return entries
    }
}
