import Cryptography
import Platform
import SealedFormat

/// Walks a vault, or a part of it, in the store itself, with the plaintext paths.
///
/// Holds the descriptors of one directory at a time; the directories that wait are kept by path,
/// so that a tree of any depth is walked within few descriptors.
struct SealedTree {
    struct File {
        let directory: Descriptor
        let stored: FileName
        let domainID: DomainID
        let plainPath: String
    }

    private struct Waiting {
        /// Stored names from the root down.
        let stored: [FileName]
        let plainPath: String
    }

    private let config: VaultConfig
    private let root: Descriptor
    private let domain: Domain
    private let rootIdentity: DirectoryIdentity
    /// Plain names from the root down to where the walk begins.
    private let start: [String]

    private var waiting: [Waiting] = []
    private var found: [File] = []

    init(config: VaultConfig, root: Descriptor, identity: DirectoryIdentity, path: String) {
        self.config = config
        self.root = root
        domain = identity.domain
        rootIdentity = identity
        start = path.split(separator: "/").map(String.init).filter { $0 != "." }
    }

    var isWhole: Bool { start.isEmpty }

    /// Goes to the beginning of the walk.
    ///
    /// - Throws: `ENOENT` when the path does not exist.
    mutating func enter() throws(VaultError) {
        waiting = []
        found = []
        var directory = root
        var identity = rootIdentity
        var stored: [FileName] = []
        for (index, name) in start.enumerated() {
            guard (1...255).contains(name.utf8.count) else { throw .system(.fileNameTooLong) }
            let next = FileName(seal(name, identity))
            let status = try system { () throws(Errno) in try directory.status(of: next) }
            stored.append(next)
            if status.kind == .directory {
                let parent = directory
                directory = try system { () throws(Errno) in
                    try parent.open(next, OpenFlag.directory)
                }
                identity = try self.identity(of: directory)
            } else {
                guard index == start.count - 1 else { throw .system(.notDirectory) }
                if status.kind == .regular {
                    found = [
                        File(
                            directory: directory, stored: next, domainID: identity.domain.id,
                            plainPath: start.joined(separator: "/"))
                    ]
                }
                return
            }
        }
        waiting = [Waiting(stored: stored, plainPath: start.joined(separator: "/"))]
    }

    /// How many regular files the walk will visit, as the tree is now.
    mutating func countFiles() throws(VaultError) -> UInt64 {
        try enter()
        var total: UInt64 = 0
        while true {
            let files = try nextFiles(256)
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

    private mutating func read(_ place: Waiting) throws(VaultError) {
        let directory = try open(place.stored)
        let identity = try identity(of: directory)
        var stream = DirectoryStream(directory)
        while let entry = try system({ () throws(Errno) in try stream.next() }) {
            guard !entry.name.isDots, let name = plainName(entry.name, identity, directory) else {
                continue
            }
            let path = place.plainPath.isEmpty ? name : place.plainPath + "/" + name
            let status = try? directory.status(of: entry.name)
            switch status?.kind {
            case .directory:
                waiting.append(Waiting(stored: place.stored + [entry.name], plainPath: path))
            case .regular:
                found.append(
                    File(
                        directory: directory, stored: entry.name, domainID: identity.domain.id,
                        plainPath: path))
            case .symbolicLink, .special, nil: break
            }
        }
    }

    private func open(_ stored: [FileName]) throws(VaultError) -> Descriptor {
        var directory = try system { () throws(Errno) in try root.reopen(OpenFlag.directory) }
        for name in stored {
            let parent = directory
            directory = try system { () throws(Errno) in
                try parent.open(name, OpenFlag.directory)
            }
        }
        return directory
    }

    private func identity(of directory: Descriptor) throws(VaultError) -> DirectoryIdentity {
        let bytes = try RootDomain.readRecord(in: directory)
        return try format { () throws(FormatError) in
            let record = try DirectoryRecord(decoding: bytes)
            guard record.domainID == domain.id else {
                throw .authenticationFailed(.directoryRecord)
            }
            try record.authenticate(bytes, with: domain.keys)
            return DirectoryIdentity(directoryID: record.directoryID, domain: domain)
        }
    }

    private func seal(_ name: String, _ identity: DirectoryIdentity) -> String {
        switch config.names {
        case .sealed: domain.keys.sealName(Array(name.utf8), in: identity.directoryID).stored
        case .plaintext: name
        }
    }

    /// The plain name of an entry, for people: bytes that are no UTF-8 are replaced.
    private func plainName(
        _ stored: FileName, _ identity: DirectoryIdentity, _ directory: Descriptor
    ) -> String? {
        let text = stored.string
        let isLong = ReservedName.isLong(text)
        if ReservedName.isReserved(text), !isLong { return nil }
        if config.names == .plaintext { return text }
        let bytes: [UInt8]?
        if isLong {
            let sidecar = FileName(ReservedName.sidecar(ofLong: text))
            bytes = (try? directory.openRegularFile(sidecar).readAll(limitBytes: 1024)).flatMap {
                try? domain.keys.openLongName(
                    sidecar: $0, stored: text, in: identity.directoryID)
            }
        } else {
            bytes = try? domain.keys.openName(text, in: identity.directoryID)
        }
        return bytes.map { String(decoding: $0, as: UTF8.self) }
    }
}
