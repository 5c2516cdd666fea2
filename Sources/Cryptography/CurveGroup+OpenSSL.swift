import COpenSSL

/// The group of an elliptic curve: what EVP_PKEY(3) does not offer, multiplication by a private
/// key, for its public key and for a shared secret.
///
/// Owns an EC_GROUP, which is immutable once made; any number of threads may use it.
@safe
final class CurveGroup: Sendable {
    nonisolated(unsafe) private let group: OpaquePointer  // SAFETY: above
    private let curve: EllipticCurve

    private init(_ curve: EllipticCurve) {
        self.curve = curve
        unsafe group = Library.required(
            EC_GROUP_new_by_curve_name(curve.nid), "\(curve)")
    }

    deinit {
        // SAFETY: made in `init`, freed only here.
        unsafe EC_GROUP_free(group)
    }

    /// The one group of each curve.
    static func of(_ curve: EllipticCurve) -> CurveGroup {
        switch curve {
        case .nistP256: nistP256
        case .nistP384: nistP384
        case .nistP521: nistP521
        case .secp256k1: secp256k1
        case .sm2: sm2
        }
    }

    private static let nistP256 = CurveGroup(.nistP256)
    private static let nistP384 = CurveGroup(.nistP384)
    private static let nistP521 = CurveGroup(.nistP521)
    private static let secp256k1 = CurveGroup(.secp256k1)
    private static let sm2 = CurveGroup(.sm2)

    /// The public key of a private key, as an uncompressed point (SEC 1 §2.3.3), `0x04 | x | y`.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless the private key is one of this curve.
    func point(of scalar: RawSpan) throws(CryptographyError) -> [UInt8] {
        let number = SecretNumber(scalar)
        guard isPrivateKey(number) else { throw .invalidKey("a private key out of range") }
        let point = unsafe CurvePoint(group)
        let scratch = NumberScratch()
        // SAFETY: all handles are live and of this group.
        unsafe Library.require(
            EC_POINT_mul(group, point.handle, number.handle, nil, nil, scratch.handle),
            "EC_POINT_mul")
        return unsafe point.bytes(in: group, curve, scratch)
    }

    /// The X coordinate of a point times a private key of this curve: ECDH without a key
    /// derivation (SP 800-56A r3 §5.7.1.2), for the curve that EVP_PKEY_derive(3) lacks.
    ///
    /// - Throws: ``CryptographyError/invalidKey(_:)`` unless `peer` is a point of this curve.
    func sharedSecret(
        _ scalar: SecretBytes, with peer: [UInt8]
    ) throws(CryptographyError) -> SecretBytes {
        let number = SecretNumber(scalar)
        let point = unsafe CurvePoint(group)
        let scratch = NumberScratch()
        // SAFETY: all handles are live and of this group; the first call reads `peer.count` bytes
        // and checks that they are a point.
        guard unsafe EC_POINT_oct2point(group, point.handle, peer, peer.count, nil) == 1 else {
            ERR_clear_error()
            throw .invalidKey("not a point of the curve")
        }
        unsafe Library.require(
            EC_POINT_mul(group, point.handle, nil, point.handle, number.handle, scratch.handle),
            "EC_POINT_mul")
        var bytes = unsafe point.bytes(in: group, curve, scratch)
        defer { wipe(&bytes) }
        return bytes.withRawSpan { bytes in
            SecretBytes(copying: bytes.extracting(1..<1 + curve.fieldBytes))
        }
    }

    /// Whether the number is in 1…n-1, where n is the group's order; for SM2 in 1…n-2
    /// (GB/T 32918.1 §6.1).
    private func isPrivateKey(_ number: borrowing SecretNumber) -> Bool {
        // SAFETY: live handles. The order belongs to the group and is only read.
        guard unsafe BN_is_zero(number.handle) == 0,
            let order = unsafe EC_GROUP_get0_order(group)
        else { return false }
        let limit = SecretNumber()
        unsafe Library.require(
            BN_sub(limit.handle, order, BN_value_one()), "BN_sub")
        let comparison = unsafe BN_cmp(number.handle, limit.handle)
        return curve == .sm2 ? comparison < 0 : comparison <= 0
    }
}

extension EllipticCurve {
    /// libcrypto's number of the curve.
    fileprivate var nid: Int32 {
        switch self {
        case .nistP256: NID_X9_62_prime256v1
        case .nistP384: NID_secp384r1
        case .nistP521: NID_secp521r1
        case .secp256k1: NID_secp256k1
        case .sm2: NID_sm2
        }
    }
}

/// Owns a BIGNUM, which is wiped.
@safe
private struct SecretNumber: ~Copyable {
    let handle: OpaquePointer

    init() {
        unsafe handle = Library.required(BN_new(), "BN_new")
    }

    /// The number with this magnitude, the most significant byte first.
    init(_ magnitude: RawSpan) {
        self.init()
        unsafe Self.store(magnitude, in: handle)
    }

    init(_ magnitude: SecretBytes) {
        self.init()
        let handle = unsafe handle
        magnitude.withBytes { unsafe Self.store($0, in: handle) }
    }

    private static func store(_ magnitude: RawSpan, in handle: OpaquePointer) {
        precondition(magnitude.byteCount <= 1024, "BUG: a number of \(magnitude.byteCount) bytes")
        unsafe magnitude.withUnsafeBytes { bytes in
            // SAFETY: the call reads `bytes.count` bytes, and stores into `handle`.
            _ = unsafe Library.required(
                BN_bin2bn(bytes.octets, Int32(bytes.count), handle), "BN_bin2bn")
        }
        unsafe BN_set_flags(handle, BN_FLG_CONSTTIME)
    }

    deinit {
        // SAFETY: made in `init`, freed only here.
        unsafe BN_clear_free(handle)
    }
}

/// Owns an EC_POINT, which is wiped.
@safe
private struct CurvePoint: ~Copyable {
    let handle: OpaquePointer

    /// SAFETY: the group outlives the point.
    @unsafe init(_ group: OpaquePointer) {
        unsafe handle = Library.required(EC_POINT_new(group), "EC_POINT_new")
    }

    deinit {
        // SAFETY: made in `init`, freed only here.
        unsafe EC_POINT_clear_free(handle)
    }

    /// The point, which is not the one at infinity, as `0x04 | x | y`.
    @unsafe borrowing func bytes(
        in group: OpaquePointer, _ curve: EllipticCurve, _ scratch: borrowing NumberScratch
    ) -> [UInt8] {
        let form = POINT_CONVERSION_UNCOMPRESSED
        var bytes = [UInt8](repeating: 0, count: 1 + 2 * curve.fieldBytes)
        // SAFETY: live handles of one group; the call writes at most `bytes.count` bytes.
        let count = unsafe EC_POINT_point2oct(
            group, handle, form, &bytes, bytes.count, scratch.handle)
        precondition(count == bytes.count, "BUG: a point of \(count) bytes")
        return bytes
    }
}

/// Owns a BN_CTX, which is wiped.
@safe
private struct NumberScratch: ~Copyable {
    let handle: OpaquePointer

    init() {
        unsafe handle = Library.required(BN_CTX_new(), "BN_CTX_new")
    }

    deinit {
        // SAFETY: made in `init`, freed only here; libcrypto wipes its numbers.
        unsafe BN_CTX_free(handle)
    }
}
