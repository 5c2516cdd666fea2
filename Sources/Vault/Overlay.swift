import SealedFormat

/// Sealed blocks of one file that are newer than the store's, by index.
///
/// A block that holds data from before the last sync stays in the store until its new content is
/// durable in the journal; until then, and until it was put in its place, reads find it here.
struct Overlay: Sendable {
    struct Block: Sendable {
        /// 29…4,124 bytes.
        let bytes: [UInt8]
        /// When it was written, in the order of this overlay's writes.
        let stamp: UInt64
    }

    private(set) var blocks: [UInt64: Block] = [:]
    private(set) var byteCount = 0
    private var lastStamp: UInt64 = 0

    var isEmpty: Bool { blocks.isEmpty }

    subscript(block: UInt64) -> [UInt8]? { blocks[block]?.bytes }

    mutating func put(_ bytes: [UInt8], at block: UInt64) {
        lastStamp += 1
        let new = Block(bytes: bytes, stamp: lastStamp)
        if let old = blocks.updateValue(new, forKey: block) { byteCount -= old.bytes.count }
        byteCount += bytes.count
    }

    mutating func remove(_ block: UInt64) {
        if let old = blocks.removeValue(forKey: block) { byteCount -= old.bytes.count }
    }

    /// Removes the blocks of a range, whatever its size.
    mutating func remove(in range: Range<UInt64>) {
        if range.upperBound - range.lowerBound < UInt64(blocks.count) {
            for block in range { remove(block) }
        } else {
            for block in blocks.keys where range.contains(block) { remove(block) }
        }
    }

    /// Removes what was put in its place, but for blocks that were written again meanwhile.
    mutating func remove(_ placed: [PlacedBlock]) {
        for block in placed {
            guard let place = blocks.index(forKey: block.index),
                blocks[place].value.stamp == block.stamp
            else { continue }
            byteCount -= blocks.remove(at: place).value.bytes.count
        }
    }

    mutating func removeAll() {
        blocks = [:]
        byteCount = 0
    }

    func count(below limit: UInt64) -> Int {
        limit == .max ? blocks.count : blocks.keys.count { $0 < limit }
    }

    struct PlacedBlock: Sendable {
        let index: UInt64
        let stamp: UInt64
    }

    /// Blocks that follow each other and can go to the store with one write.
    struct Run: Sendable {
        let firstBlock: UInt64
        let blocks: [PlacedBlock]
        /// Of each block. Megabytes are copied once at most: to where they are written from.
        fileprivate let contents: [[UInt8]]
        let byteCount: Int

        func append(to bytes: inout [UInt8]) {
            for content in contents { bytes += content }
        }
    }

    /// The blocks of a range in order, as runs of at most `maximumBytes`, and no more of them than
    /// `budgetBytes` (or one block).
    func runs(in range: Range<UInt64>, maximumBytes: Int, budgetBytes: Int = .max) -> [Run] {
        var runs: [Run] = []
        var following: [UInt64] = []
        var byteCount = 0
        var budget = budgetBytes
        for index in blocks.keys.sorted() where range.contains(index) {
            guard let block = blocks[index] else { continue }
            budget -= block.bytes.count
            if budget < 0, !(runs.isEmpty && following.isEmpty) { break }
            if let last = following.last,
                last + 1 != index || byteCount + block.bytes.count > maximumBytes
            {
                runs.append(run(following, byteCount: byteCount))
                following = []
                byteCount = 0
            }
            following.append(index)
            byteCount += block.bytes.count
        }
        if !following.isEmpty { runs.append(run(following, byteCount: byteCount)) }
        return runs
    }

    /// The blocks of `runs` that none of `newer` has, as runs.
    static func runs(_ runs: [Run], without newer: [Run]) -> [Run] {
        let taken = Set(newer.lazy.flatMap { $0.blocks.lazy.map(\.index) })
        return runs.flatMap { run in
            run.blocks.indices.split { taken.contains(run.blocks[$0].index) }.map { left in
                let contents = Array(run.contents[left.startIndex..<left.endIndex])
                return Run(
                    firstBlock: run.blocks[left.startIndex].index,
                    blocks: Array(run.blocks[left.startIndex..<left.endIndex]), contents: contents,
                    byteCount: contents.reduce(0) { $0 + $1.count })
            }
        }
    }

    /// Of blocks that follow each other.
    private func run(_ following: [UInt64], byteCount: Int) -> Run {
        var (placed, contents): ([PlacedBlock], [[UInt8]]) = ([], [])
        placed.reserveCapacity(following.count)
        contents.reserveCapacity(following.count)
        for index in following {
            guard let block = blocks[index] else { continue }
            placed.append(PlacedBlock(index: index, stamp: block.stamp))
            contents.append(block.bytes)
        }
        return Run(
            firstBlock: following[0], blocks: placed, contents: contents, byteCount: byteCount)
    }
}
