import KMSModel
import Platform
import SealedFormat
import Synchronization
import TestSupport
import Testing
import Vault

/// A vault without a mount, in a directory of its own.
struct VaultWorkbench {
    let service: FakeKeyService
    let directory: String

    static let owner = Caller(
        principalARN: "arn:aws:iam::123456789012:root", process: nil, userAgent: "test")
    static let requester = Requester(uid: 0, gid: 0, pid: 1, umask: 0o022)

    static func with(
        headerBytes: Int = 512, _ body: (VaultWorkbench) throws -> Void
    ) throws {
        try withTemporaryDirectory { path in
            let bench = VaultWorkbench(service: try FakeKeyService(), directory: path + "/vault")
            _ = try VaultMaker.create(
                at: bench.directory,
                VaultMaker.Plan(
                    keyARN: "\(bench.service.arn)", keystoreHint: nil, headerBytes: headerBytes),
                service: bench.service, now: Timestamp(secondsSinceEpoch: 0), as: owner)
            try body(bench)
        }
    }

    func open(_ options: VaultOptions = VaultOptions()) throws -> VaultFileSystem {
        try VaultFileSystem(vaultDirectory: directory, service: service, options: options)
    }

    func make(_ name: String, in vault: VaultFileSystem) throws -> HandleID {
        try vault.create(
            FileName(name), in: .root, mode: 0o644,
            flags: OpenFlags(rawValue: OpenFlag.readWrite | OpenFlag.create),
            as: Self.requester
        ).1
    }

    /// As the kernel: a name whose file is stale is looked up once more.
    func open(_ name: String, in vault: VaultFileSystem) throws -> HandleID {
        func open() throws -> HandleID {
            let entry = try vault.lookup(FileName(name), in: .root)
            return try vault.open(
                entry.inode, flags: OpenFlags(rawValue: OpenFlag.readWrite), as: Self.requester)
        }
        do {
            return try open()
        } catch VaultError.system(.staleFileHandle) {
            return try open()
        }
    }
}

extension VaultFileSystem {
    func contents(_ handle: HandleID, at offset: UInt64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        // SAFETY: a byte has no padding, and every pattern is one.
        var raw = unsafe span.mutableBytes
        let done = try read(handle, at: offset, count: count, into: &raw)
        bytes.removeLast(count - done)
        return bytes
    }

    func put(_ handle: HandleID, _ content: [UInt8], at offset: UInt64) throws {
        // SAFETY: a byte has no padding.
        let count = try write(
            handle, at: offset, unsafe content.span.bytes, clearsSetID: false)
        #expect(count == content.count)
    }

    func resize(_ handle: HandleID, _ inode: InodeID, to size: UInt64) throws {
        var change = AttributeChange()
        change.sizeBytes = size
        let attributes = try setAttributes(
            of: inode, handle: handle, to: change, as: VaultWorkbench.requester)
        #expect(attributes.sizeBytes == size)
    }
}

@Suite
struct VaultFileTests {
    /// Writes, truncations, holes and reopenings in any order equal those of an array.
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func `random operations on one file equal those on an array`(_ seed: UInt64) throws {
        try VaultWorkbench.with(headerBytes: seed % 2 == 0 ? 512 : 1024) { bench in
            var source = RandomSource(seed: seed)
            var model: [UInt8] = []
            var vault = try bench.open()
            var handle = try bench.make("file", in: vault)
            let borders = [0, 1, 4095, 4096, 4097, 8192, 20_480, 40_960, 65_536, 100_000]
            for step in 0..<250 {
                let offset =
                    source.isOne(in: 2)
                    ? borders[source.number(0..<borders.count)] : source.number(0..<120_000)
                let inode = try vault.lookup(FileName("file"), in: .root).inode
                switch source.number(0..<10) {
                case 0..<4:
                    let bytes = source.bytes(source.number(1..<15_000))
                    try vault.put(handle, bytes, at: UInt64(offset))
                    model.extend(to: offset + bytes.count)
                    model.replaceSubrange(offset..<offset + bytes.count, with: bytes)
                case 4, 5:
                    try vault.resize(handle, inode, to: UInt64(offset))
                    if offset < model.count { model.removeLast(model.count - offset) }
                    model.extend(to: offset)
                case 6:
                    let count = source.number(1..<30_000)
                    try vault.allocate(
                        handle, mode: AllocateFlag.punchHole | AllocateFlag.keepSize,
                        at: UInt64(offset), count: UInt64(count))
                    for index in offset..<max(offset, min(offset + count, model.count)) {
                        model[index] = 0
                    }
                case 7:
                    let count = source.number(1..<30_000)
                    try vault.allocate(handle, mode: 0, at: UInt64(offset), count: UInt64(count))
                    model.extend(to: offset + count)
                case 8: try vault.synchronize(handle, dataOnly: true)
                default:
                    vault.release(handle)
                    if source.isOne(in: 2) {
                        vault.close()
                        vault = try bench.open()
                    }
                    handle = try bench.open("file", in: vault)
                }
                let found = try vault.contents(handle, at: 0, count: model.count + 10)
                try #require(found == model, "seed \(seed), step \(step)")
            }
            vault.release(handle)
            vault.close()
        }
    }

    @Test func `a vault of any header size opens its files`() throws {
        for headerBytes in [512, 1024, 2048, 4096] {
            try VaultWorkbench.with(headerBytes: headerBytes) { bench in
                let vault = try bench.open()
                let handle = try bench.make("file", in: vault)
                try vault.put(handle, pattern(10_000), at: 0)
                vault.release(handle)
                vault.close()
                let again = try bench.open()
                let reopened = try bench.open("file", in: again)
                #expect(try again.contents(reopened, at: 0, count: 20_000) == pattern(10_000))
                again.close()
            }
        }
    }

    @Test func `every failure of the key service is its own errno, and makes no file`() throws {
        let cases: [(KMSError, Errno)] = [
            (.disabled("off"), .noKey), (.invalidState("pending"), .noKey),
            (.keyUnavailable("away"), .noKey), (.notFound("gone"), .noKey),
            (.accessDenied("no"), .accessDenied), (.notAuthorized, .accessDenied),
            (.dependencyTimeout("slow"), .timedOut), (.invalidCiphertext, .ioError),
            (.internalFailure("full"), .ioError),
        ]
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            let handle = try bench.make("file", in: vault)
            try vault.put(handle, [1], at: 0)
            vault.release(handle)
            for (failure, errno) in cases {
                bench.service.state.withLock { $0.failure = failure }
                let opening = #expect(throws: VaultError.self) { try bench.open("file", in: vault) }
                let making = #expect(throws: VaultError.self) { try bench.make("new", in: vault) }
                #expect(opening.map { Errno($0) } == errno, "\(failure)")
                #expect(making.map { Errno($0) } == errno, "\(failure)")
            }
            bench.service.state.withLock { $0.failure = nil }
            let missing = #expect(throws: VaultError.self) {
                try vault.lookup(FileName("new"), in: .root)
            }
            #expect(missing.map { Errno($0) } == .noSuchFileOrDirectory)
            vault.close()
        }
    }

    @Test func `each open asks the key service, an empty file's does not`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            let handle = try bench.make("file", in: vault)
            let before = bench.service.state.withLock { $0.calls }
            try vault.put(handle, [1], at: 0)
            let second = try bench.open("file", in: vault)
            #expect(bench.service.state.withLock { $0.calls } == before + 1)
            vault.release(handle)
            vault.release(second)
            vault.close()
        }
    }

    @Test func `a second writer of a vault is refused until the first one closes`() throws {
        try VaultWorkbench.with { bench in
            let vault = try bench.open()
            #expect(throws: VaultError.self) { try bench.open() }
            var readOnly = VaultOptions()
            readOnly.isReadOnly = true
            #expect(throws: VaultError.self) { try bench.open(readOnly) }
            vault.close()
            let first = try bench.open(readOnly)
            let second = try bench.open(readOnly)
            first.close()
            second.close()
            try bench.open().close()
        }
    }

    @Test func `damage is told to the operator with the file's path`() throws {
        try VaultWorkbench.with { bench in
            let told = IncidentList()
            var options = VaultOptions()
            options.onIncident = { told.add($0) }
            var vault = try bench.open(options)
            let handle = try bench.make("victim", in: vault)
            try vault.put(handle, pattern(9000), at: 0)
            vault.release(handle)
            vault.close()
            let stored = try Disk.names(in: bench.directory).map(\.string)
                .filter { !$0.hasPrefix(".") && $0 != "keyfold.json" }
            let path = bench.directory + "/" + (stored.first ?? "")
            var bytes = try Disk.read(path)
            bytes[5000] ^= 1
            try Disk.write(path, bytes)
            vault = try bench.open(options)
            let damaged = try bench.open("victim", in: vault)
            let error = #expect(throws: VaultError.self) {
                try vault.contents(damaged, at: 0, count: 9000)
            }
            #expect(error.map { Errno($0) } == .ioError)
            #expect(told.lines.count == 1)
            #expect(told.lines.first?.contains("/victim") == true)
            vault.close()
        }
    }
}

/// Lines from any thread.
final class IncidentList: Sendable {
    private let state = Mutex<[String]>([])

    var lines: [String] { state.withLock { $0 } }

    func add(_ line: String) {
        state.withLock { $0.append(line) }
    }
}

extension Array where Element == UInt8 {
    fileprivate mutating func extend(to count: Int) {
        if count > self.count { append(contentsOf: repeatElement(0, count: count - self.count)) }
    }
}
