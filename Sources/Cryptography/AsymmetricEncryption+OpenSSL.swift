import COpenSSL

/// The encryption algorithms of key pairs.
package enum AsymmetricEncryptionAlgorithm: CaseIterable, Hashable, Sendable {
    /// RSAES-OAEP (RFC 8017 §7.1) with an empty label and MGF1 over the same hash.
    case rsaesOAEPSHA1
    case rsaesOAEPSHA256
    /// SM2 encryption (GB/T 32918.4) over SM3; ciphertexts are ASN.1 (GB/T 35276 §7.2).
    case sm2pke

    /// Whether keys of this spec encrypt so.
    package func fits(_ spec: AsymmetricKeySpec) -> Bool {
        maximumPlaintextBytes(spec) != nil
    }

    /// What a key of this spec encrypts at most: what the modulus holds besides two digests and two
    /// bytes; for SM2, which has no bound, AWS KMS's. Nil when the two do not go together.
    package func maximumPlaintextBytes(_ spec: AsymmetricKeySpec) -> Int? {
        switch self {
        case .rsaesOAEPSHA1, .rsaesOAEPSHA256:
            spec.modulusBits.map { $0 / 8 - 2 * hash.byteCount - 2 }
        case .sm2pke: spec == .sm2 ? 1024 : nil
        }
    }

    fileprivate var hash: HashFunction {
        switch self {
        case .rsaesOAEPSHA1: .sha1
        case .rsaesOAEPSHA256: .sha256
        case .sm2pke: .sm3
        }
    }

    fileprivate var words: [Parameter.Word] {
        switch self {
        case .rsaesOAEPSHA1, .rsaesOAEPSHA256:
            [
                .init("pad-mode", "oaep"), .init("digest", hash.name),
                .init("mgf1-digest", hash.name),
            ]
        case .sm2pke: [.init("digest", hash.name)]
        }
    }

    /// What a ciphertext may have: as much as the modulus; for SM2 the plaintext, and at most 128
    /// bytes of a point, a digest and ASN.1.
    fileprivate func isPossible(ciphertextBytes: Int, _ spec: AsymmetricKeySpec) -> Bool {
        switch self {
        case .rsaesOAEPSHA1, .rsaesOAEPSHA256: ciphertextBytes * 8 == spec.modulusBits
        case .sm2pke: ciphertextBytes <= (maximumPlaintextBytes(spec) ?? 0) + 128
        }
    }
}

extension AsymmetricPublicKey {
    /// Encrypts a short plaintext; each time differently.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for an algorithm that does not go with the
    ///   key, ``CryptographyError/invalidLength(_:)`` for more than
    ///   ``AsymmetricEncryptionAlgorithm/maximumPlaintextBytes(_:)``, and for an empty plaintext
    ///   with SM2, ``CryptographyError/libraryFailure(_:)`` when memory is short.
    package func encrypt(
        _ plaintext: SecretBytes, _ algorithm: AsymmetricEncryptionAlgorithm
    ) throws(CryptographyError) -> [UInt8] {
        guard let maximum = algorithm.maximumPlaintextBytes(spec) else {
            throw .unsupported("\(algorithm) with a key of \(spec)")
        }
        guard plaintext.count <= maximum, plaintext.count > 0 || algorithm != .sm2pke else {
            throw .invalidLength("plaintext")
        }
        let ciphertext = plaintext.withBytes { key.encrypt($0, algorithm) }
        guard let ciphertext else { throw .libraryFailure("encryption") }
        return ciphertext
    }
}

extension AsymmetricPrivateKey {
    /// Opens what ``AsymmetricPublicKey/encrypt(_:_:)`` made.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for an algorithm that does not go with the
    ///   key, ``CryptographyError/decryptionFailed`` for every other failure.
    package func decrypt(
        _ ciphertext: [UInt8], _ algorithm: AsymmetricEncryptionAlgorithm
    ) throws(CryptographyError) -> SecretBytes {
        guard algorithm.fits(spec) else {
            throw .unsupported("\(algorithm) with a key of \(spec)")
        }
        guard algorithm.isPossible(ciphertextBytes: ciphertext.count, spec),
            let plaintext = key.decrypt(ciphertext, algorithm)
        else { throw .decryptionFailed }
        return plaintext
    }
}

extension EVPKey {
    fileprivate func encrypt(
        _ plaintext: RawSpan, _ algorithm: AsymmetricEncryptionAlgorithm
    ) -> [UInt8]? {
        let context = EVPKeyContext(self)
        return unsafe plaintext.withUnsafeBytes { plaintext in
            var count = 0
            // SAFETY: the context is live, and the parameters point to static strings. The first
            // call writes nothing but the count; the second at most `count` bytes, the size of the
            // array. Both read `plaintext.count`.
            guard
                unsafe EVP_PKEY_encrypt_init_ex(context.handle, Parameter.list(algorithm.words))
                    == 1,
                unsafe EVP_PKEY_encrypt(
                    context.handle, nil, &count, plaintext.octets, plaintext.count) == 1
            else {
                ERR_clear_error()
                return nil
            }
            var ciphertext = [UInt8](repeating: 0, count: count)
            guard
                unsafe EVP_PKEY_encrypt(
                    context.handle, &ciphertext, &count, plaintext.octets, plaintext.count) == 1
            else {
                ERR_clear_error()
                return nil
            }
            precondition(count <= ciphertext.count, "BUG: a ciphertext of \(count) bytes")
            return Array(ciphertext.prefix(count))
        }
    }

    fileprivate func decrypt(
        _ ciphertext: [UInt8], _ algorithm: AsymmetricEncryptionAlgorithm
    ) -> SecretBytes? {
        let context = EVPKeyContext(self)
        // A plaintext is shorter than its ciphertext, with both algorithms.
        var count = max(ciphertext.count, maximumOutputBytes)
        var isOpen = false
        let plaintext = SecretBytes(count: count) { plaintext in
            unsafe plaintext.withUnsafeMutableBytes { plaintext in
                // SAFETY: as above; the call writes at most `count` bytes, the size of the secret.
                isOpen =
                    unsafe EVP_PKEY_decrypt_init_ex(
                        context.handle, Parameter.list(algorithm.words)) == 1
                    && EVP_PKEY_decrypt(
                        context.handle, plaintext.octets, &count, ciphertext, ciphertext.count)
                        == 1
            }
        }
        guard isOpen else {
            ERR_clear_error()
            return nil
        }
        return plaintext.prefix(count)
    }
}
