internal import Platform
internal import Glibc

/// What is compared of two trees.
package struct TreeAspects: OptionSet, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) {
        self.rawValue = rawValue
    }

    package static let modificationTimes = TreeAspects(rawValue: 1)
    package static let owners = TreeAspects(rawValue: 2)
    package static let attributes = TreeAspects(rawValue: 4)
    package static let links = TreeAspects(rawValue: 8)
    package static let all: TreeAspects = [.modificationTimes, .owners, .attributes, .links]
}

/// Compares trees of files by what a program can see of them.
package enum FileTree {
    /// More differences than this are not listed.
    private static let maximumDifferences = 20
    private static let pieceBytes = 1 << 17

    /// One line for each difference; none when the trees are equal.
    package static func differences(
        _ first: String, _ second: String, _ aspects: TreeAspects = .all
    ) throws -> [String] {
        var comparison = Comparison(aspects: aspects)
        try comparison.compareDirectories(
            try Disk.open(first, OpenFlag.directory), try Disk.open(second, OpenFlag.directory), "")
        return comparison.differences
    }

    private struct Comparison {
        let aspects: TreeAspects
        var differences: [String] = []
        /// The first name of each file with several names, on the one side and the other.
        var groups: [UInt64: String] = [:]
        var otherGroups: [UInt64: String] = [:]

        mutating func note(_ path: String, _ what: String) {
            guard differences.count < maximumDifferences else { return }
            differences.append("\(path): \(what)")
        }

        mutating func compareDirectories(
            _ first: Descriptor, _ second: Descriptor, _ path: String
        ) throws {
            let names = try sorted(first)
            let others = try sorted(second)
            if names != others {
                let (mine, theirs) = (Set(names), Set(others))
                let missing = mine.subtracting(theirs).map { FileName($0).string }
                let extra = theirs.subtracting(mine).map { FileName($0).string }
                note(path, "names differ: only first \(missing), only second \(extra)")
            }
            for name in Set(names).intersection(others).sorted(by: {
                $0.lexicographicallyPrecedes($1)
            }) {
                let name = FileName(name)
                try compare(first, second, name, path + "/" + name.string)
            }
        }

        private func sorted(_ directory: Descriptor) throws -> [[UInt8]] {
            var stream = DirectoryStream(try directory.reopen(OpenFlag.directory))
            var names: [[UInt8]] = []
            while let entry = try stream.next() {
                if !entry.name.isDots { names.append(entry.name.bytes) }
            }
            return names.sorted { $0.lexicographicallyPrecedes($1) }
        }

        private mutating func compare(
            _ first: Descriptor, _ second: Descriptor, _ name: FileName, _ path: String
        ) throws {
            let status = try first.status(of: name)
            let other = try second.status(of: name)
            if status.mode != other.mode {
                note(path, "mode \(octal(status.mode)) and \(octal(other.mode))")
            }
            guard status.kind == other.kind else { return }
            compareNumbers(status, other, path)
            switch status.kind {
            case .regular:
                if status.sizeBytes != other.sizeBytes {
                    note(path, "size \(status.sizeBytes) and \(other.sizeBytes)")
                } else {
                    try compareContents(try first.open(name, 0), try second.open(name, 0), path)
                }
            case .symbolicLink:
                let target = try first.readSymbolicLink(name)
                let otherTarget = try second.readSymbolicLink(name)
                if target != otherTarget {
                    note(path, "target differs: \(target.count) and \(otherTarget.count) bytes")
                }
                return
            case .special:
                if status.specialDevice != other.specialDevice { note(path, "device differs") }
                return
            case .directory: break
            }
            let flags = status.kind == .directory ? OpenFlag.directory : 0
            let (node, otherNode) = (try first.open(name, flags), try second.open(name, flags))
            if aspects.contains(.attributes) { try compareAttributes(node, otherNode, path) }
            if status.kind == .directory { try compareDirectories(node, otherNode, path) }
        }

        private mutating func compareNumbers(
            _ status: FileStatus, _ other: FileStatus, _ path: String
        ) {
            if aspects.contains(.owners), (status.uid, status.gid) != (other.uid, other.gid) {
                note(path, "owner \(status.uid):\(status.gid) and \(other.uid):\(other.gid)")
            }
            if aspects.contains(.modificationTimes),
                status.modificationTime != other.modificationTime
            {
                note(path, "mtime \(status.modificationTime) and \(other.modificationTime)")
            }
            guard aspects.contains(.links), status.kind != .directory else { return }
            if status.linkCount != other.linkCount {
                note(path, "links \(status.linkCount) and \(other.linkCount)")
            }
            guard status.linkCount > 1 else { return }
            let name = groups[status.inodeNumber] ?? path
            let otherName = otherGroups[other.inodeNumber] ?? path
            groups[status.inodeNumber] = name
            otherGroups[other.inodeNumber] = otherName
            if name != otherName { note(path, "is a link to \(name) and to \(otherName)") }
        }

        private mutating func compareContents(
            _ first: Descriptor, _ second: Descriptor, _ path: String
        ) throws {
            var offset: UInt64 = 0
            while true {
                let piece = try first.read(count: pieceBytes, at: offset)
                let other = try second.read(count: pieceBytes, at: offset)
                if piece != other {
                    let at = zip(piece, other).enumerated().first { $1.0 != $1.1 }?.offset
                    note(
                        path,
                        "content differs at \(offset + UInt64(at ?? min(piece.count, other.count)))"
                    )
                    return
                }
                if piece.count < pieceBytes { return }
                offset += UInt64(piece.count)
            }
        }

        private mutating func compareAttributes(
            _ first: Descriptor, _ second: Descriptor, _ path: String
        ) throws {
            let names = try first.extendedAttributeNames().sorted()
            let others = try second.extendedAttributeNames().sorted()
            if names != others {
                note(path, "attributes \(names) and \(others)")
                return
            }
            for name in names
            where try first.extendedAttribute(name) != (try second.extendedAttribute(name)) {
                note(path, "attribute \(name) differs")
            }
        }

        private func octal(_ mode: UInt32) -> String { String(mode, radix: 8) }
    }
}
