/// A SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): an AlgorithmIdentifier and the key in a BIT STRING.
struct PublicKeyInfo {
    let algorithm: KeyAlgorithm
    /// The key's own form in the DER: an RSAPublicKey, a point or 32 bytes.
    let key: Range<Int>

    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless `der` is the DER of one such key and
    ///   nothing more.
    init(_ der: RawSpan) throws(CryptographyError) {
        var outer = DERReader(0..<der.byteCount)
        guard let contents = outer.take(DERTag.sequence, in: der), outer.isAtEnd else {
            throw .invalidKey("not the DER of a public key")
        }
        var fields = DERReader(contents)
        guard let identifier = fields.take(DERTag.sequence, in: der),
            let bits = fields.take(DERTag.bitString, in: der), fields.isAtEnd,
            let unusedBits = bits.first, der.byte(at: unusedBits) == 0
        else { throw .invalidKey("not the DER of a public key") }
        algorithm = try KeyAlgorithm(identifier, in: der)
        key = bits.dropFirst()
    }

    /// The DER that ``init(_:)`` takes.
    static func encode(_ algorithm: KeyAlgorithm, key: [UInt8]) -> [UInt8] {
        var writer = DERWriter()
        writer.element(DERTag.sequence) { writer in
            writer.element(DERTag.sequence) { $0.append(algorithm.identifier) }
            writer.element(DERTag.bitString) { writer in
                writer.append([0])
                writer.append(key)
            }
        }
        return writer.bytes
    }
}

/// An RSAPublicKey (RFC 8017 §A.1.1), as ranges of its magnitudes in the DER.
struct RSAPublicNumbers {
    let modulus: Range<Int>
    let exponent: Range<Int>

    init(_ der: RawSpan, _ range: Range<Int>) throws(CryptographyError) {
        var outer = DERReader(range)
        guard let contents = outer.take(DERTag.sequence, in: der), outer.isAtEnd else {
            throw .invalidKey("not an RSA public key")
        }
        var numbers = DERReader(contents)
        guard let modulus = numbers.takePositiveInteger(in: der),
            let exponent = numbers.takePositiveInteger(in: der), numbers.isAtEnd
        else { throw .invalidKey("not an RSA public key") }
        (self.modulus, self.exponent) = (modulus, exponent)
    }

    /// The DER that ``init(_:_:)`` takes.
    static func encode(modulus: RawSpan, exponent: RawSpan) -> [UInt8] {
        var writer = DERWriter()
        writer.element(DERTag.sequence) { writer in
            writer.positiveInteger(modulus)
            writer.positiveInteger(exponent)
        }
        return writer.bytes
    }
}

extension KeyAlgorithm {
    /// The algorithm with this AlgorithmIdentifier, given by its contents.
    init(_ identifier: Range<Int>, in der: RawSpan) throws(CryptographyError) {
        let found = Self.all.first { algorithm in
            algorithm.identifier.withRawSpan { constantTimeEqual($0, der.extracting(identifier)) }
        }
        guard let found else { throw .invalidKey("an algorithm or a curve of no key here") }
        self = found
    }
}
