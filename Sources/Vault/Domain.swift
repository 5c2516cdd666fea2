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
    let keys: DomainKeys
    private let currentKey: Mutex<String>

    init(keys: DomainKeys, keyARN: String) {
        self.keys = keys
        currentKey = Mutex(keyARN)
    }

    var id: DomainID { keys.domainID }

    /// The CMK that wraps the data keys of new files.
    var keyARN: String {
        get { currentKey.withLock { $0 } }
        set { currentKey.withLock { $0 = newValue } }
    }
}

/// Asks a key service to unwrap a key that may be wrapped under several CMKs.
///
/// - Throws: the error of the first CMK, when none opens it.
func unwrap(
    _ wrapped: [WrappedKey], context: EncryptionContext, service: any KeyService, as caller: Caller
) throws(VaultError) -> SecretBytes {
    var firstError: KMSError?
    for key in wrapped {
        do throws(KMSError) {
            let plaintext = try service.decrypt(
                key.blob, under: key.keyARN, context: context, as: caller
            ).plaintext
            // Whoever may encrypt under the CMK can wrap anything; a key has 32 bytes.
            if plaintext.count == FileKeys.dataKeyBytes { return plaintext }
            firstError = firstError ?? .invalidCiphertext
        } catch {
            firstError = firstError ?? error
        }
    }
    throw .keys(firstError ?? .invalidCiphertext)
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
