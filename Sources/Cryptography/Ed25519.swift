/// A private Ed25519 key (RFC 8032). Any number of threads may sign with it at once.
package struct Ed25519PrivateKey: Sendable {
    package static let seedBytes = 32

    /// The 32 bytes that are the key.
    package let seed: SecretBytes
    private let pair: EVPKey

    /// A new random key.
    package init() {
        let seed = SecretBytes.random(count: Self.seedBytes)
        guard let pair = EVPKey(seed: seed) else {
            preconditionFailure("BUG: libcrypto refused an Ed25519 seed")
        }
        (self.seed, self.pair) = (seed, pair)
    }

    /// The key with this seed.
    ///
    /// - Throws: ``CryptographyError/invalidLength(_:)`` unless it has 32 bytes,
    ///   ``CryptographyError/libraryFailure(_:)`` when libcrypto refuses it.
    package init(seed: SecretBytes) throws(CryptographyError) {
        guard seed.count == Self.seedBytes else { throw .invalidLength("Ed25519 seed") }
        guard let pair = EVPKey(seed: seed) else { throw .libraryFailure("Ed25519 key") }
        (self.seed, self.pair) = (seed, pair)
    }

    /// The public key, 32 bytes.
    package var publicKey: [UInt8] { pair.ed25519PublicKey }

    /// The signature of `message`, 64 bytes.
    ///
    /// - Throws: ``CryptographyError/libraryFailure(_:)`` when memory is short.
    package func sign(_ message: [UInt8]) throws(CryptographyError) -> [UInt8] {
        guard let signature = pair.sign(message: message, .ed25519) else {
            throw .libraryFailure("Ed25519 signature")
        }
        return signature
    }
}

package enum Ed25519 {
    package static let publicKeyBytes = 32
    package static let signatureBytes = 64

    /// Whether `signature` is that of `message` under `publicKey`; false also for wrong lengths.
    package static func isValid(
        _ signature: [UInt8], for message: [UInt8], publicKey: [UInt8]
    ) -> Bool {
        guard signature.count == signatureBytes, publicKey.count == publicKeyBytes,
            let key = EVPKey(ed25519: publicKey)
        else { return false }
        return key.isValid(signature, message: message, .ed25519)
    }
}
