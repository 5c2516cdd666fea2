import Cryptography
import KMSModel
package import Platform
import SealedFormat
import Synchronization

// Open files. Every open asks the key service as its caller, also where the content is open
// already: that is what makes a disabled key close files and what the usage log shows.
extension VaultFileSystem {
    package func create(
        _ name: FileName, in parent: InodeID, mode: UInt32, flags: OpenFlags,
        as requester: Requester
    ) throws(VaultError) -> (Entry, HandleID) {
        try requireWritable()
        let parentInode = try inode(parent)
        let identity = try identity(of: parentInode)
        // Before anything exists in the store: without a key there is no file.
        let seal = try makeSeal(
            identity.domain,
            as: caller(
                requester, .create,
                path: plainPath(of: parentInode).map {
                    ($0 == "/" ? "" : $0) + "/" + name.string
                }))
        var made: Descriptor?
        do throws(VaultError) {
            let entry = try makeEntry(name, in: parent) {
                parent, _, directory, stored throws(VaultError) in
                let ownership = try ownership(for: requester, mode: mode, in: parent, directory)
                let descriptor = try system { () throws(Errno) in
                    try directory.open(
                        stored, OpenFlag.createNew | OpenFlag.readWrite,
                        mode: ownership.mode & 0o7777)
                }
                try giveOrUnlink(stored, in: directory, ownership)
                made = descriptor
            }
            guard let made else { preconditionFailure("BUG: the file was just made") }
            let inode = try inode(entry.inode)
            let content = SealedFile(
                state: SealedFile.State(
                    descriptor: made, isWritable: true, plainSize: 0, seal: seal, hasHeader: false,
                    firstDirect: 0),
                layout: config.layout, scratches: scratches, journaling: journaling(of: inode))
            // Who opens the new name now has looked at the same empty file.
            let kept = inode.opening.withLock { _ in inode.pinContent(orInstalling: content) }
            guard let kept else { preconditionFailure("BUG: a content was installed") }
            do throws(VaultError) {
                try kept.makeWritable()
                try kept.change { state throws(VaultError) in
                    if state.seal == nil, !state.hasHeader { state.seal = seal }
                }
            } catch {
                inode.unpinContent()
                throw error
            }
            inode.state.withLock { $0.domain = identity.domain }
            return (entry, addHandle(kept, of: inode, allowsWriting: flags.allowsWriting))
        } catch {
            // Somebody else made the name since the kernel looked. It looks again, and judges for
            // itself who may open what stands there.
            guard case .system(.fileExists) = error, !flags.isExclusive else { throw error }
            throw .system(.staleFileHandle)
        }
    }

    package func open(
        _ id: InodeID, flags: OpenFlags, as requester: Requester
    ) throws(VaultError) -> HandleID {
        if flags.allowsWriting || flags.truncates { try requireWritable() }
        let inode = try inode(id)
        guard inode.kind == .regular else { throw .system(.noDeviceOrAddress) }
        let needsWriting = flags.allowsWriting || flags.truncates
        let content = try pin(inode, forWriting: needsWriting)
        let operation: FileActivity.Operation = flags.truncates ? .truncate : .open
        do throws(VaultError) {
            try authorize(
                content, of: inode, truncates: flags.truncates, forWriting: needsWriting,
                as: caller(requester, operation, path: plainPath(of: inode)))
            try refuseRetired(inode)
            if flags.clearsSetID { try clearSetID(of: content, inode) }
        } catch {
            inode.unpinContent()
            report(error, of: inode)
            throw error
        }
        return addHandle(content, of: inode, allowsWriting: flags.allowsWriting)
    }

    /// The one open content of an inode, opened at the first need; ``Inode/unpinContent()`` gives it back.
    private func pin(_ inode: Inode, forWriting: Bool) throws(VaultError) -> SealedFile {
        let content = try inode.opening.withLock { _ throws(VaultError) in
            if let open = inode.pinContent(orInstalling: nil) { return open }
            try refuseRetired(inode)
            let made = try openContent(inode, forWriting: forWriting)
            guard let kept = inode.pinContent(orInstalling: made) else {
                preconditionFailure("BUG: a content was installed")
            }
            return kept
        }
        do throws(VaultError) {
            if forWriting { try content.makeWritable() }
        } catch {
            inode.unpinContent()
            throw error
        }
        return content
    }

    private func openContent(
        _ inode: Inode, forWriting: Bool
    ) throws(VaultError) -> SealedFile {
        let node = try node(inode)
        // A file that may only be written, or only be run, is read for that. The kernel has judged.
        let descriptor = try system { () throws(Errno) in
            try node.reopenAsOwner(forWriting ? OpenFlag.readWrite : 0)
        }
        let sealedSize = try system { () throws(Errno) in try descriptor.status() }.sizeBytes
        if mayHaveTornRecords, sealedSize > 0, try isAllZeros(descriptor, sealedSize) {
            // The power went before the first bytes of a new file were on the disk. An empty file is
            // no less authentic: whoever can write zeros can as well empty it.
            try system { () throws(Errno) in
                try descriptor.reopenAsOwner(OpenFlag.readWrite).truncate(to: 0)
            }
            incident(inode, "nothing of it had come to the disk before the power cut")
            throw shrunk(inode)
        }
        // All that the store has may have been synced.
        let isDirect = committer == nil || sealedSize == 0
        return SealedFile(
            state: SealedFile.State(
                descriptor: descriptor, isWritable: forWriting,
                plainSize: config.layout.reportedSize(sealedSize: sealedSize), seal: nil,
                hasHeader: sealedSize > 0, firstDirect: isDirect ? 0 : .max),
            layout: config.layout, scratches: scratches, journaling: journaling(of: inode))
    }

    /// A mend made the file shorter than the kernel knows, which never takes a regular file's size
    /// from us again while it collects writes: it would show zeros there, and write behind them. So
    /// it is to look the name up once more, and gets another inode.
    private func shrunk(_ inode: Inode) -> VaultError {
        inodes.withLock { $0.retire(inode) }
        inode.state.withLock { $0.isRetired = true }
        return .system(.staleFileHandle)
    }

    /// Two inodes of one file would each have a content of their own.
    private func refuseRetired(_ inode: Inode) throws(VaultError) {
        if inode.state.withLock({ $0.isRetired }) { throw .system(.staleFileHandle) }
    }

    /// Larger files than this are looked at no further.
    private static let maximumZeroBytes: UInt64 = 64 << 20

    private func isAllZeros(_ file: Descriptor, _ size: UInt64) throws(VaultError) -> Bool {
        guard size <= Self.maximumZeroBytes else { return false }
        var offset: UInt64 = 0
        while offset < size {
            let bytes = try system { () throws(Errno) in
                try file.read(count: offset == 0 ? 512 : 1 << 20, at: offset)
            }
            guard !bytes.isEmpty, bytes.allSatisfy({ $0 == 0 }) else { return bytes.isEmpty }
            offset += UInt64(bytes.count)
        }
        return true
    }

    /// Asks for the file's data key as the caller. A file that is emptied gets a new one.
    private func authorize(
        _ content: SealedFile, of inode: Inode, truncates: Bool, forWriting: Bool,
        as caller: @autoclosure () -> Caller
    ) throws(VaultError) {
        let hasHeader = try content.withState { state throws(VaultError) in state.hasHeader }
        let domain = try domain(of: inode)
        guard hasHeader, !truncates else {
            guard forWriting else {
                return try authorizeReadingEmpty(content, in: domain, as: caller())
            }
            let seal = try makeSeal(domain, as: caller())
            if truncates { try content.empty() }
            try content.change { state throws(VaultError) in
                if !state.hasHeader { state.seal = seal }
            }
            return
        }
        let opened: (seal: SealedFile.Seal, isSparse: Bool)
        do throws(VaultError) {
            opened = try openSeal(content.descriptor, domain, as: caller())
        } catch {
            // Emptied by another handle since we looked.
            let isEmptied = try content.withState { state throws(VaultError) in !state.hasHeader }
            guard isEmptied else { throw error }
            return try authorize(
                content, of: inode, truncates: truncates, forWriting: forWriting, as: caller())
        }
        let isFirst: Bool? = try content.change { state throws(VaultError) in
            // Emptied while the key service was asked: that seal is of no file any more.
            guard state.hasHeader else { return nil }
            guard state.seal == nil else { return false }
            try mendTail(&state, of: inode, opened.seal, isSparse: opened.isSparse)
            state.seal = opened.seal
            state.isSparse = opened.isSparse
            return true
        }
        guard let isFirst else {
            return try authorize(
                content, of: inode, truncates: truncates, forWriting: forWriting, as: caller())
        }
        if isFirst, forWriting, opened.seal.count.needsNewKeySoon {
            incident(inode, "its data key has sealed half the blocks it may; \(Self.newKeyAdvice)")
        }
    }

    /// Who holds an empty file open reads what others write to it later, and nobody asks again: so
    /// the key that it has, or will have, is asked for all the same.
    private func authorizeReadingEmpty(
        _ content: SealedFile, in domain: Domain, as caller: Caller
    ) throws(VaultError) {
        guard let seal = content.withOpenState({ $0.seal }) else {
            return try askForKey(of: domain, as: caller)
        }
        let context = EncryptionContext(
            vault: config.vaultID, domain: domain.id, file: seal.fileID)
        _ = try unwrap(seal.wrappedKeys, context: context, service: service, as: caller)
    }

    /// What recovery left for the time when the file's key can be used.
    private func mendTail(
        _ state: inout SealedFile.State, of inode: Inode, _ seal: SealedFile.Seal, isSparse: Bool
    ) throws(VaultError) {
        guard let committer, let tail = committer.deferredTail(of: inode) else { return }
        let descriptor = state.descriptor
        let sealedSize = try system { () throws(Errno) in
            let file = try descriptor.reopenAsOwner(OpenFlag.readWrite)
            let mended = try TornTail(
                file: file, layout: config.layout, keys: seal.keys, isSparse: isSparse,
                firstBlock: tail.firstBlock, isSameBoot: tail.isSameBoot
            ).mend()
            // The journal forgets it.
            try file.synchronize(dataOnly: true)
            return mended.sealedSize
        }
        let oldSize = state.plainSize
        state.plainSize = config.layout.reportedSize(sealedSize: sealedSize)
        state.storedSize = state.plainSize
        state.hasHeader = sealedSize > 0
        if sealedSize == 0 { state.firstDirect = 0 }
        committer.finishDeferredTail(of: inode)
        if state.plainSize != oldSize { throw shrunk(inode) }
    }

    /// The domain of a file that has a name, or is open.
    func domain(of inode: Inode) throws(VaultError) -> Domain {
        if let link = inode.links.first {
            let domain = try identity(of: link.parent).domain
            inode.state.withLock { $0.domain = domain }
            return domain
        }
        guard let domain = inode.state.withLock({ $0.content == nil ? nil : $0.domain }) else {
            throw .system(.staleFileHandle)
        }
        return domain
    }

    /// A new file id with a new data key.
    private func makeSeal(
        _ domain: Domain, as caller: Caller
    ) throws(VaultError) -> SealedFile.Seal {
        let fileID = FileID()
        let context = EncryptionContext(vault: config.vaultID, domain: domain.id, file: fileID)
        let keyARN = currentKeyARN(of: domain)
        let dataKey = try keys { () throws(KMSError) in
            try service.generateDataKey(
                under: keyARN, byteCount: 32, context: context, as: caller)
        }
        counters.opens.add(1, ordering: .relaxed)
        let wrapped = WrappedKey(keyARN: "\(dataKey.wrapped.keyARN)", blob: dataKey.wrapped.blob)
        return SealedFile.Seal(
            fileID: fileID, keys: FileKeys(dataKey: dataKey.plaintext, fileID: fileID),
            wrappedKeys: [wrapped], count: SealCount())
    }

    /// The keys of a file that has a header.
    ///
    /// Another process may be writing a rewrapped header at this moment, so a header that does not
    /// open counts only when a second look finds the same bytes.
    private func openSeal(
        _ descriptor: Descriptor, _ domain: Domain, as caller: Caller
    ) throws(VaultError) -> (SealedFile.Seal, isSparse: Bool) {
        var bytes = try readHeader(descriptor)
        while true {
            do throws(VaultError) {
                return try openSeal(bytes, domain, as: caller)
            } catch {
                let again = try readHeader(descriptor)
                if again == bytes { throw error }
                bytes = again
            }
        }
    }

    private func readHeader(_ descriptor: Descriptor) throws(VaultError) -> [UInt8] {
        try system { () throws(Errno) in
            try descriptor.read(count: config.layout.headerBytes, at: 0)
        }
    }

    private func openSeal(
        _ bytes: [UInt8], _ domain: Domain, as caller: Caller
    ) throws(VaultError) -> (SealedFile.Seal, isSparse: Bool) {
        let header = try format { () throws(FormatError) in
            try FileHeader(decoding: bytes, layout: config.layout)
        }
        let context = EncryptionContext(
            vault: config.vaultID, domain: domain.id, file: header.fileID)
        let dataKey = try unwrap(
            header.wrappedKeys, context: context, service: service, as: caller)
        counters.opens.add(1, ordering: .relaxed)
        let keys = FileKeys(dataKey: dataKey, fileID: header.fileID)
        try format { () throws(FormatError) in try header.authenticate(with: keys) }
        let seal = SealedFile.Seal(
            fileID: header.fileID, keys: keys, wrappedKeys: header.wrappedKeys,
            count: SealCount(header))
        return (seal, header.isSparse)
    }

    private func addHandle(
        _ content: SealedFile, of inode: Inode, allowsWriting: Bool
    ) -> HandleID {
        let handle = FileHandle(inode: inode, content: content, allowsWriting: allowsWriting)
        if allowsWriting { content.writerCount.add(1, ordering: .acquiringAndReleasing) }
        return handles.withLock { $0.add(handle) }
    }

    func fileHandle(_ id: HandleID) throws(VaultError) -> FileHandle {
        guard let handle = handles.withLock({ $0.file(id) }) else {
            throw .system(.badFileDescriptor)
        }
        return handle
    }

    package func read(
        _ id: HandleID, at offset: UInt64, count: Int, into buffer: inout MutableRawSpan
    ) throws(VaultError) -> Int {
        let handle = try fileHandle(id)
        do throws(VaultError) {
            return try handle.content.read(
                at: offset, count: min(count, buffer.byteCount), into: &buffer)
        } catch {
            report(error, of: handle.inode)
            throw error
        }
    }

    package func write(
        _ id: HandleID, at offset: UInt64, _ bytes: RawSpan, clearsSetID: Bool
    ) throws(VaultError) -> Int {
        let handle = try fileHandle(id)
        if clearsSetID { try clearSetID(of: handle.content, handle.inode) }
        do throws(VaultError) {
            try handle.content.write(bytes, 0..<bytes.byteCount, at: offset)
        } catch {
            report(error, of: handle.inode)
            throw error
        }
        return bytes.byteCount
    }

    /// Each close(2) of a descriptor.
    package func flush(_ id: HandleID) throws(VaultError) {
        let handle = try fileHandle(id)
        try handle.content.settleGaps()
        // Other hosts see at their next open what was closed here.
        if options.isShared, let committer, !handle.content.isCommitted {
            try committer.commit(handle.content, of: handle.inode, .background)
        }
        try handle.tellFailures()
    }

    package func release(_ id: HandleID) {
        guard let handle = handles.withLock({ $0.removeFile(id) }) else { return }
        do throws(VaultError) {
            try handle.content.settleGaps()
        } catch {
            report(error, of: handle.inode)
        }
        if handle.allowsWriting {
            handle.content.writerCount.subtract(1, ordering: .acquiringAndReleasing)
        }
        handle.inode.unpinContent()
        committer?.discardUnlinked(handle.content, of: handle.inode)
    }

    package func allocate(
        _ id: HandleID, mode: Int32, at offset: UInt64, count: UInt64, clearsSetID: Bool = false
    ) throws(VaultError) {
        let handle = try fileHandle(id)
        if clearsSetID { try clearSetID(of: handle.content, handle.inode) }
        try handle.content.allocate(mode: mode, at: offset, count: count)
    }

    package func seek(
        _ id: HandleID, to offset: UInt64, whence: Int32
    ) throws(VaultError) -> UInt64 {
        try fileHandle(id).content.seek(to: offset, whence: whence)
    }

    /// Whether anything is open, and the kernel may still bring what was written.
    package var hasOpenFiles: Bool { handles.withLock { $0.fileCount > 0 } }

    /// Whether somebody has the handle's file open for writing, and the kernel may have pages of it
    /// that nobody else knows of. It writes those back before it tells of a last close.
    package func isOpenForWriting(_ id: HandleID) throws(VaultError) -> Bool {
        try fileHandle(id).content.writerCount.load(ordering: .acquiring) > 0
    }

    func journaling(of inode: Inode) -> Journaling? {
        committer.map { Journaling(committer: $0, inode: inode, touches: options.isShared) }
    }

    /// truncate(2) and ftruncate(2).
    func truncate(
        _ inode: Inode, handle: HandleID?, to size: UInt64, as requester: Requester
    ) throws(VaultError) {
        if let handle, let open = handles.withLock({ $0.file(handle) }), open.allowsWriting {
            try open.content.truncate(to: size)
            return
        }
        guard inode.kind == .regular else { throw .system(.invalidArgument) }
        let content = try pin(inode, forWriting: true)
        defer { inode.unpinContent() }
        // Nothing of the content is needed to empty a file, so no key is either.
        if size > 0 {
            try authorize(
                content, of: inode, truncates: false, forWriting: true,
                as: caller(requester, .truncate, path: plainPath(of: inode)))
        }
        try refuseRetired(inode)
        try content.truncate(to: size)
        try content.settleGaps()
    }

    private static let newKeyAdvice =
        "copy the file and rename the copy over it: a new file gets a new data key"

    /// Tells the operator of damage and of a store that fails; denials are the caller's own matter.
    func report(_ error: VaultError, of inode: Inode) {
        let what: String
        switch error {
        case .format(let error): what = "damaged: \(error)"
        case .keys(.invalidCiphertext), .keys(.incorrectKey):
            what = "its wrapped data key does not open"
        case .missingKeyVersion(let keyARN, let version, let current):
            what =
                "its data key needs version \(version) of \(keyARN), of which there are "
                + "\(current)"
        case .system(.ioError): what = "the store below answers an I/O error"
        case .unknownDomain(let id): what = "its record is of domain \(id), not of the one it is in"
        case .dataKeyUsedUp:
            what = "its data key has sealed all the blocks it may; \(Self.newKeyAdvice)"
        case .keys, .foreignKey, .system, .notAVault, .notEmpty, .alreadyAVault, .locked, .journal:
            return
        }
        incident(inode, what)
    }

    private func incident(_ inode: Inode, _ what: String) {
        let path = plainPath(of: inode) ?? "inode \(inode.backing.inodeNumber)"
        let stored = inode.links.first.map { " (stored as \($0.stored.string))" } ?? ""
        options.onIncident("\(path)\(stored): \(what)")
    }
}

extension SealedFile {
    /// Reopens the store's file for writing, where it was opened for reading only.
    func makeWritable() throws(VaultError) {
        try change { state throws(VaultError) in
            guard !state.isWritable else { return }
            let old = state.descriptor
            state.descriptor = try system { () throws(Errno) in
                try old.reopenAsOwner(OpenFlag.readWrite)
            }
            state.isWritable = true
        }
    }
}
