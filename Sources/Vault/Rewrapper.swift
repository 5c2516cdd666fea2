package import KMSModel
import Dispatch
import Cryptography
import Platform
import SealedFormat
import Synchronization

package struct RewrapRequest: Sendable {
    package var vaultDirectory: String
    /// Below the vault's root, with "/" between names; nil or empty for the whole vault.
    package var plainPath: String?
    /// The CMK to move to; nil keeps each key's own and moves to its current version.
    package var destinationKey: String?
    /// 1…64 threads.
    package var jobs: Int

    package init(
        vaultDirectory: String, plainPath: String?, destinationKey: String?, jobs: Int
    ) {
        self.vaultDirectory = vaultDirectory
        self.plainPath = plainPath
        self.destinationKey = destinationKey
        self.jobs = jobs
    }
}

/// Counts of a rewrap so far.
package struct RewrapProgress: Sendable, Hashable {
    package var files: UInt64 = 0
    package var rewrapped: UInt64 = 0
    /// Already under the wanted key version, or empty.
    package var skipped: UInt64 = 0
    package var failed: UInt64 = 0
    /// Files that will be visited.
    package var total: UInt64?
}

/// Gives every file of a vault a new wrapping of its same data key, one header at a time.
///
/// Works beside a mount: a header is only written under the lock that the mount takes for its own
/// changes, and only when it is still the one that was read. Each write is one sector, so a crash
/// leaves every header either old or new; a second run goes on where the first one stopped.
package final class Rewrapper: Sendable {
    /// Files that one round hands to the threads.
    private static let batchFiles = 256
    /// Tries for a file whose header changes under our hands.
    private static let maximumAttempts = 8

    private let request: RewrapRequest
    private let service: any KeyService
    private let caller: Caller
    private let onProgress: @Sendable (RewrapProgress) -> Void
    private let onFailure: @Sendable (String, VaultError) -> Void
    private let onDomainLeft: @Sendable (String) -> Void
    private let progress = Mutex(RewrapProgress())
    /// The current version of each key, by ARN, as it was when the run began.
    private let currentVersions = Mutex<[String: KeyMetadata]>([:])

    /// - Parameter onDomainLeft: gets the path of each domain below that keeps its own key, where
    ///   the request names another one.
    package init(
        _ request: RewrapRequest, service: any KeyService, caller: Caller,
        onProgress: @escaping @Sendable (RewrapProgress) -> Void,
        onFailure: @escaping @Sendable (String, VaultError) -> Void,
        onDomainLeft: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.request = request
        self.service = service
        self.caller = caller
        self.onProgress = onProgress
        self.onFailure = onFailure
        self.onDomainLeft = onDomainLeft
    }

    /// - Throws: what keeps the run from starting; failures of single files are counted and told
    ///   to `onFailure`.
    package func run() throws(VaultError) -> RewrapProgress {
        let (descriptor, config) = try VaultInspection.open(request.vaultDirectory)
        let (root, _) = try RootDomain.open(
            in: descriptor, config: config, service: service, as: caller)
        try format { () throws(FormatError) in try config.authenticate(with: root.domain.keys) }
        if let key = request.destinationKey { _ = try metadata(of: key) }
        var tree = SealedTree(
            config: config, root: descriptor, identity: root, path: request.plainPath ?? "",
            nested: request.destinationKey == nil ? .entered : .left,
            opener: NestedDomain(vaultID: config.vaultID, service: service, caller: caller))

        let total = try tree.countFiles()
        progress.withLock { $0.total = total }
        try tree.enter()
        while true {
            let batch = try tree.nextFiles(Self.batchFiles)
            let domains = tree.takeDomains()
            try rewrap(domains, of: tree, config)
            if batch.isEmpty { break }
            rewrap(batch, config)
        }
        try system { () throws(Errno) in try descriptor.synchronizeFileSystem() }
        return progress.withLock { $0 }
    }

    private func rewrap(_ batch: [SealedTree.File], _ config: VaultConfig) {
        let jobs = max(1, min(request.jobs, 64, batch.count))
        let next = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: jobs) { _ in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < batch.count else { return }
                visit(batch[index], config)
            }
        }
    }

    private func visit(_ file: SealedTree.File, _ config: VaultConfig) {
        do throws(VaultError) {
            let isDone = try rewrap(file, config)
            count { if isDone { $0.rewrapped += 1 } else { $0.skipped += 1 } }
        } catch {
            // Gone since the directory was read is not a failure.
            if case .system(.noSuchFileOrDirectory) = error {
                count { $0.skipped += 1 }
            } else {
                count { $0.failed += 1 }
                onFailure(file.plainPath, error)
            }
        }
    }

    private func count(_ change: (inout RewrapProgress) -> Void) {
        let now = progress.withLock { progress in
            progress.files += 1
            change(&progress)
            return progress
        }
        onProgress(now)
    }

    // MARK: One file

    /// - Returns: false when the file needs nothing.
    private func rewrap(
        _ file: SealedTree.File, _ config: VaultConfig
    ) throws(VaultError) -> Bool {
        let reader = try system { () throws(Errno) in
            let node = try file.directory.open(file.stored, OpenFlag.path)
            guard try node.status().kind == .regular else { throw .noSuchFileOrDirectory }
            return try node.reopenAsOwner(0)
        }
        for _ in 0..<Self.maximumAttempts {
            guard let old = try readHeader(reader, config.layout) else { return false }
            let context = EncryptionContext(
                vault: config.vaultID, domain: file.domainID, file: old.fileID)
            guard let keys = try newWrapping(of: old.wrappedKeys, context) else { return false }
            let writer = try system { () throws(Errno) in
                try reader.reopenAsOwner(OpenFlag.readWrite)
            }
            if try replace(old, with: old.withWrappedKeys(keys), in: writer, config.layout) {
                return true
            }
        }
        throw .system(.resourceBusy)
    }

    private func readHeader(
        _ file: Descriptor, _ layout: BlockLayout
    ) throws(VaultError) -> FileHeader? {
        let bytes = try system { () throws(Errno) in
            try file.read(count: layout.headerBytes, at: 0)
        }
        guard !bytes.isEmpty else { return nil }
        return try format { () throws(FormatError) in
            try FileHeader(decoding: bytes, layout: layout)
        }
    }

    /// - Returns: false when somebody changed the header since `old` was read.
    private func replace(
        _ old: FileHeader, with new: FileHeader, in file: Descriptor, _ layout: BlockLayout
    ) throws(VaultError) -> Bool {
        let bytes = try format { () throws(FormatError) in try new.encoded(layout: layout) }
        return try file.withHeadLocked(
            byteCount: layout.headerBytes, orThrow: { VaultError.system($0) }
        ) { () throws(VaultError) in
            guard try readHeader(file, layout) == old else { return false }
            try system { () throws(Errno) in
                let before = try file.status()
                try file.write(bytes, at: 0)
                // A rewrap is no change of the file's content.
                try file.setTimes(access: .keep, modification: .set(before.modificationTime))
            }
            return true
        }
    }

    // MARK: Keys

    /// nil when every key is wrapped as it should be already.
    private func newWrapping(
        of old: [WrappedKey], _ context: EncryptionContext
    ) throws(VaultError) -> [WrappedKey]? {
        if let destination = request.destinationKey {
            let target = try metadata(of: destination)
            if old.count == 1, isCurrent(old[0], target) { return nil }
            // Any one of the keys that still opens the file will do.
            var failure: VaultError?
            for key in old {
                do throws(VaultError) {
                    return [try reEncrypt(key, to: "\(target.arn)", context)]
                } catch {
                    failure = failure ?? error
                }
            }
            throw failure ?? .keys(.invalidCiphertext)
        }
        var changed = false
        var keys: [WrappedKey] = []
        for key in old {
            if isCurrent(key, try metadata(of: key.keyARN)) {
                keys.append(key)
            } else {
                keys.append(try reEncrypt(key, to: key.keyARN, context))
                changed = true
            }
        }
        return changed ? keys : nil
    }

    /// Blobs of other key services do not tell their version: those are always wrapped anew.
    private func isCurrent(_ key: WrappedKey, _ target: KeyMetadata) -> Bool {
        guard key.keyARN == "\(target.arn)", let blob = SymmetricBlob(decoding: key.blob) else {
            return false
        }
        return blob.keyID == target.arn.keyID && blob.keyVersion == target.currentVersion
    }

    private func reEncrypt(
        _ key: WrappedKey, to destination: String, _ context: EncryptionContext
    ) throws(VaultError) -> WrappedKey {
        do throws(KMSError) {
            let wrapped = try service.reEncrypt(
                ReEncryptRequest(
                    blob: key.blob, sourceKey: key.keyARN, sourceContext: context,
                    destinationKey: destination, destinationContext: context),
                as: caller)
            return WrappedKey(keyARN: "\(wrapped.keyARN)", blob: wrapped.blob)
        } catch {
            throw key.failure(error, service: service, as: caller)
        }
    }

    private func metadata(of key: String) throws(VaultError) -> KeyMetadata {
        if let known = currentVersions.withLock({ $0[key] }) { return known }
        let metadata = try keys { () throws(KMSError) in
            try service.describeKey(key, as: caller)
        }
        currentVersions.withLock { $0[key] = metadata }
        return metadata
    }

    // MARK: Domains

    private func rewrap(
        _ domains: SealedTree.Domains, of tree: SealedTree, _ config: VaultConfig
    ) throws(VaultError) {
        domains.left.forEach(onDomainLeft)
        for closed in domains.closed { fail(closed.plainPath, closed.error) }
        for root in domains.entered {
            do throws(VaultError) {
                try rewrap(root, in: try tree.open(root.stored), config)
            } catch {
                // Without the vault's own key there is no vault.
                guard root.record.link != nil else { throw error }
                fail(root.plainPath, error)
            }
        }
    }

    private func fail(_ plainPath: String, _ error: VaultError) {
        let now = progress.withLock { progress in
            progress.failed += 1
            return progress
        }
        onProgress(now)
        onFailure(plainPath, error)
    }

    /// A domain's own key moves with the files, and so does the CMK of new files.
    private func rewrap(
        _ root: SealedTree.DomainRoot, in directory: Descriptor, _ config: VaultConfig
    ) throws(VaultError) {
        let record = root.record
        let context = EncryptionContext(vault: config.vaultID, domain: record.domainID)
        guard let keys = try newWrapping(of: record.domainKey, context) else { return }
        try system { () throws(Errno) in
            try directory.asOwner(0o700) { () throws(Errno) in
                try VaultMaker.replace(
                    FileName(ReservedName.directoryRecord), in: directory,
                    with: record.withWrappedKeys(keys).encoded(with: root.domain.keys))
            }
        }
        guard record.link == nil, let keyARN = keys.first?.keyARN,
            keyARN != config.defaultKeyARN
        else { return }
        var config = config
        config.defaultKeyARN = keyARN
        try system { () throws(Errno) in
            try VaultMaker.replace(
                FileName(ReservedName.config), in: directory,
                with: config.encoded(with: root.domain.keys))
        }
    }
}
