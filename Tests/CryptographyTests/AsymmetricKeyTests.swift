import TestSupport
import Testing

@testable import Cryptography

@Suite struct AsymmetricKeyTests {
    @Test(arguments: AsymmetricKeySpec.allCases)
    func `a key is the same after it was written and read`(_ spec: AsymmetricKeySpec) throws {
        let key = try TestKey.of(spec)
        let bytes = key.pkcs8
        let read = try AsymmetricPrivateKey(pkcs8: bytes)
        #expect(key.spec == spec && read.spec == spec && read.publicKey.spec == spec)
        #expect(read.pkcs8.isEqual(to: bytes))
        #expect(read.publicKey.spki == key.publicKey.spki)
        let publicKey = try AsymmetricPublicKey(spki: key.publicKey.spki)
        #expect(publicKey.spec == spec)
        #expect(publicKey.spki == key.publicKey.spki)
        let another = try TestKey.other(spec)
        #expect(!another.pkcs8.isEqual(to: bytes))
    }

    @Test(arguments: AsymmetricKeySpec.allCases)
    func `an imported key must be of the spec that was asked for`(
        _ spec: AsymmetricKeySpec
    ) throws {
        let bytes = try TestKey.of(spec).pkcs8
        #expect(try AsymmetricPrivateKey(importing: bytes, as: spec).spec == spec)
        for other in AsymmetricKeySpec.allCases where other != spec {
            #expect(throws: CryptographyError.invalidKey("a key of another kind")) {
                try AsymmetricPrivateKey(importing: bytes, as: other)
            }
        }
    }

    @Test(arguments: AsymmetricKeySpec.allCases)
    func `a key that is cut off or goes on is refused`(_ spec: AsymmetricKeySpec) throws {
        let key = try TestKey.of(spec)
        let (bytes, spki) = (key.pkcs8.exposed, key.publicKey.spki)
        for count in 0..<bytes.count {
            expectRefused(privateKey: Array(bytes.prefix(count)))
        }
        for count in 0..<spki.count {
            expectRefused(publicKey: Array(spki.prefix(count)))
        }
        for more: [UInt8] in [[0], [0x30, 0], bytes] {
            expectRefused(privateKey: bytes + more)
            expectRefused(publicKey: spki + more)
        }
    }

    /// Every change is refused, but for one of a number itself, which may make another key.
    @Test(arguments: AsymmetricKeySpec.allCases)
    func `no change of a bit makes anything but a key`(_ spec: AsymmetricKeySpec) throws {
        let key = try TestKey.of(spec)
        let (bytes, spki) = (key.pkcs8.exposed, key.publicKey.spki)
        let step = spec.algorithm == .rsa ? 61 : 5
        for bit in stride(from: 0, to: bytes.count * 8, by: step) {
            let changed = bytes.flippingBit(bit)
            if let read = try? AsymmetricPrivateKey(pkcs8: SecretBytes(copying: changed)) {
                #expect(read.pkcs8.exposed == changed, "bit \(bit)")
                #expect(read.spec == spec, "bit \(bit)")
            }
        }
        for bit in stride(from: 0, to: spki.count * 8, by: step) {
            if let read = try? AsymmetricPublicKey(spki: spki.flippingBit(bit)) {
                #expect(read.spki == spki.flippingBit(bit), "bit \(bit)")
            }
        }
    }

    @Test(arguments: [AsymmetricKeySpec.nistP256, .nistP384, .nistP521, .secp256k1, .sm2])
    func `a public key beside another private key is refused`(
        _ spec: AsymmetricKeySpec
    ) throws {
        let (key, other) = (try TestKey.of(spec), try TestKey.other(spec))
        guard case .elliptic(let curve) = spec.algorithm else { return }
        let pointBytes = 1 + 2 * curve.fieldBytes
        let mixed = key.pkcs8.exposed.dropLast(pointBytes) + other.pkcs8.exposed.suffix(pointBytes)
        #expect(throws: CryptographyError.invalidKey("a public key of another private key")) {
            try AsymmetricPrivateKey(pkcs8: SecretBytes(copying: Array(mixed)))
        }
    }

    @Test(arguments: EllipticCurve.allCases)
    func `a private key out of range is refused`(_ curve: EllipticCurve) throws {
        let count = curve.fieldBytes
        let key = try TestKey.of(curve.spec)
        for scalar in [[UInt8](repeating: 0, count: count), [UInt8](repeating: 0xff, count: count)]
        {
            let bytes = PrivateKeyInfo.encode(.elliptic(curve)) { writer in
                ECPrivateNumbers.write(
                    scalar: SecretBytes(copying: scalar), point: key.key.point(on: curve),
                    to: &writer)
            }
            #expect(throws: CryptographyError.invalidKey("a private key out of range")) {
                try AsymmetricPrivateKey(pkcs8: bytes)
            }
        }
    }

    /// The order of P-256 (SP 800-186 §3.2.1.3): one less is a key, the order itself is none. SM2
    /// has one key fewer, since it divides by the private key and one.
    @Test func `the largest private key is the last before the curve's order`() throws {
        let p256 = try bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
        let sm2 = try bytes("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123")
        for (curve, order, firstRefused) in [
            (EllipticCurve.nistP256, p256, 0), (.sm2, sm2, -1),
        ] {
            let group = CurveGroup.of(curve)
            for distance in -3...1 {
                var scalar = order
                scalar[31] = UInt8(Int(scalar[31]) + distance)
                if distance < firstRefused {
                    #expect(try scalar.withRawSpan { try group.point(of: $0) }.count == 65)
                } else {
                    #expect(throws: CryptographyError.invalidKey("a private key out of range")) {
                        try scalar.withRawSpan { try group.point(of: $0) }
                    }
                }
            }
        }
    }

    @Test func `numbers of RSA that do not fit each other are no key to import`() throws {
        let key = try TestKey.of(.rsa2048)
        let bytes = key.pkcs8.exposed
        let numbers = try bytes.withRawSpan { der in
            try RSAPrivateNumbers(der, PrivateKeyInfo(der).key).ranges
        }
        // Each of d, p, q, dP, dQ and qInv with one bit changed that leaves it odd or even.
        for range in numbers.dropFirst(2) {
            let changed = bytes.flippingBit((range.lowerBound + range.count / 2) * 8 + 3)
            #expect(
                throws: CryptographyError.invalidKey("numbers that do not fit each other")
            ) {
                try AsymmetricPrivateKey(importing: SecretBytes(copying: changed), as: .rsa2048)
            }
        }
    }

    @Test func `RSA keys of other lengths, even numbers and odd exponents are refused`() throws {
        let modulus = [UInt8](repeating: 0xff, count: 256)
        #expect(try publicKey(modulus, [1, 0, 1]).spec == .rsa2048)
        #expect(try publicKey(modulus, [3]).spec == .rsa2048)
        #expect(try publicKey(modulus, [UInt8](repeating: 0xff, count: 8)).spec == .rsa2048)
        for count in [128, 255, 257, 384 - 1, 513, 2000] {
            let bits = count * 8
            #expect(throws: CryptographyError.invalidKey("an RSA modulus of \(bits) bits")) {
                try publicKey([UInt8](repeating: 0xff, count: count), [1, 0, 1])
            }
        }
        let refused = CryptographyError.invalidKey("an RSA modulus or exponent that cannot be")
        #expect(throws: refused) { try publicKey(modulus.dropLast() + [0xfe], [1, 0, 1]) }
        for exponent: [UInt8] in [[1], [2], [1, 0, 0], [1] + [UInt8](repeating: 0xff, count: 8)] {
            #expect(throws: refused) { try publicKey(modulus, exponent) }
        }
    }

    @Test(arguments: [AsymmetricKeySpec.nistP256, .nistP384, .nistP521, .secp256k1, .sm2])
    func `a compressed point is the same key, other forms are none`(
        _ spec: AsymmetricKeySpec
    ) throws {
        let key = try TestKey.of(spec)
        guard case .elliptic(let curve) = spec.algorithm else { return }
        let point = key.key.point(on: curve)
        let parity = point[point.count - 1] & 1
        let x = Array(point[1...curve.fieldBytes])
        func read(_ point: [UInt8]) throws -> AsymmetricPublicKey {
            try AsymmetricPublicKey(spki: PublicKeyInfo.encode(.elliptic(curve), key: point))
        }
        #expect(try read([2 + parity] + x).spki == key.publicKey.spki)
        // The hybrid form of X9.62, infinity, a bare coordinate and a point off the curve.
        let hybrid = [6 + parity] + point.dropFirst()
        for wrong in [hybrid, [0], x, point.flippingBit(20), []] {
            #expect(throws: CryptographyError.invalidKey("not a point of the curve")) {
                try read(wrong)
            }
        }
    }

    /// RFC 8410 §10.3, and the one with a public key (version 1), which is not taken.
    @Test func `the Ed25519 keys of RFC 8410 are read as it says`() throws {
        let seed = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"
        let pkcs8 = try bytes("302e020100300506032b657004220420" + seed)
        let publicKey = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        let key = try AsymmetricPrivateKey(pkcs8: SecretBytes(copying: pkcs8))
        #expect(key.publicKey.spki == (try bytes("302a300506032b6570032100" + publicKey)))
        #expect(key.pkcs8.exposed == pkcs8)
        expectRefused(
            privateKey: try bytes(
                "3072020101300506032b657004220420" + seed
                    + "a01f301d060a2a864886f70d01090914310f0c0d437572646c65204368616972738121"
                    + "00" + publicKey))
    }

    @Test func `attributes beside a private key are passed over`() throws {
        let key = try TestKey.of(.ed25519)
        var bytes = key.pkcs8.exposed + [0xa0, 0x02, 0x30, 0x00]
        bytes[1] += 4
        #expect(
            try AsymmetricPrivateKey(pkcs8: SecretBytes(copying: bytes)).pkcs8
                .isEqual(to: key.pkcs8))
        bytes[bytes.count - 3] = 3
        expectRefused(privateKey: bytes)
        expectRefused(privateKey: Array(bytes.dropLast(3)))
    }

    private func publicKey(
        _ modulus: some Sequence<UInt8>, _ exponent: [UInt8]
    ) throws -> AsymmetricPublicKey {
        let numbers = Array(modulus).withRawSpan { modulus in
            exponent.withRawSpan { RSAPublicNumbers.encode(modulus: modulus, exponent: $0) }
        }
        return try AsymmetricPublicKey(spki: PublicKeyInfo.encode(.rsa, key: numbers))
    }

    private func expectRefused(
        privateKey bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(sourceLocation: sourceLocation) {
            try AsymmetricPrivateKey(pkcs8: SecretBytes(copying: bytes))
        } throws: {
            isInvalidKey($0)
        }
    }

    private func expectRefused(
        publicKey bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(sourceLocation: sourceLocation) {
            try AsymmetricPublicKey(spki: bytes)
        } throws: {
            isInvalidKey($0)
        }
    }

    private func bytes(_ hex: String) throws -> [UInt8] {
        try Vector(["hex": hex]).bytes("hex")
    }
}
