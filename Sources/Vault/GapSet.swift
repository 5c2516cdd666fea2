/// Runs of blocks that were skipped by writes behind the end and not written since.
///
/// The kernel writes dirty pages back out of order, so most gaps fill at once; what is left at
/// fsync or the last close is a hole.
struct GapSet: Sendable, Equatable {
    /// With more runs than this the file counts as sparse at once.
    static let maximumRuns = 1024

    /// Sorted, disjoint, not empty.
    private(set) var runs: [Range<UInt64>] = []

    var isEmpty: Bool { runs.isEmpty }
    var isFull: Bool { runs.count >= Self.maximumRuns }

    func contains(_ block: UInt64) -> Bool {
        let index = firstIndex(endingAfter: block)
        return index < runs.count && runs[index].contains(block)
    }

    /// Adds blocks that no run holds yet, behind all of them.
    mutating func append(_ blocks: Range<UInt64>) {
        guard !blocks.isEmpty else { return }
        precondition((runs.last?.upperBound ?? 0) <= blocks.lowerBound, "BUG: gaps grow behind")
        runs.append(blocks)
    }

    /// Removes blocks that were written or cut off.
    mutating func subtract(_ blocks: Range<UInt64>) {
        guard !blocks.isEmpty, !runs.isEmpty else { return }
        let first = firstIndex(endingAfter: blocks.lowerBound)
        var last = first
        var kept: [Range<UInt64>] = []
        while last < runs.count, runs[last].lowerBound < blocks.upperBound {
            let run = runs[last]
            if run.lowerBound < blocks.lowerBound {
                kept.append(run.lowerBound..<blocks.lowerBound)
            }
            if run.upperBound > blocks.upperBound {
                kept.append(blocks.upperBound..<run.upperBound)
            }
            last += 1
        }
        runs.replaceSubrange(first..<last, with: kept)
    }

    mutating func removeAll() {
        runs = []
    }

    private func firstIndex(endingAfter block: UInt64) -> Int {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].upperBound <= block { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
