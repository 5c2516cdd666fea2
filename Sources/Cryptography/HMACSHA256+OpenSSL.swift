import COpenSSL

/// HMAC-SHA256 (RFC 2104, FIPS 198-1).
package enum HMACSHA256 {
    package static let byteCount = 32

    /// The 32-byte code of `message` under a key of any length.
    package static func authenticationCode(for message: [UInt8], key: SecretBytes) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: byteCount)
        key.withBytes { key in
            unsafe key.withUnsafeBytes { key in
                unsafe message.withUnsafeBytes { message in
                    unsafe code.withUnsafeMutableBytes { unsafe compute($0, message, key) }
                }
            }
        }
        return code
    }

    /// The code as a key of its own: one step of a chain of keys, each made from the one before.
    package static func derivedKey(for message: [UInt8], key: SecretBytes) -> SecretBytes {
        SecretBytes(count: byteCount) { code in
            key.withBytes { key in
                unsafe key.withUnsafeBytes { key in
                    unsafe message.withUnsafeBytes { message in
                        unsafe code.withUnsafeMutableBytes { unsafe compute($0, message, key) }
                    }
                }
            }
        }
    }

    /// Whether `code` is the code of `message`; takes the same time wherever they differ.
    package static func isValid(
        _ code: [UInt8], for message: [UInt8], key: SecretBytes
    ) -> Bool {
        constantTimeEqual(authenticationCode(for: message, key: key), code)
    }

    private static func compute(
        _ code: UnsafeMutableRawBufferPointer, _ message: UnsafeRawBufferPointer,
        _ key: UnsafeRawBufferPointer
    ) {
        // SAFETY: each buffer is valid for its count during this call; `code` has the 32 bytes
        // that the function writes at most; the context is freed on every path; the parameters
        // point to static strings. libcrypto takes a nil key as "keep the key", so the key's
        // address is never nil (SecretBytes always allocates).
        let context = unsafe Library.required(EVP_MAC_CTX_new(Library.hmac), "EVP_MAC_CTX_new")
        defer { unsafe EVP_MAC_CTX_free(context) }
        let parameters = unsafe [
            Parameter.word("digest", "SHA256"), OSSL_PARAM_construct_end(),
        ]
        var written = 0
        unsafe Library.require(
            EVP_MAC_init(context, key.octets, key.count, parameters), "EVP_MAC_init")
        unsafe Library.require(
            EVP_MAC_update(context, message.octets, message.count), "EVP_MAC_update")
        unsafe Library.require(
            EVP_MAC_final(context, code.octets, &written, code.count), "EVP_MAC_final")
        precondition(written == byteCount, "BUG: an HMAC-SHA256 of \(written) bytes")
    }
}
