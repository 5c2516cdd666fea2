import COpenSSL

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
    package static let byteCount = 32

    /// The 32-byte digest of `bytes`.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withRawSpan { hash($0) }
    }

    /// The 32-byte digest of `bytes`.
    package static func hash(_ bytes: RawSpan) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { digest, initializedCount in
            // SAFETY: SHA-256 writes 32 bytes, which the capacity holds, and reads `bytes.count`.
            unsafe bytes.withUnsafeBytes { bytes in
                unsafe Library.require(
                    EVP_Digest(
                        bytes.baseAddress, bytes.count, digest.baseAddress, nil, Library.sha256,
                        nil),
                    "EVP_Digest")
            }
            initializedCount = byteCount
        }
    }
}
