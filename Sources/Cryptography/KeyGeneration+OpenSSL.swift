import COpenSSL

extension EVPKey {
    /// A new random key pair, nil when libcrypto has no memory for it.
    convenience init?(generating spec: AsymmetricKeySpec) {
        let type: StaticString
        var words: [Parameter.Word] = []
        switch spec.algorithm {
        case .rsa: type = "RSA"
        case .ed25519: type = "ED25519"
        case .elliptic(let curve):
            type = curve.keyType
            words = [Parameter.Word("group", curve.groupName)]
        }
        guard let handle = unsafe Self.generate(type, spec.modulusBits, words) else {
            ERR_clear_error()
            return nil
        }
        unsafe self.init(owning: handle)
    }

    /// libcrypto takes 65537 for the public exponent of RSA.
    private static func generate(
        _ type: StaticString, _ modulusBits: Int?, _ words: [Parameter.Word]
    ) -> OpaquePointer? {
        let context = EVPKeyContext(type)
        var handle: OpaquePointer?
        var bits = UInt64(modulusBits ?? 0)
        let isMade = unsafe withUnsafeMutablePointer(to: &bits) { bits in
            // SAFETY: the context is live; the parameters point to static strings and to a number
            // that outlives this closure, and are not used after it.
            var parameters = unsafe Parameter.list(words)
            if modulusBits != nil {
                unsafe parameters.insert(Parameter.integer("bits", bits), at: 0)
            }
            return unsafe EVP_PKEY_keygen_init(context.handle) == 1
                && EVP_PKEY_CTX_set_params(context.handle, parameters) == 1
                && EVP_PKEY_generate(context.handle, &handle) == 1
        }
        return unsafe isMade ? handle : nil
    }
}
