package import KMSModel
import Cryptography
package import Platform
package import SealedFormat
import Synchronization

/// One vault as a file system: what a mount serves, without any word of FUSE.
///
/// Every call is synchronous and may come from any thread. Lock order: `renames`, then the tables
/// (`inodes`, `handles`), then one inode's state, then one file's content; no table lock is held
/// over a system call. What commits do besides stands at ``Committer``.
package final class VaultFileSystem: Sendable {
    package let config: VaultConfig
    package let options: VaultOptions
    let service: any KeyService
    let directories = DirectoryCache()
    let scratches = ScratchPool()
    let inodes: Mutex<InodeTable>
    let handles = Mutex(HandleTable())
    let domains: Mutex<DomainTable>
    /// Held alone while a rename changes both the store and the inodes' names, and shared by
    /// whoever needs a path to stay.
    let renames = ReadWriteMutex(())
    let counters = Counters()
    let attributeObserver = Mutex<AttributeObserver?>(nil)
    let root: Inode
    let rootDescriptor: Descriptor
    private let lock: VaultLock?
    /// nil where blocks are overwritten in place.
    let committer: Committer?
    /// The last mount ended by a power cut.
    let mayHaveTornRecords: Bool
    /// When this mount began, by the wall clock.
    let mountTime = Timespec.now

    /// Opens a vault: takes its lock, asks `service` for the root domain's key, and authenticates
    /// the config and the root's record with it.
    package init(
        vaultDirectory path: String, service: any KeyService, options: VaultOptions
    ) throws(VaultError) {
        let (descriptor, config) = try VaultInspection.open(path)
        self.config = config
        self.options = options
        self.service = service
        rootDescriptor = descriptor
        lock = try VaultLock.acquire(
            in: descriptor, path: path, isShared: options.isShared,
            isReadOnly: options.isReadOnly, mountPoint: options.mountPoint)
        let caller = Caller(
            principalARN: options.principals.mountARN, process: ProcessIdentity.current,
            userAgent: options.userAgent, fileActivity: FileActivity(operation: .mount))
        let (identity, stamp) = try RootDomain.open(
            in: descriptor, config: config, service: service, as: caller)
        try format { () throws(FormatError) in try config.authenticate(with: identity.domain.keys) }
        domains = Mutex(DomainTable(root: identity.domain))
        (committer, mayHaveTornRecords) = try Self.recover(
            descriptor, config, identity.domain, service, caller, options, renames)
        let status = try system { () throws(Errno) in try descriptor.status() }
        root = Inode(id: .root, backing: BackingID(status), kind: .directory)
        root.state.withLock { $0.directory = identity }
        identity.domain.noteRoot(root, stamp)
        inodes = Mutex(InodeTable(root: root))
        committer?.onIdle.withLock { handler in
            handler = Committer.IdleHandler { [weak self] inode in self?.dropIfIdle(inode) }
        }
    }

    /// Writes everything back, forgets the keys and lets the next mount in.
    package func close() {
        let open = handles.withLock { table in table.removeAll() }
        for file in open { try? file.content.settleGaps() }
        committer?.close()
        try? synchronizeAll()
        for file in open { file.inode.unpinContent() }
        directories.removeAll()
        lock?.release()
    }

    /// Puts right what a mount left behind that was killed or lost its power, and begins a journal
    /// of our own.
    private static func recover(
        _ vault: Descriptor, _ config: VaultConfig, _ domain: Domain, _ service: any KeyService,
        _ caller: Caller, _ options: VaultOptions, _ renames: ReadWriteMutex<Void>
    ) throws(VaultError) -> (Committer?, mayHaveTornRecords: Bool) {
        let bootID: [UInt8]
        if let given = options.bootID {
            bootID = Array(given.utf8)
        } else {
            bootID = try system { () throws(Errno) in try Journal.currentBootID() }
        }
        let recovery = Recovery(
            vault: vault, config: config, keys: domain.keys, service: service, caller: caller,
            bootID: bootID, onIncident: options.onIncident)
        guard !options.isReadOnly else {
            if recovery.isNeeded {
                options.onIncident(
                    "the vault was not unmounted in order: what that left half-done is put right "
                        + "by a mount that may write")
            }
            return (nil, false)
        }
        guard !options.overwritesInPlace else {
            return (nil, try recovery.runToTheEnd().sawPowerCut)
        }
        let result = options.broken == .recovery ? Recovery.Result() : try recovery.run()
        let place = Committer.Place(
            root: vault, layout: config.layout, onIncident: options.onIncident,
            broken: options.broken)
        guard
            let journal = try makeJournal(vault, domain, bootID, options, recovery, result)
        else { return (nil, result.sawPowerCut) }
        let committer = Committer(journal: journal, place: place, renames: renames)
        try committer.adopt(result.deferred)
        try recovery.finish(result.journals)
        return (committer, result.sawPowerCut)
    }

    /// A journal of our own, or nil where the store has no room for one.
    ///
    /// What recovery has worked through must not be found again by a later mount, when the files
    /// are newer; and on a full disk the old journals may be the room that a new one needs.
    private static func makeJournal(
        _ vault: Descriptor, _ domain: Domain, _ bootID: [UInt8], _ options: VaultOptions,
        _ recovery: Recovery, _ result: Recovery.Result
    ) throws(VaultError) -> Journal? {
        func make() throws(Errno) -> Journal {
            try Journal(
                in: vault, keys: domain.keys, bootID: bootID, byteCount: options.journalBytes,
                flushes: options.broken != .journalFlush)
        }
        do throws(Errno) {
            return try make()
        } catch {
            // Torn tails are known to the old journals alone.
            guard result.deferred.isEmpty else { throw .system(error) }
        }
        try recovery.finish(result.journals)
        do throws(Errno) {
            return try make()
        } catch {
            options.onIncident(
                "no journal (\(error)): a block that is being overwritten when the mount is killed "
                    + "or the power fails may become unreadable")
            return nil
        }
    }

    package func synchronizeAll() throws(VaultError) {
        guard !options.isReadOnly else { return }
        let round = committer?.commitAll()
        try system { () throws(Errno) in try rootDescriptor.synchronizeFileSystem() }
        if let failure = round?.failure { throw failure }
    }

    package func fileSystemStatistics() throws(VaultError) -> FileSystemStatistics {
        var statistics = try system { () throws(Errno) in
            try rootDescriptor.fileSystemStatistics()
        }
        statistics.maximumNameBytes = 255
        return statistics
    }

    // MARK: Inodes

    func inode(_ id: InodeID) throws(VaultError) -> Inode {
        guard let inode = inodes.withLock({ $0.byID[id] }) else {
            throw .system(.staleFileHandle)
        }
        return inode
    }

    private func dropIfIdle(_ inode: Inode) {
        let isWaiting = committer?.hasDirty ?? false
        let gone = inodes.withLock { table in
            (table.drop(inode) ? [inode] : []) + (isWaiting ? [] : table.dropIdleDirectories())
        }
        for inode in gone { directories.remove(inode.id) }
    }

    package func forget(_ id: InodeID, lookups: UInt64) {
        let isWaiting = committer?.hasDirty ?? false
        let gone = inodes.withLock { table in
            let one = table.forget(id, lookups: lookups, keepsDirectories: isWaiting)
            return (one.map { [$0] } ?? []) + (isWaiting ? [] : table.dropIdleDirectories())
        }
        for inode in gone { directories.remove(inode.id) }
    }

    /// Runs `body` with a name of the inode; again when a rename came between, so that only a name
    /// that is really gone is an error.
    func withLink<Result>(
        of inode: Inode, _ body: (Descriptor, FileName) throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        // A file may have more names than are remembered; ESTALE lets the kernel look again.
        var failure = VaultError.system(.staleFileHandle)
        for attempt in 0..<4 {
            let links = inode.links
            for link in links {
                do throws(VaultError) {
                    return try body(try directoryDescriptor(of: link.parent), link.stored)
                } catch {
                    guard case .system(let errno) = error,
                        errno == .noSuchFileOrDirectory || errno == .staleFileHandle
                    else { throw error }
                    failure = error
                }
            }
            // A rename that is under way has finished once its lock was ours.
            if attempt > 0 || links.isEmpty { renames.withReadLock { _ in } }
        }
        throw failure
    }

    /// An O_PATH descriptor of a directory, from the cache or down from the nearest cached parent.
    func directoryDescriptor(of inode: Inode) throws(VaultError) -> Descriptor {
        if inode.id == .root { return rootDescriptor }
        if let known = directories.find(inode.id) { return known }
        guard inode.kind == .directory else { throw .system(.notDirectory) }
        // Deep trees are walked with a list, not with the stack.
        var path: [(inode: Inode, stored: FileName)] = []
        var current = inode
        var descriptor: Descriptor?
        while descriptor == nil {
            guard let link = current.links.first else { throw .system(.staleFileHandle) }
            path.append((current, link.stored))
            current = link.parent
            descriptor = current.id == .root ? rootDescriptor : directories.find(current.id)
        }
        guard var descriptor else { throw .system(.staleFileHandle) }
        for (inode, stored) in path.reversed() {
            let parent = descriptor
            descriptor = try system { () throws(Errno) in
                try parent.open(stored, OpenFlag.path | OpenFlag.directory)
            }
            let status = try system { () throws(Errno) in try descriptor.status() }
            guard BackingID(status) == inode.backing else { throw .system(.staleFileHandle) }
            directories.insert(descriptor, for: inode.id)
        }
        return descriptor
    }

    /// A descriptor that pins the inode's file, for changes of its attributes: the open content's,
    /// a directory's from the cache, or a new O_PATH one.
    func node(_ inode: Inode) throws(VaultError) -> Descriptor {
        if let content = inode.state.withLock({ $0.content }) { return content.descriptor }
        if inode.kind == .directory {
            return try withDirectory(inode) { descriptor throws(VaultError) in descriptor }
        }
        return try withLink(of: inode) { parent, stored throws(VaultError) in
            let node = try system { () throws(Errno) in try parent.open(stored, OpenFlag.path) }
            let status = try system { () throws(Errno) in try node.status() }
            guard BackingID(status) == inode.backing else { throw .system(.staleFileHandle) }
            return node
        }
    }

    /// As ``directoryDescriptor(of:)``, again when a rename came between.
    func withDirectory<Result>(
        _ inode: Inode, _ body: (Descriptor) throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        if inode.id == .root { return try body(rootDescriptor) }
        if let known = directories.find(inode.id) { return try body(known) }
        let descriptor = try withLink(of: inode) { _, _ throws(VaultError) in
            try directoryDescriptor(of: inode)
        }
        return try body(descriptor)
    }

    func caller(
        _ requester: Requester, _ operation: FileActivity.Operation,
        path: @autoclosure () -> String?
    )
        -> Caller
    {
        Caller(
            principalARN: options.principals.arn(uid: requester.uid),
            process: ProcessIdentity(
                uid: requester.uid, gid: requester.gid, pid: requester.pid,
                program: ProcessTable.programName(of: requester.pid)),
            userAgent: options.userAgent,
            fileActivity: FileActivity(
                operation: operation, path: options.logsPaths ? path() : nil))
    }
}
