import KMSModel
import Platform
import SealedFormat
import TestSupport
import Testing

@testable import Vault

/// Recovery, rewraps and checks of a vault with several domains.
@Suite
struct DomainMaintenanceTests {
    private static let content = pattern(50_000)

    // MARK: Recovery

    @Test func `synced overwrites come back in a nested domain`() throws {
        try DomainBench.with { bench in
            var expected = Self.content
            var vault = try bench.bench.open()
            try PathActor(vault: vault).write("inner/deep/file", expected)
            vault.close()
            let stored = try bench.stored("inner/deep/file")
            let before = try Disk.read(stored)
            vault = try bench.bench.open()
            defer { vault.close() }
            let handle = try PathActor(vault: vault).open("inner/deep/file")
            defer { vault.release(handle) }
            for (offset, seed) in [(10_000, 2), (49_000, 3)] {
                let bytes = pattern(5000, seed: UInt64(seed))
                try vault.put(handle, bytes, at: UInt64(offset))
                expected = Array((expected + bytes).prefix(max(expected.count, offset + 5000)))
                expected.replaceSubrange(offset..<offset + 5000, with: bytes)
                try vault.synchronize(handle, dataOnly: true)
            }
            let crashed = try RecoveryTests.crashed(bench.bench)
            let path = crashed.directory + stored.dropFirst(bench.bench.directory.count)
            try Disk.write(path, before)
            let again = try crashed.open(RecoveryTests.afterPowerCut)
            defer { again.close() }
            #expect(try PathActor(vault: again).read("inner/deep/file") == expected)
        }
    }

    /// A vault with a torn file, as a power cut left it.
    private static func torn(_ bench: DomainBench, _ path: String) throws -> VaultWorkbench {
        let vault = try bench.bench.open()
        defer { vault.close() }
        let actor = PathActor(vault: vault)
        let handle = try actor.create(path)
        defer { vault.release(handle) }
        try vault.put(handle, content, at: 0)
        try vault.committer?.logIntents()
        let stored = try bench.stored(path).dropFirst(bench.bench.directory.count)
        let crashed = try RecoveryTests.crashed(bench.bench)
        try Disk.open(crashed.directory + stored, OpenFlag.readWrite).truncate(to: 512 + 4124 * 5)
        return crashed
    }

    @Test(arguments: [false, true])
    func `a torn tail in a nested domain is cut, at once or when its key is there`(
        _ isOff: Bool
    ) throws {
        try DomainBench.with { bench in
            let crashed = try Self.torn(bench, "inner/deep/file")
            bench.bench.service.state.withLock { $0.refusesFiles = isOff }
            let again = try crashed.open(RecoveryTests.afterPowerCut)
            defer { again.close() }
            bench.bench.service.state.withLock { $0.refusesFiles = false }
            #expect(
                try PathActor(vault: again).read("inner/deep/file")
                    == Array(Self.content[..<20_480]))
        }
    }

    @Test func `a repair cuts a torn tail in a nested domain`() throws {
        try DomainBench.with { bench in
            let crashed = try Self.torn(bench, "inner/file")
            let check = CheckBench(bench: crashed)
            #expect(Set(try check.check().codes) == [.finalBlockMissing, .journalLeft])
            #expect(try check.check(repairs: true).codes == [.journalLeft])
            #expect(try check.check(readsData: true).findings == [])
        }
    }

    @Test(arguments: [true, false])
    func `a lost record in a nested domain comes back, or begins anew in its domain`(
        _ isInJournal: Bool
    ) throws {
        try DomainBench.with { bench in
            let vault = try bench.bench.open()
            defer { vault.close() }
            let actor = PathActor(vault: vault)
            try actor.makeDirectory("inner/folder")
            try actor.makeDirectory("inner/folder/below")
            if isInJournal { try vault.committer?.logIntents() }
            let lost = [try bench.record("inner/folder"), try bench.record("inner/folder/below")]
                .map { $0.dropFirst(bench.bench.directory.count) }
            let crashed = try RecoveryTests.crashed(bench.bench)
            for path in lost {
                try Disk.write(crashed.directory + path, [UInt8](repeating: 0, count: 108))
            }
            let again = try crashed.open(RecoveryTests.afterPowerCut)
            let second = PathActor(vault: again)
            #expect(try second.names("inner/folder") == (isInJournal ? ["below"] : []))
            try second.write("inner/folder/new", [1])
            again.close()
            let last = try crashed.open()
            defer { last.close() }
            #expect(try PathActor(vault: last).read("inner/folder/new") == [1])
            #expect(try bench.at(crashed).keys(ofFile: "inner/folder/new").count == 1)
        }
    }

    @Test(arguments: [0, 108, nil])
    func `an empty directory without a record begins anew in a later mount as well`(
        _ zeros: Int?
    ) throws {
        try DomainBench.with { bench in
            let vault = try bench.bench.open()
            for path in ["inner/folder", "inner/full"] {
                try PathActor(vault: vault).makeDirectory(path)
            }
            try PathActor(vault: vault).write("inner/full/file", [1])
            vault.close()
            for path in ["inner/folder", "inner/full"] {
                let record = try bench.record(path)
                if let zeros {
                    try Disk.write(record, [UInt8](repeating: 0, count: zeros))
                } else {
                    try Disk.unlink(record)
                }
            }
            let refusal: Errno = zeros == nil ? .noSuchFileOrDirectory : .ioError
            var options = VaultOptions()
            options.isReadOnly = true
            let reader = try bench.bench.open(options)
            #expect(errno { _ = try PathActor(vault: reader).names("inner/folder") } == refusal)
            reader.close()
            let again = try bench.bench.open()
            defer { again.close() }
            let actor = PathActor(vault: again)
            #expect(try actor.names("inner/folder") == [])
            try actor.write("inner/folder/new", [1])
            #expect(try actor.read("inner/folder/new") == [1])
            // What holds something may have been emptied by somebody.
            #expect(errno { _ = try actor.names("inner/full") } == refusal)
        }
    }

    /// A journal tells of a directory whose place the root of a domain has taken since.
    @Test func `recovery leaves a whole record of another domain alone`() throws {
        try DomainBench.with { bench in
            let vault = try bench.bench.open()
            defer { vault.close() }
            try PathActor(vault: vault).makeDirectory("folder")
            try vault.committer?.logIntents()
            let place = try bench.record("folder").dropFirst(bench.bench.directory.count)
            let record = try Disk.read(try bench.record("inner"))
            let crashed = try RecoveryTests.crashed(bench.bench)
            try Disk.write(crashed.directory + place, record)
            let again = try crashed.open(RecoveryTests.afterPowerCut)
            again.close()
            #expect(try Disk.read(crashed.directory + place) == record)
        }
    }

    // MARK: Rewraps

    private static func fill(_ bench: DomainBench) throws {
        let vault = try bench.bench.open()
        defer { vault.close() }
        for path in ["a", "inner/b", "inner/deep/c"] {
            try PathActor(vault: vault).write(path, content)
        }
    }

    private static func expectReadable(_ bench: DomainBench) throws {
        let vault = try bench.bench.open()
        defer { vault.close() }
        for path in ["a", "inner/b", "inner/deep/c"] {
            #expect(try PathActor(vault: vault).read(path) == content)
        }
    }

    private static func version(_ keys: [WrappedKey]) -> UInt32? {
        keys.first.flatMap { SymmetricBlob(decoding: $0.blob) }?.keyVersion
    }

    @Test func `a rewrap moves every domain to its key's newest version, records included`() throws
    {
        try DomainBench.with { bench in
            try Self.fill(bench)
            let before = try Disk.read(try bench.record("inner/deep"))
            bench.bench.service.state.withLock { $0.version = 2 }
            let done = try bench.rewrap()
            #expect(done.progress.rewrapped == 3 && done.progress.failed == 0)
            #expect(done.left == [])
            for domain in ["inner", "inner/deep"] {
                #expect(Self.version(try bench.keys(ofDomain: domain)) == 2)
            }
            for file in ["a", "inner/b", "inner/deep/c"] {
                #expect(Self.version(try bench.keys(ofFile: file)) == 2)
            }
            let after = try Disk.read(try bench.record("inner/deep"))
            #expect(after[..<154] == before[..<154] && after != before)
            try Self.expectReadable(bench)
            #expect(try bench.rewrap().progress.rewrapped == 0)
        }
    }

    @Test func `a rewrap to another key leaves the domains below as they are`() throws {
        try DomainBench.with { bench in
            try Self.fill(bench)
            let (first, second) = (
                "\(bench.bench.service.arn)", "\(bench.bench.service.secondARN)"
            )
            let root = try bench.rewrap(to: second)
            #expect(root.progress.rewrapped == 1 && root.left == ["inner"])
            #expect(try bench.keys(ofFile: "inner/b").map(\.keyARN) == [first])
            #expect(try bench.keys(ofDomain: "inner").map(\.keyARN) == [first])
            let deep = try bench.rewrap("inner/deep", to: second)
            #expect(deep.progress.rewrapped == 1 && deep.left == [])
            #expect(try bench.keys(ofDomain: "inner/deep").map(\.keyARN) == [second])
            #expect(try bench.keys(ofFile: "inner/deep/c").map(\.keyARN) == [second])
            #expect(try bench.keys(ofDomain: "inner").map(\.keyARN) == [first])
            // A file of a domain moves alone.
            #expect(try bench.rewrap("inner/b", to: second).progress.rewrapped == 1)
            #expect(try bench.keys(ofDomain: "inner").map(\.keyARN) == [first])
            try Self.expectReadable(bench)
        }
    }

    @Test func `a rewrap tells of a closed domain and moves the others`() throws {
        try DomainBench.with { bench in
            try Self.fill(bench)
            bench.bench.service.state.withLock { $0.version = 2 }
            bench.switchOff(bench.deep)
            let done = try bench.rewrap()
            #expect(done.failed == ["inner/deep"])
            #expect(done.progress.rewrapped == 2 && done.progress.failed == 1)
            #expect(errno { _ = try bench.rewrap("inner/deep/c") } == .noKey)
        }
    }

    // MARK: Checks

    @Test func `a vault with domains is clean, and is checked in part`() throws {
        try DomainBench.with { bench in
            try Self.fill(bench)
            let check = CheckBench(bench: bench.bench)
            let whole = try check.check(readsData: true)
            #expect(whole.findings == [])
            #expect(whole.summary.files == 3 && whole.summary.directories == 3)
            #expect(try check.check("inner/deep", repairs: true).findings == [])
            #expect(try check.check("inner/deep/c").findings == [])
        }
    }

    @Test func `damage in a domain is found`() throws {
        try DomainBench.with { bench in
            try Self.fill(bench)
            let check = CheckBench(bench: bench.bench)
            try check.flip(try bench.stored("inner/deep/c"), at: CheckBench.block(2) + 9)
            let found = try check.check(readsData: true).findings
            #expect(found.map(\.code) == [.blockDamaged])
            #expect(found.map(\.plainPath) == ["inner/deep/c"])
            let record = try bench.record("inner/deep")
            for (offset, code) in [
                (30, CheckCode.domainLinkWrong), (60, .domainLinkWrong), (100, .domainLinkWrong),
                (130, .recordChanged), (250, .recordMalformed),
            ] {
                try check.flip(record, at: UInt64(offset))
                #expect(try check.check(repairs: true).codes == [code], "\(offset)")
                try check.flip(record, at: UInt64(offset))
            }
        }
    }

    @Test func `below a closed domain only what needs no key is checked`() throws {
        try DomainBench.with { bench in
            try Self.fill(bench)
            let check = CheckBench(bench: bench.bench)
            try check.flip(try bench.stored("inner/b"), at: CheckBench.block(12) + 9)
            try check.flip(try bench.stored("inner/deep/c"), at: 2)
            bench.switchOff(bench.inner)
            let found = try check.check(readsData: true)
            #expect(Set(found.codes) == [.domainKeyUnusable, .headerMalformed])
            #expect(found.findings.first?.plainPath == "inner")
            #expect(!found.summary.isPartial)
        }
    }

    @Test func `a repair moves what has no name to lost+found in its own domain`() throws {
        try DomainBench.with { bench in
            try Self.fill(bench)
            let mount = try bench.bench.open()
            try PathActor(vault: mount).write("inner/deep/kept", Self.content)
            mount.close()
            let stored = try bench.stored("inner/deep/c")
            var name = Array(stored.utf8)
            name[name.count - 5] = name[name.count - 5] == 65 ? 66 : 65
            try Disk.rename(stored, String(decoding: name, as: UTF8.self))
            let check = CheckBench(bench: bench.bench)
            let repaired = try check.check(repairs: true)
            #expect(repaired.codes == [.nameUndecodable] && repaired.summary.repaired == 1)
            let vault = try bench.bench.open()
            defer { vault.close() }
            let actor = PathActor(vault: vault)
            let found = try #require(try actor.names("inner/deep/lost+found").first)
            #expect(try actor.read("inner/deep/lost+found/" + found) == Self.content)
            #expect(try actor.names("") == ["a", "inner"])
        }
    }
}
