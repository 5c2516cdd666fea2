import COpenSSL

/// SHA-256 (FIPS 180-4) of many messages, one after the other: one context serves them all, and no
/// message costs an allocation. One thread at a time.
@safe
package final class SHA256Hasher {
    private let context: OpaquePointer

    package init() {
        unsafe context = Library.required(EVP_MD_CTX_new(), "EVP_MD_CTX_new")
        // SAFETY: both handles are live.
        unsafe Library.require(
            EVP_DigestInit_ex2(context, Library.sha256, nil), "EVP_DigestInit_ex2")
    }

    deinit {
        // SAFETY: made in `init`, freed only here.
        unsafe EVP_MD_CTX_free(context)
    }

    /// Writes the 32-byte digest of `bytes` to `digest`, from `offset` on.
    package func hash(_ bytes: RawSpan, into digest: inout MutableRawSpan, at offset: Int) {
        precondition(
            offset >= 0 && offset <= digest.byteCount - SHA256.byteCount, "BUG: no room for a hash")
        unsafe digest.withUnsafeMutableBytes { digest in
            // SAFETY: the calls read `bytes.count` bytes and write 32, for which there is room.
            unsafe bytes.withUnsafeBytes { bytes in
                let target = unsafe digest.octets.map { unsafe $0 + offset }
                unsafe Library.require(
                    EVP_DigestInit_ex2(context, nil, nil), "EVP_DigestInit_ex2")
                unsafe Library.require(
                    EVP_DigestUpdate(context, bytes.baseAddress, bytes.count), "EVP_DigestUpdate")
                unsafe Library.require(
                    EVP_DigestFinal_ex(context, target, nil), "EVP_DigestFinal_ex")
            }
        }
    }
}
