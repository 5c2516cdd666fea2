import COpenSSL

/// How libcrypto signs a whole message.
enum MessageSignature {
    case ed25519
    /// Over SM3, with the default identifier.
    case sm2
}

extension EVPKey {
    /// The signature of a digest, nil when libcrypto has no memory for it.
    func sign(digest: [UInt8], _ algorithm: SigningAlgorithm) -> [UInt8]? {
        let context = EVPKeyContext(self)
        var signature = [UInt8](repeating: 0, count: maximumOutputBytes)
        var count = signature.count
        // SAFETY: the context is live, and the parameters point to static strings; the call writes
        // at most `count` bytes, the size of the array, and reads `digest.count`.
        let isSigned =
            unsafe EVP_PKEY_sign_init_ex(context.handle, Parameter.list(algorithm.words)) == 1
            && EVP_PKEY_sign(context.handle, &signature, &count, digest, digest.count) == 1
        return finish(signature, isSigned ? count : nil)
    }

    /// Whether a signature is one of this digest.
    func isValid(_ signature: [UInt8], digest: [UInt8], _ algorithm: SigningAlgorithm) -> Bool {
        let context = EVPKeyContext(self)
        // SAFETY: as above; the calls only read the arrays, by their counts.
        let isValid =
            unsafe EVP_PKEY_verify_init_ex(context.handle, Parameter.list(algorithm.words)) == 1
            && EVP_PKEY_verify(
                context.handle, signature, signature.count, digest, digest.count) == 1
        if !isValid { ERR_clear_error() }
        return isValid
    }

    /// The signature of a message, nil when libcrypto has no memory for it.
    func sign(message: [UInt8], _ kind: MessageSignature) -> [UInt8]? {
        let context = DigestContext()
        var signature = [UInt8](repeating: 0, count: maximumOutputBytes)
        var count = signature.count
        let isSigned = unsafe kind.withParameters { digest, parameters in
            // SAFETY: `context` and `handle` are live; the call writes at most `count` bytes, the
            // size of the array, and reads `message.count`.
            unsafe EVP_DigestSignInit_ex(
                context.handle, nil, digest, nil, nil, handle, nil) == 1
                && context.set(parameters)
                && EVP_DigestSign(
                    context.handle, &signature, &count, message, message.count) == 1
        }
        return finish(signature, isSigned ? count : nil)
    }

    /// Whether a signature is one of this message.
    func isValid(_ signature: [UInt8], message: [UInt8], _ kind: MessageSignature) -> Bool {
        let context = DigestContext()
        let isValid = unsafe kind.withParameters { digest, parameters in
            // SAFETY: `context` and `handle` are live; the calls only read the arrays, by their
            // counts.
            unsafe EVP_DigestVerifyInit_ex(
                context.handle, nil, digest, nil, nil, handle, nil) == 1
                && context.set(parameters)
                && EVP_DigestVerify(
                    context.handle, signature, signature.count, message, message.count) == 1
        }
        if !isValid { ERR_clear_error() }
        return isValid
    }

    private func finish(_ signature: [UInt8], _ count: Int?) -> [UInt8]? {
        guard let count else {
            ERR_clear_error()
            return nil
        }
        precondition(count <= signature.count, "BUG: a signature of \(count) bytes")
        return Array(signature.prefix(count))
    }
}

extension SigningAlgorithm {
    /// libcrypto's words for the algorithm of a digest. ECDSA and SM2 need none: a digest is a
    /// number to them.
    fileprivate var words: [Parameter.Word] {
        guard let hash = digest?.name else { return [] }
        return switch self {
        case .rsassaPSSSHA256, .rsassaPSSSHA384, .rsassaPSSSHA512:
            [
                .init("pad-mode", "pss"), .init("digest", hash), .init("mgf1-digest", hash),
                .init("saltlen", "digest"),
            ]
        case .rsassaPKCS1SHA256, .rsassaPKCS1SHA384, .rsassaPKCS1SHA512:
            [.init("pad-mode", "pkcs1"), .init("digest", hash)]
        case .ecdsaSHA256, .ecdsaSHA384, .ecdsaSHA512, .ed25519, .ed25519ph, .sm2dsa: []
        }
    }
}

extension MessageSignature {
    /// The identifier of GB/T 35276 for signers that have none of their own.
    private static let defaultIdentifier = Array("1234567812345678".utf8)

    /// Lends libcrypto's name of the digest, if there is one, and the parameters.
    fileprivate func withParameters<R>(
        _ body: (UnsafePointer<CChar>?, [OSSL_PARAM]) -> R
    ) -> R {
        switch self {
        case .ed25519: unsafe body(nil, Parameter.list([]))
        case .sm2:
            unsafe Self.defaultIdentifier.withUnsafeBytes { identifier in
                // SAFETY: the identifier outlives the closure, and the name the process.
                unsafe body(
                    Parameter.cString(HashFunction.sm3.name),
                    [Parameter.octets("distid", identifier), OSSL_PARAM_construct_end()])
            }
        }
    }
}

/// Owns an EVP_MD_CTX: one signature of a message, or one check of it.
@safe
private struct DigestContext: ~Copyable {
    let handle: OpaquePointer

    init() {
        unsafe handle = Library.required(EVP_MD_CTX_new(), "EVP_MD_CTX_new")
    }

    deinit {
        // SAFETY: made in `init`, freed only here.
        unsafe EVP_MD_CTX_free(handle)
    }

    /// Behind the initialization: in it, libcrypto 3.0.19 takes no identifier for SM2. It may be set
    /// until the first byte of the message.
    func set(_ parameters: [OSSL_PARAM]) -> Bool {
        if unsafe parameters.count == 1 { return true }
        // SAFETY: the context of the key is the digest context's own; the list has its end.
        return unsafe EVP_PKEY_CTX_set_params(EVP_MD_CTX_get_pkey_ctx(handle), parameters) == 1
    }
}
