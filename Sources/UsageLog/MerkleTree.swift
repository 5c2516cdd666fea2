internal import Cryptography

/// The Merkle tree of RFC 6962 §2.1 over SHA-256: of a segment's events, in their order.
///
/// A leaf's hash is `SHA-256(0 ‖ leaf)`, a node's `SHA-256(1 ‖ left ‖ right)`, an empty tree's
/// `SHA-256()`; a tree of n leaves splits at the largest power of two below n.
enum MerkleTree {
    static let hashBytes = SHA256.byteCount
    static let emptyRoot = SHA256.hash([])
    /// A path is at most as long as a 64-bit number of leaves allows.
    static let maximumPathLength = 64

    static func node(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        SHA256.hash([1] + left + right)
    }

    /// The root that follows from a leaf and its audit path (RFC 6962 §2.1.1); nil when the path
    /// has not the length that index and size demand.
    static func root(
        leafHash: [UInt8], at index: UInt64, of size: UInt64, path: [[UInt8]]
    ) -> [UInt8]? {
        guard index < size, path.count <= maximumPathLength,
            path.allSatisfy({ $0.count == hashBytes })
        else { return nil }
        var (index, last, hash) = (index, size - 1, leafHash)
        for sibling in path {
            guard last > 0 else { return nil }
            if index & 1 == 1 || index == last {
                hash = node(sibling, hash)
                // A last leaf without a right neighbour stands higher up as it is.
                while index & 1 == 0, index > 0 {
                    index >>= 1
                    last >>= 1
                }
            } else {
                hash = node(hash, sibling)
            }
            index >>= 1
            last >>= 1
        }
        return last == 0 ? hash : nil
    }

    /// Whether the tree of `newSize` leaves with `newRoot` begins with the one of `oldSize` and
    /// `oldRoot` (RFC 6962 §2.1.2; the check is that of RFC 9162 §2.1.4.2).
    static func isConsistent(
        oldSize: UInt64, oldRoot: [UInt8], newSize: UInt64, newRoot: [UInt8], proof: [[UInt8]]
    ) -> Bool {
        guard oldSize <= newSize, proof.count <= 2 * maximumPathLength,
            proof.allSatisfy({ $0.count == hashBytes })
        else { return false }
        if oldSize == newSize { return proof.isEmpty && oldRoot == newRoot }
        if oldSize == 0 { return proof.isEmpty && oldRoot == emptyRoot }
        var path = proof[...]
        if oldSize & (oldSize - 1) == 0 { path = [oldRoot] + path }
        guard let first = path.popFirst() else { return false }
        var (index, last) = (oldSize - 1, newSize - 1)
        while index & 1 == 1 {
            index >>= 1
            last >>= 1
        }
        var (old, new) = (first, first)
        for hash in path {
            guard last > 0 else { return false }
            if index & 1 == 1 || index == last {
                old = node(hash, old)
                new = node(hash, new)
                while index & 1 == 0, index > 0 {
                    index >>= 1
                    last >>= 1
                }
            } else {
                new = node(new, hash)
            }
            index >>= 1
            last >>= 1
        }
        return last == 0 && old == oldRoot && new == newRoot
    }
}

/// A tree that grows leaf by leaf and knows its root: the roots of its complete subtrees, the
/// largest first. 32 bytes for each set bit of the count; appending allocates nothing.
struct MerkleFrontier {
    private(set) var count: UInt64 = 0
    private var peaks: [UInt8] = []
    /// `1 | left | right`.
    private var node: [UInt8]

    init() {
        node = [UInt8](repeating: 0, count: 1 + 2 * MerkleTree.hashBytes)
        node[0] = 1
        peaks.reserveCapacity(64 * MerkleTree.hashBytes)
    }

    /// `leafHash`: 32 bytes.
    mutating func append(leafHash: [UInt8], _ hasher: SHA256Hasher) {
        let size = MerkleTree.hashBytes
        peaks.append(contentsOf: leafHash)
        var rest = count
        while rest & 1 == 1 {
            let left = peaks.count - 2 * size
            for index in 0..<2 * size { node[1 + index] = peaks[left + index] }
            peaks.removeLast(size)
            node.withRawSpan { node in
                peaks.withMutableRawSpan { hasher.hash(node, into: &$0, at: left) }
            }
            rest >>= 1
        }
        count += 1
    }

    var root: [UInt8] {
        let size = MerkleTree.hashBytes
        guard !peaks.isEmpty else { return MerkleTree.emptyRoot }
        var root = Array(peaks.suffix(size))
        for start in stride(from: peaks.count - 2 * size, through: 0, by: -size) {
            root = MerkleTree.node(Array(peaks[start..<start + size]), root)
        }
        return root
    }
}

/// All complete subtrees of a tree, for proofs: twice the memory of its leaves.
struct MerkleLevels {
    /// `levels[k][i]` is over the leaves `i·2^k ..< (i+1)·2^k`.
    private var levels: [[[UInt8]]]

    var count: Int { levels[0].count }

    init(leafHashes: [[UInt8]]) {
        levels = [leafHashes]
        while let below = levels.last, below.count > 1 {
            levels.append(
                stride(from: 0, to: below.count - 1, by: 2).map { index in
                    MerkleTree.node(below[index], below[index + 1])
                })
        }
    }

    /// The root over some leaves; the range begins at a multiple of the power of two that is not
    /// below its length.
    private func root(_ range: Range<Int>) -> [UInt8] {
        guard !range.isEmpty else { return MerkleTree.emptyRoot }
        if range.count & (range.count - 1) == 0 {
            let level = range.count.trailingZeroBitCount
            return levels[level][range.lowerBound >> level]
        }
        let middle = range.lowerBound + MerkleLevels.split(range.count)
        return MerkleTree.node(root(range.lowerBound..<middle), root(middle..<range.upperBound))
    }

    /// The largest power of two below `count`, which is at least 2.
    private static func split(_ count: Int) -> Int {
        1 << (Int.bitWidth - 1 - (count - 1).leadingZeroBitCount)
    }

    func root(of size: Int) -> [UInt8] { root(0..<size) }

    /// The audit path of a leaf in the tree of the first `size` leaves (RFC 6962 §2.1.1).
    func path(of index: Int, in size: Int) -> [[UInt8]] {
        precondition(index >= 0 && index < size && size <= count, "BUG: a leaf outside of its tree")
        var range = 0..<size
        var path: [[UInt8]] = []
        while range.count > 1 {
            let middle = range.lowerBound + MerkleLevels.split(range.count)
            if index < middle {
                path.append(root(middle..<range.upperBound))
                range = range.lowerBound..<middle
            } else {
                path.append(root(range.lowerBound..<middle))
                range = middle..<range.upperBound
            }
        }
        return path.reversed()
    }

    /// That the first `oldSize` leaves begin the first `newSize` (RFC 6962 §2.1.2).
    func consistencyProof(from oldSize: Int, to newSize: Int) -> [[UInt8]] {
        precondition(oldSize >= 0 && oldSize <= newSize && newSize <= count, "BUG: sizes")
        guard oldSize > 0, oldSize < newSize else { return [] }
        var range = 0..<newSize
        var proof: [[UInt8]] = []
        var isComplete = true
        while range.upperBound != oldSize {
            let middle = range.lowerBound + MerkleLevels.split(range.count)
            if oldSize <= middle {
                proof.append(root(middle..<range.upperBound))
                range = range.lowerBound..<middle
            } else {
                proof.append(root(range.lowerBound..<middle))
                range = middle..<range.upperBound
                isComplete = false
            }
        }
        if !isComplete { proof.append(root(range)) }
        return proof.reversed()
    }
}
