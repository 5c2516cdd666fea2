import Foundation
import Platform
import TestSupport
import Testing

@testable import Vault

/// Vaults with one change each, of any kind, in any place: nothing wrong is ever read, and what
/// docs/threat-model.md does not name as a limit is seen.
///
/// KEYFOLD_MUTATIONS is how many (180), KEYFOLD_MUTATION_SEED where they begin (1).
@Suite(.serialized)
struct MutationTests {
    private static let sparse = "sparse"
    private static let longName = String(repeating: "long ", count: 45)

    private static func number(_ name: String, _ usual: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? usual
    }

    /// A vault with something of everything; `earlier` is a copy of it from before a few changes.
    private static func fill(_ bench: VaultWorkbench, earlier: String) throws {
        for path in ["domain", "domain/second"] { _ = try DomainBench.make(path, in: bench) }
        let vault = try bench.open()
        defer { vault.close() }
        let folder = try makeDirectory("folder", in: .root, vault)
        let inner = try makeDirectory("inner", in: folder, vault)
        for (name, parent, size) in [
            ("small", InodeID.root, 100), ("blocks", .root, 5 * 4096 + 77),
            ("whole", folder, 3 * 4096), (longName, folder, 6000), ("deep", inner, 9000),
            ("other", inner, 2 * 4096),
        ] {
            try make(name, in: parent, pattern(size, seed: UInt64(name.utf8.count)), vault)
        }
        let actor = PathActor(vault: vault)
        try actor.makeDirectory("domain/folder")
        for path in ["domain/apart", "domain/folder/below", "domain/second/apart"] {
            try actor.write(path, pattern(9000, seed: UInt64(path.utf8.count)))
        }
        try make("empty", in: .root, [], vault)
        let holes = try make(sparse, in: .root, pattern(4096, seed: 50), vault, keepsOpen: true)
        try vault.put(holes, pattern(500, seed: 51), at: 6 * 4096)
        try vault.synchronize(holes, dataOnly: false)
        vault.release(holes)
        for (name, target) in [("link", "blocks"), ("link 2", "folder/whole")] {
            _ = try vault.makeSymbolicLink(
                FileName(name), in: .root, target: Array(target.utf8),
                as: VaultWorkbench.requester)
        }
        let small = try vault.lookup(FileName("small"), in: .root).inode
        _ = try vault.link(small, as: FileName("second name"), in: folder)
        try vault.setExtendedAttribute(
            Array("user.test".utf8), of: small, to: Array("value".utf8), flags: 0)
        try vault.synchronizeAll()
        try Command("cp", "-a", bench.directory, earlier).run()
        for (name, offset) in [("small", 50), ("blocks", 4096), ("blocks", 12_288)] {
            let handle = try bench.open(name, in: vault)
            try vault.put(handle, pattern(4000, seed: UInt64(offset)), at: UInt64(offset))
            try vault.synchronize(handle, dataOnly: false)
            vault.release(handle)
        }
    }

    private static func makeDirectory(
        _ name: String, in parent: InodeID, _ vault: VaultFileSystem
    ) throws -> InodeID {
        try vault.makeDirectory(
            FileName(name), in: parent, mode: 0o755, as: VaultWorkbench.requester
        ).inode
    }

    @discardableResult
    private static func make(
        _ name: String, in parent: InodeID, _ content: [UInt8], _ vault: VaultFileSystem,
        keepsOpen: Bool = false
    ) throws -> HandleID {
        let handle = try vault.create(
            FileName(name), in: parent, mode: 0o644,
            flags: OpenFlags(rawValue: OpenFlag.readWrite | OpenFlag.create),
            as: VaultWorkbench.requester
        ).1
        if !content.isEmpty { try vault.put(handle, content, at: 0) }
        if !keepsOpen { vault.release(handle) }
        return handle
    }

    // MARK: Reading

    private static func read(_ bench: VaultWorkbench) throws -> MutationReader.Shown {
        let vault = try bench.open()
        defer { vault.close() }
        return MutationReader.read(vault)
    }

    private static func readAt(_ directory: String, like bench: VaultWorkbench) throws
        -> MutationReader.Shown
    {
        let copy = VaultWorkbench(service: bench.service, directory: directory + ".read")
        try Command("cp", "-a", directory, copy.directory).run()
        defer { _ = try? Command("rm", "-rf", copy.directory).run() }
        return try read(copy)
    }

    /// What is shown and is not what was written: a file's blocks must all be those of one file in
    /// the domain, each in any of its versions.
    private static func wrong(
        _ shown: MutationReader.Shown, _ known: [MutationReader.Shown]
    ) -> [String] {
        var found: [String] = []
        let files = known.map { $0.files.compactMapValues(\.self) }
        for case (let path, let file?) in shown.files {
            if !files.contains(where: { $0[path] != nil }) { found.append("\(path) never was") }
            let isKnown = Set(files.flatMap(\.keys)).contains { origin in
                let versions = files.compactMap { $0[origin] }
                return file.blocks.enumerated().allSatisfy { index, block in
                    guard let block else { return true }
                    if origin == sparse, block.allSatisfy({ $0 == 0 }) { return true }
                    return versions.contains {
                        index < $0.blocks.count && $0.blocks[index] == block
                    }
                }
            }
            if !isKnown { found.append("\(path): its content is nobody's") }
            let values = files.flatMap { $0.values.compactMap { $0.attributes["user.test"] } }
            for case (let name, let value?) in file.attributes
            where name != "user.test" || !values.contains(value) {
                found.append("\(path): attribute \(name)")
            }
        }
        let targets = known.flatMap { $0.links.values.compactMap(\.self) }
        for case (let path, let target?) in shown.links where !targets.contains(target) {
            found.append("\(path): a link to \(target.count) bytes that nobody made")
        }
        let names = known.reduce(into: Set<String>()) { all, one in
            all.formUnion(one.directories)
            all.formUnion(one.links.keys)
            all.formUnion(one.files.keys)
        }
        for path in shown.directories where !names.contains(path) {
            found.append("\(path): a directory that never was")
        }
        return found
    }

    // MARK: Tests

    @Test func `no change of a store is read as content, and all that can be seen is`() throws {
        try VaultWorkbench.with { bench in
            let earlier = bench.directory + ".earlier"
            try Self.fill(bench, earlier: earlier)
            let base = try Self.read(bench)
            let known = [base, try Self.readAt(earlier, like: bench)]
            #expect(Self.wrong(base, known) == [])
            let targets = try MutationTargets(below: bench.directory, earlier: earlier)
            let first = Self.number("KEYFOLD_MUTATION_SEED", 1)
            for seed in first..<first + Self.number("KEYFOLD_MUTATIONS", 180) {
                var source = RandomSource(seed: UInt64(seed))
                guard let mutation = targets.draw(&source) else { continue }
                try Self.look(
                    mutation, seed: seed, bench, earlier: earlier, base, known,
                    checks: seed.isMultiple(of: 4))
            }
        }
    }

    private static func look(
        _ mutation: Mutation, seed: Int, _ bench: VaultWorkbench, earlier: String,
        _ base: MutationReader.Shown, _ known: [MutationReader.Shown], checks: Bool
    ) throws {
        let copy = VaultWorkbench(service: bench.service, directory: bench.directory + ".changed")
        try Command("cp", "-a", bench.directory, copy.directory).run()
        defer { _ = try? Command("rm", "-rf", copy.directory).run() }
        let what: Comment = "seed \(seed): \(mutation)"
        guard try mutation.apply(below: copy.directory, earlier: earlier) else { return }
        let mustBeSeen = !mutation.isWithinLimits && !isHole(mutation, copy, bench)
        if checks, mustBeSeen, mutation.isSeenByCheck {
            let result = try? CheckBench(bench: copy).check(readsData: true)
            #expect(result.map { !$0.isClean } ?? true, "keyfold check, \(what)")
        }
        let shown: MutationReader.Shown
        do {
            shown = try read(copy)
        } catch is VaultError {
            return  // The mount is refused.
        }
        #expect(wrong(shown, known) == [], what)
        if mustBeSeen { #expect(shown != base, what) }
    }

    /// Zeros over whole blocks of a file that has holes.
    private static func isHole(
        _ mutation: Mutation, _ copy: VaultWorkbench, _ bench: VaultWorkbench
    ) -> Bool {
        guard case .zero(let path, _) = mutation else { return false }
        // The header's flag, in plain text: docs/format.md §4.1.
        let head = (try? Disk.read(bench.directory + "/" + path)) ?? []
        return MutationTargets.isSealed(path) && head.count > 16 && head[15] & 1 == 1
    }
}
