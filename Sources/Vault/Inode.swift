import Platform
import SealedFormat
import Synchronization

/// Which file of the store an inode is.
struct BackingID: Hashable, Sendable {
    let device: UInt64
    let inodeNumber: UInt64

    init(_ status: FileStatus) {
        self.init(device: status.device, inodeNumber: status.inodeNumber)
    }

    init(device: UInt64, inodeNumber: UInt64) {
        self.device = device
        self.inodeNumber = inodeNumber
    }
}

/// What a directory's record says, and the keys that fit it.
struct DirectoryIdentity: Sendable {
    let directoryID: DirectoryID
    let domain: Domain
}

/// A file of the mount that the kernel knows, with the names under which it was found.
///
/// An inode holds no descriptor: it is resolved through its parents. Lock order: `opening`, then
/// `state` of a child, then nothing; the parents' states are read after the child's was let go.
final class Inode: Sendable {
    /// One name of a file: the directory it is in and its name in the store.
    struct Link: Sendable {
        let parent: Inode
        let stored: FileName

        /// The directory may have been forgotten by the kernel and found again meanwhile, as another
        /// inode.
        func isSame(_ stored: FileName, in parent: Inode) -> Bool {
            self.parent.backing == parent.backing && self.stored == stored
        }

        /// nil when a directory above has no name that is known.
        var storedPath: [UInt8]? { parent.storedPath(to: [stored.bytes]) }
    }

    struct State {
        var lookups: UInt64 = 0
        /// Newest first; at most ``Inode/maximumLinks``.
        var links: [Link] = []
        var directory: DirectoryIdentity?
        var hasDefaultACL: Bool?
        /// A directory's record was written and may not be on the disk yet.
        var hasUnsyncedRecord = false
        /// Sidecars that were made in a directory since it was last synced.
        var unsyncedSidecars: Set<FileName> = []
        /// What the file was when its last known name went; the kernel may still ask.
        var lastStatus: FileStatus?
        /// Found anew, the file gets another inode.
        var isRetired = false
        /// Of a file that was opened, for the time when no name leads to it.
        var domain: Domain?
        /// Set while handles are open.
        var content: SealedFile?
        var openHandles = 0

        mutating func takeLinks() -> [Link] {
            defer { links = [] }
            return links
        }
    }

    /// More names of one file than this are found again by the kernel's next lookup.
    static let maximumLinks = 16

    let id: InodeID
    let backing: BackingID
    let kind: FileStatus.Kind
    let state = Mutex(State())
    /// Held from the look at the stored file until a content that was made of it is installed:
    /// another one might be opened, written and closed meanwhile.
    let opening = Mutex(())

    init(id: InodeID, backing: BackingID, kind: FileStatus.Kind) {
        self.id = id
        self.backing = backing
        self.kind = kind
    }

    var links: [Link] { state.withLock { $0.links } }

    func addLink(_ link: Link) {
        state.withLock { state in
            state.links.removeAll { $0.isSame(link.stored, in: link.parent) }
            state.links.insert(link, at: 0)
            if state.links.count > Self.maximumLinks { state.links.removeLast() }
        }
    }

    func removeLink(_ stored: FileName, in parent: Inode) {
        state.withLock { state in
            state.links.removeAll { $0.isSame(stored, in: parent) }
        }
    }

    // MARK: Open content

    var openContent: SealedFile? { state.withLock { $0.content } }

    /// One more user of the open content, which ``unpinContent()`` takes back.
    func pinContent() {
        state.withLock { $0.openHandles += 1 }
    }

    /// The content of the inode, or `new` where there is none, with one more user.
    func pinContent(orInstalling new: SealedFile?) -> SealedFile? {
        state.withLock { state in
            if state.content == nil { state.content = new }
            if state.content != nil { state.openHandles += 1 }
            return state.content
        }
    }

    func unpinContent() {
        let closed = state.withLock { state -> SealedFile? in
            state.openHandles -= 1
            guard state.openHandles == 0 else { return nil }
            defer { state.content = nil }
            return state.content
        }
        _ = consume closed
    }

    /// A tree that only this inode held goes one directory after the other: it may be deeper than
    /// a thread's stack.
    deinit {
        var parents = state.withLock { $0.takeLinks() }.map(\.parent)
        while var parent = parents.popLast() {
            guard isKnownUniquelyReferenced(&parent) else { continue }
            parents += parent.state.withLock { $0.takeLinks() }.map(\.parent)
        }
    }

    /// Stored names from the vault's root down with "/" between them; nil when none is known.
    var storedPath: [UInt8]? { storedPath(to: []) }

    /// The same for what lies below, by its names from the lowest up.
    fileprivate func storedPath(to below: [[UInt8]]) -> [UInt8]? {
        var names = below
        var current = self
        while current.id != .root {
            guard let link = current.links.first else { return nil }
            names.append(link.stored.bytes)
            current = link.parent
        }
        return Array(names.reversed().joined(separator: [UInt8(ascii: "/")]))
    }

    /// The same by the file's other names.
    var otherStoredPaths: [[UInt8]] { links.dropFirst().compactMap { $0.storedPath } }

    // MARK: Names that are gone

    /// As ``removeLink(_:in:)``, for a name that is gone for good; `status` is what the file was under it.
    func removeLink(_ stored: FileName, in parent: Inode, of status: FileStatus) {
        state.withLock { state in
            state.links.removeAll { $0.isSame(stored, in: parent) }
            if state.links.isEmpty { state.lastStatus = status }
        }
    }

    /// Set when no known name leads to the file and nothing holds it open: what it was last.
    var lastStatus: FileStatus? {
        state.withLock { state in
            state.links.isEmpty && state.content == nil ? state.lastStatus : nil
        }
    }

    /// Set when the file is gone for good: all that is left is what the kernel remembers of it, and
    /// asks about. Not for directories, whose link counts tell nothing of names.
    var remains: FileStatus? {
        guard kind != .directory, let last = lastStatus, last.linkCount <= 1 else { return nil }
        return last
    }
}

/// The inodes that the kernel knows.
struct InodeTable {
    private struct Forgotten {
        weak var inode: Inode?
    }

    private(set) var byID: [InodeID: Inode] = [:]
    private var byBacking: [BackingID: Inode] = [:]
    /// What the kernel has forgotten and something here still holds: a child that it knows, or what
    /// waits for a commit. Found again, it must be the same, since names change in one object only.
    private var forgotten: [BackingID: Forgotten] = [:]
    private var forgottenLimit = 1024
    private var nextID: UInt64 = InodeID.root.rawValue + 1
    /// Forgotten by the kernel while contents waited for their commits, which find their files'
    /// paths through these.
    private var idleDirectories: [InodeID: Inode] = [:]

    init(root: Inode) {
        byID[root.id] = root
        byBacking[root.backing] = root
    }

    /// The inode of a file that was just found in the store; counts one lookup.
    mutating func remember(_ status: FileStatus, link: Inode.Link) -> Inode {
        let backing = BackingID(status)
        let inode: Inode
        let known = byBacking[backing] ?? forgotten.removeValue(forKey: backing)?.inode
        if let known, known.kind == status.kind {
            inode = known
            byID[inode.id] = inode
            byBacking[backing] = inode
        } else {
            inode = Inode(id: InodeID(rawValue: nextID), backing: backing, kind: status.kind)
            nextID += 1
            byID[inode.id] = inode
            byBacking[backing] = inode
        }
        inode.state.withLock { $0.lookups += 1 }
        inode.addLink(link)
        return inode
    }

    func find(_ backing: BackingID) -> Inode? { byBacking[backing] ?? forgotten[backing]?.inode }

    /// The file's last name is gone: its number may come back as another file.
    mutating func retire(_ inode: Inode) {
        if byBacking[inode.backing] === inode { byBacking[inode.backing] = nil }
        if forgotten[inode.backing]?.inode === inode { forgotten[inode.backing] = nil }
    }

    /// - Returns: the inode, when the kernel has forgotten it for good.
    mutating func forget(_ id: InodeID, lookups: UInt64, keepsDirectories: Bool) -> Inode? {
        guard id != .root, let inode = byID[id] else { return nil }
        inode.state.withLock { $0.lookups -= min(lookups, $0.lookups) }
        if keepsDirectories, inode.kind == .directory {
            idleDirectories[inode.id] = inode
            return nil
        }
        return drop(inode) ? inode : nil
    }

    /// Drops the directories that were kept when the kernel forgot them.
    mutating func dropIdleDirectories() -> [Inode] {
        let idle = idleDirectories.values
        idleDirectories = [:]
        return idle.filter { drop($0) }
    }

    /// Drops an inode that neither the kernel knows nor anybody has open. One whose content waits
    /// for its commit stays, so that the next lookup finds that content.
    mutating func drop(_ inode: Inode) -> Bool {
        let isIdle = inode.state.withLock { $0.lookups == 0 && $0.openHandles == 0 }
        guard isIdle, inode.id != .root, byID[inode.id] === inode else { return false }
        byID[inode.id] = nil
        guard byBacking[inode.backing] === inode else { return true }
        byBacking[inode.backing] = nil
        forgotten[inode.backing] = Forgotten(inode: inode)
        if forgotten.count > forgottenLimit {
            forgotten = forgotten.filter { $0.value.inode != nil }
            forgottenLimit = max(1024, 2 * forgotten.count)
        }
        return true
    }
}
