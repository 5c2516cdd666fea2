import COpenSSL

/// AES-256-GCM with random 96-bit nonces. A box is `nonce 12 | ciphertext | tag 16`.
///
/// One cipher context is reused for every box in both directions; only the nonce is set per box and
/// the key only when it changes. Sealing and opening allocate nothing. One thread at a time; not to
/// be used on both sides of a fork, since both would draw the same nonces.
@safe
package final class AESGCM256 {
    package static let keyBytes = 32
    package static let nonceBytes = 12
    package static let tagBytes = 16
    /// What a box is longer than its plaintext.
    package static let overheadBytes = 28

    private let context: OpaquePointer
    private var nonces = NoncePool()
    /// The key in use, where it is a secret of its own.
    private var key: SecretBytes?
    private var hasKey = false

    /// A context without a key; call ``use(_:)`` before the first box.
    package init() {
        unsafe context = Library.required(EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new")
        // SAFETY: both handles are live; without key and nonce nothing else is read.
        unsafe Library.require(
            EVP_CipherInit_ex2(context, Library.aes256GCM, nil, nil, 1, nil), "EVP_CipherInit_ex2")
    }

    deinit {
        // SAFETY: made in `init`, freed only here; libcrypto wipes the key schedule.
        unsafe EVP_CIPHER_CTX_free(context)
    }

    /// Chooses the key (32 bytes) for the boxes that follow; free when it is the one in use.
    package func use(_ key: SecretBytes) {
        guard key !== self.key else { return }
        precondition(key.count == Self.keyBytes, "BUG: an AES-256 key of \(key.count) bytes")
        key.withBytes { bytes in
            unsafe bytes.withUnsafeBytes { unsafe schedule($0) }
        }
        self.key = key
    }

    /// Chooses a key for the boxes that follow which `body` derives: it fills 32 zero bytes, which
    /// are wiped at once.
    package func useKey(derivedBy body: (inout MutableRawSpan) -> Void) {
        unsafe withUnsafeTemporaryAllocation(byteCount: Self.keyBytes, alignment: 16) { bytes in
            // SAFETY: the temporary memory is initialized before it is lent, wiped after, and the
            // span ends with this closure.
            unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
            var span = unsafe MutableRawSpan(_unsafeBytes: bytes)
            body(&span)
            unsafe schedule(UnsafeRawBufferPointer(bytes))
            unsafe OPENSSL_cleanse(bytes.baseAddress, bytes.count)
        }
        key = nil
    }

    /// Seals `plain[plainRange]` under a fresh random nonce into `box`, from `boxOffset` on.
    ///
    /// Writes `plainRange.count + 28` bytes. `plain` and `box` are different memory.
    package func seal(
        _ plain: RawSpan, _ plainRange: Range<Int>, authenticating aad: RawSpan,
        into box: inout MutableRawSpan, at boxOffset: Int
    ) {
        checkSeal(plain, plainRange, aad, box.byteCount, boxOffset)
        nonces.draw(into: &box, at: boxOffset)
        encrypt(plain, plainRange, aad, into: &box, at: boxOffset)
    }

    /// Opens the box `box[boxRange]` into `plain`, from `plainOffset` on.
    ///
    /// Writes `boxRange.count - 28` bytes, all zero when this throws. `box` and `plain` are
    /// different memory.
    ///
    /// - Throws: ``CryptographyError/invalidLength(_:)`` for a range shorter than 28 bytes (`plain`
    ///   is untouched), ``CryptographyError/authenticationFailed`` when anything was changed.
    package func open(
        _ box: RawSpan, _ boxRange: Range<Int>, authenticating aad: RawSpan,
        into plain: inout MutableRawSpan, at plainOffset: Int
    ) throws(CryptographyError) {
        guard boxRange.count >= Self.overheadBytes else { throw .invalidLength("AES-GCM box") }
        let plainCount = boxRange.count - Self.overheadBytes
        checkRange(boxRange, in: box.byteCount)
        checkRange(start: plainOffset, count: plainCount, in: plain.byteCount)
        checkAmounts(plainCount, aad)

        guard decrypt(box, boxRange, aad, into: &plain, at: plainOffset) else {
            wipe(&plain, plainOffset..<plainOffset + plainCount)
            ERR_clear_error()
            throw .authenticationFailed
        }
    }

    /// Seals a whole array into a box of its own, with the nonce given. For published vectors:
    /// a nonce must never be used twice with one key.
    func seal(_ plain: [UInt8], nonce: [UInt8], authenticating aad: [UInt8]) -> [UInt8] {
        precondition(nonce.count == Self.nonceBytes, "BUG: a nonce of \(nonce.count) bytes")
        var box = nonce + [UInt8](repeating: 0, count: plain.count + Self.tagBytes)
        plain.withRawSpan { plain in
            aad.withRawSpan { aad in
                box.withMutableRawSpan { box in
                    checkSeal(plain, 0..<plain.byteCount, aad, box.byteCount, 0)
                    encrypt(plain, 0..<plain.byteCount, aad, into: &box, at: 0)
                }
            }
        }
        return box
    }
}

// MARK: - Whole boxes

extension AESGCM256 {
    /// The box of a whole array.
    package func seal(_ plain: [UInt8], authenticating aad: [UInt8]) -> [UInt8] {
        var box = [UInt8](repeating: 0, count: plain.count + Self.overheadBytes)
        plain.withRawSpan { plain in
            aad.withRawSpan { aad in
                box.withMutableRawSpan { box in
                    seal(plain, 0..<plain.byteCount, authenticating: aad, into: &box, at: 0)
                }
            }
        }
        return box
    }

    /// The plaintext of a whole box.
    ///
    /// - Throws: ``CryptographyError/invalidLength(_:)`` for fewer than 28 bytes,
    ///   ``CryptographyError/authenticationFailed`` when anything was changed.
    package func open(
        _ box: [UInt8], authenticating aad: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        guard box.count >= Self.overheadBytes else { throw .invalidLength("AES-GCM box") }
        var plain = [UInt8](repeating: 0, count: box.count - Self.overheadBytes)
        try box.withRawSpan { (box) throws(CryptographyError) in
            try aad.withRawSpan { (aad) throws(CryptographyError) in
                try plain.withMutableRawSpan { (plain) throws(CryptographyError) in
                    try open(box, 0..<box.byteCount, authenticating: aad, into: &plain, at: 0)
                }
            }
        }
        return plain
    }
}

// MARK: - Authentication alone

extension AESGCM256 {
    /// A GMAC (NIST SP 800-38D §3) of two pieces, one behind the other, under a fresh random nonce:
    /// writes `nonce 12 | tag 16` to `code` from `offset` on. Where the first piece ends is not
    /// authenticated.
    package func authenticate(
        _ first: RawSpan, _ second: RawSpan, into code: inout MutableRawSpan, at offset: Int
    ) {
        checkRange(start: offset, count: Self.overheadBytes, in: code.byteCount)
        nonces.draw(into: &code, at: offset)
        appendTag(of: first, second, toNonceIn: &code, at: offset)
    }

    /// Whether `nonce 12 | tag 16`, the 28 bytes of `code`, is a GMAC of the two pieces. Takes a
    /// time that depends on their lengths only.
    package func isAuthentic(_ first: RawSpan, _ second: RawSpan, code: [UInt8]) -> Bool {
        guard code.count == Self.overheadBytes else { return false }
        var own = code
        own.withMutableRawSpan { appendTag(of: first, second, toNonceIn: &$0, at: 0) }
        return constantTimeEqual(own, code)
    }
}

// MARK: - Checks that make the unsafe leaves safe

extension AESGCM256 {
    private func checkSeal(
        _ plain: RawSpan, _ plainRange: Range<Int>, _ aad: RawSpan, _ boxBytes: Int,
        _ boxOffset: Int
    ) {
        checkRange(plainRange, in: plain.byteCount)
        checkAmounts(plainRange.count, aad)
        checkRange(
            start: boxOffset, count: plainRange.count + Self.overheadBytes, in: boxBytes)
    }

    private func checkRange(_ range: Range<Int>, in byteCount: Int) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= byteCount, "BUG: AES-GCM out of range")
    }

    private func checkRange(start: Int, count: Int, in byteCount: Int) {
        precondition(
            start >= 0 && start <= byteCount && count <= byteCount - start,
            "BUG: AES-GCM out of range")
    }

    /// libcrypto counts in Int32.
    private func checkAmounts(_ plainCount: Int, _ aad: RawSpan) {
        precondition(hasKey, "BUG: AES-GCM without a key")
        precondition(
            plainCount <= Int32.max && aad.byteCount <= Int32.max,
            "BUG: AES-GCM of \(plainCount) bytes with \(aad.byteCount) bytes of data")
    }
}

// MARK: - Unsafe leaves

extension AESGCM256 {
    private func schedule(_ key: UnsafeRawBufferPointer) {
        precondition(key.count == Self.keyBytes, "BUG: an AES-256 key of \(key.count) bytes")
        // SAFETY: the call reads 32 bytes.
        unsafe Library.require(
            EVP_CipherInit_ex2(context, nil, key.octets, nil, 1, nil), "EVP_CipherInit_ex2")
        hasKey = true
    }

    /// Encrypts after the nonce that already lies at `boxOffset`, and appends the tag.
    private func encrypt(
        _ plain: RawSpan, _ plainRange: Range<Int>, _ aad: RawSpan,
        into box: inout MutableRawSpan, at boxOffset: Int
    ) {
        // SAFETY: `checkSeal` held: `plainRange` lies in `plain`, and the box, of 28 bytes more
        // than the plaintext, in `box`. GCM writes as many bytes as it reads and 16 of tag, and
        // `written` is all the calls store beyond that. The pointers end with the closures.
        let isSealed = unsafe box.withUnsafeMutableBytes { box in
            unsafe plain.withUnsafeBytes { plain in
                unsafe aad.withUnsafeBytes { aad in
                    guard let nonce = unsafe box.octets.map({ unsafe $0 + boxOffset }) else {
                        return false
                    }
                    let ciphertext = unsafe nonce + Self.nonceBytes
                    let tag = unsafe ciphertext + plainRange.count
                    let source = unsafe UnsafeRawBufferPointer(rebasing: plain[plainRange])
                    var written: Int32 = 0
                    return unsafe EVP_CipherInit_ex2(context, nil, nil, nonce, 1, nil) == 1
                        && process(aad, into: nil) && process(source, into: ciphertext)
                        && EVP_CipherFinal_ex(context, tag, &written) == 1
                        && EVP_CIPHER_CTX_ctrl(
                            context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagBytes), tag) == 1
                }
            }
        }
        precondition(isSealed, "BUG: libcrypto failed to seal")
    }

    /// Writes the tag of two pieces of data, without a text, behind the nonce at `offset`.
    private func appendTag(
        of first: RawSpan, _ second: RawSpan, toNonceIn code: inout MutableRawSpan, at offset: Int
    ) {
        checkAmounts(0, first)
        checkAmounts(0, second)
        // SAFETY: the callers checked that 28 bytes lie in `code` from `offset` on; GCM writes 16 of
        // tag behind the nonce's 12, and `written` is all that the calls store beyond that. The
        // pointers end with the closures.
        let isDone = unsafe code.withUnsafeMutableBytes { code in
            unsafe first.withUnsafeBytes { first in
                unsafe second.withUnsafeBytes { second in
                    guard let nonce = unsafe code.octets.map({ unsafe $0 + offset }) else {
                        return false
                    }
                    let tag = unsafe nonce + Self.nonceBytes
                    var written: Int32 = 0
                    return unsafe EVP_CipherInit_ex2(context, nil, nil, nonce, 1, nil) == 1
                        && process(first, into: nil) && process(second, into: nil)
                        && EVP_CipherFinal_ex(context, tag, &written) == 1
                        && EVP_CIPHER_CTX_ctrl(
                            context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagBytes), tag) == 1
                }
            }
        }
        precondition(isDone, "BUG: libcrypto failed to authenticate")
    }

    /// Decrypts and checks the tag; false leaves unauthenticated bytes behind, for the caller to
    /// wipe.
    private func decrypt(
        _ box: RawSpan, _ boxRange: Range<Int>, _ aad: RawSpan,
        into plain: inout MutableRawSpan, at plainOffset: Int
    ) -> Bool {
        // SAFETY: the caller checked that `boxRange` lies in `box`, has at least 28 bytes, and
        // that 28 fewer fit into `plain` at `plainOffset`. libcrypto only reads the tag, although
        // its C signature lacks `const`. The pointers end with the closures.
        unsafe plain.withUnsafeMutableBytes { plain in
            unsafe box.withUnsafeBytes { box in
                unsafe aad.withUnsafeBytes { aad in
                    guard let nonce = unsafe box.octets.map({ unsafe $0 + boxRange.lowerBound })
                    else { return false }
                    let source = unsafe UnsafeRawBufferPointer(
                        rebasing: box[boxRange].dropFirst(Self.nonceBytes).dropLast(Self.tagBytes))
                    let tag = unsafe nonce + Self.nonceBytes + source.count
                    let target = unsafe plain.octets.map { unsafe $0 + plainOffset }
                    var nothing: UInt8 = 0
                    var written: Int32 = 0
                    return unsafe EVP_CipherInit_ex2(context, nil, nil, nonce, 0, nil) == 1
                        && EVP_CIPHER_CTX_ctrl(
                            context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagBytes),
                            UnsafeMutablePointer(mutating: tag)) == 1
                        && process(aad, into: nil) && process(source, into: target)
                        && EVP_CipherFinal_ex(context, &nothing, &written) == 1
                }
            }
        }
    }

    /// Feeds associated data (no target) or text; nothing when there is none, since libcrypto
    /// would take a call with neither for the end of the message.
    private func process(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutablePointer<UInt8>?
    ) -> Bool {
        guard source.count > 0 else { return true }
        var written: Int32 = 0
        // SAFETY: the caller's target, if any, has room for `source.count` bytes.
        return unsafe EVP_CipherUpdate(
            context, target, &written, source.octets, Int32(source.count)) == 1
    }
}
