import COpenSSL

/// The algorithms of libcrypto that this module uses, each fetched once per process.
///
/// A fetch walks libcrypto's provider tables under locks and costs more than sealing a block, so
/// it never happens per operation. The handles are immutable, reference-counted inside libcrypto
/// and live until the process ends; using one from many threads at once is documented as safe
/// (provider(7), "a fetched algorithm … can be shared").
enum Library {
    nonisolated(unsafe) static let aes256GCM =  // SAFETY: above
        unsafe cipher("AES-256-GCM")
    nonisolated(unsafe) static let aes256WrapPad =  // SAFETY: above
        unsafe cipher("AES-256-WRAP-PAD")
    nonisolated(unsafe) static let sha1 =  // SAFETY: above
        unsafe digest("SHA1")
    nonisolated(unsafe) static let sha224 =  // SAFETY: above
        unsafe digest("SHA224")
    nonisolated(unsafe) static let sha256 =  // SAFETY: above
        unsafe digest("SHA256")
    nonisolated(unsafe) static let sha384 =  // SAFETY: above
        unsafe digest("SHA384")
    nonisolated(unsafe) static let sha512 =  // SAFETY: above
        unsafe digest("SHA512")
    nonisolated(unsafe) static let sm3 =  // SAFETY: above
        unsafe digest("SM3")
    nonisolated(unsafe) static let hmac =  // SAFETY: above
        unsafe mac("HMAC", Parameter.Word("digest", "SHA256"))
    nonisolated(unsafe) static let cmac =  // SAFETY: above
        unsafe mac("CMAC", Parameter.Word("cipher", "AES-256-CBC"))
    nonisolated(unsafe) static let hkdf =  // SAFETY: above
        unsafe required(EVP_KDF_fetch(nil, "HKDF", nil), "HKDF")
    nonisolated(unsafe) static let scrypt =  // SAFETY: above
        unsafe required(
            EVP_KDF_fetch(nil, "SCRYPT", nil), "SCRYPT")

    /// The counter mode that belongs to SIV, for AES keys of 16, 24 or 32 bytes.
    static func aesCTR(keyBytes: Int) -> OpaquePointer {
        switch keyBytes {
        case 16: unsafe aes128CTR
        case 24: unsafe aes192CTR
        default: unsafe aes256CTR
        }
    }

    nonisolated(unsafe) private static let aes128CTR =  // SAFETY: above
        unsafe cipher("AES-128-CTR")
    nonisolated(unsafe) private static let aes192CTR =  // SAFETY: above
        unsafe cipher("AES-192-CTR")
    nonisolated(unsafe) private static let aes256CTR =  // SAFETY: above
        unsafe cipher("AES-256-CTR")

    private static func digest(_ name: String) -> OpaquePointer {
        // SAFETY: the name is NUL-terminated for the length of the call and is not kept.
        unsafe required(EVP_MD_fetch(nil, name, nil), name)
    }

    private static func cipher(_ name: String) -> OpaquePointer {
        // SAFETY: the name is NUL-terminated for the length of the call and is not kept.
        unsafe required(EVP_CIPHER_fetch(nil, name, nil), name)
    }

    /// A MAC whose contexts work for one message after the other, as this module uses them.
    ///
    /// Before OpenSSL 3.0.3 `EVP_MAC_init` without a key succeeds and does nothing, and all codes
    /// but a context's first are wrong (openssl issue 17811). Names and records that were sealed
    /// with those nothing else would open, so the process ends, and says why in a release build too.
    private static func mac(_ name: String, _ parameter: Parameter.Word) -> OpaquePointer {
        // SAFETY: the name is NUL-terminated for the length of the call and is not kept.
        let algorithm = unsafe required(EVP_MAC_fetch(nil, name, nil), name)
        guard unsafe startsAnew(algorithm, parameter) else {
            // SAFETY: a static string.
            let version = unsafe String(cString: OpenSSL_version(OPENSSL_VERSION))
            fatalError("\(version) computes \(name) wrongly; OpenSSL 3.0.3 or later is needed")
        }
        return unsafe algorithm
    }

    /// Whether a context gives one message the same code twice.
    ///
    /// - Parameter restart: lets a context begin another message under the same key.
    static func startsAnew(
        _ algorithm: OpaquePointer, _ parameter: Parameter.Word,
        restart: (OpaquePointer) -> Int32 = { unsafe EVP_MAC_init($0, nil, 0, nil) }
    ) -> Bool {
        let context = unsafe required(EVP_MAC_CTX_new(algorithm), "EVP_MAC_CTX_new")
        defer {
            // SAFETY: made above, and used in this function only.
            unsafe EVP_MAC_CTX_free(context)
            ERR_clear_error()
        }
        let key = [UInt8](repeating: 1, count: 32)
        // SAFETY: the call reads `key.count` bytes; the parameters point to static strings.
        unsafe require(
            EVP_MAC_init(context, key, key.count, Parameter.list([parameter])), "EVP_MAC_init")
        let first = unsafe code(context)
        guard unsafe restart(context) == 1, first != nil else { return false }
        return unsafe code(context) == first
    }

    /// The code of a message of one block and a part of another; nil when a call fails.
    private static func code(_ context: OpaquePointer) -> [UInt8]? {
        let message = [UInt8](repeating: 2, count: 20)
        var code = [UInt8](repeating: 0, count: 32)
        var written = 0
        // SAFETY: the calls read the message's bytes, and write at most the code's.
        guard unsafe EVP_MAC_update(context, message, message.count) == 1,
            unsafe EVP_MAC_final(context, &code, &written, code.count) == 1
        else { return nil }
        return Array(code.prefix(written))
    }

    /// A libcrypto object that only a broken installation or an exhausted heap can deny.
    static func required(_ handle: OpaquePointer?, _ name: String) -> OpaquePointer {
        guard let handle = unsafe handle else {
            preconditionFailure("libcrypto cannot provide \(name)")
        }
        return unsafe handle
    }

    /// Stops the process when a call that no input can make fail has failed all the same.
    static func require(_ result: Int32, _ operation: StaticString) {
        precondition(result == 1, "BUG: libcrypto failed in \(operation)")
    }
}

/// The types a C caller of libcrypto uses for byte strings.
extension UnsafeRawBufferPointer {
    var octets: UnsafePointer<UInt8>? {
        // SAFETY: a view of bytes as bytes; the pointer lives as long as this buffer's closure.
        unsafe baseAddress?.assumingMemoryBound(to: UInt8.self)
    }
}

extension UnsafeMutableRawBufferPointer {
    var octets: UnsafeMutablePointer<UInt8>? {
        // SAFETY: as above.
        unsafe baseAddress?.assumingMemoryBound(to: UInt8.self)
    }
}
