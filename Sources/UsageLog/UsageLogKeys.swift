package import Cryptography

/// The keys of a usage log, from the keystore's log key and signing key.
///
/// These keys make the log readable as long as the keystore opens, so whoever takes the keystore
/// has them. What keeps such a one from changing what was logged before is the key of the next
/// checkpoint (``LedgerState``), which no other key leads to.
package struct UsageLogKeys: Sendable {
    private let logKey: SecretBytes
    let signingKey: Ed25519PrivateKey
    let publicKey: [UInt8]

    /// `logKey`: 32 bytes.
    package init(logKey: SecretBytes, signingKey: Ed25519PrivateKey) {
        self.logKey = logKey
        self.signingKey = signingKey
        publicKey = signingKey.publicKey
    }

    /// The same log key beside another signing key.
    func with(signingKey: Ed25519PrivateKey) -> UsageLogKeys {
        UsageLogKeys(logKey: logKey, signingKey: signingKey)
    }

    /// 32 bytes that seal one segment's records.
    func sealingKey(of segment: SegmentRecord) -> SecretBytes {
        derive("segment \(segment.version)", salt: segment.id.bytes)
    }

    /// 32 bytes that seal one segment's index.
    func indexKey(of segment: SegmentRecord) -> SecretBytes {
        derive("index 1", salt: segment.id.bytes)
    }

    /// 32 bytes that authenticate the heads that lie outside of the keystore.
    var headKey: SecretBytes { derive("head 1", salt: []) }

    private func derive(_ purpose: String, salt: [UInt8]) -> SecretBytes {
        HKDFSHA256.derive(
            from: logKey, salt: salt, info: Array("keyfold usage log \(purpose)".utf8), count: 32)
    }
}
