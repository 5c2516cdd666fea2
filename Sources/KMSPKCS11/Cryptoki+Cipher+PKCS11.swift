internal import CPKCS11
internal import Cryptography

/// AES-GCM with 96-bit nonces and 128-bit tags inside the token (PKCS#11 2.40 mechanisms, §2.11).
extension Cryptoki {
    /// Encrypts `plaintext` and answers `nonce 12 | ciphertext | tag 16`.
    ///
    /// - Parameter nonce: of 12 bytes. The module may write another one in its place, and then that
    ///   one is what it used; AWS CloudHSM's does, and takes 12 zeros only. A nonce of zeros that
    ///   stayed as it was is an error.
    func encrypt(
        _ plaintext: SecretBytes, authenticating aad: [UInt8], nonce: [UInt8],
        _ key: CK_OBJECT_HANDLE, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> [UInt8] {
        precondition(nonce.count == PKCS11Token.nonceBytes, "BUG: a nonce of \(nonce.count) bytes")
        var nonce = nonce
        var sealed = [UInt8](repeating: 0, count: plaintext.count + PKCS11Token.tagBytes)
        var length = CK_ULONG(sealed.count)
        // One closure for both calls: a module may write the nonce in either of them.
        let (start, end) = unsafe withGCM(nonce: &nonce, aad) { mechanism in
            // SAFETY: mechanism, nonce and associated data outlive both calls.
            let start = unsafe functions.C_EncryptInit(session, mechanism, key)
            guard start == CKR_OK else { return (start, CKR_OK) }
            let end = plaintext.withBytes { plaintext in
                unsafe plaintext.withUnsafeBytes { plaintext in
                    unsafe sealed.withUnsafeMutableBytes { sealed in
                        // SAFETY: the module reads the plaintext, and knows how much `sealed` holds.
                        unsafe functions.C_Encrypt(
                            session, plaintext.octets, CK_ULONG(plaintext.count), sealed.octets,
                            &length)
                    }
                }
            }
            return (start, end)
        }
        try check(.encryptInit, start)
        try check(.encrypt, end)
        guard length == CK_ULONG(sealed.count), nonce.contains(where: { $0 != 0 }) else {
            throw .malformedAnswer(.encrypt)
        }
        return nonce + sealed
    }

    /// Decrypts the box `nonce 12 | ciphertext | tag 16`, which has at least 28 bytes.
    func decrypt(
        _ box: [UInt8], authenticating aad: [UInt8], _ key: CK_OBJECT_HANDLE,
        _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> SecretBytes {
        precondition(box.count >= PKCS11Token.overheadBytes, "BUG: a box of \(box.count) bytes")
        var nonce = Array(box.prefix(PKCS11Token.nonceBytes))
        let sealed = Array(box.dropFirst(PKCS11Token.nonceBytes))
        let plainBytes = sealed.count - PKCS11Token.tagBytes
        // Modules want as much room as the ciphertext has, tag included (SoftHSM does).
        let room = try SecretBytes(count: sealed.count) { room throws(PKCS11Error) in
            let (start, end, length) = unsafe room.withUnsafeMutableBytes { room in
                var length = CK_ULONG(room.count)
                let (start, end) = unsafe withGCM(nonce: &nonce, aad) { mechanism in
                    // SAFETY: mechanism, nonce and associated data outlive both calls.
                    let start = unsafe functions.C_DecryptInit(session, mechanism, key)
                    guard start == CKR_OK else { return (start, CKR_OK) }
                    let end = unsafe sealed.withUnsafeBytes { sealed in
                        // SAFETY: the module reads `sealed`, and knows how much `room` there is.
                        unsafe functions.C_Decrypt(
                            session, sealed.octets, CK_ULONG(sealed.count), room.octets, &length)
                    }
                    return (start, end)
                }
                return (start, end, length)
            }
            try check(.decryptInit, start)
            try check(.decrypt, end)
            guard length == CK_ULONG(plainBytes) else { throw .malformedAnswer(.decrypt) }
        }
        return room.withBytes { SecretBytes(copying: $0.extracting(0..<plainBytes)) }
    }

    /// Lends the mechanism with its parameters; the nonce may be written through it.
    private func withGCM<Value>(
        nonce: inout [UInt8], _ aad: [UInt8],
        _ body: (UnsafeMutablePointer<CK_MECHANISM>) -> Value
    ) -> Value {
        let nonceCount = CK_ULONG(nonce.count)
        // SAFETY: every pointer leads to an array or a variable of the closures around it, with the
        // length given beside it, and ends with them.
        return unsafe nonce.withUnsafeMutableBytes { nonce in
            unsafe aad.withUnsafeBytes { aad in
                var parameters = unsafe CK_GCM_PARAMS(
                    pIv: nonce.octets, ulIvLen: nonceCount, ulIvBits: nonceCount * 8,
                    pAAD: aad.isEmpty ? nil : aad.octets, ulAADLen: CK_ULONG(aad.count),
                    ulTagBits: CK_ULONG(PKCS11Token.tagBytes * 8))
                return unsafe withUnsafeMutablePointer(to: &parameters) { parameters in
                    var mechanism = unsafe CK_MECHANISM(
                        mechanism: CKM_AES_GCM, pParameter: parameters,
                        ulParameterLen: CK_ULONG(MemoryLayout<CK_GCM_PARAMS>.size))
                    return unsafe withUnsafeMutablePointer(to: &mechanism) { unsafe body($0) }
                }
            }
        }
    }
}
