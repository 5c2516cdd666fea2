import Cryptography
package import KMSModel
import Platform
package import SealedFormat

/// Makes new vaults.
package enum VaultMaker {
    /// What a new vault is to be.
    package struct Plan: Sendable {
        package var keyARN: String
        /// Where `keyfold` finds the keystore when nobody says so; relative to the vault, or absolute.
        package var keystoreHint: String?
        package var names: NameStorage
        package var headerBytes: Int

        package init(
            keyARN: String, keystoreHint: String?, names: NameStorage = .sealed,
            headerBytes: Int = 512
        ) {
            self.keyARN = keyARN
            self.keystoreHint = keystoreHint
            self.names = names
            self.headerBytes = headerBytes
        }
    }

    /// Makes a vault in a directory that is absent or empty (a portable keystore may lie in it, and
    /// what an attempt left that was killed).
    ///
    /// `keyfold.json` comes last: until it stands there, durable, the directory is no vault.
    package static func create(
        at path: String, _ plan: Plan, service: any KeyService, now: Timestamp, as caller: Caller
    ) throws(VaultError) -> VaultConfig {
        let directory = try emptyDirectory(at: path)
        let vaultID = VaultID()
        let domainID = DomainID()
        let wrapped = try keys { () throws(KMSError) in
            try service.generateDataKey(
                under: plan.keyARN, byteCount: 32,
                context: EncryptionContext(vault: vaultID, domain: domainID), as: caller)
        }
        let domainKeys = DomainKeys(domainKey: wrapped.plaintext, domainID: domainID)
        let keyARN = "\(wrapped.wrapped.keyARN)"
        let record = DirectoryRecord(
            directoryID: DirectoryID(), domainID: domainID,
            domainKey: [WrappedKey(keyARN: keyARN, blob: wrapped.wrapped.blob)])
        let layout = try format { () throws(FormatError) in
            try BlockLayout(headerBytes: plan.headerBytes)
        }
        let config = VaultConfig(
            vaultID: vaultID, layout: layout, names: plan.names, keystore: plan.keystoreHint,
            defaultKeyARN: keyARN, rootDomainID: domainID, createdAt: now.iso8601)
        let lock = try VaultLock.acquire(
            in: directory, path: path, isShared: false, isReadOnly: false, mountPoint: nil)
        defer { lock?.release() }
        // Somebody else may have made a vault here since the first look.
        let leftovers = try leftovers(in: directory, path: path)
        try system { () throws(Errno) in
            for name in leftovers where name.string.hasPrefix(ReservedName.temporaryPrefix) {
                try directory.unlink(name)
            }
            try replace(
                FileName(ReservedName.directoryRecord), in: directory,
                with: record.encoded(with: domainKeys))
            try replace(
                FileName(ReservedName.config), in: directory,
                with: config.encoded(with: domainKeys))
        }
        return config
    }

    private static func emptyDirectory(at path: String) throws(VaultError) -> Descriptor {
        let directory: Descriptor
        do throws(Errno) {
            directory = try Descriptor.openOrMakeDirectory(path: path, mode: 0o700)
        } catch {
            throw .system(error)
        }
        _ = try leftovers(in: directory, path: path)
        return directory
    }

    /// Refuses a directory that can't become a vault.
    package static func check(_ path: String) throws(VaultError) {
        let directory = try system { () throws(Errno) in
            try Descriptor.open(path: path, OpenFlag.directory)
        }
        _ = try leftovers(in: directory, path: path)
    }

    /// What an attempt to make a vault left in the directory when it was killed.
    ///
    /// - Throws: ``VaultError/alreadyAVault(path:)``, and ``VaultError/notEmpty(path:)`` where there
    ///   is anything else but what mkfs makes, and a keystore or what making one left.
    private static func leftovers(
        in directory: Descriptor, path: String
    ) throws(VaultError) -> [FileName] {
        if (try? directory.status(of: FileName(ReservedName.config))) != nil {
            throw .alreadyAVault(path: path)
        }
        let found = try system { () throws(Errno) -> [FileName]? in
            var stream = DirectoryStream(
                try directory.open(FileName("."), OpenFlag.directory))
            var found: [FileName] = []
            while let entry = try stream.next() {
                let text = entry.name.string
                if entry.name.isDots || text == "lost+found" || isKeystore(text) { continue }
                guard isMadeBeforeConfig(text),
                    try directory.status(of: entry.name).kind == .regular
                else { return nil }
                found.append(entry.name)
            }
            return found
        }
        guard let found else { throw .notEmpty(path: path) }
        return found
    }

    private static func isKeystore(_ name: String) -> Bool {
        name == ReservedName.keystore || name.hasPrefix(ReservedName.keystore + ".new-")
    }

    private static func isMadeBeforeConfig(_ name: String) -> Bool {
        name == ReservedName.lock || name == ReservedName.directoryRecord
            || name.hasPrefix(ReservedName.temporaryPrefix)
    }

    /// Replaces a small file as a whole, durably: temporary name, fsync, rename, fsync. It stays
    /// its owner's, so that root may rewrap a vault of somebody else; a new one is the directory's
    /// owner's.
    static func replace(
        _ name: FileName, in directory: Descriptor, with bytes: [UInt8]
    ) throws(Errno) {
        let temporary = FileName(
            ReservedName.temporaryPrefix + hexadecimal(Random.bytes(8)))
        let file = try directory.openNew(temporary, mode: 0o600)
        do throws(Errno) {
            try file.write(bytes, at: 0)
            if ProcessTable.effectiveUID == 0, let old = try? directory.status(of: name) {
                try file.changeOwner(uid: old.uid, gid: old.gid)
            }
            try file.synchronize(dataOnly: false)
            try directory.rename(temporary, to: directory, name)
        } catch {
            try? directory.unlink(temporary)
            throw error
        }
        try directory.reopen(OpenFlag.directory).synchronize(dataOnly: false)
    }
}
