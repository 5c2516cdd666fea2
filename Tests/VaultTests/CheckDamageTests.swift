import Platform
import SealedFormat
import TestSupport
import Testing

@testable import Vault

/// One kind of damage each, with what the check says of it, and what `--repair` makes of it.
@Suite
struct CheckDamageTests {
    enum Damage: String, CaseIterable, CustomTestStringConvertible {
        case configCut, configEdited, rootRecordFlipped, rootRecordGone
        case recordGone, recordCut, recordFlipped, recordOfAnotherDomain
        case nameFlipped, nameMoved, directoryNameFlipped, linkMoved, foreignFiles, reservedName
        case sidecarGone, sidecarFlipped, sidecarAlone
        case temporaryFile, temporaryDirectory, temporaryWithFile, temporarySealedFile
        case sizeCut, sizeAppended, headerShort, headerFlipped, headerCommitment, headerWithoutMagic
        case cutAtBorder, lastBlockFlipped, blockFlipped, blocksSwapped, blockZeroed
        case linkFlipped, attributeFlipped, attributeForeign, fileIDFlipped
        case recordIsPipe, sidecarIsPipe, temporaryRecords, temporaryUnknown

        var testDescription: String { rawValue }
    }

    struct Expected: Equatable {
        let code: CheckCode
        /// As the mount shows it; nil where no key tells.
        let path: String?

        init(_ code: CheckCode, _ path: String?) {
            self.code = code
            self.path = path
        }
    }

    /// Harms a filled vault, and says what is to be found, sorted by nothing.
    private static func harm(_ damage: Damage, _ bench: CheckBench) throws -> [Expected] {
        let root = bench.root
        let (victim, folder) = (try bench.stored("bystander"), try bench.stored("folder"))
        let record = folder + "/.keyfold.dir"
        let inner = try bench.stored("folder/inner")
        let long = try bench.stored(CheckBench.longName)
        func flippedName(_ path: String) -> String {
            var bytes = Array(path.utf8)
            bytes[bytes.count - 5] = bytes[bytes.count - 5] == 65 ? 66 : 65
            return String(decoding: bytes, as: UTF8.self)
        }
        let file = try Disk.open(victim, OpenFlag.readWrite)
        let block = CheckBench.block
        switch damage {
        case .configCut:
            try Disk.truncate(root + "/keyfold.json", to: 50)
            return [Expected(.configMalformed, nil)]
        case .configEdited:
            let text = try Disk.readText(root + "/keyfold.json")
            try Disk.write(root + "/keyfold.json", text.replacing("1970", with: "1971"))
            return [Expected(.configChanged, nil)]
        case .rootRecordFlipped:
            try bench.flip(root + "/.keyfold.dir", at: 45)
            return [Expected(.recordChanged, "")]
        case .rootRecordGone:
            try Disk.unlink(root + "/.keyfold.dir")
            return [Expected(.recordMissing, "")]
        case .recordGone:
            try Disk.unlink(record)
            return [Expected(.recordMissing, "folder")]
        case .recordCut:
            try Disk.truncate(record, to: 60)
            return [Expected(.recordMalformed, "folder")]
        case .recordFlipped:
            try bench.flip(record, at: 12)
            return [Expected(.recordChanged, "folder")]
        case .recordOfAnotherDomain:
            try bench.flip(record, at: 30)
            return [Expected(.recordForeign, "folder")]
        case .nameFlipped:
            try Disk.rename(inner, flippedName(inner))
            return [Expected(.nameUndecodable, nil)]
        case .nameMoved:
            try Disk.rename(inner, root + "/" + inner.dropFirst(folder.count + 1))
            return [Expected(.nameUndecodable, nil)]
        case .directoryNameFlipped:
            try Disk.rename(folder, flippedName(folder))
            return [Expected(.nameUndecodable, nil)]
        case .linkMoved:
            let link = try bench.stored("link")
            try Disk.rename(link, folder + "/not-base64url.")
            return [Expected(.nameUndecodable, nil)]
        case .foreignFiles:
            try Disk.write(root + "/README.txt", "by hand")
            try Disk.makeDirectory(root + "/lost+found")
            try Disk.write(root + "/lost+found/inside", "by hand")
            return [Expected(.nameForeign, nil), Expected(.nameForeign, nil)]
        case .reservedName:
            try Disk.write(folder + "/.keyfold.later", "")
            return [Expected(.nameReserved, nil)]
        case .sidecarGone:
            try Disk.unlink(CheckBench.sidecar(of: long))
            return [Expected(.sidecarMissing, nil)]
        case .sidecarFlipped:
            try bench.flip(CheckBench.sidecar(of: long), at: 20)
            return [Expected(.sidecarDamaged, nil)]
        case .recordIsPipe:
            try Disk.unlink(record)
            try Disk.makeNode(record, mode: NodeType.fifo | 0o600)
            return [Expected(.recordMalformed, "folder")]
        case .sidecarIsPipe:
            try Disk.unlink(CheckBench.sidecar(of: long))
            try Disk.makeNode(CheckBench.sidecar(of: long), mode: NodeType.fifo | 0o600)
            return [Expected(.sidecarDamaged, nil), Expected(.nameReserved, nil)]
        case .sidecarAlone:
            try Disk.unlink(long)
            return [Expected(.sidecarOrphan, nil)]
        case .temporaryFile:
            try Disk.write(root + "/.keyfold.tmp.00", try Disk.read(record))
            return [Expected(.temporaryStale, nil)]
        case .temporaryRecords:
            let config = try Disk.read(root + "/keyfold.json")
            try Disk.write(root + "/.keyfold.tmp.a", config)
            try Disk.write(root + "/.keyfold.tmp.b", try Disk.read(root + "/.keyfold.dir"))
            try Disk.write(root + "/.keyfold.tmp.c", [UInt8](repeating: 0, count: 1024))
            return Array(repeating: Expected(.temporaryStale, nil), count: 3)
        case .temporaryUnknown:
            // The rest of a sealed file whose header is gone.
            try Disk.write(root + "/.keyfold.tmp.0", Array(try Disk.read(victim).dropFirst(512)))
            return [Expected(.nameReserved, nil)]
        case .temporaryDirectory:
            try Disk.makeDirectory(folder + "/.keyfold.tmp.01")
            try Disk.write(folder + "/.keyfold.tmp.01/.keyfold.dir", try Disk.read(record))
            return [Expected(.temporaryStale, nil)]
        case .temporaryWithFile:
            try Disk.rename(folder, root + "/.keyfold.tmp.02")
            return [Expected(.temporaryWithData, nil)]
        case .temporarySealedFile:
            try Disk.rename(victim, root + "/.keyfold.tmp.03")
            return [Expected(.temporaryWithData, nil)]
        case .sizeCut:
            try file.truncate(to: block(2) + 28)
            return [Expected(.sizeImpossible, "bystander")]
        case .sizeAppended:
            try file.write([1, 2, 3], at: try file.status().sizeBytes)
            return [Expected(.blockDamaged, "bystander")]
        case .headerShort:
            try file.truncate(to: 300)
            return [Expected(.sizeImpossible, "bystander")]
        case .headerFlipped:
            try bench.flip(victim, at: 300)
            return [Expected(.headerMalformed, "bystander")]
        case .headerCommitment:
            try bench.flip(victim, at: 40)
            return [Expected(.headerChanged, "bystander")]
        case .fileIDFlipped:
            // The wrapped key is bound to the id, so it is the first to notice.
            try bench.flip(victim, at: 20)
            return [Expected(.wrappedKeyDamaged, "bystander")]
        case .headerWithoutMagic:
            try file.write(Array("plain text in its place".utf8), at: 0)
            return [Expected(.headerMalformed, "bystander")]
        case .cutAtBorder:
            try file.truncate(to: block(3))
            return [Expected(.finalBlockMissing, "bystander")]
        case .lastBlockFlipped:
            try bench.flip(victim, at: block(5) + 50)
            return [Expected(.blockDamaged, "bystander")]
        case .blockFlipped:
            try bench.flip(victim, at: block(2) + 4100)
            return [Expected(.blockDamaged, "bystander")]
        case .blocksSwapped:
            let (a, b) = (
                try file.read(count: 4124, at: block(1)), try file.read(count: 4124, at: block(3))
            )
            try file.write(b, at: block(1))
            try file.write(a, at: block(3))
            return [Expected(.blockDamaged, "bystander")]
        case .blockZeroed:
            try file.write([UInt8](repeating: 0, count: 4124), at: block(1))
            return [Expected(.holeUnexpected, "bystander")]
        case .linkFlipped:
            let link = try bench.stored("link")
            var text = Array(try Disk.readLink(link).utf8)
            text[5] = text[5] == 65 ? 66 : 65
            try Disk.unlink(link)
            try Disk.symbolicLink(link, to: String(decoding: text, as: UTF8.self))
            return [Expected(.linkDamaged, "link")]
        case .attributeFlipped:
            let node = try Disk.node(try bench.stored("victim"))
            let name = try #require(try node.extendedAttributeNames().first)
            var value = try node.extendedAttribute(name)
            value[value.count - 1] ^= 1
            try node.setExtendedAttribute(name, to: value, flags: 0)
            return [
                Expected(.attributeDamaged, "victim"),
                Expected(.attributeDamaged, "folder/second name"),
            ]
        case .attributeForeign:
            try Disk.node(victim).setExtendedAttribute("user.other", to: [1], flags: 0)
            return [Expected(.attributeForeign, "bystander")]
        }
    }

    @Test(arguments: Damage.allCases)
    func `each damage is found, and nothing else`(_ damage: Damage) throws {
        try CheckBench.with { bench in
            let expected = try Self.harm(damage, bench)
            let before = try Command("find", bench.root, "-ls").run().output
            let found = try bench.check(readsData: true)
            let seen = found.findings.map { Expected($0.code, $0.plainPath) }
            #expect(seen.count == expected.count, "\(seen)")
            for one in expected { #expect(seen.contains(one), "\(seen)") }
            // A check alone changes nothing, the times of last access apart.
            #expect(try Command("find", bench.root, "-ls").run().output == before)
        }
    }

    @Test(arguments: Damage.allCases)
    func `a repair heals what it says, leaves the rest, and harms nothing`(
        _ damage: Damage
    ) throws {
        try CheckBench.with { bench in
            let expected = try Self.harm(damage, bench)
            let result = try bench.check(readsData: true, repairs: true)
            let repairable = expected.filter { $0.code.severity == .repairable }
            #expect(result.summary.repaired == UInt64(repairable.count), "\(result.findings)")
            #expect(result.summary.repairable == 0)
            let again = try bench.check(readsData: true)
            let left = again.findings.map { Expected($0.code, $0.plainPath) }
            #expect(left.count == expected.count - repairable.count, "\(left)")
            #expect(left.allSatisfy { expected.contains($0) }, "\(left)")
            let moves = repairable.contains {
                $0.code != .sidecarOrphan && $0.code != .temporaryStale
            }
            if expected.contains(where: { $0.path == "" || $0.code.rawValue.hasPrefix("config") }) {
                return
            }
            let vault = try bench.bench.open()
            defer { vault.close() }
            let lost = try? vault.lookup(FileName("lost+found"), in: .root)
            #expect((lost != nil) == moves)
            guard let lost else { return }
            try Self.expectOneRescued(in: lost.inode, of: vault, damage)
        }
    }

    /// lost+found has one entry, and what was in it can be read.
    private static func expectOneRescued(
        in lost: InodeID, of vault: VaultFileSystem, _ damage: Damage
    ) throws {
        let names = try names(in: lost, of: vault)
        try #require(names.count == 1)
        #expect(names[0].string.hasPrefix("undecodable-"))
        let entry = try vault.lookup(names[0], in: lost)
        switch damage {
        case .directoryNameFlipped, .temporaryWithFile:
            #expect(
                try Set(Self.names(in: entry.inode, of: vault).map(\.string))
                    == ["inner", "second name"])
        case .linkMoved:
            #expect(try vault.readSymbolicLink(entry.inode) == Array("target".utf8))
        default:
            let handle = try vault.open(
                entry.inode, flags: OpenFlags(rawValue: 0), as: CheckBench.requester)
            #expect(
                try vault.contents(handle, at: 0, count: 30_000) == CheckBench.content)
            vault.release(handle)
        }
    }

    private static func names(
        in directory: InodeID, of vault: VaultFileSystem
    ) throws -> [FileName] {
        let handle = try vault.openDirectory(directory)
        defer { vault.releaseDirectory(handle) }
        var names: [FileName] = []
        try vault.readDirectory(handle, from: 0) { entry in
            if !entry.name.isDots { names.append(entry.name) }
            return true
        }
        return names
    }

    @Test func `many lost entries find room, also beside those of an earlier repair`() throws {
        try CheckBench.with { bench in
            for round in 0..<2 {
                for number in 0..<3 {
                    try Disk.write(
                        bench.root + "/not.sealed.\(number)",
                        try Disk.read(try bench.stored("bystander")))
                }
                let result = try bench.check(repairs: true)
                #expect(result.summary.repaired == 3, "round \(round)")
            }
            let vault = try bench.bench.open()
            defer { vault.close() }
            let lost = try vault.lookup(FileName("lost+found"), in: .root).inode
            #expect(try Self.names(in: lost, of: vault).count == 6)
        }
    }

    @Test func `nothing is repaired while a mount has the vault`() throws {
        try CheckBench.with { bench in
            try Disk.write(bench.root + "/.keyfold.tmp.00", "")
            let vault = try bench.bench.open()
            #expect(throws: VaultError.self) { try bench.check(repairs: true) }
            #expect(Disk.exists(bench.root + "/.keyfold.tmp.00"))
            vault.close()
            #expect(try bench.check(repairs: true).summary.repaired == 1)
        }
    }

    @Test func `nothing moves while a journal waits that can't be recovered`() throws {
        try CheckBench.with { bench in
            let moved = bench.root + "/not.sealed"
            try Disk.rename(try bench.stored("bystander"), moved)
            try Disk.write(bench.root + "/.keyfold.tmp.00", "")
            let journal = bench.root + "/.keyfold.journal/old"
            try Disk.write(journal, [UInt8](repeating: 1, count: 4096))
            let result = try bench.check(repairs: true)
            #expect(result.summary.repaired == 1)
            #expect(result.summary.repairable == 1)
            #expect(Disk.exists(moved))
            // As a mount leaves it that is killed while it makes its journal.
            try Disk.write(journal, [UInt8](repeating: 0, count: 4096))
            #expect(try bench.check(repairs: true).summary.left == 0)
            #expect(!Disk.exists(moved))
            #expect(!Disk.exists(journal))
        }
    }

    /// A vault with plaintext names and one file.
    private static func withPlaintextVault(_ body: (CheckBench) throws -> Void) throws {
        try withTemporaryDirectory { path in
            let service = try FakeKeyService()
            let bench = CheckBench(
                bench: VaultWorkbench(service: service, directory: path + "/vault"))
            _ = try VaultMaker.create(
                at: bench.root,
                VaultMaker.Plan(keyARN: "\(service.arn)", keystoreHint: nil, names: .plaintext),
                service: service, now: .init(secondsSinceEpoch: 0), as: VaultWorkbench.owner)
            let vault = try bench.bench.open()
            let handle = try bench.bench.make("file", in: vault)
            try vault.put(handle, CheckBench.content, at: 0)
            vault.release(handle)
            vault.close()
            try body(bench)
        }
    }

    @Test func `nothing is repaired by a keyfold.json that was changed`() throws {
        try Self.withPlaintextVault { bench in
            let config = bench.root + "/keyfold.json"
            let genuine = try Disk.readText(config)
            let edited = genuine.replacing("\"plaintext\"", with: "\"sealed\"")
            try #require(edited != genuine)
            try Disk.write(config, edited)
            func listing() throws -> [String] {
                let own = ["-mindepth", "1", "!", "-name", ".keyfold.lock"]
                return try Command(["find", bench.root] + own + ["-ls"]).run().lines.sorted()
            }
            let before = try listing()
            let result = try bench.check(repairs: true)
            #expect(result.codes == [.configChanged])
            #expect(result.summary.repaired == 0)
            #expect(try listing() == before)
            let refusal = #expect(throws: VaultError.self) {
                try bench.check("file", repairs: true)
            }
            guard case .format(.authenticationFailed(.vaultConfig)) = refusal else {
                Issue.record("\(String(describing: refusal))")
                return
            }
        }
    }

    /// With headers of 4096 bytes a smaller sealed file would hold no data.
    @Test func `no temporary goes by a size that an edited keyfold.json tells`() throws {
        try CheckBench.with { bench in
            let sealed = Array(try Disk.read(try bench.stored("bystander")).prefix(3000))
            let temporary = bench.root + "/.keyfold.tmp.00"
            try Disk.write(temporary, sealed)
            let config = bench.root + "/keyfold.json"
            let genuine = try Disk.readText(config)
            let edited = genuine.replacing(": 512", with: ": 4096")
            try #require(edited != genuine)
            try Disk.write(config, edited)
            #expect(try bench.check(repairs: true).summary.repaired == 0)
            #expect(Disk.exists(temporary))
            // Without the record no key tells whether the config is genuine.
            try Disk.unlink(bench.root + "/.keyfold.dir")
            let result = try bench.check(repairs: true)
            let refused = CheckFinding.Outcome.notRepaired(
                "no key tells whether keyfold.json is genuine")
            #expect(result.findings.contains { $0.outcome == refused })
            #expect(Disk.exists(temporary))
        }
    }

    @Test func `no path leads out of a vault with plaintext names`() throws {
        func expectInvalid(_ refusal: VaultError?) {
            guard case .system(.invalidArgument) = refusal else {
                Issue.record("\(String(describing: refusal))")
                return
            }
        }
        try Self.withPlaintextVault { bench in
            for path in ["..", "../vault/file", "file/../file"] {
                let refusal = #expect(throws: VaultError.self) { try bench.check(path) }
                expectInvalid(refusal)
            }
            let service = bench.bench.service
            let (root, config) = try VaultInspection.open(bench.root)
            let (identity, _) = try RootDomain.open(
                in: root, config: config, service: service, as: VaultWorkbench.owner)
            let way = SealedPath(
                config: config, root: root, identity: identity,
                opener: NestedDomain(
                    vaultID: config.vaultID, service: service, caller: VaultWorkbench.owner))
            let refusal = #expect(throws: VaultError.self) { try way.find("..") }
            expectInvalid(refusal)
        }
    }

    @Test func `a vault with plaintext names is checked, too`() throws {
        try Self.withPlaintextVault { bench in
            #expect(try bench.check(readsData: true).findings == [])
            try bench.flip(bench.root + "/file", at: CheckBench.block(5) + 9)
            try Disk.makeDirectory(bench.root + "/by hand")
            let result = try bench.check()
            #expect(
                Set(result.findings.map { "\($0.code.rawValue) \($0.plainPath ?? "-")" })
                    == ["block-damaged file", "record-missing by hand"])
            #expect(try bench.check("file").codes == [.blockDamaged])
        }
    }
}
