import COpenSSL

/// AES key wrap with padding (RFC 5649, SP 800-38F §6.3 "KWP") under a 256-bit key.
///
/// `wrapped` is 8 bytes and then the secret, padded to a multiple of 8.
package enum AESKeyWrap {
    package static let keyBytes = 32
    /// More than any key here needs.
    package static let maximumBytes = 65_536

    /// Wraps 1…65,536 bytes. Equal inputs give equal results.
    ///
    /// - Throws: ``CryptographyError/invalidLength(_:)`` for a key or a secret of another length.
    package static func wrap(
        _ secret: SecretBytes, under key: SecretBytes
    ) throws(CryptographyError) -> [UInt8] {
        guard key.count == keyBytes else { throw .invalidLength("key wrap key") }
        guard (1...maximumBytes).contains(secret.count) else { throw .invalidLength("secret") }
        let context = WrapContext(key, isWrapping: true)
        var wrapped = [UInt8](repeating: 0, count: (secret.count + 15) / 8 * 8)
        let count = wrapped.withMutableRawSpan { wrapped in
            secret.withBytes { context.process($0, into: &wrapped) }
        }
        guard count == wrapped.count else { throw .libraryFailure("key wrap") }
        return wrapped
    }

    /// Opens what ``wrap(_:under:)`` made.
    ///
    /// - Throws: ``CryptographyError/invalidLength(_:)`` for a key of another length,
    ///   ``CryptographyError/decryptionFailed`` for everything that was not wrapped under the key.
    package static func unwrap(
        _ wrapped: [UInt8], under key: SecretBytes
    ) throws(CryptographyError) -> SecretBytes {
        guard key.count == keyBytes else { throw .invalidLength("key wrap key") }
        guard wrapped.count.isMultiple(of: 8), (16...maximumBytes + 8).contains(wrapped.count)
        else { throw .decryptionFailed }
        let context = WrapContext(key, isWrapping: false)
        var count: Int?
        // libcrypto writes the padding, too, and wants room for a block more.
        let padded = SecretBytes(count: wrapped.count) { padded in
            count = wrapped.withRawSpan { context.process($0, into: &padded) }
        }
        guard let count, count > 0 else { throw .decryptionFailed }
        return padded.prefix(count)
    }
}

/// Owns an EVP_CIPHER_CTX with a key.
@safe
private struct WrapContext: ~Copyable {
    private let handle: OpaquePointer

    init(_ key: SecretBytes, isWrapping: Bool) {
        precondition(key.count == AESKeyWrap.keyBytes, "BUG: an AES-256 key")
        let handle = unsafe Library.required(EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new")
        // SAFETY: the handles are live, and the call reads 32 bytes of the key. Without a vector
        // libcrypto takes RFC 5649's.
        unsafe EVP_CIPHER_CTX_set_flags(handle, Int32(EVP_CIPHER_CTX_FLAG_WRAP_ALLOW))
        key.withBytes { key in
            unsafe key.withUnsafeBytes { key in
                unsafe Library.require(
                    EVP_CipherInit_ex2(
                        handle, Library.aes256WrapPad, key.octets, nil, isWrapping ? 1 : 0, nil),
                    "EVP_CipherInit_ex2")
            }
        }
        unsafe self.handle = handle
    }

    deinit {
        // SAFETY: made in `init`, freed only here; libcrypto wipes the key schedule.
        unsafe EVP_CIPHER_CTX_free(handle)
    }

    /// Writes to the start of `target`, which has room for a wrapped secret, and returns how much;
    /// nil when the source was not wrapped under the key.
    borrowing func process(_ source: RawSpan, into target: inout MutableRawSpan) -> Int? {
        var written: Int32 = 0
        let handle = unsafe handle
        let isProcessed = unsafe target.withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { source in
                // SAFETY: wrapping writes up to 15 bytes more than it reads, unwrapping fewer; the
                // callers gave that much room, which their bounds keep within Int32.
                unsafe EVP_CipherUpdate(
                    handle, target.octets, &written, source.octets, Int32(source.count)) == 1
            }
        }
        guard isProcessed else {
            ERR_clear_error()
            return nil
        }
        return Int(written)
    }
}
