/// A public key. Parsed once; any number of threads may use it at once.
package struct AsymmetricPublicKey: Sendable {
    package let spec: AsymmetricKeySpec
    /// Its SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) in DER; points are uncompressed.
    package let spki: [UInt8]
    let key: EVPKey

    /// The key with this SubjectPublicKeyInfo.
    ///
    /// Points, which may be compressed, are checked to be on their curve; all these curves have
    /// cofactor 1, so that every such point is of the one order.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless that is the DER of one key of an
    ///   ``AsymmetricKeySpec`` and nothing more.
    package init(spki: [UInt8]) throws(CryptographyError) {
        (spec, key) = try spki.withRawSpan { (der) throws(CryptographyError) in
            let info = try PublicKeyInfo(der)
            switch info.algorithm {
            case .rsa: return try Self.rsa(RSAPublicNumbers(der, info.key), in: der)
            case .elliptic(let curve):
                let point = Array(spki[info.key])
                return (curve.spec, try Self.elliptic(curve, point))
            case .ed25519:
                guard let key = EVPKey(ed25519: Array(spki[info.key])) else {
                    throw .invalidKey("not an Ed25519 public key")
                }
                return (.ed25519, key)
            }
        }
        self.spki = Self.encode(key, spec)
    }

    /// The public part of a pair.
    init(_ key: EVPKey, _ spec: AsymmetricKeySpec) {
        (self.key, self.spec, spki) = (key, spec, Self.encode(key, spec))
    }

    private static func rsa(
        _ numbers: RSAPublicNumbers, in der: RawSpan
    ) throws(CryptographyError) -> (AsymmetricKeySpec, EVPKey) {
        let spec = try AsymmetricKeySpec(
            rsaModulus: numbers.modulus, exponent: numbers.exponent, in: der)
        guard let key = EVPKey(KeyComponents(rsa: [numbers.modulus, numbers.exponent], in: der))
        else { throw .invalidKey("not an RSA public key") }
        return (spec, key)
    }

    private static func elliptic(
        _ curve: EllipticCurve, _ point: [UInt8]
    ) throws(CryptographyError) -> EVPKey {
        // SEC 1 §2.3.4: 0x02 and 0x03 for compressed points, 0x04 for others.
        let expectedBytes: Int? =
            switch point.first {
            case 2, 3: 1 + curve.fieldBytes
            case 4: 1 + 2 * curve.fieldBytes
            default: nil
            }
        guard point.count == expectedBytes, let key = EVPKey(KeyComponents(curve, point: point))
        else { throw .invalidKey("not a point of the curve") }
        return key
    }

    private static func encode(_ key: EVPKey, _ spec: AsymmetricKeySpec) -> [UInt8] {
        switch spec.algorithm {
        case .rsa:
            let modulus = key.number("n", count: (spec.modulusBits ?? 0) / 8)
            let exponent = key.number("e", count: AsymmetricKeySpec.maximumExponentBytes)
            let numbers = modulus.withBytes { modulus in
                exponent.withBytes { RSAPublicNumbers.encode(modulus: modulus, exponent: $0) }
            }
            return PublicKeyInfo.encode(.rsa, key: numbers)
        case .elliptic(let curve):
            return PublicKeyInfo.encode(.elliptic(curve), key: key.point(on: curve))
        case .ed25519:
            return PublicKeyInfo.encode(.ed25519, key: key.ed25519PublicKey)
        }
    }
}

extension AsymmetricKeySpec {
    /// What libcrypto takes with a modulus of more than 3072 bits, and here for all.
    static let maximumExponentBytes = 8

    /// The kind of an RSA key.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` for a modulus of another length or an even
    ///   one, and for an exponent that is even, 1 or longer than 64 bits.
    init(
        rsaModulus modulus: Range<Int>, exponent: Range<Int>, in der: RawSpan
    ) throws(CryptographyError) {
        let bits = modulus.count * 8 - der.byte(at: modulus.lowerBound).leadingZeroBitCount
        guard let spec = Self.allCases.first(where: { $0.modulusBits == bits }) else {
            throw .invalidKey("an RSA modulus of \(bits) bits")
        }
        let lowByte = der.byte(at: exponent.upperBound - 1)
        guard der.byte(at: modulus.upperBound - 1) & 1 == 1, lowByte & 1 == 1,
            exponent.count > 1 || lowByte > 1, exponent.count <= Self.maximumExponentBytes
        else { throw .invalidKey("an RSA modulus or exponent that cannot be") }
        self = spec
    }
}

extension EllipticCurve {
    /// The one kind of key with this curve.
    var spec: AsymmetricKeySpec {
        switch self {
        case .nistP256: .nistP256
        case .nistP384: .nistP384
        case .nistP521: .nistP521
        case .secp256k1: .secp256k1
        case .sm2: .sm2
        }
    }
}
