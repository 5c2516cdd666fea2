import COpenSSL

extension AsymmetricKeySpec {
    /// Whether keys of this spec agree on secrets.
    package var agreesOnSecrets: Bool {
        switch self {
        case .nistP256, .nistP384, .nistP521, .sm2: true
        case .rsa2048, .rsa3072, .rsa4096, .secp256k1, .ed25519: false
        }
    }
}

extension AsymmetricPrivateKey {
    /// The X coordinate that both keys share, as long as a coordinate (ECDH, SP 800-56A r3
    /// §5.7.1.2). It is no key yet: a derivation comes next.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for keys that do not agree on secrets,
    ///   ``CryptographyError/invalidKey(_:)`` when the other key is of another curve,
    ///   ``CryptographyError/libraryFailure(_:)`` when memory is short.
    package func sharedSecret(
        with peer: AsymmetricPublicKey
    ) throws(CryptographyError) -> SecretBytes {
        guard spec.agreesOnSecrets, case .elliptic(let curve) = spec.algorithm else {
            throw .unsupported("a shared secret with a key of \(spec)")
        }
        guard peer.spec == spec else { throw .invalidKey("a public key of another kind") }
        guard curve != .sm2 else {
            let scalar = key.number("priv", count: curve.fieldBytes)
            return try CurveGroup.of(curve).sharedSecret(scalar, with: peer.key.point(on: curve))
        }
        guard let secret = key.sharedSecret(with: peer.key, count: curve.fieldBytes) else {
            throw .libraryFailure("shared secret")
        }
        return secret
    }
}

extension EVPKey {
    /// The peer was checked when it was made, so it is not checked again.
    fileprivate func sharedSecret(with peer: EVPKey, count: Int) -> SecretBytes? {
        let context = EVPKeyContext(self)
        var written = count
        var isDerived = false
        let secret = SecretBytes(count: count) { secret in
            unsafe secret.withUnsafeMutableBytes { secret in
                // SAFETY: both keys and the context are live; the call writes at most `written`
                // bytes, the size of the secret.
                isDerived =
                    unsafe EVP_PKEY_derive_init(context.handle) == 1
                    && EVP_PKEY_derive_set_peer_ex(context.handle, peer.handle, 0) == 1
                    && EVP_PKEY_derive(context.handle, secret.octets, &written) == 1
            }
        }
        guard isDerived, written == count else {
            ERR_clear_error()
            return nil
        }
        return secret
    }
}
