import COpenSSL

/// What libcrypto makes a key from.
struct KeyComponents {
    let type: StaticString
    /// Whether there is a private key.
    let isPair: Bool
    private var words: [Parameter.Word] = []
    private var point: [UInt8] = []
    private var numbers: [(name: StaticString, bytes: SecretBytes)] = []

    /// An RSA key: the magnitudes of n and e for a public key, and for a pair the six that
    /// ``RSAPrivateNumbers`` has besides.
    init(rsa magnitudes: [Range<Int>], in der: RawSpan) {
        type = "RSA"
        isPair = magnitudes.count > 2
        numbers = zip(RSAPrivateNumbers.names, magnitudes).map { name, range in
            (name, NativeNumber.convert(der.extracting(range)))
        }
    }

    /// A key of an elliptic curve: a point, and for a pair the private key.
    init(_ curve: EllipticCurve, point: [UInt8], scalar: RawSpan? = nil) {
        type = curve.keyType
        isPair = scalar != nil
        words = [Parameter.Word("group", curve.groupName)]
        self.point = point
        if let scalar { numbers = [("priv", NativeNumber.convert(scalar))] }
    }

    /// Lends the components as a list that ends.
    @unsafe func withParameters<R>(_ body: (inout [OSSL_PARAM]) -> R) -> R {
        unsafe point.withUnsafeBytes { point in
            // SAFETY: the numbers live in secrets that `self` holds throughout; libcrypto only
            // reads them, although its type for parameters lacks `const`.
            var parameters: [OSSL_PARAM] = unsafe numbers.map { number in
                unsafe number.bytes.withBytes { bytes in
                    unsafe bytes.withUnsafeBytes { bytes in
                        unsafe Parameter.number(
                            number.name, UnsafeMutableRawBufferPointer(mutating: bytes))
                    }
                }
            }
            if point.count > 0 { unsafe parameters.append(Parameter.octets("pub", point)) }
            defer { extendLifetime(numbers.map(\.bytes)) }
            unsafe parameters += Parameter.list(words)
            return unsafe body(&parameters)
        }
    }
}

extension RSAPrivateNumbers {
    /// libcrypto's names of the numbers, in their order.
    static let names: [StaticString] = [
        "n", "e", "d", "rsa-factor1", "rsa-factor2", "rsa-exponent1", "rsa-exponent2",
        "rsa-coefficient1",
    ]
}

extension EllipticCurve {
    /// libcrypto's type for keys of this curve.
    var keyType: StaticString {
        switch self {
        case .nistP256, .nistP384, .nistP521, .secp256k1: "EC"
        case .sm2: "SM2"
        }
    }

    /// libcrypto's name of the curve.
    var groupName: StaticString {
        switch self {
        case .nistP256: "P-256"
        case .nistP384: "P-384"
        case .nistP521: "P-521"
        case .secp256k1: "secp256k1"
        case .sm2: "SM2"
        }
    }
}

enum NativeNumber {
    /// A number in the machine's byte order from one with the most significant byte first, or the
    /// other way round.
    static func convert(_ bytes: RawSpan) -> SecretBytes {
        #if _endian(big)
            SecretBytes(copying: bytes)
        #else
            SecretBytes(count: bytes.byteCount) { target in
                for offset in 0..<bytes.byteCount {
                    target.storeBytes(
                        of: bytes.byte(at: bytes.byteCount - 1 - offset), toByteOffset: offset,
                        as: UInt8.self)
                }
            }
        #endif
    }
}
