/// A PrivateKeyInfo (PKCS #8, RFC 5208 §5): an AlgorithmIdentifier and the key in an OCTET STRING.
///
/// Keys are read and written here and not by libcrypto, whose decoders and encoders leave copies
/// of the private key in freed memory, and take ten times as long.
struct PrivateKeyInfo {
    let algorithm: KeyAlgorithm
    /// The key's own form in the DER: an RSAPrivateKey, an ECPrivateKey or an OCTET STRING.
    let key: Range<Int>

    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless `der` is the DER of one such key, of
    ///   version 0, and nothing more. Attributes are passed over.
    init(_ der: RawSpan) throws(CryptographyError) {
        var outer = DERReader(0..<der.byteCount)
        guard let contents = outer.take(DERTag.sequence, in: der), outer.isAtEnd else {
            throw .invalidKey("not the DER of a private key")
        }
        var fields = DERReader(contents)
        guard fields.take(integer: 0, in: der),
            let identifier = fields.take(DERTag.sequence, in: der),
            let key = fields.take(DERTag.octetString, in: der)
        else { throw .invalidKey("not the DER of a private key") }
        if fields.isNext(DERTag.explicit0, in: der) {
            _ = fields.take(DERTag.explicit0, in: der)
        }
        guard fields.isAtEnd else { throw .invalidKey("not the DER of a private key") }
        algorithm = try KeyAlgorithm(identifier, in: der)
        self.key = key
    }

    /// The DER that ``init(_:)`` takes; `body` writes the key's own form.
    static func encode(
        _ algorithm: KeyAlgorithm, _ body: (inout DERWriter) -> Void
    ) -> SecretBytes {
        var writer = DERWriter()
        writer.element(DERTag.sequence) { writer in
            writer.element(DERTag.integer) { $0.append([0]) }
            writer.element(DERTag.sequence) { $0.append(algorithm.identifier) }
            writer.element(DERTag.octetString, body)
        }
        return writer.secret()
    }
}

/// An RSAPrivateKey (RFC 8017 §A.1.2) of two primes, as ranges of its magnitudes in the DER.
struct RSAPrivateNumbers {
    static let count = 8
    /// n, e, d, p, q, d mod (p - 1), d mod (q - 1), the inverse of q modulo p.
    let ranges: [Range<Int>]

    init(_ der: RawSpan, _ range: Range<Int>) throws(CryptographyError) {
        var outer = DERReader(range)
        guard let contents = outer.take(DERTag.sequence, in: der), outer.isAtEnd else {
            throw .invalidKey("not an RSA private key")
        }
        var numbers = DERReader(contents)
        guard numbers.take(integer: 0, in: der) else {
            throw .invalidKey("not an RSA private key of two primes")
        }
        ranges = (0..<Self.count).compactMap { _ in numbers.takePositiveInteger(in: der) }
        guard ranges.count == Self.count, numbers.isAtEnd else {
            throw .invalidKey("not an RSA private key")
        }
    }

    /// Writes what ``init(_:_:)`` takes.
    static func write(_ magnitudes: [SecretBytes], to writer: inout DERWriter) {
        precondition(magnitudes.count == count, "BUG: \(magnitudes.count) numbers of an RSA key")
        writer.element(DERTag.sequence) { writer in
            writer.element(DERTag.integer) { $0.append([0]) }
            for magnitude in magnitudes {
                magnitude.withBytes { writer.positiveInteger($0) }
            }
        }
    }
}

/// An ECPrivateKey (RFC 5915 §3), as ranges in the DER.
struct ECPrivateNumbers {
    /// The private key, as long as a coordinate.
    let scalar: Range<Int>
    /// The public key's point, where it is there.
    let point: Range<Int>?

    init(_ der: RawSpan, _ range: Range<Int>, on curve: EllipticCurve) throws(CryptographyError) {
        var outer = DERReader(range)
        guard let contents = outer.take(DERTag.sequence, in: der), outer.isAtEnd else {
            throw .invalidKey("not an elliptic curve private key")
        }
        var fields = DERReader(contents)
        guard fields.take(integer: 1, in: der),
            let scalar = fields.take(DERTag.octetString, in: der), scalar.count == curve.fieldBytes
        else { throw .invalidKey("not an elliptic curve private key") }
        self.scalar = scalar
        if fields.isNext(DERTag.explicit0, in: der) {
            let parameters = fields.take(DERTag.explicit0, in: der) ?? 0..<0
            let isSame = curve.namedCurve.withRawSpan {
                constantTimeEqual($0, der.extracting(parameters))
            }
            guard isSame else { throw .invalidKey("parameters of another curve") }
        }
        point = try Self.takePoint(&fields, in: der)
        guard fields.isAtEnd else { throw .invalidKey("not an elliptic curve private key") }
    }

    /// The contents of `[1] { BIT STRING }`, nil when there is none.
    private static func takePoint(
        _ fields: inout DERReader, in der: RawSpan
    ) throws(CryptographyError) -> Range<Int>? {
        guard fields.isNext(DERTag.explicit1, in: der) else { return nil }
        var inner = DERReader(fields.take(DERTag.explicit1, in: der) ?? 0..<0)
        guard let bits = inner.take(DERTag.bitString, in: der), inner.isAtEnd,
            let unusedBits = bits.first, der.byte(at: unusedBits) == 0
        else { throw .invalidKey("not an elliptic curve private key") }
        return bits.dropFirst()
    }

    /// Writes what ``init(_:_:on:)`` takes, as `openssl pkcs8` does: without parameters.
    static func write(scalar: SecretBytes, point: [UInt8], to writer: inout DERWriter) {
        writer.element(DERTag.sequence) { writer in
            writer.element(DERTag.integer) { $0.append([1]) }
            writer.element(DERTag.octetString) { writer in
                scalar.withBytes { writer.append($0) }
            }
            writer.element(DERTag.explicit1) { writer in
                writer.element(DERTag.bitString) { writer in
                    writer.append([0])
                    writer.append(point)
                }
            }
        }
    }
}
