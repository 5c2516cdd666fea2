import COpenSSL

/// HMAC (RFC 2104, FIPS 198-1) under one key, made ready once: a code costs a quarter of what it
/// costs with ``HMAC``.
///
/// Thread-safe: each call takes a keyed context from a pool. Holds a few hundred bytes for each
/// thread that ever worked at once, at most eight.
package final class HMACKey: Sendable {
    package let hash: HashFunction
    private let key: SecretBytes
    private let contexts: ContextPool<HMACContext>

    /// - Parameter key: of any length; FIPS 198-1 wants at least half of the digest's.
    package init(_ key: SecretBytes, _ hash: HashFunction) {
        self.hash = hash
        self.key = key
        contexts = ContextPool([HMACContext(key, hash)])
    }

    /// The code of `message`, as long as the hash function's digest.
    package func authenticationCode(for message: [UInt8]) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: hash.byteCount)
        withContext { context in
            context.update(message)
            code.withMutableRawSpan { context.finish(into: &$0, 0..<$0.byteCount) }
        }
        return code
    }

    /// Whether `code` is the code of `message`; takes the same time wherever they differ.
    package func isValid(_ code: [UInt8], for message: [UInt8]) -> Bool {
        constantTimeEqual(authenticationCode(for: message), code)
    }

    /// Lends a context that awaits a message. `body` may finish as many as it likes.
    func withContext<R>(_ body: (HMACContext) -> R) -> R {
        contexts.withContext(orNew: { HMACContext(key, hash) }, body)
    }
}

/// HMAC (RFC 2104, FIPS 198-1) with keys that are used once.
package enum HMAC {
    /// The code of `message` under a key of any length, as long as the hash function's digest.
    package static func authenticationCode(
        for message: [UInt8], key: SecretBytes, _ hash: HashFunction
    ) -> [UInt8] {
        let context = HMACContext(key, hash)
        var code = [UInt8](repeating: 0, count: hash.byteCount)
        context.update(message)
        code.withMutableRawSpan { context.finish(into: &$0, 0..<$0.byteCount) }
        return code
    }

    /// Whether `code` is the code of `message`; takes the same time wherever they differ.
    package static func isValid(
        _ code: [UInt8], for message: [UInt8], key: SecretBytes, _ hash: HashFunction
    ) -> Bool {
        constantTimeEqual(authenticationCode(for: message, key: key, hash), code)
    }
}

/// HMAC-SHA256 with keys that are used once.
package enum HMACSHA256 {
    package static let byteCount = 32

    /// The 32-byte code of `message` under a key of any length.
    package static func authenticationCode(for message: [UInt8], key: SecretBytes) -> [UInt8] {
        HMAC.authenticationCode(for: message, key: key, .sha256)
    }

    /// Whether `code` is the code of `message`; takes the same time wherever they differ.
    package static func isValid(
        _ code: [UInt8], for message: [UInt8], key: SecretBytes
    ) -> Bool {
        HMAC.isValid(code, for: message, key: key, .sha256)
    }

    /// The code as a key of its own: one step of a chain of keys, each made from the one before.
    package static func derivedKey(for message: [UInt8], key: SecretBytes) -> SecretBytes {
        let context = HMACContext(key, .sha256)
        context.update(message)
        return SecretBytes(count: byteCount) { context.finish(into: &$0, 0..<byteCount) }
    }
}

/// An EVP_MAC_CTX with a key. One thread at a time.
///
/// Unchecked: the pool gives a context to one caller and forgets it until it is back.
@safe
final class HMACContext: @unchecked Sendable {  // SAFETY: above
    private let hash: HashFunction
    private let context: OpaquePointer

    /// A context that awaits its first message.
    init(_ key: SecretBytes, _ hash: HashFunction) {
        self.hash = hash
        // SAFETY: the template is live and never changes. libcrypto takes a nil key as "keep the
        // key", so the key's address is never nil (SecretBytes always allocates); the call reads
        // `key.count` bytes.
        unsafe context = Library.required(
            EVP_MAC_CTX_dup(HMACTemplate.of(hash)), "EVP_MAC_CTX_dup")
        key.withBytes { key in
            unsafe key.withUnsafeBytes { key in
                unsafe Library.require(
                    EVP_MAC_init(context, key.octets, key.count, nil), "EVP_MAC_init")
            }
        }
    }

    deinit {
        // SAFETY: made in `init`, freed only here; libcrypto wipes what it has of the key.
        unsafe EVP_MAC_CTX_free(context)
    }

    /// Continues the message.
    func update(_ bytes: [UInt8]) {
        // SAFETY: the call reads `bytes.count` bytes.
        unsafe Library.require(EVP_MAC_update(context, bytes, bytes.count), "EVP_MAC_update")
    }

    /// Continues the message with a number, its most significant byte first.
    func update(_ number: some FixedWidthInteger) {
        unsafe withUnsafeBytes(of: number.bigEndian) { bytes in
            // SAFETY: the call reads `bytes.count` bytes.
            unsafe Library.require(
                EVP_MAC_update(context, bytes.octets, bytes.count), "EVP_MAC_update")
        }
    }

    /// Ends the message: writes its code to `target[range]`, cut where the range is shorter than a
    /// digest, and awaits the next message under the same key.
    func finish(into target: inout MutableRawSpan, _ range: Range<Int>) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= target.byteCount
                && range.count <= hash.byteCount, "BUG: no room for an HMAC")
        unsafe target.withUnsafeMutableBytes { target in
            // SAFETY: the range lies in `target`, and what is copied has at most its length; the
            // temporary memory ends with its closure and is wiped before.
            let target = unsafe UnsafeMutableRawBufferPointer(rebasing: target[range])
            guard target.count < hash.byteCount else { return unsafe finish(target) }
            unsafe withUnsafeTemporaryAllocation(byteCount: hash.byteCount, alignment: 1) { code in
                unsafe finish(code)
                unsafe target.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: code.prefix(target.count)))
                unsafe OPENSSL_cleanse(code.baseAddress, code.count)
            }
        }
    }

    private func finish(_ code: UnsafeMutableRawBufferPointer) {
        var written = 0
        // SAFETY: the first call writes at most the buffer's length, which it is told. Without a
        // key, `init` starts a message under the same key.
        unsafe Library.require(
            EVP_MAC_final(context, code.octets, &written, code.count), "EVP_MAC_final")
        precondition(written == hash.byteCount, "BUG: an HMAC of \(written) bytes")
        unsafe Library.require(EVP_MAC_init(context, nil, 0, nil), "EVP_MAC_init")
    }
}

/// Contexts with a digest and no key, which others are copied from: naming the digest anew costs
/// libcrypto a search under its locks. They never change and live until the process ends.
private enum HMACTemplate {
    static func of(_ hash: HashFunction) -> OpaquePointer {
        switch hash {
        case .sha1: unsafe sha1
        case .sha224: unsafe sha224
        case .sha256: unsafe sha256
        case .sha384: unsafe sha384
        case .sha512: unsafe sha512
        case .sm3: unsafe sm3
        }
    }

    nonisolated(unsafe) private static let sha1 = unsafe make(.sha1)  // SAFETY: above
    nonisolated(unsafe) private static let sha224 = unsafe make(.sha224)  // SAFETY: above
    nonisolated(unsafe) private static let sha256 = unsafe make(.sha256)  // SAFETY: above
    nonisolated(unsafe) private static let sha384 = unsafe make(.sha384)  // SAFETY: above
    nonisolated(unsafe) private static let sha512 = unsafe make(.sha512)  // SAFETY: above
    nonisolated(unsafe) private static let sm3 = unsafe make(.sm3)  // SAFETY: above

    private static func make(_ hash: HashFunction) -> OpaquePointer {
        let context = unsafe Library.required(EVP_MAC_CTX_new(Library.hmac), "EVP_MAC_CTX_new")
        // SAFETY: the parameters point to static strings.
        let parameters = unsafe [
            Parameter.word("digest", hash.name), OSSL_PARAM_construct_end(),
        ]
        unsafe Library.require(
            EVP_MAC_CTX_set_params(context, parameters), "EVP_MAC_CTX_set_params")
        return unsafe context
    }
}
