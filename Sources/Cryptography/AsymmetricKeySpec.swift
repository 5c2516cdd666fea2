/// The kinds of key pairs.
package enum AsymmetricKeySpec: CaseIterable, Hashable, Sendable {
    case rsa2048
    case rsa3072
    case rsa4096
    case nistP256
    case nistP384
    case nistP521
    case secp256k1
    case ed25519
    case sm2

    /// What an AlgorithmIdentifier says of such a key; it does not say how long an RSA key is.
    var algorithm: KeyAlgorithm {
        switch self {
        case .rsa2048, .rsa3072, .rsa4096: .rsa
        case .nistP256: .elliptic(.nistP256)
        case .nistP384: .elliptic(.nistP384)
        case .nistP521: .elliptic(.nistP521)
        case .secp256k1: .elliptic(.secp256k1)
        case .ed25519: .ed25519
        case .sm2: .elliptic(.sm2)
        }
    }

    /// The length of an RSA key's modulus.
    package var modulusBits: Int? {
        switch self {
        case .rsa2048: 2048
        case .rsa3072: 3072
        case .rsa4096: 4096
        case .nistP256, .nistP384, .nistP521, .secp256k1, .ed25519, .sm2: nil
        }
    }
}

/// The algorithms of keys, as an AlgorithmIdentifier (RFC 5280 §4.1.1.2) names them.
enum KeyAlgorithm: Equatable, Sendable {
    case rsa
    case elliptic(EllipticCurve)
    case ed25519

    static let all = [.rsa, .ed25519] + EllipticCurve.allCases.map(KeyAlgorithm.elliptic)

    /// The contents of the AlgorithmIdentifier: RFC 3279 §2.3.1 (with NULL), RFC 5480 §2.1.1
    /// (named curves only), RFC 8410 §3 (no parameters).
    var identifier: [UInt8] {
        switch self {
        case .rsa:
            [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]
        case .ed25519: [0x06, 0x03, 0x2b, 0x65, 0x70]
        case .elliptic(let curve):
            [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] + curve.namedCurve
        }
    }
}

/// The curves of keys for ECDSA, ECDH and SM2, all of cofactor 1.
enum EllipticCurve: CaseIterable, Sendable {
    case nistP256
    case nistP384
    case nistP521
    case secp256k1
    case sm2

    /// The length of a coordinate, and of a private key.
    var fieldBytes: Int {
        switch self {
        case .nistP256, .secp256k1, .sm2: 32
        case .nistP384: 48
        case .nistP521: 66
        }
    }

    /// Its object identifier in DER: secp256r1, secp384r1, secp521r1 (RFC 5480 §2.1.1.1),
    /// secp256k1 (SEC 2 §A.2), sm2p256v1 (GB/T 33560).
    var namedCurve: [UInt8] {
        switch self {
        case .nistP256: [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]
        case .nistP384: [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]
        case .nistP521: [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]
        case .secp256k1: [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]
        case .sm2: [0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d]
        }
    }
}
