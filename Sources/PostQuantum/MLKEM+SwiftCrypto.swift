internal import Crypto
package import Cryptography

/// The parameter sets of ML-KEM (FIPS 203).
package enum MLKEMKeySpec: String, CaseIterable, Hashable, Sendable {
    case mlKEM512 = "ML-KEM-512"
    case mlKEM768 = "ML-KEM-768"
    case mlKEM1024 = "ML-KEM-1024"

    /// Whether keys of this spec work here: swift-crypto has two of the three.
    package var isSupported: Bool { self != .mlKEM512 }

    /// The length of a ciphertext (FIPS 203 §8, table 3).
    package var ciphertextBytes: Int {
        switch self {
        case .mlKEM512: 768
        case .mlKEM768: 1088
        case .mlKEM1024: 1568
        }
    }

    /// RFC 9935 §3 and §6; lengths of encapsulation keys from FIPS 203 §8, table 3.
    var encoding: KeyEncoding {
        switch self {
        case .mlKEM512: KeyEncoding(arc: (4, 1), publicKeyBytes: 800, seedBytes: 64)
        case .mlKEM768: KeyEncoding(arc: (4, 2), publicKeyBytes: 1184, seedBytes: 64)
        case .mlKEM1024: KeyEncoding(arc: (4, 3), publicKeyBytes: 1568, seedBytes: 64)
        }
    }
}

/// A shared secret and the ciphertext that brings it to the owner of the private key.
package struct Encapsulation: Sendable {
    package static let sharedSecretBytes = 32

    package let ciphertext: [UInt8]
    /// 32 bytes.
    package let sharedSecret: SecretBytes
}

/// A private ML-KEM key. Any number of threads may use it at once.
///
/// swift-crypto keeps copies of the seed and of the expanded key that it does not wipe.
package struct MLKEMPrivateKey: Sendable {
    private enum Key: Sendable {
        case mlKEM768(MLKEM768.PrivateKey)
        case mlKEM1024(MLKEM1024.PrivateKey)
    }

    package let spec: MLKEMKeySpec
    /// Its PrivateKeyInfo (RFC 9935 §6) in DER, with the seed: 86 bytes.
    package let pkcs8: SecretBytes
    package let publicKey: MLKEMPublicKey
    private let key: Key

    /// A new random key.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for a spec that is not supported,
    ///   ``CryptographyError/libraryFailure(_:)`` when swift-crypto fails.
    package static func generate(
        _ spec: MLKEMKeySpec
    ) throws(CryptographyError) -> MLKEMPrivateKey {
        try MLKEMPrivateKey(seed: .random(count: spec.encoding.seedBytes), spec)
    }

    /// The key with this PrivateKeyInfo. Of RFC 9935's forms only that with the seed is taken.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless that is the DER of one key and
    ///   nothing more, ``CryptographyError/unsupported(_:)`` for a spec that is not supported,
    ///   ``CryptographyError/libraryFailure(_:)`` when swift-crypto fails.
    package init(pkcs8: SecretBytes) throws(CryptographyError) {
        for spec in MLKEMKeySpec.allCases {
            guard let seed = spec.encoding.seed(inPrivateKey: pkcs8) else { continue }
            try self.init(seed: seed, spec)
            return
        }
        throw .invalidKey("not an ML-KEM private key with its seed")
    }

    /// The key with this seed, 64 bytes: d and z of FIPS 203 §7.1.
    init(seed: SecretBytes, _ spec: MLKEMKeySpec) throws(CryptographyError) {
        precondition(seed.count == spec.encoding.seedBytes, "BUG: a seed of \(seed.count) bytes")
        guard spec.isSupported else { throw .unsupported(spec.rawValue) }
        self.spec = spec
        pkcs8 = spec.encoding.privateKey(seed: seed)
        do {
            (key, publicKey) = try seed.withArray { seed in
                if spec == .mlKEM768 {
                    let key = try MLKEM768.PrivateKey(seedRepresentation: seed, publicKey: nil)
                    return (.mlKEM768(key), MLKEMPublicKey(.mlKEM768(key.publicKey)))
                }
                let key = try MLKEM1024.PrivateKey(seedRepresentation: seed, publicKey: nil)
                return (.mlKEM1024(key), MLKEMPublicKey(.mlKEM1024(key.publicKey)))
            }
        } catch {
            throw .libraryFailure("\(spec.rawValue) key")
        }
    }

    /// The shared secret, 32 bytes, that a ciphertext brings. One that was made for another key, or
    /// changed, brings another secret and no error (FIPS 203 §6.3, implicit rejection).
    ///
    /// - Throws: ``CryptographyError/decryptionFailed`` for a ciphertext of another length.
    package func decapsulate(_ ciphertext: [UInt8]) throws(CryptographyError) -> SecretBytes {
        guard ciphertext.count == spec.ciphertextBytes else { throw .decryptionFailed }
        do {
            switch key {
            case .mlKEM768(let key): return .copy(of: try key.decapsulate(ciphertext))
            case .mlKEM1024(let key): return .copy(of: try key.decapsulate(ciphertext))
            }
        } catch {
            throw .decryptionFailed
        }
    }
}

extension MLKEMPrivateKey: CustomStringConvertible, CustomReflectable {
    /// The spec, never the key.
    package var description: String { "MLKEMPrivateKey(\(spec.rawValue))" }
    /// Empty, since swift-crypto's keys would show their seeds.
    package var customMirror: Mirror {
        Mirror(self, children: [:] as KeyValuePairs<String, Any>)
    }
}

/// A public ML-KEM key ("encapsulation key"). Any number of threads may use it at once.
package struct MLKEMPublicKey: Sendable {
    fileprivate enum Key: Sendable {
        case mlKEM768(MLKEM768.PublicKey)
        case mlKEM1024(MLKEM1024.PublicKey)
    }

    package let spec: MLKEMKeySpec
    /// Its SubjectPublicKeyInfo (RFC 9935 §4) in DER.
    package let spki: [UInt8]
    private let key: Key

    /// The key with this SubjectPublicKeyInfo, checked as FIPS 203 §7.2 asks.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless that is the DER of one key and
    ///   nothing more, ``CryptographyError/unsupported(_:)`` for a spec that is not supported.
    package init(spki: [UInt8]) throws(CryptographyError) {
        for spec in MLKEMKeySpec.allCases {
            guard let bytes = spec.encoding.key(inPublicKey: spki) else { continue }
            guard spec.isSupported else { throw .unsupported(spec.rawValue) }
            do {
                self.init(
                    spec == .mlKEM768
                        ? .mlKEM768(try MLKEM768.PublicKey(rawRepresentation: bytes))
                        : .mlKEM1024(try MLKEM1024.PublicKey(rawRepresentation: bytes)))
                return
            } catch {
                throw .invalidKey("not an \(spec.rawValue) public key")
            }
        }
        throw .invalidKey("not an ML-KEM public key")
    }

    fileprivate init(_ key: Key) {
        self.key = key
        let bytes: [UInt8]
        switch key {
        case .mlKEM768(let key): (spec, bytes) = (.mlKEM768, Array(key.rawRepresentation))
        case .mlKEM1024(let key): (spec, bytes) = (.mlKEM1024, Array(key.rawRepresentation))
        }
        spki = spec.encoding.publicKey + bytes
    }

    /// A new shared secret, and the ciphertext that brings it.
    ///
    /// - Throws: ``CryptographyError/libraryFailure(_:)`` when swift-crypto fails.
    package func encapsulate() throws(CryptographyError) -> Encapsulation {
        do {
            let result =
                switch key {
                case .mlKEM768(let key): try key.encapsulate()
                case .mlKEM1024(let key): try key.encapsulate()
                }
            return Encapsulation(
                ciphertext: Array(result.encapsulated),
                sharedSecret: .copy(of: result.sharedSecret))
        } catch {
            throw .libraryFailure("\(spec.rawValue) encapsulation")
        }
    }
}

extension SecretBytes {
    /// A copy of a key of swift-crypto, which wipes its own.
    fileprivate static func copy(of key: SymmetricKey) -> SecretBytes {
        unsafe key.withUnsafeBytes { bytes in
            // SAFETY: the span ends with the closure, for which the bytes are lent.
            unsafe SecretBytes(copying: RawSpan(_unsafeBytes: bytes))
        }
    }
}
