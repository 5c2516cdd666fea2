import KMSModel
import Platform
import SealedFormat
import Synchronization
import TestSupport
import Testing

@testable import Vault

/// A vault without a mount with one entry of each kind, and checks of it.
struct CheckBench {
    let bench: VaultWorkbench

    static let content = pattern(5 * 4096 + 100)
    static let longName = String(repeating: "n", count: 240)
    static let requester = VaultWorkbench.requester

    /// - Parameter body: runs while nobody has the vault open.
    static func with(_ body: (CheckBench) throws -> Void) throws {
        try VaultWorkbench.with { bench in
            let check = CheckBench(bench: bench)
            try check.fill()
            try body(check)
        }
    }

    private func fill() throws {
        let vault = try bench.open()
        defer { vault.close() }
        let folder = try vault.makeDirectory(
            FileName("folder"), in: .root, mode: 0o755, as: Self.requester
        ).inode
        for (name, parent) in [
            ("victim", InodeID.root), ("bystander", .root), (Self.longName, .root),
            ("inner", folder),
        ] {
            let (_, handle) = try vault.create(
                FileName(name), in: parent, mode: 0o644,
                flags: OpenFlags(rawValue: OpenFlag.readWrite | OpenFlag.create),
                as: Self.requester)
            try vault.put(handle, Self.content, at: 0)
            vault.release(handle)
        }
        vault.release(try bench.make("empty", in: vault))
        _ = try vault.makeSymbolicLink(
            FileName("link"), in: .root, target: Array("target".utf8), as: Self.requester)
        _ = try vault.makeNode(
            FileName("pipe"), in: .root, mode: NodeType.fifo | 0o644, device: 0,
            as: Self.requester)
        let victim = try vault.lookup(FileName("victim"), in: .root).inode
        _ = try vault.link(victim, as: FileName("second name"), in: folder)
        try vault.setExtendedAttribute(
            Array("user.test".utf8), of: victim, to: Array("value".utf8), flags: 0)
    }

    // MARK: Where things are in the store

    var root: String { bench.directory }

    /// The stored path of an entry, "/" between plaintext names.
    func stored(_ path: String) throws -> String {
        let service = bench.service
        let (descriptor, config) = try VaultInspection.open(root)
        var directory = descriptor
        var identity = try RootDomain.open(
            in: directory, config: config, service: service, as: VaultWorkbench.owner
        ).0
        var stored = root
        let names = path.split(separator: "/")
        for (index, name) in names.enumerated() {
            let sealed = identity.domain.keys.sealName(
                Array(name.utf8), in: identity.directoryID
            ).stored
            stored += "/" + sealed
            if index < names.count - 1 {
                directory = try directory.open(FileName(sealed), OpenFlag.directory)
                let record = try DirectoryRecord(decoding: DirectoryRecord.read(in: directory))
                identity = DirectoryIdentity(
                    directoryID: record.directoryID, domain: identity.domain)
            }
        }
        return stored
    }

    func below(_ stored: String) -> String { String(stored.dropFirst(root.count + 1)) }

    func flip(_ stored: String, at offset: UInt64) throws {
        let file = try Disk.open(stored, OpenFlag.readWrite)
        var byte = try file.read(count: 1, at: offset)
        try #require(byte.count == 1)
        byte[0] ^= 8
        try file.write(byte, at: offset)
    }

    static func sidecar(of stored: String) -> String {
        stored.replacing("/.keyfold.long.", with: "/.keyfold.name.")
    }

    static func block(_ index: UInt64) -> UInt64 { 512 + index * 4124 }

    // MARK: Checks

    struct Result {
        let summary: CheckSummary
        let findings: [CheckFinding]

        var codes: [CheckCode] { findings.map(\.code) }
        var isClean: Bool { summary.left == 0 && summary.repaired == 0 }
    }

    func check(
        _ path: String? = nil, readsData: Bool = false, repairs: Bool = false
    ) throws -> Result {
        let found = Mutex<[CheckFinding]>([])
        let checker = Checker(
            CheckRequest(
                vaultDirectory: root, plainPath: path, readsData: readsData, repairs: repairs,
                countsFirst: true, jobs: 2),
            service: bench.service, caller: VaultWorkbench.owner, onProgress: { _ in },
            onFinding: { finding in found.withLock { $0.append(finding) } })
        let summary = try checker.run()
        return Result(summary: summary, findings: found.withLock { $0 })
    }
}
