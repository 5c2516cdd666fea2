import Cryptography
import Foundation
import Testing

@testable import UsageLog

@Suite struct MerkleTests {
    /// The values of the lines with a name, by case.
    private static func vectors() throws -> [String: [String: [[UInt8]]]] {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Vectors/rfc6962-merkle.txt")
        var cases: [String: [String: [[UInt8]]]] = [:]
        var name = ""
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            if line.hasPrefix("#") { continue }
            if parts[0] == "case" {
                name = parts[1]
                continue
            }
            let value = parts.count > 1 ? parts[1] : ""
            cases[name, default: [:]][parts[0], default: []].append(
                try #require(bytesOfHex(value)))
        }
        return cases
    }

    private static func leafHashes() throws -> [[UInt8]] {
        try #require(try vectors()["roots"]?["leaf"]).map { SHA256.hash([0] + $0) }
    }

    @Test func `roots are those of the reference tree`() throws {
        let roots = try #require(try MerkleTests.vectors()["roots"]?["root"])
        let leaves = try MerkleTests.leafHashes()
        #expect(leaves.count == 8 && roots.count == 9)
        let levels = MerkleLevels(leafHashes: leaves)
        let hasher = SHA256Hasher()
        var frontier = MerkleFrontier()
        #expect(frontier.root == roots[0])
        for (index, leaf) in leaves.enumerated() {
            frontier.append(leafHash: leaf, hasher)
            #expect(frontier.root == roots[index + 1])
            #expect(levels.root(of: index + 1) == roots[index + 1])
        }
    }

    @Test func `proofs are those of the reference tree`() throws {
        let vectors = try MerkleTests.vectors()
        let levels = MerkleLevels(leafHashes: try MerkleTests.leafHashes())
        #expect(levels.path(of: 5, in: 8) == vectors["inclusion of 5 in 8"]?["proof"])
        #expect(
            levels.consistencyProof(from: 3, to: 8) == vectors["consistency of 3 and 8"]?["proof"])
    }

    /// All sizes to 70: each proof holds, and none holds for another leaf, index, size or root.
    @Test func `a proof proves its own leaf and nothing else`() {
        let leaves = (0..<70).map { SHA256.hash([UInt8($0)]) }
        let levels = MerkleLevels(leafHashes: leaves)
        for size in 1...leaves.count {
            let root = levels.root(of: size)
            for index in 0..<size {
                let path = levels.path(of: index, in: size)
                func proves(_ leaf: [UInt8], _ index: Int, _ size: Int, _ path: [[UInt8]]) -> Bool {
                    MerkleTree.root(
                        leafHash: leaf, at: UInt64(index), of: UInt64(size), path: path) == root
                }
                #expect(proves(leaves[index], index, size, path))
                #expect(!proves(leaves[(index + 1) % leaves.count], index, size, path))
                #expect(!proves(leaves[index], index + 1, size, path))
                #expect(!proves(leaves[index], index, size, path + [root]))
                if !path.isEmpty {
                    #expect(!proves(leaves[index], index, size, Array(path.dropLast())))
                    #expect(
                        !proves(
                            leaves[index], index, size,
                            path.dropFirst() + [path[0]].map { SHA256.hash($0) }))
                }
            }
        }
    }

    @Test func `a tree is consistent with its own beginnings and with no other tree`() {
        let leaves = (0..<40).map { SHA256.hash([UInt8($0)]) }
        let levels = MerkleLevels(leafHashes: leaves)
        for new in 0...leaves.count {
            for old in 0...new {
                let proof = levels.consistencyProof(from: old, to: new)
                func isConsistent(_ oldRoot: [UInt8], _ proof: [[UInt8]]) -> Bool {
                    MerkleTree.isConsistent(
                        oldSize: UInt64(old), oldRoot: oldRoot, newSize: UInt64(new),
                        newRoot: levels.root(of: new), proof: proof)
                }
                #expect(isConsistent(levels.root(of: old), proof), "\(old) in \(new)")
                #expect(!isConsistent(SHA256.hash([1]), proof))
                #expect(!isConsistent(levels.root(of: old), proof + [SHA256.hash([2])]))
                for index in proof.indices {
                    var changed = proof
                    changed[index][7] ^= 1
                    #expect(!isConsistent(levels.root(of: old), changed))
                }
            }
        }
    }
}
