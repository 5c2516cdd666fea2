/// A key pair. Parsed once; any number of threads may use it at once.
package struct AsymmetricPrivateKey: Sendable {
    package let spec: AsymmetricKeySpec
    package let publicKey: AsymmetricPublicKey
    let key: EVPKey

    /// A new random key pair. RSA takes from 50 ms to seconds.
    ///
    /// - Throws: ``CryptographyError/libraryFailure(_:)`` when memory is short.
    package static func generate(
        _ spec: AsymmetricKeySpec
    ) throws(CryptographyError) -> AsymmetricPrivateKey {
        guard let key = EVPKey(generating: spec) else { throw .libraryFailure("key generation") }
        return AsymmetricPrivateKey(key, spec)
    }

    /// The key with this PrivateKeyInfo (PKCS #8, RFC 5208).
    ///
    /// The key of an elliptic curve is checked to be in range, and a public key that stands with
    /// it to belong to it. The numbers of an RSA key are not checked to fit each other; for a key
    /// from outside, take ``init(importing:as:)``.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless that is the DER of one key of an
    ///   ``AsymmetricKeySpec`` and nothing more.
    package init(pkcs8: SecretBytes) throws(CryptographyError) {
        let (key, spec) = try pkcs8.withBytes { (der) throws(CryptographyError) in
            let info = try PrivateKeyInfo(der)
            switch info.algorithm {
            case .rsa: return try Self.rsa(RSAPrivateNumbers(der, info.key), in: der)
            case .elliptic(let curve):
                let numbers = try ECPrivateNumbers(der, info.key, on: curve)
                return (try Self.elliptic(curve, numbers, in: der), curve.spec)
            case .ed25519: return (try Self.ed25519(info.key, in: der), .ed25519)
            }
        }
        self.init(key, spec)
    }

    /// The key from outside that is to have this spec: as ``init(pkcs8:)``, and all its numbers
    /// are checked to fit each other. That tests primes, which takes 50 ms and more for RSA.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` also for a key of another spec.
    package init(
        importing pkcs8: SecretBytes, as spec: AsymmetricKeySpec
    ) throws(CryptographyError) {
        try self.init(pkcs8: pkcs8)
        guard self.spec == spec else { throw .invalidKey("a key of another kind") }
        guard key.isConsistent else { throw .invalidKey("numbers that do not fit each other") }
    }

    private init(_ key: EVPKey, _ spec: AsymmetricKeySpec) {
        (self.key, self.spec) = (key, spec)
        publicKey = AsymmetricPublicKey(key, spec)
    }

    /// Its PrivateKeyInfo (PKCS #8, RFC 5208) in DER: always the same for one key, whatever form it
    /// was read from.
    package var pkcs8: SecretBytes {
        switch spec.algorithm {
        case .rsa:
            let bytes = (spec.modulusBits ?? 0) / 8
            let numbers = RSAPrivateNumbers.names.map { key.number($0, count: bytes) }
            return PrivateKeyInfo.encode(.rsa) { RSAPrivateNumbers.write(numbers, to: &$0) }
        case .elliptic(let curve):
            let scalar = key.number("priv", count: curve.fieldBytes)
            let point = key.point(on: curve)
            return PrivateKeyInfo.encode(.elliptic(curve)) { writer in
                ECPrivateNumbers.write(scalar: scalar, point: point, to: &writer)
            }
        case .ed25519:
            let seed = key.seed
            return PrivateKeyInfo.encode(.ed25519) { writer in
                writer.element(DERTag.octetString) { writer in
                    seed.withBytes { writer.append($0) }
                }
            }
        }
    }
}

// MARK: - Keys from their DER

extension AsymmetricPrivateKey {
    private static func rsa(
        _ numbers: RSAPrivateNumbers, in der: RawSpan
    ) throws(CryptographyError) -> (EVPKey, AsymmetricKeySpec) {
        let spec = try AsymmetricKeySpec(
            rsaModulus: numbers.ranges[0], exponent: numbers.ranges[1], in: der)
        // Nothing is longer than the modulus, so what is written again has room.
        guard numbers.ranges.allSatisfy({ $0.count <= numbers.ranges[0].count }),
            let key = EVPKey(KeyComponents(rsa: numbers.ranges, in: der))
        else { throw .invalidKey("not an RSA private key") }
        return (key, spec)
    }

    private static func elliptic(
        _ curve: EllipticCurve, _ numbers: ECPrivateNumbers, in der: RawSpan
    ) throws(CryptographyError) -> EVPKey {
        let scalar = der.extracting(numbers.scalar)
        let point = try CurveGroup.of(curve).point(of: scalar)
        if let given = numbers.point {
            guard isSame(point, der.extracting(given)) else {
                throw .invalidKey("a public key of another private key")
            }
        }
        guard let key = EVPKey(KeyComponents(curve, point: point, scalar: scalar)) else {
            throw .libraryFailure("elliptic curve key")
        }
        return key
    }

    /// Whether `given` is this uncompressed point, compressed or not (SEC 1 §2.3.3).
    private static func isSame(_ point: [UInt8], _ given: RawSpan) -> Bool {
        let fieldBytes = point.count / 2
        let compressed = [2 + (point[point.count - 1] & 1)] + point[1...fieldBytes]
        return point.withRawSpan { constantTimeEqual($0, given) }
            || compressed.withRawSpan { constantTimeEqual($0, given) }
    }

    /// RFC 8410 §7: an OCTET STRING within the OCTET STRING.
    private static func ed25519(
        _ range: Range<Int>, in der: RawSpan
    ) throws(CryptographyError) -> EVPKey {
        var reader = DERReader(range)
        guard let seed = reader.take(DERTag.octetString, in: der), reader.isAtEnd,
            let key = EVPKey(seed: SecretBytes(copying: der.extracting(seed)))
        else { throw .invalidKey("not an Ed25519 private key") }
        return key
    }
}
