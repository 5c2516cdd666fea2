internal import Cryptography

/// The DER of keys whose lengths never vary: a prefix, and the key.
struct KeyEncoding: Sendable {
    /// Ends with the key of a SubjectPublicKeyInfo.
    let publicKey: [UInt8]
    let publicKeyBytes: Int
    /// Ends with the seed of a PrivateKeyInfo.
    let privateKey: [UInt8]
    let seedBytes: Int

    /// - Parameter arc: the two arcs under NIST's algorithms, 2.16.840.1.101.3.4.
    init(arc: (UInt8, UInt8), publicKeyBytes: Int, seedBytes: Int) {
        let identifier: [UInt8] = [
            0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, arc.0, arc.1,
        ]
        self.publicKeyBytes = publicKeyBytes
        self.seedBytes = seedBytes
        // SEQUENCE { AlgorithmIdentifier, BIT STRING without unused bits }; long lengths.
        let bitStringBytes = 1 + publicKeyBytes
        publicKey =
            [0x30] + Self.longLength(identifier.count + 4 + bitStringBytes) + identifier
            + [0x03] + Self.longLength(bitStringBytes) + [0]
        // SEQUENCE { 0, AlgorithmIdentifier, OCTET STRING { [0] seed } }; short lengths.
        privateKey =
            [0x30, UInt8(identifier.count + 7 + seedBytes), 0x02, 0x01, 0x00] + identifier
            + [0x04, UInt8(2 + seedBytes), 0x80, UInt8(seedBytes)]
    }

    /// The key in a SubjectPublicKeyInfo, nil when that is of another kind.
    func key(inPublicKey der: [UInt8]) -> [UInt8]? {
        guard der.count == publicKey.count + publicKeyBytes, der.starts(with: publicKey) else {
            return nil
        }
        return Array(der.dropFirst(publicKey.count))
    }

    /// The seed in a PrivateKeyInfo, nil when that is of another kind.
    func seed(inPrivateKey der: SecretBytes) -> SecretBytes? {
        guard der.count == privateKey.count + seedBytes else { return nil }
        return der.withBytes { der in
            let start = der.extracting(0..<privateKey.count)
            guard privateKey.withRawSpan({ constantTimeEqual($0, start) }) else { return nil }
            return SecretBytes(copying: der.extracting(privateKey.count..<der.byteCount))
        }
    }

    /// The PrivateKeyInfo of a seed.
    func privateKey(seed: SecretBytes) -> SecretBytes {
        SecretBytes(count: privateKey.count + seedBytes) { der in
            seed.withBytes { seed in
                for offset in 0..<der.byteCount {
                    let byte =
                        offset < privateKey.count
                        ? privateKey[offset] : seed.byte(at: offset - privateKey.count)
                    der.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
                }
            }
        }
    }

    private static func longLength(_ count: Int) -> [UInt8] {
        precondition(count >= 0x100 && count < 0x10000, "BUG: a short length in its long form")
        return [0x82, UInt8(count >> 8), UInt8(count & 0xff)]
    }
}

extension SecretBytes {
    /// Lends the bytes as the array that swift-crypto takes, which is wiped afterwards.
    func withArray<R>(_ body: ([UInt8]) throws -> R) rethrows -> R {
        var array = withBytes { bytes in (0..<bytes.byteCount).map { bytes.byte(at: $0) } }
        defer { wipe(&array) }
        return try body(array)
    }
}
