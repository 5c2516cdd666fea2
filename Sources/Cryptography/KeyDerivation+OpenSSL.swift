import COpenSSL

/// One run of an EVP_KDF(3): a secret and public inputs in, a secret out.
struct KeyDerivation {
    /// A fixed choice of the algorithm.
    enum Setting {
        case word(StaticString, StaticString)
        case integer(StaticString, UInt64)
    }

    /// What libcrypto calls the secret input.
    var secretName: StaticString = "key"
    /// What libcrypto calls the second public input.
    var infoName: StaticString = "info"
    var salt: [UInt8] = []
    var info: [UInt8] = []
    var settings: [Setting]

    /// Derives `count` bytes, or nil when libcrypto refuses the inputs or has no memory.
    func run(_ algorithm: OpaquePointer, secret: SecretBytes, count: Int) -> SecretBytes? {
        precondition(count > 0, "BUG: a derived secret of \(count) bytes")
        var isDerived = false
        let result = SecretBytes(count: count) { output in
            unsafe output.withUnsafeMutableBytes { output in
                // SAFETY: `output` is valid for its count, the pointers live for these closures
                // only, and the context below does not outlive them.
                secret.withBytes { secret in
                    unsafe secret.withUnsafeBytes { secret in
                        unsafe isDerived = derive(algorithm, secret, into: output)
                    }
                }
            }
        }
        if !isDerived { ERR_clear_error() }
        return isDerived ? result : nil
    }

    private func derive(
        _ algorithm: OpaquePointer, _ secret: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) -> Bool {
        // SAFETY: the parameters point into buffers whose closures enclose their only use; the
        // integers and the context are freed on every path. libcrypto copies what it keeps and
        // wipes it with the context.
        let context = unsafe Library.required(EVP_KDF_CTX_new(algorithm), "EVP_KDF_CTX_new")
        defer { unsafe EVP_KDF_CTX_free(context) }
        let integers = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: settings.count)
        unsafe integers.initialize(repeating: 0)
        defer { unsafe integers.deallocate() }

        return unsafe salt.withUnsafeBytes { salt in
            unsafe info.withUnsafeBytes { info in
                // An empty salt is given all the same: scrypt asks for one. Info is optional.
                var parameters = unsafe [
                    Parameter.octets(secretName, secret), Parameter.octets("salt", salt),
                ]
                if info.count > 0 { unsafe parameters.append(Parameter.octets(infoName, info)) }
                for (index, setting) in settings.enumerated() {
                    switch setting {
                    case .word(let name, let value):
                        unsafe parameters.append(Parameter.word(name, value))
                    case .integer(let name, let value):
                        unsafe integers[index] = value
                        guard let base = integers.baseAddress else { continue }
                        unsafe parameters.append(Parameter.integer(name, base + index))
                    }
                }
                unsafe parameters.append(OSSL_PARAM_construct_end())
                return unsafe EVP_KDF_derive(context, output.octets, output.count, parameters) == 1
            }
        }
    }
}

/// HKDF with SHA-256 (RFC 5869), extract and expand.
package enum HKDFSHA256 {
    /// libcrypto 3.0 holds no longer info.
    package static let maximumInfoBytes = 1024

    /// Derives `count` bytes (1…8160). An empty salt stands for 32 zero bytes, as in the RFC.
    package static func derive(
        from secret: SecretBytes, salt: [UInt8], info: [UInt8], count: Int
    ) -> SecretBytes {
        precondition(count > 0 && count <= 255 * SHA256.byteCount, "BUG: HKDF of \(count) bytes")
        precondition(info.count <= maximumInfoBytes, "BUG: HKDF info of \(info.count) bytes")
        let derivation = KeyDerivation(
            salt: salt, info: info,
            settings: [.word("digest", "SHA256"), .word("mode", "EXTRACT_AND_EXPAND")])
        guard let result = unsafe derivation.run(Library.hkdf, secret: secret, count: count) else {
            preconditionFailure("BUG: libcrypto failed in HKDF")
        }
        return result
    }
}

/// scrypt (RFC 7914), which makes guessing passphrases cost memory and time.
package enum Scrypt {
    /// The most memory one derivation may take; it bounds what a hostile file can ask for.
    package static let maximumMemoryBytes: UInt64 = 1 << 30

    /// Derives `count` bytes with N = 2^`logN`, using about 128 · r · N bytes of memory.
    ///
    /// - Throws: ``CryptographyError/invalidLength(_:)`` for parameters outside RFC 7914 or above
    ///   ``maximumMemoryBytes``, ``CryptographyError/libraryFailure(_:)`` when memory is short.
    package static func derive(
        passphrase: SecretBytes, salt: [UInt8], logN: Int, r: Int, p: Int, count: Int
    ) throws(CryptographyError) -> SecretBytes {
        guard (1...30).contains(logN), (1...1024).contains(r), (1...1024).contains(p),
            (1...1024).contains(count), logN < 16 * r
        else { throw .invalidLength("scrypt parameters") }

        let (cost, blockBytes) = (UInt64(1) << UInt64(logN), 128 * UInt64(r))
        let memoryBytes = blockBytes * (cost + UInt64(p) + 2)
        guard memoryBytes <= maximumMemoryBytes + blockBytes * (UInt64(p) + 2) else {
            throw .invalidLength("scrypt memory")
        }
        let derivation = KeyDerivation(
            secretName: "pass", salt: salt,
            settings: [
                .integer("n", cost), .integer("r", UInt64(r)), .integer("p", UInt64(p)),
                .integer("maxmem_bytes", memoryBytes),
            ])
        let result = unsafe derivation.run(Library.scrypt, secret: passphrase, count: count)
        guard let result else { throw .libraryFailure("scrypt") }
        return result
    }
}
