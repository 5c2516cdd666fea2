internal import Crypto
package import Cryptography

/// The parameter sets of ML-DSA (FIPS 204).
package enum MLDSAKeySpec: String, CaseIterable, Hashable, Sendable {
    case mlDSA44 = "ML-DSA-44"
    case mlDSA65 = "ML-DSA-65"
    case mlDSA87 = "ML-DSA-87"

    /// Whether keys of this spec work here: swift-crypto has two of the three.
    package var isSupported: Bool { self != .mlDSA44 }

    /// The length of a signature (FIPS 204 §4, table 2).
    package var signatureBytes: Int {
        switch self {
        case .mlDSA44: 2420
        case .mlDSA65: 3309
        case .mlDSA87: 4627
        }
    }

    /// RFC 9881 §2 and §6; lengths of public keys from FIPS 204 §4, table 2.
    var encoding: KeyEncoding {
        switch self {
        case .mlDSA44: KeyEncoding(arc: (3, 17), publicKeyBytes: 1312, seedBytes: 32)
        case .mlDSA65: KeyEncoding(arc: (3, 18), publicKeyBytes: 1952, seedBytes: 32)
        case .mlDSA87: KeyEncoding(arc: (3, 19), publicKeyBytes: 2592, seedBytes: 32)
        }
    }
}

/// A private ML-DSA key. Any number of threads may sign with it at once.
///
/// swift-crypto keeps copies of the seed and of the expanded key that it does not wipe.
package struct MLDSAPrivateKey: Sendable {
    private enum Key: Sendable {
        case mlDSA65(MLDSA65.PrivateKey)
        case mlDSA87(MLDSA87.PrivateKey)
    }

    package let spec: MLDSAKeySpec
    /// Its PrivateKeyInfo (RFC 9881 §6) in DER, with the seed: 54 bytes.
    package let pkcs8: SecretBytes
    package let publicKey: MLDSAPublicKey
    private let key: Key

    /// A new random key.
    ///
    /// - Throws: ``CryptographyError/unsupported(_:)`` for a spec that is not supported,
    ///   ``CryptographyError/libraryFailure(_:)`` when swift-crypto fails.
    package static func generate(
        _ spec: MLDSAKeySpec
    ) throws(CryptographyError) -> MLDSAPrivateKey {
        try MLDSAPrivateKey(seed: .random(count: spec.encoding.seedBytes), spec)
    }

    /// The key with this PrivateKeyInfo. Of RFC 9881's forms only that with the seed is taken.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless that is the DER of one key and
    ///   nothing more, ``CryptographyError/unsupported(_:)`` for a spec that is not supported,
    ///   ``CryptographyError/libraryFailure(_:)`` when swift-crypto fails.
    package init(pkcs8: SecretBytes) throws(CryptographyError) {
        for spec in MLDSAKeySpec.allCases {
            guard let seed = spec.encoding.seed(inPrivateKey: pkcs8) else { continue }
            try self.init(seed: seed, spec)
            return
        }
        throw .invalidKey("not an ML-DSA private key with its seed")
    }

    /// The key with this seed, 32 bytes: ξ of FIPS 204 §5.1.
    init(seed: SecretBytes, _ spec: MLDSAKeySpec) throws(CryptographyError) {
        precondition(seed.count == spec.encoding.seedBytes, "BUG: a seed of \(seed.count) bytes")
        guard spec.isSupported else { throw .unsupported(spec.rawValue) }
        self.spec = spec
        pkcs8 = spec.encoding.privateKey(seed: seed)
        do {
            (key, publicKey) = try seed.withArray { seed in
                if spec == .mlDSA65 {
                    let key = try MLDSA65.PrivateKey(seedRepresentation: seed, publicKey: nil)
                    return (.mlDSA65(key), MLDSAPublicKey(.mlDSA65(key.publicKey)))
                }
                let key = try MLDSA87.PrivateKey(seedRepresentation: seed, publicKey: nil)
                return (.mlDSA87(key), MLDSAPublicKey(.mlDSA87(key.publicKey)))
            }
        } catch {
            throw .libraryFailure("\(spec.rawValue) key")
        }
    }

    /// The signature of a message: pure ML-DSA with an empty context, hedged, so that two
    /// signatures of one message differ (FIPS 204 §5.2).
    ///
    /// - Throws: ``CryptographyError/libraryFailure(_:)`` when swift-crypto fails.
    package func sign(message: [UInt8]) throws(CryptographyError) -> [UInt8] {
        do {
            switch key {
            case .mlDSA65(let key): return Array(try key.signature(for: message))
            case .mlDSA87(let key): return Array(try key.signature(for: message))
            }
        } catch {
            throw .libraryFailure("\(spec.rawValue) signature")
        }
    }
}

extension MLDSAPrivateKey: CustomStringConvertible, CustomReflectable {
    /// The spec, never the key.
    package var description: String { "MLDSAPrivateKey(\(spec.rawValue))" }
    /// Empty, since swift-crypto's keys would show their seeds.
    package var customMirror: Mirror {
        Mirror(self, children: [:] as KeyValuePairs<String, Any>)
    }
}

/// A public ML-DSA key. Any number of threads may use it at once.
package struct MLDSAPublicKey: Sendable {
    fileprivate enum Key: Sendable {
        case mlDSA65(MLDSA65.PublicKey)
        case mlDSA87(MLDSA87.PublicKey)
    }

    package let spec: MLDSAKeySpec
    /// Its SubjectPublicKeyInfo (RFC 9881 §4) in DER.
    package let spki: [UInt8]
    private let key: Key

    /// The key with this SubjectPublicKeyInfo.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless that is the DER of one key and
    ///   nothing more, ``CryptographyError/unsupported(_:)`` for a spec that is not supported.
    package init(spki: [UInt8]) throws(CryptographyError) {
        for spec in MLDSAKeySpec.allCases {
            guard let bytes = spec.encoding.key(inPublicKey: spki) else { continue }
            guard spec.isSupported else { throw .unsupported(spec.rawValue) }
            do {
                self.init(
                    spec == .mlDSA65
                        ? .mlDSA65(try MLDSA65.PublicKey(rawRepresentation: bytes))
                        : .mlDSA87(try MLDSA87.PublicKey(rawRepresentation: bytes)))
                return
            } catch {
                throw .invalidKey("not an \(spec.rawValue) public key")
            }
        }
        throw .invalidKey("not an ML-DSA public key")
    }

    fileprivate init(_ key: Key) {
        self.key = key
        let bytes: [UInt8]
        switch key {
        case .mlDSA65(let key): (spec, bytes) = (.mlDSA65, Array(key.rawRepresentation))
        case .mlDSA87(let key): (spec, bytes) = (.mlDSA87, Array(key.rawRepresentation))
        }
        spki = spec.encoding.publicKey + bytes
    }

    /// Whether `signature` is one of `message`, pure and with an empty context.
    package func isValid(_ signature: [UInt8], message: [UInt8]) -> Bool {
        guard signature.count == spec.signatureBytes else { return false }
        return switch key {
        case .mlDSA65(let key): key.isValidSignature(signature, for: message)
        case .mlDSA87(let key): key.isValidSignature(signature, for: message)
        }
    }
}
