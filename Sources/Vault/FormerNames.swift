/// Renames and links that the store may not have made durable yet.
///
/// After a power cut a file may be back under a name that it had before them. So what the journal
/// says of a file it says under those names as well, until a sync of the whole store.
struct FormerNames {
    /// With more, the store is synced.
    static let maximumCount = 4096
    /// Of one file; with more, the store is synced.
    private static let maximumPaths = 4
    private static let maximumSteps = 64

    private struct Move {
        let old: [UInt8]
        let new: [UInt8]
    }

    /// Counts all moves ever noted; ``moves`` and ``byNew`` have those from ``first`` on.
    private var first = 0
    private var moves: [Move] = []
    /// The moves that led to a path, exchanges both ways, in their order.
    private var byNew: [Prefix: [Int]] = [:]

    /// A path's bytes up to some name's end, so that all of a path are made in one pass. Paths that
    /// differ may have the same one.
    private struct Prefix: Hashable {
        private static let factor = UInt64.random(in: .min ... .max) | 1

        private(set) var count = 0
        private var digest: UInt64 = 0

        init() {}

        init(_ path: [UInt8]) {
            for byte in path { append(byte) }
        }

        mutating func append(_ byte: UInt8) {
            count += 1
            digest = (digest &+ UInt64(byte) &+ 1) &* Self.factor
        }
    }

    /// A file has too many.
    var isWanting = false

    var isEmpty: Bool { moves.isEmpty }
    var isFull: Bool { isWanting || moves.count >= Self.maximumCount }
    /// Where the next one will stand: what comes before is durable behind a sync that begins now.
    var mark: Int { first + moves.count }

    /// A file or directory that was at `old` is at `new`, where it may have been in the store for a
    /// while, or may not be yet. Stored names from the vault's root down with "/" between them.
    mutating func note(_ old: [UInt8], _ new: [UInt8], isExchange: Bool = false) {
        guard old != new else { return }
        byNew[Prefix(new), default: []].append(mark)
        if isExchange { byNew[Prefix(old), default: []].append(mark) }
        moves.append(Move(old: old, new: new))
    }

    /// The store was synced as it was at a ``mark``.
    mutating func forget(before mark: Int) {
        let gone = min(max(0, mark - first), moves.count)
        guard gone > 0 else { return }
        first += gone
        moves.removeFirst(gone)
        isWanting = false
        guard !moves.isEmpty else {
            byNew = [:]
            return
        }
        byNew = byNew.compactMapValues { numbers in
            let left = numbers.filter { $0 >= first }
            return left.isEmpty ? nil : left
        }
    }

    /// The paths under which the store may still have what is at `path` now, newest first, and
    /// whether these are all.
    func paths(of path: [UInt8]) -> (found: [[UInt8]], isWhole: Bool) {
        guard !moves.isEmpty else { return ([], true) }
        var found: [[UInt8]] = []
        var current = path
        var limit = mark
        for _ in 0..<Self.maximumSteps {
            guard let (number, border) = lastMove(to: current, before: limit) else {
                return (found, true)
            }
            limit = number
            let move = moves[number - first]
            // An exchange leads both ways.
            let other = current[..<border] == move.new[...] ? move.old : move.new
            current = other + current[border...]
            guard current != path, !found.contains(current) else { continue }
            guard found.count < Self.maximumPaths else { return (found, false) }
            found.append(current)
        }
        return (found, false)
    }

    /// The newest move of what is at `path`, or of a directory above, and where its name ends.
    private func lastMove(to path: [UInt8], before limit: Int) -> (number: Int, border: Int)? {
        var newest: (number: Int, border: Int)?
        var prefix = Prefix()
        for (index, byte) in path.enumerated() {
            prefix.append(byte)
            let border = index + 1
            guard border == path.count || path[border] == UInt8(ascii: "/"),
                let numbers = byNew[prefix],
                let number = last(of: numbers, to: path[..<border], before: limit),
                number > newest?.number ?? -1
            else { continue }
            newest = (number, border)
        }
        return newest
    }

    /// The newest of the moves, whose numbers rise, that leads to the path.
    private func last(
        of numbers: [Int], to path: ArraySlice<UInt8>, before limit: Int
    ) -> Int? {
        numbers[..<Self.count(of: numbers, before: limit)].last {
            moves[$0 - first].new[...] == path || moves[$0 - first].old[...] == path
        }
    }

    /// Of numbers that rise.
    private static func count(of numbers: [Int], before limit: Int) -> Int {
        var (low, high) = (0, numbers.count)
        while low < high {
            let middle = (low + high) / 2
            if numbers[middle] < limit { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
