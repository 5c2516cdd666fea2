import Cryptography
import Platform
import SealedFormat

/// Walks a vault, or a part of it, in the store itself, with the plaintext paths.
///
/// Holds the descriptors of one directory at a time; the directories that wait are kept by path, so
/// that a tree of any depth is walked within few descriptors.
struct SealedTree {
    struct File {
        let directory: Descriptor
        let stored: FileName
        let domainID: DomainID
        let plainPath: String
    }

    /// The root of a domain, the vault's own root included.
    struct DomainRoot {
        /// Stored names from the vault's root down.
        let stored: [FileName]
        let record: DirectoryRecord
        let domain: Domain
        /// Empty for the vault's root.
        let plainPath: String
    }

    /// A domain's root that did not open, so that nothing below it was visited.
    struct ClosedDomain {
        let record: DirectoryRecord
        let plainPath: String
        let error: VaultError
    }

    /// What becomes of the domains below the one where the walk begins.
    enum Nested {
        case entered
        /// Their keys are not asked for.
        case left
    }

    /// What the walk came to besides files since it was last asked.
    struct Domains {
        var entered: [DomainRoot] = []
        var closed: [ClosedDomain] = []
        /// The plaintext paths of those that were left alone.
        var left: [String] = []
    }

    private struct Waiting {
        /// Stored names from the root down.
        let stored: [FileName]
        let plainPath: String
        /// Of the directory above; of the root itself, its own.
        let outer: Domain
        var isStart = false
    }

    private let config: VaultConfig
    private let root: Descriptor
    private let rootIdentity: DirectoryIdentity
    private let nested: Nested
    private let opener: NestedDomain
    /// Plain names from the root down to where the walk begins.
    private let start: [String]

    private var waiting: [Waiting] = []
    private var found: [File] = []
    private var domains = Domains()

    init(
        config: VaultConfig, root: Descriptor, identity: DirectoryIdentity, path: String,
        nested: Nested, opener: NestedDomain
    ) {
        self.config = config
        self.root = root
        rootIdentity = identity
        self.nested = nested
        self.opener = opener
        start = SealedPath.names(path)
    }

    /// Goes to the beginning of the walk.
    ///
    /// - Throws: `ENOENT` when the path does not exist.
    mutating func enter() throws(VaultError) {
        waiting = []
        found = []
        domains = Domains()
        var path = SealedPath(config: config, root: root, identity: rootIdentity, opener: opener)
        guard let last = start.last else {
            waiting = [
                Waiting(stored: [], plainPath: "", outer: rootIdentity.domain, isStart: true)
            ]
            return
        }
        try path.descend(start.dropLast())
        let (stored, status) = try path.find(last)
        let plainPath = start.joined(separator: "/")
        switch status.kind {
        case .directory:
            waiting = [
                Waiting(
                    stored: path.stored + [stored], plainPath: plainPath,
                    outer: path.identity.domain, isStart: true)
            ]
        case .regular:
            found = [
                File(
                    directory: path.directory, stored: stored,
                    domainID: path.identity.domain.id, plainPath: plainPath)
            ]
        case .symbolicLink, .special: break
        }
    }

    /// How many regular files the walk will visit, as the tree is now.
    mutating func countFiles() throws(VaultError) -> UInt64 {
        try enter()
        var total: UInt64 = 0
        while true {
            let files = try nextFiles(256)
            _ = takeDomains()
            if files.isEmpty { return total }
            total += UInt64(files.count)
        }
    }

    /// At least one and about `limit` files; none at the end.
    mutating func nextFiles(_ limit: Int) throws(VaultError) -> [File] {
        while found.count < limit, let next = waiting.popLast() {
            do throws(VaultError) {
                try read(next)
            } catch {
                // Gone since its parent was read.
                guard case .system(.noSuchFileOrDirectory) = error else { throw error }
            }
        }
        defer { found.removeFirst(min(limit, found.count)) }
        return Array(found.prefix(limit))
    }

    /// The domains that the walk has come to since the last call.
    mutating func takeDomains() -> Domains {
        defer { domains = Domains() }
        return domains
    }

    private mutating func read(_ place: Waiting) throws(VaultError) {
        let directory = try open(place.stored)
        guard let identity = try identity(of: directory, place) else { return }
        var stream = DirectoryStream(directory)
        while let entry = try system({ () throws(Errno) in try stream.next() }) {
            guard !entry.name.isDots, let name = plainName(entry.name, identity, directory) else {
                continue
            }
            let path = place.plainPath.isEmpty ? name : place.plainPath + "/" + name
            let status = try? directory.status(of: entry.name)
            switch status?.kind {
            case .directory:
                waiting.append(
                    Waiting(
                        stored: place.stored + [entry.name], plainPath: path,
                        outer: identity.domain))
            case .regular:
                found.append(
                    File(
                        directory: directory, stored: entry.name, domainID: identity.domain.id,
                        plainPath: path))
            case .symbolicLink, .special, nil: break
            }
        }
    }

    /// nil for the root of a domain that is not gone into.
    private mutating func identity(
        of directory: Descriptor, _ place: Waiting
    ) throws(VaultError) -> DirectoryIdentity? {
        let bytes = try DirectoryRecord.read(in: directory)
        let record = try format { () throws(FormatError) in try DirectoryRecord(decoding: bytes) }
        let isRoot = record.link != nil || place.stored.isEmpty
        if isRoot, nested == .left, !place.isStart {
            domains.left.append(place.plainPath)
            return nil
        }
        do throws(VaultError) {
            let identity = try opener.identity(of: bytes, below: place.outer) { _ in nil }
            if isRoot {
                domains.entered.append(
                    DomainRoot(
                        stored: place.stored, record: record, domain: identity.domain,
                        plainPath: place.plainPath))
            }
            return identity
        } catch {
            guard isRoot else { throw error }
            domains.closed.append(
                ClosedDomain(record: record, plainPath: place.plainPath, error: error))
            return nil
        }
    }

    func open(_ stored: [FileName]) throws(VaultError) -> Descriptor {
        var directory = try system { () throws(Errno) in try root.reopen(OpenFlag.directory) }
        for name in stored {
            let parent = directory
            directory = try system { () throws(Errno) in
                try parent.open(name, OpenFlag.directory)
            }
        }
        return directory
    }

    /// The plain name of an entry, for people: bytes that are no UTF-8 are replaced.
    private func plainName(
        _ stored: FileName, _ identity: DirectoryIdentity, _ directory: Descriptor
    ) -> String? {
        let text = stored.string
        let isLong = ReservedName.isLong(text)
        if ReservedName.isReserved(text), !isLong { return nil }
        if config.names == .plaintext { return text }
        let keys = identity.domain.keys
        let bytes: [UInt8]?
        if isLong {
            let sidecar = FileName(ReservedName.sidecar(ofLong: text))
            bytes = (try? directory.openRegularFile(sidecar).readAll(limitBytes: 1024)).flatMap {
                try? keys.openLongName(sidecar: $0, stored: text, in: identity.directoryID)
            }
        } else {
            bytes = try? keys.openName(text, in: identity.directoryID)
        }
        return bytes.map { String(decoding: $0, as: UTF8.self) }
    }
}

/// A way from the vault's root down by plaintext names, in the store itself.
struct SealedPath {
    private let config: VaultConfig
    private let opener: NestedDomain

    /// Where it has come to.
    private(set) var directory: Descriptor
    private(set) var identity: DirectoryIdentity
    /// Stored names from the root down.
    private(set) var stored: [FileName] = []
    private var plain: [String] = []
    /// The root of the domain that the directory is in; nil for the vault's own.
    private(set) var domainRoot: SealedTree.DomainRoot?
    /// The domain's root at which ``descend(_:)`` failed.
    private(set) var closed: SealedTree.ClosedDomain?

    init(
        config: VaultConfig, root: Descriptor, identity: DirectoryIdentity, opener: NestedDomain
    ) {
        self.config = config
        self.opener = opener
        directory = root
        self.identity = identity
    }

    /// The names of a plaintext path below a vault's root.
    static func names(_ path: String) -> [String] {
        path.split(separator: "/").map(String.init).filter { $0 != "." }
    }

    /// - Throws: `ENOENT`, `ENOTDIR`, and what keeps a domain on the way from being opened.
    mutating func descend(_ names: some Sequence<String>) throws(VaultError) {
        for name in names {
            let (next, status) = try find(name)
            guard status.kind == .directory else { throw .system(.notDirectory) }
            let above = directory
            directory = try system { () throws(Errno) in
                try above.open(next, OpenFlag.directory)
            }
            stored.append(next)
            plain.append(name)
            try enterDirectory()
        }
    }

    private mutating func enterDirectory() throws(VaultError) {
        let bytes = try DirectoryRecord.read(in: directory)
        let record = try format { () throws(FormatError) in try DirectoryRecord(decoding: bytes) }
        let plainPath = plain.joined(separator: "/")
        do throws(VaultError) {
            identity = try opener.identity(of: bytes, below: identity.domain) { _ in nil }
        } catch {
            if record.link != nil {
                closed = SealedTree.ClosedDomain(
                    record: record, plainPath: plainPath, error: error)
            }
            throw error
        }
        if record.link != nil {
            domainRoot = SealedTree.DomainRoot(
                stored: stored, record: record, domain: identity.domain,
                plainPath: plainPath)
        }
    }

    /// An entry of the directory.
    ///
    /// - Throws: `EINVAL` for "..", beside what a missing or an impossible name gives.
    func find(_ name: String) throws(VaultError) -> (stored: FileName, status: FileStatus) {
        let stored = try storedName(name).fileName
        let status = try system { () throws(Errno) in try directory.status(of: stored) }
        return (stored, status)
    }

    func storedName(_ name: String) throws(VaultError) -> StoredName {
        guard (1...DomainKeys.maximumNameBytes).contains(name.utf8.count) else {
            throw .system(.fileNameTooLong)
        }
        // With plaintext names ".." would lead up, and out of the vault.
        guard !FileName(name).isDots else { throw .system(.invalidArgument) }
        switch config.names {
        case .sealed:
            return StoredName(
                identity.domain.keys.sealName(Array(name.utf8), in: identity.directoryID))
        case .plaintext:
            guard !ReservedName.isReserved(name) else { throw .system(.notPermitted) }
            return StoredName(plain: FileName(name))
        }
    }
}
