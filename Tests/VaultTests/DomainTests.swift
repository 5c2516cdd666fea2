import KMSModel
import Platform
import SealedFormat
import TestSupport
import Testing

@testable import Vault

@Suite
struct DomainTests {
    private static let content = pattern(20_000)

    @Test func `files in nested domains are under their domains' keys`() throws {
        try DomainBench.with { bench in
            let second = "\(bench.bench.service.secondARN)"
            let other = try DomainBench.make("inner/other", in: bench.bench, under: second)
            #expect(other.keyARNs == [second])
            #expect(bench.inner.keyARNs == ["\(bench.bench.service.arn)"])
            #expect(bench.deep.outerID == bench.inner.id)
            let vault = try bench.bench.open()
            let actor = PathActor(vault: vault)
            try actor.makeDirectory("inner/deep/folder")
            let paths = ["a", "inner/b", "inner/deep/c", "inner/deep/folder/d", "inner/other/e"]
            for path in paths { try actor.write(path, Self.content) }
            let inode = try actor.find("inner/deep")
            try vault.setExtendedAttribute(
                Array("user.test".utf8), of: inode, to: [1, 2], flags: 0)
            vault.close()
            #expect(try bench.keys(ofFile: "inner/b").map(\.keyARN) == bench.inner.keyARNs)
            #expect(try bench.keys(ofFile: "inner/other/e").map(\.keyARN) == [second])
            let again = try bench.bench.open()
            defer { again.close() }
            let reader = PathActor(vault: again)
            for path in paths { #expect(try reader.read(path) == Self.content, "\(path)") }
            #expect(try reader.names("inner") == ["b", "deep", "other"])
            #expect(
                try again.extendedAttribute(
                    Array("user.test".utf8), of: try reader.find("inner/deep")) == [1, 2])
        }
    }

    @Test func `the domains of a vault are told, closed ones without what is below`() throws {
        try DomainBench.with { bench in
            let domains = try bench.domains()
            #expect(domains.map(\.plainPath) == ["", "inner", "inner/deep"])
            #expect(domains.allSatisfy { $0.closedBy == nil })
            #expect(domains.map(\.outerID) == [nil, domains[0].id, bench.inner.id])
            let list = try DomainList(
                vaultDirectory: bench.bench.directory, service: bench.bench.service,
                caller: VaultWorkbench.owner)
            #expect(try list.domain(ofEntryAt: "").id == domains[0].id)
            #expect(try list.domain(ofEntryAt: "inner/deep").id == bench.deep.id)
            #expect(errno { _ = try list.domain(ofEntryAt: "none") } == .noSuchFileOrDirectory)
            bench.switchOff(bench.inner)
            let left = try bench.domains()
            #expect(left.map(\.plainPath) == ["", "inner"])
            #expect(left[1].id == bench.inner.id && left[1].closedBy != nil)
            #expect(try list.domain(ofEntryAt: "inner").closedBy != nil)
            #expect(errno { _ = try list.domain(ofEntryAt: "inner/deep") } == .noKey)
        }
    }

    @Test func `a domain is made in an existing directory under a new name only`() throws {
        try DomainBench.with { bench in
            let before = try Disk.names(in: bench.bench.directory).count
            #expect(errno { _ = try DomainBench.make("inner", in: bench.bench) } == .fileExists)
            #expect(
                errno { _ = try DomainBench.make("no/x", in: bench.bench) }
                    == .noSuchFileOrDirectory)
            for path in ["", "/", "../x"] {
                #expect(
                    errno { _ = try DomainBench.make(path, in: bench.bench) } == .invalidArgument)
            }
            bench.bench.service.state.withLock { $0.failure = .disabled("off") }
            #expect(errno { _ = try DomainBench.make("x", in: bench.bench) } == .noKey)
            bench.bench.service.state.withLock { $0.failure = nil }
            #expect(throws: VaultError.self) {
                try DomainBench.make("x", in: bench.bench, under: "arn:none")
            }
            #expect(try Disk.names(in: bench.bench.directory).count == before)
            let long = String(repeating: "n", count: 250)
            _ = try DomainBench.make(long, in: bench.bench)
            let vault = try bench.bench.open()
            defer { vault.close() }
            let actor = PathActor(vault: vault)
            #expect(try actor.names("") == ["inner", long])
            try actor.write(long + "/file", [1])
            // A mount that is not visible here would not see the new name.
            #expect(errno { _ = try DomainBench.make("y", in: bench.bench) } == .resourceBusy)
        }
    }

    // MARK: Keys

    @Test func `a key that is off closes its domain and nothing else`() throws {
        try DomainBench.with { bench in
            let vault = try bench.bench.open()
            var actor = PathActor(vault: vault)
            for path in ["a", "inner/b", "inner/deep/c"] { try actor.write(path, Self.content) }
            vault.close()
            bench.switchOff(bench.deep)
            let again = try bench.bench.open()
            defer { again.close() }
            actor = PathActor(vault: again)
            #expect(try actor.read("inner/b") == Self.content)
            let deep = try actor.find("inner/deep")
            #expect(errno { _ = try actor.names("inner/deep") } == .noKey)
            #expect(errno { _ = try actor.read("inner/deep/c") } == .noKey)
            #expect(errno { try actor.write("inner/deep/new", [1]) } == .noKey)
            #expect(errno { try actor.makeDirectory("inner/deep/new") } == .noKey)
            #expect(errno { try actor.rename("a", "inner/deep/a") } == .noKey)
            // Its name and attributes are in the domain around it.
            _ = try again.attributes(of: deep, handle: nil)
            #expect(try again.extendedAttributeNames(of: deep) == [])
            #expect(try actor.names("inner") == ["b", "deep"])
            bench.switchOff(nil)
            #expect(try actor.read("inner/deep/c") == Self.content)
        }
    }

    @Test func `new files take a domain's key as another process last changed it`() throws {
        try DomainBench.with { bench in
            let second = "\(bench.bench.service.secondARN)"
            let vault = try bench.bench.open()
            defer { vault.close() }
            let actor = PathActor(vault: vault)
            try actor.write("inner/before", [1])
            let moved = try bench.rewrap("inner", to: second)
            #expect(moved.progress.failed == 0 && moved.left == ["inner/deep"])
            try actor.write("inner/after", [1])
            try actor.write("inner/deep/after", [1])
            try actor.write("after", [1])
            #expect(try bench.keys(ofFile: "inner/after").map(\.keyARN) == [second])
            #expect(try bench.keys(ofFile: "inner/before").map(\.keyARN) == [second])
            for path in ["after", "inner/deep/after"] {
                #expect(try bench.keys(ofFile: path).map(\.keyARN) != [second])
            }
        }
    }

    // MARK: Names

    @Test func `nothing is renamed or linked across a domain's border`() throws {
        try DomainBench.with { bench in
            let vault = try bench.bench.open()
            let actor = PathActor(vault: vault)
            try actor.makeDirectory("folder")
            for path in ["a", "inner/b", "inner/deep/c"] { try actor.write(path, Self.content) }
            for (source, target) in [
                ("a", "inner/a"), ("inner/b", "b"), ("inner/b", "inner/deep/b"),
                ("inner/deep/c", "c"), ("inner/deep", "deep"), ("folder", "inner/folder"),
            ] {
                #expect(errno { try actor.rename(source, target) } == .improperLink)
            }
            #expect(errno { try actor.link("a", "inner/a") } == .improperLink)
            #expect(errno { try actor.link("inner/b", "b") } == .improperLink)
            #expect(
                errno { try actor.rename("a", "inner/b", flags: RenameFlag.exchange) }
                    == .improperLink)
            // A domain as a whole moves within the domain around it.
            try actor.rename("inner", "folder/moved")
            #expect(try actor.read("folder/moved/deep/c") == Self.content)
            vault.close()
            let again = try bench.bench.open()
            defer { again.close() }
            #expect(try PathActor(vault: again).read("folder/moved/deep/c") == Self.content)
            #expect(
                try bench.domains().map(\.plainPath) == ["", "folder/moved", "folder/moved/deep"])
        }
    }

    @Test func `an empty domain is removed like any directory, also a closed one`() throws {
        try DomainBench.with { bench in
            let vault = try bench.bench.open()
            defer { vault.close() }
            let actor = PathActor(vault: vault)
            try actor.write("inner/deep/c", [1])
            #expect(errno { try actor.removeDirectory("inner/deep") } == .directoryNotEmpty)
            try actor.unlink("inner/deep/c")
            try actor.removeDirectory("inner/deep")
            #expect(errno { try actor.removeDirectory("deep") } == .noSuchFileOrDirectory)
            try actor.makeDirectory("inner/deep")
            try actor.write("inner/deep/plain", [1])
            try actor.rename("inner/deep/plain", "inner/plain")
            vault.close()
            bench.switchOff(bench.inner)
            let again = try bench.bench.open()
            defer { again.close() }
            #expect(
                errno { try PathActor(vault: again).removeDirectory("inner") }
                    == .directoryNotEmpty)
            #expect(try bench.domains().map(\.plainPath) == ["", "inner"])
        }
    }

    // MARK: Somebody else's records

    /// Puts a record in the place of the one in `inner`, and says what a mount makes of it.
    private static func answer(
        to bench: DomainBench, _ path: String, with record: [UInt8]
    ) throws -> Errno? {
        try Disk.write(try bench.record(path), record)
        let vault = try bench.bench.open()
        defer { vault.close() }
        let actor = PathActor(vault: vault)
        try actor.write("still here", [1])
        try actor.unlink("still here")
        return errno { _ = try actor.names(path) }
    }

    @Test func `a domain of somebody else in the place of ours is refused`() throws {
        try DomainBench.with { bench in
            let service = bench.bench.service
            let config = try VaultInspection.config(at: bench.bench.directory)
            let old = try DirectoryRecord(decoding: try Disk.read(try bench.record("inner")))
            // He may write the vault and use the CMK, and has no key of the root domain.
            let id = DomainID()
            let wrapped = try service.generateDataKey(
                under: "\(service.arn)", byteCount: 32,
                context: EncryptionContext(vault: config.vaultID, domain: id),
                as: VaultWorkbench.owner)
            let own = DomainKeys(domainKey: wrapped.plaintext, domainID: id)
            let guess = DomainKeys(
                domainKey: .random(count: 32), domainID: config.rootDomainID)
            let forged = DirectoryRecord(
                directoryID: old.directoryID, rootOf: own, below: guess,
                domainKey: [WrappedKey(keyARN: "\(service.arn)", blob: wrapped.wrapped.blob)])
            #expect(
                try Self.answer(to: bench, "inner", with: forged.encoded(with: own)) == .ioError)
            #expect(CheckBench(bench: bench.bench).codes() == [.domainLinkWrong])
            let plain = DirectoryRecord(directoryID: old.directoryID, domainID: id)
            #expect(
                try Self.answer(to: bench, "inner", with: plain.encoded(with: own)) == .ioError)
            #expect(CheckBench(bench: bench.bench).codes() == [.recordForeign])
        }
    }

    @Test func `a record of a domain of this vault in the wrong place is refused`() throws {
        try DomainBench.with { bench in
            let vault = try bench.bench.open()
            let actor = PathActor(vault: vault)
            try actor.makeDirectory("folder")
            try actor.makeDirectory("inner/folder")
            vault.close()
            for (from, to) in [
                ("inner/folder", "folder"), ("folder", "inner/folder"),
                ("inner/deep", "folder"), ("inner", "inner/folder"),
            ] {
                let record = try Disk.read(try bench.record(from))
                let own = try Disk.read(try bench.record(to))
                #expect(try Self.answer(to: bench, to, with: record) == .ioError, "\(from)")
                let codes = CheckBench(bench: bench.bench).codes()
                #expect(
                    codes == [
                        from.contains("folder") || from == "folder"
                            ? .recordForeign : .domainLinkWrong
                    ], "\(from)")
                try Disk.write(try bench.record(to), own)
            }
            // The root of a domain of its own can be doubled by whoever may write the vault.
            let record = try Disk.read(try bench.record("inner"))
            #expect(try Self.answer(to: bench, "folder", with: record) == nil)
        }
    }
}

extension CheckBench {
    /// Of a check; empty when there is none.
    fileprivate func codes() -> [CheckCode] { (try? check().codes) ?? [] }
}
