import Platform
import TestSupport

/// One change that somebody makes who can write the store and has no key.
enum Mutation: CustomStringConvertible {
    case flip(String, at: Int, bit: UInt8)
    case zero(String, Range<Int>)
    case truncate(String, to: Int)
    case extend(String, by: Int)
    case swapBlocks(String, Int, Int)
    case splice(from: String, to: String, Range<Int>)
    /// The two stored files change places.
    case exchange(String, String)
    /// A second copy under a stored name that no writer made.
    case duplicate(String, as: String)
    /// Into another directory, under the same stored name.
    case move(String, to: String)
    case remove(String)
    case replaceByFIFO(String)
    case replaceByDirectory(String)
    case replaceByLink(String)
    /// A whole file as an earlier version of the vault had it.
    case replay(String)
    /// One block of it.
    case replayBlock(String, Int)

    var description: String {
        switch self {
        case .flip(let path, let offset, let bit): "flip bit \(bit) at \(offset) of \(path)"
        case .zero(let path, let range): "zero \(range) of \(path)"
        case .truncate(let path, let size): "cut \(path) to \(size)"
        case .extend(let path, let count): "append \(count) bytes to \(path)"
        case .swapBlocks(let path, let a, let b): "swap blocks \(a) and \(b) of \(path)"
        case .splice(let from, let to, let range): "copy \(range) of \(from) to \(to)"
        case .exchange(let a, let b): "exchange \(a) and \(b)"
        case .duplicate(let path, let name): "copy \(path) to \(name)"
        case .move(let path, let directory): "move \(path) to \(directory)"
        case .remove(let path): "remove \(path)"
        case .replaceByFIFO(let path): "a FIFO in place of \(path)"
        case .replaceByDirectory(let path): "a directory in place of \(path)"
        case .replaceByLink(let path): "a link in place of \(path)"
        case .replay(let path): "the earlier \(path)"
        case .replayBlock(let path, let block): "the earlier block \(block) of \(path)"
        }
    }

    /// Whether docs/threat-model.md names it among what can't be seen.
    var isWithinLimits: Bool {
        switch self {
        case .exchange, .remove, .replay, .replayBlock: true
        default: false
        }
    }

    /// Vaults may have FIFOs of their own, and kinds are not sealed: a mount shows one.
    var isSeenByCheck: Bool {
        if case .replaceByFIFO(let path) = self { return !MutationTargets.isSealed(path) }
        return true
    }

    static let headerBytes = 512
    static let blockBytes = 4124

    // MARK: Carrying it out

    /// - Parameter earlier: the vault as it was before.
    /// - Returns: whether a byte or a name is different now.
    func apply(below root: String, earlier: String) throws -> Bool {
        func change(_ path: String, _ body: (inout [UInt8]) -> Void) throws -> Bool {
            let before = try Disk.read(root + "/" + path)
            var bytes = before
            body(&bytes)
            try Disk.write(root + "/" + path, bytes)
            return bytes != before
        }
        switch self {
        case .flip(let path, let offset, let bit):
            return try change(path) { $0[offset] ^= 1 << bit }
        case .zero(let path, let range):
            return try change(path) { bytes in for index in range { bytes[index] = 0 } }
        case .truncate(let path, let size):
            return try change(path) { $0.removeLast($0.count - size) }
        case .extend(let path, let count):
            return try change(path) { $0 += pattern(count, seed: 99) }
        case .swapBlocks(let path, let a, let b):
            return try change(path) { bytes in
                let (one, two) = (Self.range(a), Self.range(b))
                let first = Array(bytes[one])
                bytes.replaceSubrange(one, with: bytes[two])
                bytes.replaceSubrange(two, with: first)
            }
        case .splice(let from, let to, let range):
            let source = try Disk.read(root + "/" + from)
            return try change(to) { $0.replaceSubrange(range, with: source[range]) }
        case .replay(let path):
            let old = try Disk.read(earlier + "/" + path)
            return try change(path) { $0 = old }
        case .replayBlock(let path, let block):
            let old = try Disk.read(earlier + "/" + path)
            return try change(path) {
                $0.replaceSubrange(Self.range(block), with: old[Self.range(block)])
            }
        default:
            try applyToNames(root)
            return true
        }
    }

    private func applyToNames(_ root: String) throws {
        switch self {
        case .exchange(let a, let b):
            try Disk.rename(root + "/" + a, root + "/" + b, flags: RenameFlag.exchange)
        case .duplicate(let path, let name):
            try Disk.write(root + "/" + name, try Disk.read(root + "/" + path))
        case .move(let path, let directory):
            let name = path.split(separator: "/").last.map(String.init) ?? path
            try Disk.rename(root + "/" + path, root + "/" + directory + "/" + name)
        case .remove(let path):
            try Disk.unlink(root + "/" + path)
        case .replaceByFIFO(let path):
            try Disk.unlink(root + "/" + path)
            try Disk.makeNode(root + "/" + path, mode: 0o010644)
        case .replaceByDirectory(let path):
            try Disk.unlink(root + "/" + path)
            try Disk.makeDirectory(root + "/" + path)
        case .replaceByLink(let path):
            try Disk.unlink(root + "/" + path)
            try Disk.symbolicLink(root + "/" + path, to: "/etc/passwd")
        default:
            preconditionFailure("BUG: \(self) changes bytes")
        }
    }

    static func range(_ block: Int) -> Range<Int> {
        let start = headerBytes + block * blockBytes
        return start..<start + blockBytes
    }
}

/// What lies in a store, for mutations to be drawn from.
struct MutationTargets {
    /// Regular files with their sizes, below the vault's directory: sealed ones, records, sidecars,
    /// the config.
    let files: [(path: String, size: Int)]
    /// Those among them that `earlier` has with another content.
    let changed: [(path: String, size: Int)]
    let directories: [String]

    init(below root: String, earlier: String) throws {
        let lines = try Command("find", root, "-printf", "%y %s %P\n").run().lines
        var files: [(String, Int)] = []
        var directories: [String] = []
        for line in lines {
            let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            let path = String(words[2])
            if path.hasPrefix(".keyfold.journal") || path == ".keyfold.lock" { continue }
            if words[0] == "d" { directories.append(path) }
            if words[0] == "f" { files.append((path, Int(words[1]) ?? 0)) }
        }
        self.files = files.filter { $0.1 > 0 }
        self.directories = directories.filter { !$0.isEmpty }
        changed = try files.filter { path, _ in
            guard Disk.exists(earlier + "/" + path) else { return false }
            let old = try Disk.read(earlier + "/" + path)
            return try Disk.read(root + "/" + path) != old
        }
    }

    /// Blocks that are whole in a stored file.
    static func wholeBlocks(_ size: Int) -> Int {
        max(0, (size - Mutation.headerBytes) / Mutation.blockBytes)
    }

    static func isSealed(_ path: String) -> Bool {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return !name.hasPrefix(".keyfold.dir") && !name.hasPrefix(".keyfold.name")
            && name != "keyfold.json"
    }

    /// nil when the drawn kind has nothing to work on.
    func draw(_ source: inout RandomSource) -> Mutation? {
        let (path, size) = files[source.number(0..<files.count)]
        let (other, otherSize) = files[source.number(0..<files.count)]
        let sealed = files.filter { Self.isSealed($0.path) }
        let (victim, victimSize) = sealed[source.number(0..<sealed.count)]
        switch source.number(0..<16) {
        case 0, 1, 2:
            return .flip(path, at: source.number(0..<size), bit: UInt8(source.number(0..<8)))
        case 3:
            let start = source.number(0..<size)
            return .zero(path, start..<min(size, start + source.number(1..<6000)))
        case 4:
            let blocks = Self.wholeBlocks(victimSize)
            let border = Mutation.headerBytes + source.number(0..<blocks + 1) * Mutation.blockBytes
            return border < victimSize ? .truncate(victim, to: border) : nil
        case 5: return .truncate(path, to: source.number(0..<size))
        case 6: return .extend(path, by: source.number(1..<9000))
        case 7:
            let blocks = Self.wholeBlocks(victimSize)
            guard blocks > 1 else { return nil }
            let (a, b) = (source.number(0..<blocks), source.number(0..<blocks))
            return a == b ? nil : .swapBlocks(victim, a, b)
        case 8:
            let common = min(size, otherSize)
            let start = source.number(0..<common)
            let end = source.number(start..<common) + 1
            return path == other ? nil : .splice(from: path, to: other, start..<end)
        case 9:
            let (two, _) = sealed[source.number(0..<sealed.count)]
            return two == victim ? nil : .exchange(victim, two)
        case 10:
            let alphabet = Array("ABCDEFGHabcdefgh01234567-_")
            let name = String((0..<43).map { _ in alphabet[source.number(0..<alphabet.count)] })
            return .duplicate(victim, as: name)
        case 11:
            let directory = directories[source.number(0..<directories.count)]
            return victim.hasPrefix(directory + "/")
                && !victim.dropFirst(directory.count + 1).contains("/")
                ? nil : .move(victim, to: directory)
        case 12: return .remove(victim)
        case 13:
            return [.replaceByFIFO(path), .replaceByDirectory(path), .replaceByLink(path)][
                source.number(0..<3)]
        case 14:
            guard !changed.isEmpty else { return nil }
            return .replay(changed[source.number(0..<changed.count)].path)
        default:
            let whole = changed.filter { Self.wholeBlocks($0.size) > 0 && Self.isSealed($0.path) }
            guard !whole.isEmpty else { return nil }
            let (path, size) = whole[source.number(0..<whole.count)]
            return .replayBlock(path, source.number(0..<Self.wholeBlocks(size)))
        }
    }
}
