package import KMSModel
import Cryptography
import Platform
package import SealedFormat
import Synchronization

extension EncryptionContext {
    /// Of a domain's key.
    init(vault: VaultID, domain: DomainID) {
        self.init([
            EncryptionContextName.vault: "\(vault)", EncryptionContextName.domain: "\(domain)",
        ])
    }

    /// Of a file's data key.
    package init(vault: VaultID, domain: DomainID, file: FileID) {
        self.init([
            EncryptionContextName.vault: "\(vault)", EncryptionContextName.domain: "\(domain)",
            EncryptionContextName.file: "\(file)",
        ])
    }
}

/// A subtree under one CMK, with its keys.
final class Domain: Sendable {
    private struct State {
        /// The domain's own key; the first CMK wraps the data keys of new files, too.
        var wrappedKeys: [WrappedKey]
        /// Where its record is; the kernel may have forgotten it.
        weak var root: Inode?
        /// Of the record that `wrappedKeys` were read from; nil where it has to be read again.
        var stamp: RecordStamp?
    }

    let keys: DomainKeys
    private let state: Mutex<State>

    /// - Parameter wrappedKeys: at least one.
    init(keys: DomainKeys, wrappedKeys: [WrappedKey]) {
        self.keys = keys
        state = Mutex(State(wrappedKeys: wrappedKeys))
    }

    var id: DomainID { keys.domainID }
    var keyARN: String { state.withLock { $0.wrappedKeys[0].keyARN } }
    var wrappedKeys: [WrappedKey] { state.withLock { $0.wrappedKeys } }
    var root: Inode? { state.withLock { $0.root } }

    func noteRoot(_ inode: Inode, _ stamp: RecordStamp? = nil) {
        state.withLock { state in
            state.root = inode
            state.stamp = stamp
        }
    }

    /// Whether the record is another one than that of the last ``noteKeys(_:of:)``.
    func hasNewRecord(_ stamp: RecordStamp) -> Bool {
        state.withLock { $0.stamp != stamp }
    }

    /// - Parameter wrappedKeys: at least one.
    func noteKeys(_ wrappedKeys: [WrappedKey], of stamp: RecordStamp) {
        state.withLock { state in
            state.wrappedKeys = wrappedKeys
            state.stamp = stamp
        }
    }
}

/// When a record was last replaced.
struct RecordStamp: Hashable, Sendable {
    let inodeNumber: UInt64
    let modificationTime: Timespec

    init(_ status: FileStatus) {
        inodeNumber = status.inodeNumber
        modificationTime = status.modificationTime
    }
}

/// The domains whose keys a mount has: the root's always, and those below it that were used last.
struct DomainTable {
    static let maximumCount = 1024

    private let rootID: DomainID
    private var byID: [DomainID: Domain]

    init(root: Domain) {
        rootID = root.id
        byID = [root.id: root]
    }

    func find(_ id: DomainID) -> Domain? { byID[id] }

    /// - Returns: the domain that is known under the id by now.
    mutating func keep(_ domain: Domain) -> Domain {
        if let known = byID[domain.id] { return known }
        // Any will do: its directories hold on to it, and others ask the key service again.
        if byID.count >= Self.maximumCount, let other = byID.keys.first(where: { $0 != rootID }) {
            byID[other] = nil
        }
        byID[domain.id] = domain
        return domain
    }
}

/// Asks a key service to unwrap a key that may be wrapped under several CMKs.
///
/// - Throws: the error of the first CMK, when none opens it.
func unwrap(
    _ wrapped: [WrappedKey], context: EncryptionContext, service: any KeyService, as caller: Caller
) throws(VaultError) -> SecretBytes {
    var firstError: VaultError?
    for key in wrapped {
        do throws(KMSError) {
            let plaintext = try service.decrypt(
                key.blob, under: key.keyARN, context: context, as: caller
            ).plaintext
            // Whoever may encrypt under the CMK can wrap anything; a key has 32 bytes.
            if plaintext.count == FileKeys.dataKeyBytes { return plaintext }
            firstError = firstError ?? .keys(.invalidCiphertext)
        } catch {
            firstError = firstError ?? key.failure(error, service: service, as: caller)
        }
    }
    throw firstError ?? .keys(.invalidCiphertext)
}

extension WrappedKey {
    /// What it means that the service did not open this key. A keystore denies the keys of other
    /// accounts; one that was restored from a backup before a rotation calls what was wrapped after
    /// it no ciphertext of its own.
    func failure(_ error: KMSError, service: any KeyService, as caller: Caller) -> VaultError {
        // Who asks a service elsewhere is not known here (``KeyService``).
        let parts = caller.principalARN.split(separator: ":", omittingEmptySubsequences: false)
        if error.code == .accessDenied, parts.count > 4, let own = KeyARN(keyARN)?.scope.account,
            own != parts[4]
        {
            return .foreignKey(keyARN: keyARN, account: String(parts[4]))
        }
        guard error.code == .invalidCiphertext, let blob = SymmetricBlob(decoding: blob),
            let current = (try? service.describeKey(keyARN, as: caller))?.currentVersion,
            blob.keyVersion > current
        else { return .keys(error) }
        return .missingKeyVersion(keyARN: keyARN, version: blob.keyVersion, current: current)
    }
}

extension ProcessIdentity {
    /// This process itself.
    package static var current: ProcessIdentity {
        ProcessIdentity(
            uid: ProcessTable.effectiveUID, gid: ProcessTable.effectiveGID,
            pid: ProcessTable.currentPID,
            program: ProcessTable.programName(of: ProcessTable.currentPID))
    }
}
