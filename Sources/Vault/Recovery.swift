import Cryptography
import KMSModel
import Platform
import SealedFormat

/// Puts a vault right that was not unmounted in order, before the first request of the next mount.
///
/// Everything it does can be done again, and can be cut at any point: a journal goes only when all
/// that it holds is durable in the stored files. Journals of living mounts are locked, and are left
/// alone.
struct Recovery {
    /// A file whose tail may be torn and whose key can't be used now: it is mended when somebody
    /// opens it.
    struct DeferredTail: Sendable {
        let backing: BackingID
        let file: JournaledFile
        let firstBlock: UInt64
        let isSameBoot: Bool

        /// For a journal of this boot.
        var entry: JournalEntry {
            JournalEntry(
                isSameBoot ? .intent(firstBlock: firstBlock) : .tornTail(firstBlock: firstBlock),
                of: file)
        }

        func moved(to path: [UInt8]) -> DeferredTail {
            DeferredTail(
                backing: backing, file: JournaledFile(fileID: file.fileID, path: path),
                firstBlock: firstBlock, isSameBoot: isSameBoot)
        }
    }

    let vault: Descriptor
    let config: VaultConfig
    let keys: DomainKeys
    let service: any KeyService
    let caller: Caller
    let bootID: [UInt8]
    let onIncident: @Sendable (String) -> Void

    struct LeftJournal: Sendable {
        let name: FileName
        /// Holds its lock.
        let file: Descriptor
    }

    struct Result {
        /// All that were found and worked through.
        var journals: [LeftJournal] = []
        var deferred: [DeferredTail] = []
        /// A journal of another boot was found: what was not synced may be torn.
        var sawPowerCut = false
    }

    /// Whether a mount that is gone has left a journal.
    var isNeeded: Bool { Self.isNeeded(in: vault) }

    /// The same where no key is at hand.
    static func isNeeded(in vault: Descriptor) -> Bool {
        guard let left = try? leftJournals(in: vault) else { return true }
        return !left.isEmpty
    }

    /// - Throws: what must keep the vault from being mounted; nothing is lost then.
    func run() throws(VaultError) -> Result {
        var result = Result()
        result.journals = try Self.leftJournals(in: vault)
        for journal in result.journals { try replay(journal, &result) }
        try system { () throws(Errno) in try vault.synchronizeFileSystem() }
        return result
    }

    /// The whole recovery, by somebody who goes on without a journal. What waits for a key stays in
    /// one for the next mount; no entry of blocks does, which later writes could make out of date.
    func runToTheEnd() throws(VaultError) -> Result {
        let result = try run()
        guard !result.deferred.isEmpty else {
            try finish(result.journals)
            return result
        }
        let journal = try system { () throws(Errno) in
            try Journal(
                in: vault, keys: keys, bootID: bootID, byteCount: Journal.smallestBytes,
                flushes: true)
        }
        defer { journal.abandon() }
        for tail in result.deferred {
            var body: [UInt8] = []
            tail.entry.append(to: &body)
            guard journal.commit(body) == .durable else { throw .system(.ioError) }
        }
        try finish(result.journals)
        return result
    }

    private func replay(_ left: LeftJournal, _ result: inout Result) throws(VaultError) {
        guard let remains = try Journal.read(left.file, name: left.name, keys: keys) else {
            return
        }
        let isSameBoot = bootID == remains.head.bootID
        if !isSameBoot { result.sawPowerCut = true }
        for (path, contents) in Self.metadata(remains.entries) {
            try mendMetadata(path, contents)
        }
        let histories = FileHistory.all(remains.entries)
        for history in histories {
            if let tail = try mend(history, isSameBoot: isSameBoot) {
                result.deferred.append(tail)
            }
        }
        if !histories.isEmpty {
            onIncident(
                "the vault was not unmounted in order; \(histories.count) files were put right "
                    + "from the journal")
        }
    }

    /// Takes the journals away that ``run()`` has worked through, and no others. Durably: one that
    /// came back would bring back what it says.
    func finish(_ journals: [LeftJournal]) throws(VaultError) {
        guard !journals.isEmpty else { return }
        try system { () throws(Errno) in
            let directory = try vault.open(Journal.directoryName, OpenFlag.directory)
            for journal in journals { try directory.unlink(journal.name) }
            try directory.synchronize(dataOnly: false)
        }
    }

    /// A journal that can't be looked at now may not be passed by: replayed by a later mount, it
    /// would undo what this one writes.
    private static func leftJournals(in vault: Descriptor) throws(VaultError) -> [LeftJournal] {
        guard
            let directory = try present({ () throws(Errno) in
                try vault.open(Journal.directoryName, OpenFlag.directory)
            })
        else { return [] }
        var found: [LeftJournal] = []
        var stream = DirectoryStream(directory)
        while let entry = try system({ () throws(Errno) in try stream.next() }) {
            guard !entry.name.isDots,
                let journal = try present({ () throws(Errno) in
                    try directory.openRegularFile(entry.name)
                }
                ),
                try isFree(journal)
            else { continue }
            found.append(LeftJournal(name: entry.name, file: journal))
        }
        return found
    }

    /// Whether its mount is gone; it is ours then.
    private static func isFree(_ journal: Descriptor) throws(VaultError) -> Bool {
        do throws(Errno) {
            try journal.tryLock(.exclusive)
            return true
        } catch {
            guard error == .wouldBlock else { throw .system(error) }
            return false
        }
    }

    /// nil for what is not there any more, or is something else now.
    static func present<Value>(
        _ body: () throws(Errno) -> Value
    ) throws(VaultError) -> Value? {
        do throws(Errno) {
            return try body()
        } catch {
            switch error {
            case .noSuchFileOrDirectory, .notDirectory, .symbolicLinkLoop, .noDeviceOrAddress:
                return nil
            default: throw .system(error)
            }
        }
    }

    // MARK: One file

    private func mend(
        _ history: FileHistory, isSameBoot: Bool
    ) throws(VaultError) -> DeferredTail? {
        guard let (file, path) = try find(history) else { return nil }
        let before = try system { () throws(Errno) in try file.status() }
        for action in history.actions {
            try system { () throws(Errno) in try apply(action, to: file) }
        }
        var deferred: DeferredTail?
        if let firstBlock = history.firstDirectBlock {
            let isSameBoot = isSameBoot && !history.isOfEarlierBoot
            do throws(VaultError) {
                try mendTail(file, path, firstBlock: firstBlock, isSameBoot: isSameBoot)
            } catch {
                guard error.isOfKeys else { throw error }
                deferred = DeferredTail(
                    backing: BackingID(before),
                    file: JournaledFile(fileID: history.fileID, path: path),
                    firstBlock: firstBlock, isSameBoot: isSameBoot)
            }
        }
        try system { () throws(Errno) in
            if let (access, modification) = history.times {
                try file.setTimes(
                    access: .set(Timespec(access)), modification: .set(Timespec(modification)))
            } else {
                try file.setTimes(access: .keep, modification: .set(before.modificationTime))
            }
        }
        return deferred
    }

    private func apply(_ action: JournalAction, to file: Descriptor) throws(Errno) {
        switch action {
        case .write(let offset, let bytes):
            try file.write(bytes, at: offset)
        case .truncate(let size):
            if try file.status().sizeBytes > size { try file.truncate(to: size) }
        case .punch(let offset, let count):
            do throws(Errno) {
                try file.allocate(
                    mode: AllocateFlag.punchHole | AllocateFlag.keepSize, at: offset, count: count)
            } catch {
                // The store that the vault was copied to has no holes, and never does any harm.
                if error != .notSupported { throw error }
                try zero(file, offset..<offset + count)
            }
        case .intent, .tornTail, .clean, .times, .metadata: break
        }
    }

    private func zero(_ file: Descriptor, _ range: Range<UInt64>) throws(Errno) {
        let end = min(range.upperBound, try file.status().sizeBytes)
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        var offset = range.lowerBound
        while offset < end {
            let count = min(UInt64(zeros.count), end - offset)
            try file.write(Array(zeros[..<Int(count)]), at: offset)
            offset += count
        }
    }

    /// The file by one of the names that the journal has of it, if it is still the same: names are
    /// opened one by one and without following links, and the header must hold the file id.
    private func find(_ history: FileHistory) throws(VaultError) -> (Descriptor, path: [UInt8])? {
        let flags = history.changesContent ? OpenFlag.readWrite : 0
        var new: (Descriptor, path: [UInt8])?
        for path in history.paths {
            guard let file = try open(path, flags) else { continue }
            if let id = try fileID(of: file) {
                if id == history.fileID { return (file, path) }
            } else if history.firstDirectBlock == 0, history.actions.isEmpty {
                // Nothing else was ever in a file that has no header yet; where it has had several
                // names, another one may be at one of them.
                let isEmpty = try system { () throws(Errno) in try file.status() }.sizeBytes == 0
                if new == nil, isEmpty || history.paths.count == 1 { new = (file, path) }
            }
        }
        return new
    }

    private func fileID(of file: Descriptor) throws(VaultError) -> FileID? {
        let bytes = try system { () throws(Errno) in
            try file.read(count: config.layout.headerBytes, at: 0)
        }
        return (try? FileHeader(decoding: bytes, layout: config.layout))?.fileID
    }

    private func open(_ path: [UInt8], _ flags: Int32) throws(VaultError) -> Descriptor? {
        guard let (directory, last) = try parent(of: path) else { return nil }
        return try Self.present { () throws(Errno) in
            let node = try directory.asOwner(0o100) { () throws(Errno) in
                try directory.open(last, OpenFlag.path)
            }
            guard try node.status().kind == .regular else { throw .noSuchFileOrDirectory }
            return try node.reopenAsOwner(flags)
        }
    }

    func parent(of path: [UInt8]) throws(VaultError) -> (Descriptor, FileName)? {
        let names = path.split(separator: UInt8(ascii: "/")).map { FileName($0) }
        guard let last = names.last, !names.contains(where: \.isDots) else { return nil }
        var directory = vault
        for name in names.dropLast() {
            let above = directory
            guard
                let next = try Self.present({ () throws(Errno) in
                    try above.asOwner(0o100) { () throws(Errno) in
                        try above.open(name, OpenFlag.path | OpenFlag.directory)
                    }
                })
            else { return nil }
            directory = next
        }
        return (directory, last)
    }

    // MARK: Tails

    private func mendTail(
        _ file: Descriptor, _ path: [UInt8], firstBlock: UInt64, isSameBoot: Bool
    ) throws(VaultError) {
        let status = try system { () throws(Errno) in try file.status() }
        guard status.sizeBytes > 0 else { return }
        let bytes = try system { () throws(Errno) in
            try file.read(count: config.layout.headerBytes, at: 0)
        }
        guard let header = try? FileHeader(decoding: bytes, layout: config.layout),
            status.sizeBytes > UInt64(config.layout.headerBytes)
        else {
            // The first blocks came to the disk without the header, or the header without them.
            guard firstBlock == 0 else { return }
            try system { () throws(Errno) in try file.truncate(to: 0) }
            return tell(path, "nothing of it had been synced; it is empty now")
        }
        let context = EncryptionContext(
            vault: config.vaultID, domain: try domainID(ofFileAt: path), file: header.fileID)
        let dataKey = try unwrap(
            header.wrappedKeys, context: context, service: service, as: caller)
        let keys = FileKeys(dataKey: dataKey, fileID: header.fileID)
        try format { () throws(FormatError) in try header.authenticate(with: keys) }
        let tail = TornTail(
            file: file, layout: config.layout, keys: keys, isSparse: header.isSparse,
            firstBlock: firstBlock, isSameBoot: isSameBoot)
        let mended = try system { () throws(Errno) in try tail.mend() }
        if mended.cutBytes > 0 {
            tell(path, "\(mended.cutBytes) bytes at its end had not come to the disk whole")
        }
    }

    /// The domain of the directory that a file is in, as its record names it. No proof is needed: a
    /// data key opens under its own domain only.
    private func domainID(ofFileAt path: [UInt8]) throws(VaultError) -> DomainID {
        guard let (directory, _) = try parent(of: path),
            let bytes = try? DirectoryRecord.read(in: directory),
            let record = try? DirectoryRecord(decoding: bytes)
        else { return keys.domainID }
        return record.domainID
    }

    private func tell(_ path: [UInt8], _ what: String) {
        onIncident("\(String(decoding: path, as: UTF8.self)) (stored name): \(what)")
    }
}

/// What a journal says of one file, after the last entry that made all earlier ones void.
struct FileHistory {
    let fileID: FileID
    /// Newest first.
    private(set) var paths: [[UInt8]] = []
    private(set) var actions: [JournalAction] = []
    /// As they were last synced; nil when they were not.
    private(set) var times: (access: JournalTime, modification: JournalTime)?
    /// Blocks from here on may be torn; nil when none may.
    private(set) var firstDirectBlock: UInt64?
    /// They were torn before the boot that the journal is of.
    private(set) var isOfEarlierBoot = false

    /// In the order in which the files first appear.
    static func all(_ entries: [JournalEntry]) -> [FileHistory] {
        var order: [FileID] = []
        var histories: [FileID: FileHistory] = [:]
        for entry in entries where entry.file.fileID != .none {
            let id = entry.file.fileID
            if histories[id] == nil {
                order.append(id)
                histories[id] = FileHistory(fileID: id)
            }
            histories[id]?.add(entry)
        }
        return order.compactMap { histories[$0] }
            .filter { !$0.actions.isEmpty || $0.firstDirectBlock != nil || $0.times != nil }
    }

    private init(fileID: FileID) {
        self.fileID = fileID
    }

    /// The writes that no later truncation or hole has taken away, in their order.
    ///
    /// - Parameter count: of the newest actions, which do not count.
    func lastingWrites(withoutLast count: Int) -> [(offset: UInt64, bytes: [UInt8])] {
        var writes: [(offset: UInt64, bytes: [UInt8])] = []
        for action in actions.dropLast(count) {
            switch action {
            case .write(let offset, let bytes): writes.append((offset, bytes))
            case .truncate(let size):
                writes = writes.compactMap { write in
                    guard write.offset < size else { return nil }
                    return (write.offset, Array(write.bytes.prefix(Int(size - write.offset))))
                }
            case .punch(let offset, let count):
                let hole = offset..<offset + count
                writes = writes.flatMap { Self.parts(of: $0, outside: hole) }
            case .intent, .tornTail, .clean, .times, .metadata: break
            }
        }
        return writes
    }

    private static func parts(
        of write: (offset: UInt64, bytes: [UInt8]), outside hole: Range<UInt64>
    ) -> [(offset: UInt64, bytes: [UInt8])] {
        let end = write.offset + UInt64(write.bytes.count)
        guard hole.lowerBound < end, write.offset < hole.upperBound else { return [write] }
        var parts: [(offset: UInt64, bytes: [UInt8])] = []
        if write.offset < hole.lowerBound {
            parts.append(
                (write.offset, Array(write.bytes.prefix(Int(hole.lowerBound - write.offset)))))
        }
        if end > hole.upperBound {
            parts.append(
                (hole.upperBound, Array(write.bytes.suffix(Int(end - hole.upperBound)))))
        }
        return parts
    }

    /// Whether anything is written to the file: for its times alone nobody has to.
    var changesContent: Bool { !actions.isEmpty || firstDirectBlock != nil }

    private mutating func add(_ entry: JournalEntry) {
        paths.removeAll { $0 == entry.file.path }
        paths.insert(entry.file.path, at: 0)
        switch entry.action {
        // A name alone.
        case .write(_, let bytes) where bytes.isEmpty: break
        case .write, .truncate, .punch: actions.append(entry.action)
        case .intent(let block): firstDirectBlock = min(firstDirectBlock ?? block, block)
        case .tornTail(let block):
            firstDirectBlock = min(firstDirectBlock ?? block, block)
            isOfEarlierBoot = true
        case .times(let access, let modification): times = (access, modification)
        case .metadata: break
        case .clean:
            actions = []
            firstDirectBlock = nil
            isOfEarlierBoot = false
            times = nil
        }
    }
}

extension Timespec {
    fileprivate init(_ time: JournalTime) {
        self.init(seconds: time.seconds, nanoseconds: Int64(time.nanoseconds))
    }
}
