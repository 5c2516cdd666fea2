package import Cryptography
internal import Synchronization

extension PKCS11Token {
    /// Encrypts 1…4096 bytes with AES-256-GCM inside the token.
    ///
    /// The box is `nonce 12 | ciphertext | tag 16`, as of ``AESGCM256``. The nonce is random, from
    /// libcrypto, unless the token insists on making nonces itself. With random nonces one key
    /// may encrypt 2^32 times (NIST SP 800-38D §8.3); nothing counts that here.
    ///
    /// - Parameter aad: at most 65,536 bytes.
    /// - Throws: ``PKCS11Error/keyMissing(_:)``, ``PKCS11Error/invalidLength(_:)``.
    package func encrypt(
        _ plaintext: SecretBytes, authenticating aad: [UInt8], under id: PKCS11KeyID
    ) throws(PKCS11Error) -> [UInt8] {
        guard (1...Self.maximumPlaintextBytes).contains(plaintext.count) else {
            throw .invalidLength("plaintext")
        }
        guard aad.count <= Self.maximumAssociatedDataBytes else {
            throw .invalidLength("associated data")
        }
        return try withKey(id) { cryptoki, key, session throws(PKCS11Error) in
            let zeros = [UInt8](repeating: 0, count: Self.nonceBytes)
            let isTokens = makesNonces.load(ordering: .relaxed)
            do throws(PKCS11Error) {
                return try cryptoki.encrypt(
                    plaintext, authenticating: aad,
                    nonce: isTokens ? zeros : Random.bytes(Self.nonceBytes), key, session)
            } catch {
                guard !isTokens, error.deniesNonce else { throw error }
                // Zeros are a question here, never a nonce: a box is only made if the token put
                // another one in their place.
                guard
                    let box = try? cryptoki.encrypt(
                        plaintext, authenticating: aad, nonce: zeros, key, session)
                else { throw error }
                makesNonces.store(true, ordering: .relaxed)
                return box
            }
        }
    }

    /// Decrypts a box that ``encrypt(_:authenticating:under:)`` made.
    ///
    /// - Throws: ``PKCS11Error/notAuthentic`` for every other box, also one of an impossible
    ///   length; ``PKCS11Error/keyMissing(_:)``.
    package func decrypt(
        _ box: [UInt8], authenticating aad: [UInt8], under id: PKCS11KeyID
    ) throws(PKCS11Error) -> SecretBytes {
        let plainBytes = box.count - Self.overheadBytes
        guard (1...Self.maximumPlaintextBytes).contains(plainBytes) else { throw .notAuthentic }
        guard aad.count <= Self.maximumAssociatedDataBytes else {
            throw .invalidLength("associated data")
        }
        do throws(PKCS11Error) {
            return try withKey(id) { cryptoki, key, session throws(PKCS11Error) in
                try cryptoki.decrypt(box, authenticating: aad, key, session)
            }
        } catch {
            // The token was asked and is well, or this would be another error.
            guard case .failed(let failure) = error, failure.function == .decrypt,
                failure.value.deniesAuthenticity
            else { throw error }
            throw .notAuthentic
        }
    }

    /// `count` bytes, 1…1024, from the token's generator.
    package func randomBytes(count: Int) throws(PKCS11Error) -> SecretBytes {
        guard (1...Self.maximumRandomBytes).contains(count) else {
            throw .invalidLength("random bytes")
        }
        return try perform { cryptoki, use throws(PKCS11Error) in
            try SecretBytes(count: count) { span throws(PKCS11Error) in
                try cryptoki.fillRandom(&span, use.session)
            }
        }
    }

    private func withKey<Value>(
        _ id: PKCS11KeyID, _ body: (Cryptoki, UInt, UInt) throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> Value {
        try perform { cryptoki, use throws(PKCS11Error) in
            let key = try keyHandle(id, cryptoki, use)
            do throws(PKCS11Error) {
                return try body(cryptoki, key, use.session)
            } catch {
                // Somebody destroyed it a moment ago.
                guard case .failed(let failure) = error, failure.value.verdict == .staleKey
                else { throw error }
                throw .keyMissing(id)
            }
        }
    }

    /// The key's handle, known or looked up.
    ///
    /// A known one is asked for its id first: another process may have destroyed the key, and the
    /// token may have given its handle to another one.
    private func keyHandle(
        _ id: PKCS11KeyID, _ cryptoki: Cryptoki, _ use: Use
    ) throws(PKCS11Error) -> UInt {
        if let known = withPool({ $0.keyHandle(id, use.number) }) {
            do throws(PKCS11Error) {
                if try cryptoki.isKey(known, id, use.session) { return known }
            } catch {
                guard case .failed(let failure) = error, failure.value.verdict == .staleKey
                else { throw error }
            }
            withPool { $0.forgetKey(id) }
        }
        guard let found = try cryptoki.findKey(id, use.session) else { throw .keyMissing(id) }
        _ = try cryptoki.describeKey(found, id, use.session)
        withPool { $0.remember(found, of: id, use.number) }
        return found
    }
}

extension PKCS11Error {
    fileprivate var deniesNonce: Bool {
        guard case .failed(let failure) = self else { return false }
        return [.encryptInit, .encrypt].contains(failure.function)
            && failure.value.deniesInitializationVector
    }
}
