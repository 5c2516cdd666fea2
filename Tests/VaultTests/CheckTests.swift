import KMSModel
import Platform
import SealedFormat
import Synchronization
import TestSupport
import Testing

@testable import Vault

@Suite
struct CheckTests {
    @Test(arguments: [false, true])
    func `a vault that nobody harmed is clean`(_ readsData: Bool) throws {
        try CheckBench.with { bench in
            let result = try bench.check(readsData: readsData, repairs: readsData)
            #expect(result.findings == [])
            #expect(result.isClean)
            // victim twice, bystander, long name, inner, empty, link, pipe
            #expect(result.summary.files == 8)
            #expect(result.summary.directories == 2)
            let sealed = UInt64(512 + CheckBench.content.count + 6 * 28)
            #expect(result.summary.bytes == 5 * sealed)
        }
    }

    @Test func `a part of the tree is checked alone`() throws {
        try CheckBench.with { bench in
            try bench.flip(try bench.stored("victim"), at: 40)
            try bench.flip(try bench.stored("folder/inner"), at: CheckBench.block(2) + 5)
            #expect(try bench.check("bystander", readsData: true).isClean)
            let folder = try bench.check("folder/", readsData: true)
            #expect(Set(folder.codes) == [.blockDamaged, .headerChanged])
            #expect(
                Set(folder.findings.map(\.plainPath)) == ["folder/inner", "folder/second name"])
            #expect(try bench.check("victim").codes == [.headerChanged])
            #expect(throws: VaultError.self) { try bench.check("nowhere") }
            #expect(throws: VaultError.self) { try bench.check("victim/inside") }
        }
    }

    @Test func `blocks in the middle are read with read-data only`() throws {
        try CheckBench.with { bench in
            let file = try bench.stored("bystander")
            for block in [1, 3, 4] as [UInt64] {
                try bench.flip(file, at: CheckBench.block(block) + 100)
            }
            #expect(try bench.check().isClean)
            let result = try bench.check(readsData: true)
            #expect(result.codes == [.blockDamaged])
            #expect(result.findings.first?.detail == "blocks 1, 3…4")
            #expect(result.findings.first?.storedPath == bench.below(file))
        }
    }

    @Test func `hard links are one file, a copy is not`() throws {
        try CheckBench.with { bench in
            let bytes = try Disk.read(try bench.stored("victim"))
            try Disk.write(try bench.stored("bystander"), bytes)
            let result = try bench.check()
            #expect(result.codes == [.fileIDDuplicate])
            let victims: Set = ["victim", "bystander", "folder/second name"]
            #expect(result.findings.allSatisfy { victims.contains($0.plainPath ?? "") })
        }
    }

    /// What btrfs leaves of directories that were made just before a power cut.
    @Test(arguments: ["rm", ": >", "head -c 74 /dev/zero >"], [false, true])
    func `directories without records go in a repair, unless a file is below them`(
        _ loss: String, _ hasFile: Bool
    ) throws {
        try CheckBench.with { bench in
            let vault = try bench.bench.open()
            var parent = InodeID.root
            for name in ["new", "below", "deep"] {
                parent = try vault.makeDirectory(
                    FileName(name), in: parent, mode: 0o755, as: VaultWorkbench.requester
                ).inode
            }
            if hasFile {
                let handle = try vault.create(
                    FileName("file"), in: parent, mode: 0o644,
                    flags: OpenFlags(rawValue: OpenFlag.readWrite | OpenFlag.create),
                    as: VaultWorkbench.requester
                ).1
                try vault.put(handle, [1, 2, 3], at: 0)
                vault.release(handle)
            }
            vault.close()
            let stored = try bench.stored("new")
            try Command.shell(
                "for d in $(find \"$1\" -name .keyfold.dir); do \(loss) $d; done", stored
            ).run()
            let found = try bench.check()
            if hasFile {
                #expect(found.codes.contains(.recordMissing))
                #expect(!found.codes.contains(.directoryUnmade))
                _ = try bench.check(repairs: true)
                #expect(Disk.exists(stored))
            } else {
                #expect(found.codes == [.directoryUnmade])
                #expect(found.findings.first?.plainPath == "new")
                #expect(try bench.check(repairs: true).summary.repaired == 1)
                #expect(!Disk.exists(stored))
                #expect(try bench.check().isClean)
            }
        }
    }

    /// Somebody has worked in a directory that has one of these below it.
    @Test(arguments: ["record", "attribute"])
    func `a directory that lost its record stays with what was made in it`(
        _ kind: String
    ) throws {
        try CheckBench.with { bench in
            let vault = try bench.bench.open()
            let actor = PathActor(vault: vault)
            for path in ["proj", "proj/src", "proj/test", "proj/test/unit"] {
                try actor.makeDirectory(path)
            }
            if kind == "attribute" {
                try vault.setExtendedAttribute(
                    Array("user.note".utf8), of: try actor.find("proj/src"), to: [1], flags: 0)
            }
            vault.close()
            let stored = try bench.stored("proj")
            let own = try Disk.read(stored + "/.keyfold.dir")
            if kind == "attribute" {
                try Command("find", stored, "-name", ".keyfold.dir", "-delete").run()
            } else {
                try Disk.unlink(stored + "/.keyfold.dir")
            }
            let result = try bench.check(repairs: true)
            #expect(result.codes.contains(.recordMissing))
            #expect(result.findings.contains { $0.plainPath == "proj" && $0.outcome == .left })
            try Disk.write(stored + "/.keyfold.dir", own)
            let again = try bench.bench.open()
            defer { again.close() }
            #expect(try PathActor(vault: again).names("proj") == ["src", "test"])
        }
    }

    // MARK: Keys

    @Test(arguments: [
        (KMSError.disabled("off"), CheckCode.keyUnusable), (.invalidState("pending"), .keyUnusable),
        (.accessDenied("no"), .keyUnusable), (.dependencyTimeout("slow"), .keyUnusable),
        (.notFound("gone"), .keyMissing), (.invalidCiphertext, .wrappedKeyDamaged),
    ])
    func `a domain key that no CMK opens is told, and structure is checked all the same`(
        _ error: KMSError, _ code: CheckCode
    ) throws {
        try CheckBench.with { bench in
            try bench.flip(try bench.stored("victim"), at: 2)
            try bench.flip(try bench.stored("folder") + "/.keyfold.dir", at: 3)
            bench.bench.service.state.withLock { $0.failure = error }
            let result = try bench.check()
            #expect(result.codes.first == code)
            #expect(result.findings.first?.plainPath == "")
            #expect(result.findings.first?.detail?.contains("arn:aws:kms") == true)
            let counts = Dictionary(grouping: result.codes) { $0 }.mapValues(\.count)
            // One file under two names.
            #expect(counts == [code: 1, .headerMalformed: 2, .recordMalformed: 1])
            #expect(result.findings.dropFirst().allSatisfy { $0.plainPath == nil })
            #expect(throws: VaultError.self) { try bench.check("victim") }
        }
    }

    @Test func `a file whose key's version an older keystore has not is not called damaged`() throws
    {
        try CheckBench.with { bench in
            let service = bench.bench.service
            service.state.withLock { $0.version = 2 }
            let vault = try bench.bench.open()
            let handle = try bench.bench.make("later", in: vault)
            try vault.put(handle, [1], at: 0)
            vault.release(handle)
            vault.close()
            service.state.withLock { $0.version = 1 }
            let result = try bench.check()
            #expect(result.codes == [.keyVersionMissing])
            #expect(result.findings.first?.plainPath == "later")
            #expect(
                result.findings.first?.detail
                    == "\(service.arn): version 2 is needed, this keystore has 1")
            service.state.withLock { $0.version = 2 }
            #expect(try bench.check().findings == [])
        }
    }

    @Test func `of several wrapped keys one that opens is enough`() throws {
        try CheckBench.with { bench in
            let path = try bench.stored("bystander")
            let layout = try BlockLayout(headerBytes: 512)
            let old = try FileHeader(
                decoding: Array(try Disk.read(path).prefix(512)), layout: layout)
            func put(_ keys: [WrappedKey]) throws {
                let bytes = try old.withWrappedKeys(keys).encoded(layout: layout)
                try Disk.open(path, OpenFlag.readWrite).write(bytes, at: 0)
            }
            let good = old.wrappedKeys[0]
            let other = WrappedKey(keyARN: good.keyARN + "0", blob: [1])
            try put([other, good])
            let two = try bench.check()
            #expect(two.codes == [.wrappedKeyDamaged])
            try put([WrappedKey(keyARN: good.keyARN + "0", blob: good.blob)])
            #expect(try bench.check().codes == [.keyMissing])
        }
    }

    // MARK: Two looks

    @Test func `what a second look does not see is no finding`() throws {
        try CheckBench.with { bench in
            let path = try bench.stored("bystander")
            let good = try Disk.read(path)
            try bench.flip(path, at: CheckBench.block(5) + 3)
            let calls = Mutex(0)
            bench.bench.service.state.withLock { state in
                state.onDecrypt = {
                    // The domain's key, the file's first look, its second one.
                    if calls.withLock({
                        $0 += 1; return $0
                    }) == 3 {
                        try? Disk.write(path, good)
                    }
                }
            }
            #expect(try bench.check("bystander").findings == [])
            #expect(calls.withLock { $0 } == 3)
        }
    }

    @Test func `what is another thing at each look is said to be changing`() throws {
        try CheckBench.with { bench in
            let path = try bench.stored("bystander")
            let number = Mutex<UInt64>(0)
            bench.bench.service.state.withLock { state in
                state.onDecrypt = {
                    let offset =
                        CheckBench.block(5)
                        + number.withLock({
                            $0 += 1; return $0
                        })
                    try? bench.flip(path, at: offset)
                }
            }
            let result = try bench.check("bystander")
            #expect(result.codes == [.changing])
            #expect(result.isClean && result.summary.isPartial)
        }
    }

    @Test func `a directory that changed places with another is not taken for it`() throws {
        try CheckBench.with { bench in
            let (root, config) = try VaultInspection.open(bench.root)
            let opened = try CheckRoot(root, config, bench.bench.service, VaultWorkbench.owner)
            let inspector = CheckInspector(
                config: config, root: root, service: bench.bench.service,
                caller: VaultWorkbench.owner, onBytes: { _ in })
            let top = CheckPlace.root(
                opened.directoryID, of: CheckDomain(id: config.rootDomainID, keys: opened.keys))
            let stored = FileName(bench.below(try bench.stored("folder")))
            let item = CheckItem(place: top, directory: root, name: stored)
            let folder = try #require(inspector.inspect(item, .identities).child)
            _ = try inspector.open(folder)
            let other = top.child(stored, plainName: "folder", directoryID: DirectoryID())
            #expect(throws: Errno.staleFileHandle) { try inspector.open(other) }
        }
    }

    @Test func `a file with gaps that is open is no damage`() throws {
        try CheckBench.with { bench in
            let vault = try bench.bench.open()
            // A new file grows in the store itself, others in memory until their next commit.
            let handle = try bench.bench.make("new", in: vault)
            try vault.put(handle, [1], at: 0)
            try vault.put(handle, [1], at: 100_000)
            let open = try bench.check(readsData: true)
            #expect(open.codes == [.holeUnsettled])
            #expect(open.isClean && open.summary.isPartial)
            vault.release(handle)
            vault.close()
            #expect(try bench.check(readsData: true).findings == [])
        }
    }

    @Test(arguments: [false, true])
    func `zeros in a file that no mount has changed are damage, mounted or not`(
        _ isReadOnly: Bool
    ) throws {
        try CheckBench.with { bench in
            let stored = try bench.stored("bystander")
            let lock = bench.root + "/.keyfold.lock"
            // The mount before was another process.
            try Disk.write(lock, "1\n\n")
            try Disk.open(stored, OpenFlag.readWrite)
                .write([UInt8](repeating: 0, count: 4124), at: CheckBench.block(1))
            let changed = try Disk.status(stored).changeTime
            // A mount that begins within one tick of the store's clock can't be told from before.
            let isLater = try Deadline.wait(seconds: 10) {
                try Disk.write(bench.root + "/.keyfold.tmp.tick", "x")
                return try Disk.status(bench.root + "/.keyfold.tmp.tick").changeTime > changed
            }
            try #require(isLater)
            try Disk.unlink(bench.root + "/.keyfold.tmp.tick")
            var options = VaultOptions()
            options.isReadOnly = isReadOnly
            let vault = try bench.bench.open(options)
            defer { vault.close() }
            let result = try bench.check(readsData: true)
            #expect(result.codes == [.holeUnexpected])
            #expect(result.summary.damage == 1 && !result.summary.isPartial)
        }
    }

    /// Only the first of several mounts could tell how old its gaps are.
    @Test func `with several mounts that write, zeros are not taken for damage`() throws {
        try CheckBench.with { bench in
            try Disk.open(try bench.stored("bystander"), OpenFlag.readWrite)
                .write([UInt8](repeating: 0, count: 4124), at: CheckBench.block(1))
            var options = VaultOptions()
            options.isShared = true
            let vault = try bench.bench.open(options)
            defer { vault.close() }
            let result = try bench.check(readsData: true)
            #expect(result.codes == [.holeUnsettled])
            #expect(result.isClean && result.summary.isPartial)
        }
    }

    @Test func `the root's own attributes are checked, too`() throws {
        try CheckBench.with { bench in
            let vault = try bench.bench.open()
            try vault.setExtendedAttribute(
                Array("user.test".utf8), of: .root, to: [1, 2, 3], flags: 0)
            vault.close()
            #expect(try bench.check().findings == [])
            let node = try Disk.open(bench.root, OpenFlag.directory)
            let name = try #require(try node.extendedAttributeNames().first)
            try node.setExtendedAttribute(name, to: [1], flags: 0)
            let result = try bench.check()
            #expect(result.codes == [.attributeDamaged])
            #expect(result.findings.first?.plainPath == "")
        }
    }

    @Test func `a journal that no mount holds is told, a living one is not`() throws {
        try CheckBench.with { bench in
            let vault = try bench.bench.open()
            #expect(try bench.check().findings == [])
            vault.close()
            // As a mount leaves it that is killed while it makes its journal.
            let journal = bench.root + "/.keyfold.journal/old"
            try Disk.write(journal, [UInt8](repeating: 0, count: 4096))
            let result = try bench.check()
            #expect(result.codes == [.journalLeft])
            #expect(result.isClean)
        }
    }

    /// A walk below a path does not come to the journals.
    @Test(arguments: ["folder", ""])
    func `a repair moves nothing while a journal is left`(_ path: String) throws {
        try CheckBench.with { bench in
            let journal = bench.root + "/.keyfold.journal/old"
            try Disk.write(journal, "left")
            let stored = try bench.stored("bystander")
            let moved = try bench.stored("folder") + "/" + bench.below(stored)
            try Disk.rename(stored, moved)
            let refused = try bench.check(path, repairs: true)
            #expect(refused.codes.contains(.nameUndecodable))
            #expect(refused.summary.repaired == 0)
            #expect(Disk.exists(moved))
            try Disk.unlink(journal)
            #expect(try bench.check(path, repairs: true).summary.repaired == 1)
            #expect(!Disk.exists(moved))
        }
    }
}

@Suite
struct CheckRulesTests {
    @Test func `locks are read from the kernel's list`() {
        let text = """
            1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF
            2: OFDLCK ADVISORY  READ  -1 00:17:77 0 EOF
            3: POSIX  ADVISORY  WRITE 12 00:17:78 0 EOF
            4: FLOCK  ADVISORY  READ 4712 00:2a:18446744073709551615 0 EOF
            4: -> FLOCK  ADVISORY  WRITE 4713 00:2a:5 0 EOF
            """
        #expect(
            CheckLocks.locks(in: text) == [
                CheckLocks.Lock(inodeNumber: 131, pid: 1234, isExclusive: true),
                CheckLocks.Lock(inodeNumber: .max, pid: 4712, isExclusive: false),
            ])
    }

    @Test(arguments: [
        ("keyfold.json", CheckNameKind.own, CheckNameKind.reserved),
        (".keyfold.lock", .own, .reserved), (".keyfold.keystore", .own, .reserved),
        (".keyfold.journal", .journal, .reserved), (".keyfold.dir", .own, .own),
        (".keyfold.tmp.0", .temporary, .temporary), (".keyfold.long.A", .long, .long),
        (".keyfold.name.A", .sidecar, .sidecar), (".keyfold.later", .reserved, .reserved),
        ("README.txt", .direct, .direct),
    ])
    func `a stored name is of one kind, at the root and below`(
        _ name: String, _ atRoot: CheckNameKind, _ below: CheckNameKind
    ) {
        #expect(CheckNameKind(name, isRoot: true, names: .sealed) == atRoot)
        #expect(CheckNameKind(name, isRoot: false, names: .sealed) == below)
    }

    @Test func `in a vault with plaintext names nothing is long`() {
        #expect(CheckNameKind(".keyfold.long.A", isRoot: false, names: .plaintext) == .reserved)
        #expect(CheckNameKind(".keyfold.name.A", isRoot: false, names: .plaintext) == .reserved)
    }

    @Test func `two looks agree about the blocks that both saw fail alike`() {
        func block(_ index: UInt64, _ digest: UInt64) -> CheckProblem.Block {
            CheckProblem.Block(index: index, digest: digest)
        }
        var first = CheckProblem(.blockDamaged)
        for index in 0..<4 as Range<UInt64> { first.add(block(index, 1)) }
        var second = CheckProblem(.blockDamaged)
        for index in 2..<6 as Range<UInt64> { second.add(block(index, index == 3 ? 9 : 1)) }
        #expect(first.confirmed(by: second)?.blocks == [block(2, 1)])
        #expect(first.confirmed(by: CheckProblem(.blockDamaged)) == nil)
        #expect(CheckProblem(.changing).confirmed(by: first) == nil)
    }

    @Test func `no more blocks of a file are remembered than there is room for`() {
        var problem = CheckProblem(.blockDamaged)
        for index in 0...UInt64(CheckProblem.maximumBlocks) {
            problem.add(CheckProblem.Block(index: index, digest: 0))
        }
        #expect(problem.blocks.count == CheckProblem.maximumBlocks)
        #expect(problem.words == "blocks 0…1023 and more")
    }

    @Test func `entries wait for their second look until they, or their blocks, are too many`() {
        func suspect(blockCount: Int) -> CheckSuspect {
            var problem = CheckProblem(.blockDamaged)
            for index in 0..<blockCount {
                problem.add(CheckProblem.Block(index: UInt64(index), digest: 0))
            }
            var seen = CheckInspection()
            seen.problems = [problem, CheckProblem(.attributeDamaged)]
            let domain = CheckDomain(id: DomainID(), keys: nil)
            return CheckSuspect(
                place: .root(nil, of: domain), name: FileName("entry"), seen: seen)
        }
        var suspects = CheckSuspects()
        for (blockCount, most) in [
            (1000, CheckSuspects.maximumBlocks / 1000 + 1), (1, CheckSuspects.maximumCount),
        ] {
            for _ in 1..<most { suspects.add(suspect(blockCount: blockCount)) }
            #expect(!suspects.isFull)
            suspects.add(suspect(blockCount: blockCount))
            #expect(suspects.isFull)
            #expect(suspects.takeAll().count == most)
            #expect(!suspects.isFull && suspects.takeAll().isEmpty)
        }
    }
}
