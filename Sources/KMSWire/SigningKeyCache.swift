internal import Cryptography
internal import Synchronization

/// Signing keys that were of use lately, since deriving one costs more than a signature.
///
/// Thread-safe. An entry is good only for the secret it was derived from, so a secret that was
/// replaced opens nothing.
package final class SigningKeyCache: Sendable {
    private struct Name: Hashable {
        let accessKeyID: String
        let scope: CredentialScope
    }

    private struct Entry {
        let secret: SecretBytes
        let key: SigningKey
    }

    private let entries: Mutex<BoundedCache<Name, Entry>>

    /// - Parameter capacity: how many pairs of access key and scope are kept; each takes about
    ///   300 bytes.
    package init(capacity: Int = 1024) {
        entries = Mutex(BoundedCache(capacity: capacity))
    }

    package var count: Int { entries.withLock { $0.count } }

    func key(_ accessKeyID: String, _ scope: CredentialScope, secret: SecretBytes) -> SigningKey? {
        let name = Name(accessKeyID: accessKeyID, scope: scope)
        guard let entry = entries.withLock({ $0.value(for: name) }),
            entry.secret === secret || entry.secret.isEqual(to: secret)
        else { return nil }
        return entry.key
    }

    func keep(
        _ key: SigningKey, for accessKeyID: String, _ scope: CredentialScope, secret: SecretBytes
    ) {
        let name = Name(accessKeyID: accessKeyID, scope: scope)
        entries.withLock { $0.insert(Entry(secret: secret, key: key), for: name) }
    }
}
