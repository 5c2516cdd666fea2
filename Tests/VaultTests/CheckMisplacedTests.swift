import Platform
import TestSupport
import Testing

@testable import Vault

/// Records, entries and sidecars that somebody moved or copied in the store.
@Suite
struct CheckMisplacedTests {
    private static let long = String(repeating: "l", count: 230)

    /// A vault with the directories `a` and `b`, a short name and a long one in each.
    private static func with(_ body: (CheckBench) throws -> Void) throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            let actor = PathActor(vault: vault)
            for name in ["a", "b"] {
                try actor.makeDirectory(name)
                try actor.write(name + "/short", [1])
                try actor.write(name + "/" + name + Self.long, [2])
            }
            vault.close()
            try body(CheckBench(bench: bench))
        }
    }

    private static func listing(_ path: String) throws -> Set<String> {
        Set(try Disk.names(in: path).map(\.string))
    }

    @Test func `a directory with another one's record is left whole until its own is back`() throws
    {
        try Self.with { bench in
            let (a, b) = (try bench.stored("a"), try bench.stored("b"))
            let own = try Disk.read(a + "/.keyfold.dir")
            let before = try Self.listing(a)
            try Disk.write(a + "/.keyfold.dir", try Disk.read(b + "/.keyfold.dir"))
            for repairs in [false, true] {
                let result = try bench.check(repairs: repairs)
                #expect(result.codes == [.recordMisplaced])
                #expect(result.findings.first?.plainPath == "a")
                #expect(result.summary.damage == 1 && result.summary.repaired == 0)
            }
            #expect(try Self.listing(a) == before)
            try Disk.write(a + "/.keyfold.dir", own)
            #expect(try bench.check(readsData: true).findings == [])
        }
    }

    @Test func `nothing moves in directories that bear one record, when some names open in both`()
        throws
    {
        try Self.with { bench in
            let (a, b) = (try bench.stored("a"), try bench.stored("b"))
            let own = try Disk.read(a + "/.keyfold.dir")
            try Disk.write(a + "/.keyfold.dir", try Disk.read(b + "/.keyfold.dir"))
            let vault = try bench.bench.open()
            try PathActor(vault: vault).write("a/later", [3])
            vault.close()
            let before = try Self.listing(a)
            let result = try bench.check(repairs: true)
            #expect(Set(result.codes) == [.recordMisplaced, .nameUndecodable])
            #expect(result.summary.repaired == 0)
            #expect(try Self.listing(a) == before)
            try Disk.write(a + "/.keyfold.dir", own)
            let again = try bench.open(["a/short", "a/a" + Self.long])
            #expect(again == [[1], [2]])
        }
    }

    /// Nobody has the record that its names were sealed under.
    @Test func `what was in a directory that began anew behind a power cut is moved`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            defer { vault.close() }
            try PathActor(vault: vault).makeDirectory("folder")
            try PathActor(vault: vault).makeDirectory("folder/below")
            let folder = try CheckBench(bench: bench).stored("folder")
            let crashed = try RecoveryTests.crashed(bench)
            let record =
                crashed.directory + folder.dropFirst(bench.directory.count)
                + "/.keyfold.dir"
            try Disk.write(record, [UInt8](repeating: 0, count: 108))
            let again = try crashed.open(RecoveryTests.afterPowerCut)
            #expect(try PathActor(vault: again).names("folder") == [])
            again.close()
            let check = CheckBench(bench: crashed)
            let result = try check.check(repairs: true)
            #expect(result.codes == [.nameUndecodable] && result.summary.repaired == 1)
            #expect(try check.check().findings == [])
        }
    }

    /// How a whole directory can come to be under a name that opens nowhere.
    enum Loss: String, CaseIterable {
        case intoDomain, intoDirectory, recordEmptied, nameChangedAndRecordGone

        /// What is said of its record.
        var recordCode: CheckCode? {
            switch self {
            case .intoDomain: .recordForeign
            case .intoDirectory: nil
            case .recordEmptied, .nameChangedAndRecordGone: .recordMissing
            }
        }
    }

    @Test(arguments: Loss.allCases)
    func `a directory of Keyfold's that was moved in the store is looked into`(
        _ loss: Loss
    ) throws {
        try Self.with { bench in
            _ = try DomainBench.make("domain", in: bench.bench)
            let vault = try bench.bench.open()
            try PathActor(vault: vault).write("domain/file", [1])
            vault.close()
            let a = try bench.stored("a")
            try bench.flip(try bench.stored("a/short"), at: 2)
            let name = a.dropFirst(bench.root.count)
            let target: String
            switch loss {
            case .intoDomain: target = try bench.stored("domain") + name
            case .intoDirectory: target = try bench.stored("b") + name
            case .recordEmptied:
                try Disk.truncate(a + "/.keyfold.dir", to: 0)
                target = try bench.stored("b") + name
            case .nameChangedAndRecordGone:
                try Disk.unlink(a + "/.keyfold.dir")
                target =
                    String(a.dropLast(5)) + (a.dropLast(4).hasSuffix("A") ? "B" : "A")
                    + a.suffix(4)
            }
            try Disk.rename(a, target)
            let result = try bench.check(repairs: true)
            let code = loss.recordCode
            #expect(
                Set(result.codes)
                    == Set([.nameUndecodable, .headerMalformed] + (code.map { [$0] } ?? [])))
            #expect(result.summary.left == (code == nil ? 1 : 3))
            #expect(Disk.exists(target) == (code != nil))
        }
    }

    @Test func `a long name stays where it is when its entry was moved away from it`() throws {
        try Self.with { bench in
            let entry = try bench.stored("a/a" + Self.long)
            let moved = try bench.stored("b") + entry.dropFirst(try bench.stored("a").count)
            try Disk.rename(entry, moved)
            for path in [nil, nil, "a"] {
                let result = try bench.check(path, repairs: true)
                #expect(result.codes.contains(.sidecarOrphan))
                #expect(result.codes.contains(.sidecarMissing) == (path == nil))
                #expect(result.summary.repaired == 0)
            }
            try Disk.rename(moved, entry)
            #expect(try bench.check().findings == [])
            #expect(try bench.open(["a/a" + Self.long]) == [[2]])
        }
    }

    @Test func `a long name goes along to lost+found, and leads back from there`() throws {
        try Self.with { bench in
            let (a, b) = (try bench.stored("a"), try bench.stored("b"))
            let entry = try bench.stored("a/a" + Self.long)
            let sidecar = CheckBench.sidecar(of: entry)
            let names = [entry, sidecar].map { $0.dropFirst(a.count) }
            for name in names { try Disk.rename(a + name, b + name) }
            #expect(try bench.check(repairs: true).summary.repaired == 1)
            // Nobody takes it away later, either.
            let again = try bench.check(repairs: true)
            #expect(again.codes == [.nameReserved] && again.isClean)
            let lost = try bench.stored("lost+found")
            let rescued = try #require(
                try Self.listing(lost).first { !$0.hasPrefix(".keyfold.") })
            try Disk.rename(lost + "/" + rescued, entry)
            try Disk.rename(lost + names[1], sidecar)
            #expect(try bench.check().findings == [])
            #expect(try bench.open(["a/a" + Self.long]) == [[2]])
        }
    }
}

extension CheckBench {
    /// What a mount reads at these paths.
    fileprivate func open(_ paths: [String]) throws -> [[UInt8]] {
        let vault = try bench.open()
        defer { vault.close() }
        return try paths.map { try PathActor(vault: vault).read($0) }
    }
}
