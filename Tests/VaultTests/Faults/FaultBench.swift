import KMSModel
import Platform
import Synchronization
import TestSupport
import Testing

@testable import Vault

/// A vault with a little of everything in it, copied anew for each fault.
struct FaultBench {
    let template: VaultWorkbench
    private let copies: String

    static let fileContent = pattern(20_000, seed: 11)
    static let longName = String(repeating: "l", count: 230)
    static let setTime = Timespec(seconds: 1_234_567_890, nanoseconds: 123_456_789)

    /// Small, so that commits are partial and checkpoints frequent.
    static var options: VaultOptions {
        var options = VaultOptions()
        options.journalBytes = 131_072
        return options
    }

    /// In memory where the machine has room for that: a store in real files, without the waiting.
    static func with(_ body: (FaultBench) throws -> Void) throws {
        let directory = try TemporaryDirectory(
            label: "faults-", parent: Disk.exists("/dev/shm") ? "/dev/shm" : "/tmp")
        defer { directory.cleanUp() }
        let template = VaultWorkbench(
            service: try FakeKeyService(), directory: directory.path + "/template")
        _ = try VaultMaker.create(
            at: template.directory,
            VaultMaker.Plan(keyARN: "\(template.service.arn)", keystoreHint: nil, headerBytes: 512),
            service: template.service, now: Timestamp(secondsSinceEpoch: 0),
            as: VaultWorkbench.owner)
        let bench = FaultBench(template: template, copies: directory.path)
        try bench.fill()
        try body(bench)
    }

    private func fill() throws {
        let actor = FaultActor(vault: try template.open(Self.options))
        for (path, content) in [
            ("file", Self.fileContent), ("other", pattern(5000, seed: 12)),
            ("two names", pattern(300, seed: 13)), (Self.longName, pattern(100, seed: 14)),
            ("bystander", pattern(9000, seed: 15)),
        ] {
            try actor.create(path)
            try actor.write(path, content, at: 0)
            try actor.release(path)
        }
        try actor.makeDirectory("folder")
        try actor.makeDirectory("empty")
        try actor.makeDirectory("empty two")
        try actor.create("folder/inner")
        try actor.write("folder/inner", pattern(4500, seed: 16), at: 0)
        try actor.release("folder/inner")
        try actor.link("two names", as: "second name")
        try actor.symbolicLink("link", to: "folder/inner")
        try actor.create("sparse")
        try actor.write("sparse", pattern(5000, seed: 17), at: 0)
        try actor.truncate("sparse", to: 100_000)
        try actor.release("sparse")
        try actor.setAttribute("file", "user.one", pattern(20, seed: 18))
        actor.vault.close()
    }

    /// A copy of the vault as it was made.
    func copy() throws -> VaultWorkbench { try copy(of: template) }

    /// What a process that is killed now leaves behind.
    func copy(of bench: VaultWorkbench) throws -> VaultWorkbench {
        let name = copies + "/" + String(UInt64.random(in: 0 ... .max), radix: 36)
        // By another spelling of the path, which no scope of faults covers.
        try FileTree.copy("/" + bench.directory, to: name)
        return VaultWorkbench(service: bench.service, directory: name)
    }

    /// Another test that starts a program has our locks for a moment, in the child.
    static func open(_ bench: VaultWorkbench) throws -> VaultFileSystem {
        var opened: VaultFileSystem?
        let isFree = try Deadline.wait(seconds: 10) {
            do {
                opened = try bench.open(options)
            } catch VaultError.locked {
                return false
            }
            return true
        }
        guard isFree, let opened else { throw DeadlinePassed("the vault's lock") }
        return opened
    }

    func discard(_ bench: VaultWorkbench) {
        try? FileTree.remove(bench.directory)
    }

    private static let namesLost: Set<CheckCode> = [
        .nameUndecodable, .sidecarMissing, .sidecarDamaged, .temporaryWithData,
    ]

    /// What `keyfold check --read-data` finds that is more than a leftover.
    static func damage(in bench: VaultWorkbench) throws -> [String] {
        let found = Mutex<[CheckFinding]>([])
        _ = try Checker(
            CheckRequest(
                vaultDirectory: bench.directory, plainPath: nil, readsData: true, repairs: false,
                countsFirst: false, jobs: 1),
            service: bench.service, caller: VaultWorkbench.owner, onProgress: { _ in },
            onFinding: { finding in found.withLock { $0.append(finding) } }
        ).run()
        return found.withLock { $0 }
            .filter { $0.code.severity == .damage || namesLost.contains($0.code) }
            .map { "\($0.code.rawValue) \($0.plainPath ?? $0.storedPath): \($0.detail ?? "")" }
    }
}

/// What a mount's user does, by paths; directories are looked up once.
final class FaultActor {
    let vault: VaultFileSystem
    private var directories: [String: InodeID] = ["": .root]
    private var inodes: [String: InodeID] = [:]
    private var open: [String: HandleID] = [:]

    init(vault: VaultFileSystem) {
        self.vault = vault
    }

    static let user = Requester(uid: 12_345, gid: 12_345, pid: 1, umask: 0o022)

    // MARK: Paths

    private func split(_ path: String) -> (parent: String, name: FileName) {
        guard let cut = path.lastIndex(of: "/") else { return ("", FileName(path)) }
        return (String(path[..<cut]), FileName(String(path[path.index(after: cut)...])))
    }

    private func place(_ path: String) throws -> (InodeID, FileName) {
        let (parent, name) = split(path)
        return (try directory(parent), name)
    }

    private func directory(_ path: String) throws -> InodeID {
        if let known = directories[path] { return known }
        let found = try lookup(path).inode
        directories[path] = found
        return found
    }

    @discardableResult
    func lookup(_ path: String) throws -> Entry {
        let (parent, name) = try place(path)
        let entry = try vault.lookup(name, in: parent)
        inodes[path] = entry.inode
        return entry
    }

    /// As the kernel, which looks a name up once.
    func inode(_ path: String) throws -> InodeID {
        if path.isEmpty { return .root }
        if let known = inodes[path] { return known }
        return try lookup(path).inode
    }

    func handle(_ path: String) throws -> HandleID {
        if let known = open[path] { return known }
        return try open(path)
    }

    // MARK: Files

    func create(_ path: String, as requester: Requester = VaultWorkbench.requester) throws {
        let (parent, name) = try place(path)
        let (entry, handle) = try vault.create(
            name, in: parent, mode: 0o640,
            flags: OpenFlags(rawValue: OpenFlag.readWrite | OpenFlag.create | 0o200), as: requester)
        inodes[path] = entry.inode
        open[path] = handle
    }

    @discardableResult
    func open(_ path: String, _ flags: Int32 = OpenFlag.readWrite) throws -> HandleID {
        let handle = try vault.open(
            try inode(path), flags: OpenFlags(rawValue: flags), as: VaultWorkbench.requester)
        open[path] = handle
        return handle
    }

    func write(_ path: String, _ bytes: [UInt8], at offset: UInt64) throws {
        let handle = try handle(path)
        // SAFETY: a byte has no padding.
        let count = try vault.write(
            handle, at: offset, unsafe bytes.span.bytes, clearsSetID: false)
        guard count == bytes.count else { throw Errno.ioError }
    }

    func read(_ path: String, at offset: UInt64 = 0, count: Int = 30_000) throws -> [UInt8] {
        try vault.contents(try handle(path), at: offset, count: count)
    }

    func truncate(_ path: String, to size: UInt64) throws {
        var change = AttributeChange()
        change.sizeBytes = size
        try set(path, change)
    }

    func allocate(_ path: String, mode: Int32, at offset: UInt64, count: UInt64) throws {
        try vault.allocate(try handle(path), mode: mode, at: offset, count: count)
    }

    func sync(_ path: String, dataOnly: Bool = false) throws {
        try vault.synchronize(try handle(path), dataOnly: dataOnly)
    }

    func release(_ path: String) throws {
        guard let handle = open.removeValue(forKey: path) else { return }
        defer { vault.release(handle) }
        try vault.flush(handle)
    }

    // MARK: Names

    func makeDirectory(_ path: String, as requester: Requester = VaultWorkbench.requester) throws {
        let (parent, name) = try place(path)
        _ = try vault.makeDirectory(name, in: parent, mode: 0o750, as: requester)
    }

    func symbolicLink(
        _ path: String, to target: String, as requester: Requester = VaultWorkbench.requester
    ) throws {
        let (parent, name) = try place(path)
        _ = try vault.makeSymbolicLink(
            name, in: parent, target: Array(target.utf8), as: requester)
    }

    func makePipe(_ path: String, as requester: Requester = VaultWorkbench.requester) throws {
        let (parent, name) = try place(path)
        _ = try vault.makeNode(
            name, in: parent, mode: NodeType.fifo | 0o600, device: 0, as: requester)
    }

    func link(_ old: String, as new: String) throws {
        let (parent, name) = try place(new)
        _ = try vault.link(try inode(old), as: name, in: parent)
    }

    func unlink(_ path: String) throws {
        let (parent, name) = try place(path)
        try vault.unlink(name, in: parent)
    }

    func removeDirectory(_ path: String) throws {
        let (parent, name) = try place(path)
        try vault.removeDirectory(name, in: parent)
    }

    func rename(_ old: String, to new: String, flags: UInt32 = 0) throws {
        let (from, name) = try place(old)
        let (to, newName) = try place(new)
        try vault.rename(name, in: from, to: newName, in: to, flags: flags)
    }

    func syncDirectory(_ path: String) throws {
        let handle = try vault.openDirectory(try inode(path))
        defer { vault.releaseDirectory(handle) }
        try vault.synchronizeDirectory(handle)
    }

    func names(in path: String) throws -> [String] {
        let handle = try vault.openDirectory(try inode(path))
        defer { vault.releaseDirectory(handle) }
        var names: [String] = []
        try vault.readDirectory(handle, from: 0) { entry in
            if !entry.name.isDots { names.append(entry.name.string) }
            return true
        }
        return names.sorted()
    }

    // MARK: Attributes

    func set(_ path: String, _ change: AttributeChange) throws {
        _ = try vault.setAttributes(
            of: try inode(path), handle: open[path], to: change, as: VaultWorkbench.requester)
    }

    func setAttribute(_ path: String, _ name: String, _ value: [UInt8]) throws {
        try vault.setExtendedAttribute(
            Array(name.utf8), of: try inode(path), to: value, flags: 0)
    }

    func removeAttribute(_ path: String, _ name: String) throws {
        try vault.removeExtendedAttribute(Array(name.utf8), of: try inode(path))
    }
}
