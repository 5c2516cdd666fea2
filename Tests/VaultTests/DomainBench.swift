import KMSModel
import Platform
import SealedFormat
import Synchronization
import TestSupport
import Testing

@testable import Vault

/// A vault without a mount with a domain `inner`, and a domain `inner/deep` in that.
struct DomainBench {
    let bench: VaultWorkbench
    let inner: DomainDescription
    let deep: DomainDescription

    /// - Parameter body: runs while nobody has the vault open.
    static func with(_ body: (DomainBench) throws -> Void) throws {
        try VaultWorkbench.with { bench in
            let inner = try make("inner", in: bench)
            let deep = try make("inner/deep", in: bench)
            try body(DomainBench(bench: bench, inner: inner, deep: deep))
        }
    }

    static func make(
        _ path: String, in bench: VaultWorkbench, under key: String? = nil
    ) throws -> DomainDescription {
        try DomainMaker(
            vaultDirectory: bench.directory, mountPoint: nil, plainPath: path,
            service: bench.service, caller: VaultWorkbench.owner
        ).make(under: key ?? "\(bench.service.arn)")
    }

    /// Another vault directory with the same keys.
    func at(_ other: VaultWorkbench) -> DomainBench {
        DomainBench(bench: other, inner: inner, deep: deep)
    }

    func switchOff(_ domain: DomainDescription?) {
        bench.service.state.withLock { $0.refusedDomain = domain?.id }
    }

    func domains() throws -> [DomainDescription] {
        try DomainList(
            vaultDirectory: bench.directory, service: bench.service, caller: VaultWorkbench.owner
        ).all()
    }

    func rewrap(
        _ path: String? = nil, to key: String? = nil
    ) throws -> (progress: RewrapProgress, failed: [String], left: [String]) {
        let failed = Mutex<[String]>([])
        let left = Mutex<[String]>([])
        let rewrapper = Rewrapper(
            RewrapRequest(
                vaultDirectory: bench.directory, plainPath: path, destinationKey: key, jobs: 2),
            service: bench.service, caller: VaultWorkbench.owner, onProgress: { _ in },
            onFailure: { path, _ in failed.withLock { $0.append(path) } },
            onDomainLeft: { path in left.withLock { $0.append(path) } })
        let progress = try rewrapper.run()
        return (progress, failed.withLock { $0 }, left.withLock { $0 })
    }

    // MARK: In the store

    /// Where an entry is in the store.
    func stored(_ path: String) throws -> String {
        let (root, config) = try VaultInspection.open(bench.directory)
        let (identity, _) = try RootDomain.open(
            in: root, config: config, service: bench.service, as: VaultWorkbench.owner)
        var way = SealedPath(
            config: config, root: root, identity: identity,
            opener: NestedDomain(
                vaultID: config.vaultID, service: bench.service, caller: VaultWorkbench.owner))
        let names = SealedPath.names(path)
        try way.descend(names.dropLast())
        let last = try way.find(try #require(names.last)).stored
        return ([bench.directory] + (way.stored + [last]).map(\.string)).joined(separator: "/")
    }

    func record(_ path: String) throws -> String { try stored(path) + "/.keyfold.dir" }

    func keys(ofFile path: String) throws -> [WrappedKey] {
        let bytes = Array(try Disk.read(try stored(path)).prefix(512))
        return try FileHeader(decoding: bytes, layout: try BlockLayout(headerBytes: 512))
            .wrappedKeys
    }

    func keys(ofDomain path: String) throws -> [WrappedKey] {
        try DirectoryRecord(decoding: try Disk.read(try record(path))).domainKey
    }
}

/// A vault by the plaintext paths of what is in it.
struct PathActor {
    let vault: VaultFileSystem

    func find(_ path: String) throws -> InodeID {
        var inode = InodeID.root
        for name in path.split(separator: "/") {
            inode = try vault.lookup(FileName(String(name)), in: inode).inode
        }
        return inode
    }

    private func place(_ path: String) throws -> (parent: InodeID, name: FileName) {
        var names = path.split(separator: "/").map(String.init)
        let last = names.removeLast()
        return (try find(names.joined(separator: "/")), FileName(last))
    }

    func create(_ path: String) throws -> HandleID {
        let (parent, name) = try place(path)
        return try vault.create(
            name, in: parent, mode: 0o644,
            flags: OpenFlags(rawValue: OpenFlag.readWrite | OpenFlag.create),
            as: VaultWorkbench.requester
        ).1
    }

    func open(_ path: String) throws -> HandleID {
        try vault.open(
            try find(path), flags: OpenFlags(rawValue: OpenFlag.readWrite),
            as: VaultWorkbench.requester)
    }

    func write(_ path: String, _ content: [UInt8]) throws {
        let handle = try create(path)
        try vault.put(handle, content, at: 0)
        vault.release(handle)
    }

    func read(_ path: String) throws -> [UInt8] {
        let handle = try open(path)
        defer { vault.release(handle) }
        return try vault.contents(handle, at: 0, count: 1 << 20)
    }

    func makeDirectory(_ path: String) throws {
        let (parent, name) = try place(path)
        _ = try vault.makeDirectory(
            name, in: parent, mode: 0o755, as: VaultWorkbench.requester)
    }

    func removeDirectory(_ path: String) throws {
        let (parent, name) = try place(path)
        try vault.removeDirectory(name, in: parent)
    }

    func unlink(_ path: String) throws {
        let (parent, name) = try place(path)
        try vault.unlink(name, in: parent)
    }

    func rename(_ path: String, _ target: String, flags: UInt32 = 0) throws {
        let (from, to) = (try place(path), try place(target))
        try vault.rename(from.name, in: from.parent, to: to.name, in: to.parent, flags: flags)
    }

    func link(_ path: String, _ target: String) throws {
        let (parent, name) = try place(target)
        _ = try vault.link(try find(path), as: name, in: parent)
    }

    func names(_ path: String) throws -> Set<String> {
        let handle = try vault.openDirectory(try find(path))
        defer { vault.releaseDirectory(handle) }
        var names: Set<String> = []
        try vault.readDirectory(handle, from: 0) { entry in
            if !entry.name.isDots { names.insert(entry.name.string) }
            return true
        }
        return names
    }
}

/// The errno of what `body` throws; nil when it throws nothing.
func errno(_ body: () throws -> Void) -> Errno? {
    do {
        try body()
        return nil
    } catch {
        return (error as? VaultError).map { Errno($0) } ?? error as? Errno
    }
}
