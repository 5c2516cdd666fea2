package import Cryptography

/// The keys of a usage log, from the keystore's log key and signing key.
///
/// Each segment is sealed under a key of its own, so the log key itself seals nothing and a later
/// format can put an epoch between the two.
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
    func sealingKey(of segment: SegmentID) -> SecretBytes {
        HKDFSHA256.derive(
            from: logKey, salt: segment.bytes, info: Array("keyfold usage log segment 1".utf8),
            count: 32)
    }
}
