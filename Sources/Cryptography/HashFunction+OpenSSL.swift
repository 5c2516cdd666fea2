import COpenSSL

/// A hash function: SHA-1 and SHA-2 (FIPS 180-4), SM3 (GB/T 32905-2016).
package enum HashFunction: CaseIterable, Sendable {
    /// For RSAES-OAEP and HMAC only, where its collisions do no harm.
    case sha1
    case sha224
    case sha256
    case sha384
    case sha512
    case sm3

    /// The length of a digest.
    package var byteCount: Int {
        switch self {
        case .sha1: 20
        case .sha224: 28
        case .sha256, .sm3: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The digest of `bytes`, ``byteCount`` bytes.
    package func hash(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withRawSpan { hash($0) }
    }

    /// The digest of `bytes`, ``byteCount`` bytes.
    package func hash(_ bytes: RawSpan) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { digest, initializedCount in
            // SAFETY: the function writes `byteCount` bytes, which the capacity holds, and reads
            // `bytes.count`.
            unsafe bytes.withUnsafeBytes { bytes in
                unsafe Library.require(
                    EVP_Digest(
                        bytes.baseAddress, bytes.count, digest.baseAddress, nil, handle, nil),
                    "EVP_Digest")
            }
            initializedCount = byteCount
        }
    }

    /// The name by which libcrypto knows it.
    var name: StaticString {
        switch self {
        case .sha1: "SHA1"
        case .sha224: "SHA224"
        case .sha256: "SHA256"
        case .sha384: "SHA384"
        case .sha512: "SHA512"
        case .sm3: "SM3"
        }
    }

    /// Its EVP_MD, fetched once.
    private var handle: OpaquePointer {
        switch self {
        case .sha1: unsafe Library.sha1
        case .sha224: unsafe Library.sha224
        case .sha256: unsafe Library.sha256
        case .sha384: unsafe Library.sha384
        case .sha512: unsafe Library.sha512
        case .sm3: unsafe Library.sm3
        }
    }
}

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
    package static let byteCount = 32

    /// The 32-byte digest of `bytes`.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        HashFunction.sha256.hash(bytes)
    }

    /// The 32-byte digest of `bytes`.
    package static func hash(_ bytes: RawSpan) -> [UInt8] {
        HashFunction.sha256.hash(bytes)
    }
}
