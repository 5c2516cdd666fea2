import Platform
import SealedFormat

extension VaultFileSystem {
    /// What the mount shows of a file whose stored form has `status`, and whose content is `content`
    /// where it is open.
    private func attributes(
        _ status: FileStatus, of inode: Inode, _ content: SealedFile?
    ) -> Attributes {
        var attributes = Attributes(
            status, sizeBytes: content?.plainSize ?? plainSize(status))
        if inode.remains != nil { attributes.linkCount = 0 }
        // What the kernel has collected takes no blocks here yet; and GNU tar takes a file that has
        // none for a single hole.
        if status.kind == .regular { attributes.blocks512 = max(attributes.blocks512, 1) }
        return attributes
    }

    private func plainSize(_ status: FileStatus) -> UInt64 {
        switch status.kind {
        case .regular:
            return config.layout.reportedSize(sealedSize: status.sizeBytes)
        case .symbolicLink:
            let size = DomainKeys.symbolicLinkSize(textBytes: Int(status.sizeBytes))
            return size.map { UInt64($0) } ?? status.sizeBytes
        case .directory, .special:
            return status.sizeBytes
        }
    }

    package func attributes(
        of id: InodeID, handle: HandleID?
    ) throws(VaultError) -> Attributes {
        try currentAttributes(of: try inode(id))
    }

    private func currentAttributes(of inode: Inode) throws(VaultError) -> Attributes {
        let wasWaiting = hasUncommitted
        let found = try status(of: inode)
        return attributes(found, of: inode, wasWaiting: wasWaiting) { try? status(of: inode) }
    }

    /// Whether contents wait for their commits; asked before a look at the store that goes through
    /// ``attributes(_:of:wasWaiting:again:)``.
    var hasUncommitted: Bool { committer?.hasDirty ?? false }

    /// The attributes of a file that was looked at in the store as `status`. A content that waited
    /// then and that nobody has open any more was committed meanwhile: the store had less of it at
    /// that look.
    func attributes(
        _ status: FileStatus, of inode: Inode, wasWaiting: Bool, again: () -> FileStatus?
    ) -> Attributes {
        // One look decides: a content that is seen here knows the size, whatever becomes of it.
        let content = inode.kind == .regular ? inode.openContent : nil
        guard content == nil, wasWaiting, inode.kind == .regular,
            let newer = again(), BackingID(newer) == inode.backing
        else { return attributes(status, of: inode, content) }
        return attributes(newer, of: inode, nil)
    }

    func status(of inode: Inode) throws(VaultError) -> FileStatus {
        if let remains = inode.remains { return remains }
        if let content = inode.state.withLock({ $0.content }) {
            return try system { () throws(Errno) in try content.descriptor.status() }
        }
        if inode.id == .root || inode.kind == .directory {
            return try withDirectory(inode) { directory throws(VaultError) in
                try system { () throws(Errno) in try directory.status() }
            }
        }
        return try withLink(of: inode) { directory, stored throws(VaultError) in
            let status = try system { () throws(Errno) in try directory.status(of: stored) }
            guard BackingID(status) == inode.backing else { throw .system(.staleFileHandle) }
            return status
        }
    }

    package func setAttributes(
        of id: InodeID, handle: HandleID?, to change: AttributeChange, as requester: Requester
    ) throws(VaultError) -> Attributes {
        try requireWritable()
        let inode = try inode(id)
        if let size = change.sizeBytes {
            try truncate(inode, handle: handle, to: size, as: requester)
        }
        if change.mode != nil || change.uid != nil || change.gid != nil || change.clearsSetID
            || change.accessTime != nil || change.modificationTime != nil
        {
            // The kernel brings the times of a file whose names went meanwhile, and would report an
            // error of that at the next sync of the whole mount.
            if let last = inode.lastStatus, inode.kind != .directory, change.setsTimesOnly {
                return attributes(last, of: inode, nil)
            }
            if inode.remains == nil {
                let node = try node(inode)
                let content = inode.openContent
                try system { () throws(Errno) in
                    guard let content else {
                        return try Self.apply(change, to: node, inode.kind)
                    }
                    try content.withTimesHeld { () throws(Errno) in
                        try Self.apply(change, to: node, inode.kind)
                    }
                }
                if change.setsTimesOnly {
                    inode.openContent?.noteTimes()
                } else {
                    inode.openContent?.noteAttributes()
                }
            }
        }
        return try currentAttributes(of: inode)
    }

    private static func apply(
        _ change: AttributeChange, to node: Descriptor, _ kind: FileStatus.Kind
    ) throws(Errno) {
        if change.uid != nil || change.gid != nil {
            try node.changeOwner(uid: change.uid, gid: change.gid)
        }
        if let mode = change.mode {
            guard kind != .symbolicLink else { throw .notSupported }
            try node.changeMode(to: mode)
        } else if change.clearsSetID {
            try clearSetID(of: node)
        }
        if change.accessTime != nil || change.modificationTime != nil {
            try node.setTimes(
                access: update(change.accessTime), modification: update(change.modificationTime))
        }
    }

    private static func update(_ change: TimeChange?) -> Descriptor.TimeUpdate {
        switch change {
        case nil: .keep
        case .now: .now
        case .at(let time): .set(time)
        }
    }

    /// As the kernel does at a write by somebody without CAP_FSETID (inode(7)): set-user-id goes
    /// always, set-group-id only from a file that its group may execute.
    /// - Returns: whether there was something to clear.
    @discardableResult
    static func clearSetID(of node: Descriptor) throws(Errno) -> Bool {
        let status = try node.status()
        guard status.kind == .regular else { return false }
        var mode = status.mode & 0o7777 & ~0o4000
        if mode & 0o010 != 0 { mode &= ~0o2000 }
        guard mode != status.mode & 0o7777 else { return false }
        try node.changeMode(to: mode)
        return true
    }

    /// The same for a file whose content is about to change.
    func clearSetID(of content: SealedFile, _ inode: Inode) throws(VaultError) {
        let isCleared = try system { () throws(Errno) in
            try Self.clearSetID(of: content.descriptor)
        }
        guard isCleared else { return }
        content.noteAttributes()
        tellOfAttributes(of: inode)
    }

    package func readSymbolicLink(_ id: InodeID) throws(VaultError) -> [UInt8] {
        let inode = try inode(id)
        return try withLink(of: inode) { directory, stored throws(VaultError) in
            let text = try system { () throws(Errno) in
                // Another link may have the name by now.
                let node = try directory.open(stored, OpenFlag.path)
                guard BackingID(try node.status()) == inode.backing else {
                    throw .staleFileHandle
                }
                return try node.readSymbolicLink(FileName(""))
            }
            guard let link = inode.links.first else { throw .system(.staleFileHandle) }
            let keys = try identity(of: link.parent).domain.keys
            return try format { () throws(FormatError) in try keys.openSymbolicLink(text) }
        }
    }

    // MARK: Changes that nobody asked for

    /// Not the closure alone: see ``Committer/IdleHandler``.
    struct AttributeObserver: Sendable {
        let call: @Sendable (InodeID) -> Void
    }

    /// Has `observer` told, before a request is answered, of the file whose attributes it changed
    /// beside what it asked for: what anybody remembers of them is old.
    package func observeAttributes(_ observer: @escaping @Sendable (InodeID) -> Void) {
        attributeObserver.withLock { $0 = AttributeObserver(call: observer) }
    }

    func tellOfAttributes(of inode: Inode) {
        attributeObserver.withLock { $0 }?.call(inode.id)
    }
}
