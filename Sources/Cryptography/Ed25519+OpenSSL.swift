import COpenSSL

/// A private Ed25519 key (RFC 8032). Any number of threads may sign with it at once.
package struct Ed25519PrivateKey: Sendable {
    package static let seedBytes = 32

    /// The 32 bytes that are the key.
    package let seed: SecretBytes
    private let pair: Ed25519Key

    /// A new random key.
    package init() {
        let seed = SecretBytes.random(count: Self.seedBytes)
        guard let pair = Ed25519Key(seed: seed) else {
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
        guard let pair = Ed25519Key(seed: seed) else { throw .libraryFailure("Ed25519 key") }
        (self.seed, self.pair) = (seed, pair)
    }

    /// The public key, 32 bytes.
    package var publicKey: [UInt8] { pair.publicKey }

    /// The signature of `message`, 64 bytes.
    ///
    /// - Throws: ``CryptographyError/libraryFailure(_:)`` when memory is short.
    package func sign(_ message: [UInt8]) throws(CryptographyError) -> [UInt8] {
        guard let signature = pair.sign(message) else { throw .libraryFailure("Ed25519 signature") }
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
            let key = Ed25519Key(publicKey: publicKey)
        else { return false }
        return key.isValid(signature, for: message)
    }
}

/// Owns an EVP_PKEY.
@safe
private final class Ed25519Key: Sendable {
    // An EVP_PKEY is immutable once made and reference-counted with atomics inside; every
    // operation has a context of its own.
    nonisolated(unsafe) private let handle: OpaquePointer  // SAFETY: above

    init?(seed: SecretBytes) {
        let handle = unsafe seed.withBytes { seed in
            unsafe seed.withUnsafeBytes { seed in
                // SAFETY: the call reads `seed.count` bytes and copies them.
                unsafe EVP_PKEY_new_raw_private_key(
                    EVP_PKEY_ED25519, nil, seed.octets, seed.count)
            }
        }
        guard let handle = unsafe handle else {
            ERR_clear_error()
            return nil
        }
        unsafe self.handle = handle
    }

    init?(publicKey: [UInt8]) {
        // SAFETY: the call reads `publicKey.count` bytes and copies them.
        let handle = unsafe EVP_PKEY_new_raw_public_key(
            EVP_PKEY_ED25519, nil, publicKey, publicKey.count)
        guard let handle = unsafe handle else {
            ERR_clear_error()
            return nil
        }
        unsafe self.handle = handle
    }

    deinit {
        // SAFETY: made in `init`, freed only here; libcrypto wipes a private key.
        unsafe EVP_PKEY_free(handle)
    }

    var publicKey: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Ed25519.publicKeyBytes)
        var count = bytes.count
        // SAFETY: the call writes at most `count` bytes, the size of the array.
        unsafe Library.require(
            EVP_PKEY_get_raw_public_key(handle, &bytes, &count), "EVP_PKEY_get_raw_public_key")
        precondition(count == bytes.count, "BUG: an Ed25519 public key of \(count) bytes")
        return bytes
    }

    func sign(_ message: [UInt8]) -> [UInt8]? {
        let context = unsafe Library.required(EVP_MD_CTX_new(), "EVP_MD_CTX_new")
        defer { unsafe EVP_MD_CTX_free(context) }
        var signature = [UInt8](repeating: 0, count: Ed25519.signatureBytes)
        var count = signature.count
        // SAFETY: `context` and `handle` are live; the call writes at most `count` bytes, the size
        // of the array, and reads `message.count`.
        let isSigned =
            unsafe EVP_DigestSignInit(context, nil, nil, nil, handle) == 1
            && EVP_DigestSign(context, &signature, &count, message, message.count) == 1
        guard isSigned, count == signature.count else {
            ERR_clear_error()
            return nil
        }
        return signature
    }

    func isValid(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        let context = unsafe Library.required(EVP_MD_CTX_new(), "EVP_MD_CTX_new")
        defer { unsafe EVP_MD_CTX_free(context) }
        // SAFETY: `context` and `handle` are live; the calls only read the arrays, by their counts.
        let isValid =
            unsafe EVP_DigestVerifyInit(context, nil, nil, nil, handle) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
        if !isValid { ERR_clear_error() }
        return isValid
    }
}
