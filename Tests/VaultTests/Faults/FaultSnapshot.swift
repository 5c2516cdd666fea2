import Platform
import TestSupport

@testable import Vault

/// Everything that a mount shows.
struct FaultSnapshot: Equatable {
    struct Node: Equatable {
        var kind: UInt32
        var mode: UInt32
        var uid: UInt32
        var linkCount: UInt32
        var content: [UInt8]
        var attributes: [String: [UInt8]]
        var hasSetTime: Bool

        /// Of content only the size class may differ.
        func isAlike(_ other: Node) -> Bool {
            var (one, two) = (self, other)
            one.content = []
            two.content = []
            return one == two
        }
    }

    var nodes: [String: Node] = [:]

    /// - Throws: where anything that is there can't be read.
    static func take(_ vault: VaultFileSystem) throws -> FaultSnapshot {
        var snapshot = FaultSnapshot()
        try snapshot.add("", FaultActor(vault: vault))
        return snapshot
    }

    private mutating func add(_ directory: String, _ actor: FaultActor) throws {
        for name in try actor.names(in: directory) {
            let path = directory.isEmpty ? name : directory + "/" + name
            let entry = try actor.lookup(path)
            let kind = entry.attributes.mode & 0o170000
            var content: [UInt8] = []
            if kind == 0o100000 {
                try actor.open(path, 0)
                content = try actor.read(path, count: Int(entry.attributes.sizeBytes) + 1)
                guard content.count == Int(entry.attributes.sizeBytes) else {
                    throw Errno.outOfRange
                }
                try actor.release(path)
            } else if kind == 0o120000 {
                content = try actor.vault.readSymbolicLink(entry.inode)
            }
            var attributes: [String: [UInt8]] = [:]
            if kind != 0o120000, kind != 0o010000 {
                for name in try actor.vault.extendedAttributeNames(of: entry.inode) {
                    attributes[String(decoding: name, as: UTF8.self)] =
                        try actor.vault.extendedAttribute(name, of: entry.inode)
                }
            }
            nodes[path] = Node(
                kind: kind, mode: entry.attributes.mode & 0o7777, uid: entry.attributes.uid,
                linkCount: kind == 0o040000 ? 0 : entry.attributes.linkCount, content: content,
                attributes: attributes,
                hasSetTime: entry.attributes.modificationTime == FaultBench.setTime)
            if kind == 0o040000 { try add(path, actor) }
        }
    }

    // MARK: Comparing

    /// Why this is none of the states: names and attributes must be as in one of them. Of contents
    /// each block of 4 KiB may be as in any, where `isMixed`, and a file that grew may end anywhere
    /// in between.
    func difference(from states: [FaultSnapshot], isMixed: Bool) -> String? {
        if states.contains(self) { return nil }
        let closest = states.map { Self.difference(self, $0) }
        guard isMixed else { return closest.joined(separator: " | ") }
        for state in states where Set(state.nodes.keys) == Set(nodes.keys) {
            let odd = nodes.first { path, node in
                let known = states.compactMap { $0.nodes[path] }
                return !known.contains { node.isAlike($0) }
                    || !Self.isMixture(node.content, of: known.map(\.content))
            }
            guard let odd else { return nil }
            return "\(odd.key): \(odd.value.content.count) bytes are no mixture of the states"
        }
        return closest.joined(separator: " | ")
    }

    private static func isMixture(_ content: [UInt8], of states: [[UInt8]]) -> Bool {
        let sizes = states.map(\.count)
        guard let least = sizes.min(), let most = sizes.max(),
            (least...most).contains(content.count)
        else { return false }
        return stride(from: 0, to: content.count, by: 4096).allSatisfy { start in
            let block = content[start..<min(start + 4096, content.count)]
            if block.allSatisfy({ $0 == 0 }) { return true }
            return states.contains { state in
                let same = state.dropFirst(start).prefix(block.count)
                return block.starts(with: same)
                    && block.dropFirst(same.count).allSatisfy { $0 == 0 }
            }
        }
    }

    private static func difference(_ one: FaultSnapshot, _ two: FaultSnapshot) -> String {
        let paths = Set(one.nodes.keys).union(two.nodes.keys).sorted()
        return paths.filter { one.nodes[$0] != two.nodes[$0] }.map { path in
            let short = path.count > 40 ? String(path.prefix(10)) + "…" : path
            return "\(short): \(describe(one.nodes[path])), not \(describe(two.nodes[path]))"
        }.joined(separator: "; ")
    }

    private static func describe(_ node: Node?) -> String {
        guard let node else { return "absent" }
        let names = node.attributes.keys.sorted().joined(separator: ",")
        return "\(String(node.kind | node.mode, radix: 8)) uid \(node.uid) "
            + "\(node.linkCount) names, \(node.content.count) bytes, [\(names)]"
            + (node.hasSetTime ? " set time" : "")
    }
}
