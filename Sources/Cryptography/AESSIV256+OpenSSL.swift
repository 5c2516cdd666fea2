import COpenSSL

/// AES-SIV (RFC 5297) with a 512-bit key: deterministic authenticated encryption, for names.
///
/// S2V and the composition are written here over libcrypto's CMAC and AES-CTR, because libcrypto's
/// own AES-SIV refuses an empty plaintext, ignores empty associated data before 3.0.10
/// (CVE-2023-2975), and takes a new key schedule for each message.
///
/// Thread-safe: every call takes a keyed context from a pool.
package final class AESSIV256: Sendable {
    package static let keyBytes = 64
    /// What a sealed text is longer than its plaintext: the synthetic IV in front.
    package static let overheadBytes = 16
    /// RFC 5297 §2.6: 127 strings, the plaintext being one.
    package static let maximumAssociatedStrings = 126

    private let key: SecretBytes
    private let contexts = ContextPool<SIVContext>()

    /// - Parameter key: 64 bytes: the CMAC key, then the AES-CTR key.
    package convenience init(key: SecretBytes) {
        precondition(key.count == Self.keyBytes, "BUG: an AES-256-SIV key of \(key.count) bytes")
        self.init(anyKey: key)
    }

    /// Keys of 32 and 48 bytes also, for the published vectors of AES-128 and AES-192.
    init(anyKey key: SecretBytes) {
        precondition([32, 48, 64].contains(key.count), "BUG: a SIV key of \(key.count) bytes")
        self.key = key
    }

    /// Seals `plain` into `V 16 | ciphertext`. Equal inputs give equal results.
    ///
    /// - Parameter authenticating: at most 126 strings; their order and borders count.
    package func seal(_ plain: [UInt8], authenticating strings: [[UInt8]]) -> [UInt8] {
        precondition(strings.count <= Self.maximumAssociatedStrings, "BUG: too many strings")
        return withContext { context in
            let vector = context.syntheticIV(of: plain, authenticating: strings)
            return vector.bytes + context.applyKeystream(from: vector, to: plain[...])
        }
    }

    /// Opens what ``seal(_:authenticating:)`` made with the same strings.
    ///
    /// - Throws: ``CryptographyError/invalidLength(_:)`` for fewer than 16 bytes,
    ///   ``CryptographyError/authenticationFailed`` when anything was changed.
    package func open(
        _ sealed: [UInt8], authenticating strings: [[UInt8]]
    ) throws(CryptographyError) -> [UInt8] {
        precondition(strings.count <= Self.maximumAssociatedStrings, "BUG: too many strings")
        guard sealed.count >= Self.overheadBytes else { throw .invalidLength("AES-SIV text") }
        let vector = Block128(sealed)
        let plain: [UInt8]? = withContext { context in
            var plain = context.applyKeystream(
                from: vector, to: sealed[Self.overheadBytes...])
            let expected = context.syntheticIV(of: plain, authenticating: strings)
            guard expected.isEqual(to: vector) else {
                wipe(&plain)
                return nil
            }
            return plain
        }
        guard let plain else { throw .authenticationFailed }
        return plain
    }

    private func withContext<R>(_ body: (SIVContext) -> R) -> R {
        contexts.withContext(orNew: { SIVContext(key: key) }, body)
    }
}

/// A keyed CMAC and a keyed AES-CTR. One thread at a time.
///
/// Unchecked: the pool gives a context to one caller and forgets it until it is back.
@safe
private final class SIVContext: @unchecked Sendable {  // SAFETY: above
    private let authenticator: OpaquePointer
    private let cipher: OpaquePointer
    /// CMAC of the zero block, where every S2V starts.
    private var start = Block128.zero

    init(key: SecretBytes) {
        unsafe authenticator = Library.required(EVP_MAC_CTX_new(Library.cmac), "EVP_MAC_CTX_new")
        unsafe cipher = Library.required(EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new")
        let half = key.count / 2
        let parameters = unsafe [
            Parameter.word("cipher", Self.cmacCipher(keyBytes: half)), OSSL_PARAM_construct_end(),
        ]
        key.withBytes { key in
            unsafe key.withUnsafeBytes { key in
                // SAFETY: each call reads `half` bytes: the first and the second half of the key.
                // The parameters point to static strings.
                unsafe Library.require(
                    EVP_MAC_init(authenticator, key.octets, half, parameters), "EVP_MAC_init")
                unsafe Library.require(
                    EVP_EncryptInit_ex2(
                        cipher, Library.aesCTR(keyBytes: half),
                        UnsafeRawBufferPointer(rebasing: key[half...]).octets, nil, nil),
                    "EVP_EncryptInit_ex2")
            }
        }
        start = code(of: Block128.zero.bytes)
    }

    deinit {
        // SAFETY: made in `init`, freed only here; libcrypto wipes the key schedules.
        unsafe EVP_MAC_CTX_free(authenticator)
        unsafe EVP_CIPHER_CTX_free(cipher)
    }

    /// S2V of RFC 5297 §2.4.
    func syntheticIV(of plain: [UInt8], authenticating strings: [[UInt8]]) -> Block128 {
        var sum = start
        for string in strings {
            sum = sum.doubled ^ code(of: string)
        }
        guard plain.count >= 16 else {
            return code(of: [], then: sum.doubled ^ paddedBlock(plain))
        }
        // "xorend": the sum goes onto the last 16 bytes.
        let lastBlock = plain.count - 16
        return code(
            of: plain, upTo: lastBlock, then: sum ^ Block128(plain, from: lastBlock))
    }

    /// AES-CTR from `vector` on, with the two bits cleared that RFC 5297 §2.5 reserves.
    func applyKeystream(from vector: Block128, to text: ArraySlice<UInt8>) -> [UInt8] {
        guard !text.isEmpty else { return [] }
        precondition(text.count <= Int32.max, "BUG: AES-SIV of \(text.count) bytes")
        let counter = Block128(high: vector.high, low: vector.low & 0x7fff_ffff_7fff_ffff)
        return unsafe [UInt8](unsafeUninitializedCapacity: text.count) { output, initializedCount in
            var written: Int32 = 0
            // SAFETY: the counter has the 16 bytes that are read; CTR writes as many bytes as it
            // reads, `text.count`, which the capacity holds.
            unsafe withUnsafeBytes(of: counter.bigEndianWords) { counter in
                unsafe Library.require(
                    EVP_EncryptInit_ex2(cipher, nil, nil, counter.octets, nil),
                    "EVP_EncryptInit_ex2")
            }
            unsafe text.withUnsafeBytes { text in
                unsafe Library.require(
                    EVP_EncryptUpdate(
                        cipher, output.baseAddress, &written, text.octets, Int32(text.count)),
                    "EVP_EncryptUpdate")
            }
            precondition(Int(written) == text.count, "BUG: AES-CTR of \(written) bytes")
            initializedCount = text.count
        }
    }

    /// CMAC of the first `prefixCount` bytes (all by default) and, where given, of one more block.
    private func code(
        of bytes: [UInt8], upTo prefixCount: Int? = nil, then last: Block128? = nil
    ) -> Block128 {
        let prefixCount = prefixCount ?? bytes.count
        precondition(prefixCount >= 0 && prefixCount <= bytes.count, "BUG: CMAC out of range")
        var code = Block128.zero.bigEndianWords
        var written = 0
        // SAFETY: `init` without a key starts a new message under the same key. The updates read
        // `prefixCount` bytes, at most the array's, and the block's 16. CMAC writes at most the 16
        // bytes it is told of.
        unsafe Library.require(EVP_MAC_init(authenticator, nil, 0, nil), "EVP_MAC_init")
        unsafe Library.require(
            EVP_MAC_update(authenticator, bytes, prefixCount), "EVP_MAC_update")
        if let last {
            unsafe withUnsafeBytes(of: last.bigEndianWords) { last in
                unsafe Library.require(
                    EVP_MAC_update(authenticator, last.octets, last.count), "EVP_MAC_update")
            }
        }
        unsafe withUnsafeMutableBytes(of: &code) { code in
            unsafe Library.require(
                EVP_MAC_final(authenticator, code.octets, &written, code.count), "EVP_MAC_final")
        }
        precondition(written == 16, "BUG: a CMAC of \(written) bytes")
        return Block128(bigEndianWords: code)
    }

    /// "pad" of RFC 5297 §2.1: a one bit, then zeros up to 16 bytes.
    private func paddedBlock(_ bytes: [UInt8]) -> Block128 {
        Block128(bytes + [0x80])
    }

    private static func cmacCipher(keyBytes: Int) -> StaticString {
        switch keyBytes {
        case 16: "AES-128-CBC"
        case 24: "AES-192-CBC"
        default: "AES-256-CBC"
        }
    }
}
