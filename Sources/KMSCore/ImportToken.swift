internal import Cryptography
internal import KMSModel
internal import KMSStore

/// What GetParametersForImport hands out and ImportKeyMaterial takes: the private half of the
/// wrapping key, sealed for this keystore and for one key.
///
/// ```
/// nonce 12 | AES-256-GCM(record) | tag 16        additional data: "keyfold import token 1"
/// ```
struct ImportToken {
    let place: KeyPlace
    let algorithm: WrappingAlgorithm
    let validTo: Timestamp
    let privateKey: SecretBytes

    private static let label = Array("keyfold import token 1".utf8)

    init(
        place: KeyPlace, algorithm: WrappingAlgorithm, validTo: Timestamp, privateKey: SecretBytes
    ) {
        self.place = place
        self.algorithm = algorithm
        self.validTo = validTo
        self.privateKey = privateKey
    }

    func sealed(under key: SecretBytes) -> [UInt8] {
        var writer = RecordWriter()
        writer.append(place.region)
        writer.append(place.id)
        writer.append(algorithm.rawValue)
        writer.append(validTo)
        writer.append(privateKey)
        var plain = writer.finish()
        defer { wipe(&plain) }
        let cipher = AESGCM256()
        cipher.use(key)
        return cipher.seal(plain, authenticating: ImportToken.label)
    }

    /// - Throws: `InvalidImportTokenException` for what this keystore has not made.
    init(opening bytes: [UInt8], under key: SecretBytes) throws(KMSError) {
        let cipher = AESGCM256()
        cipher.use(key)
        guard var plain = try? cipher.open(bytes, authenticating: ImportToken.label) else {
            throw KMSError(.invalidImportToken)
        }
        defer { wipe(&plain) }
        var reader = RecordReader(plain)
        do throws(MalformedRecord) {
            let region = try reader.text()
            place = KeyPlace(region: region, id: try reader.keyID())
            guard let algorithm = WrappingAlgorithm(rawValue: try reader.text()) else {
                throw MalformedRecord()
            }
            self.algorithm = algorithm
            validTo = try reader.time()
            privateKey = try reader.secret()
            try reader.finish()
        } catch {
            throw KMSError(.invalidImportToken)
        }
    }

    /// The material inside what was wrapped for this token (AWS KMS developer guide, "Encrypt the
    /// key material").
    ///
    /// - Throws: ``KMSError/invalidCiphertext``.
    func unwrap(_ wrapped: [UInt8]) throws(KMSError) -> SecretBytes {
        do throws(CryptographyError) {
            let pair = try AsymmetricPrivateKey(pkcs8: privateKey)
            switch algorithm {
            case .rsaesOaepSha1: return try pair.decrypt(wrapped, .rsaesOAEPSHA1)
            case .rsaesOaepSha256: return try pair.decrypt(wrapped, .rsaesOAEPSHA256)
            case .sm2pke: return try pair.decrypt(wrapped, .sm2pke)
            case .rsaAesKeyWrapSha1:
                return try ImportToken.unwrap(wrapped, with: pair, .rsaesOAEPSHA1)
            case .rsaAesKeyWrapSha256:
                return try ImportToken.unwrap(wrapped, with: pair, .rsaesOAEPSHA256)
            case .rsaesPkcs1V15: throw .decryptionFailed
            }
        } catch {
            throw .invalidCiphertext
        }
    }

    /// An AES key under RSA, and behind it the material under the AES key (RFC 5649).
    private static func unwrap(
        _ wrapped: [UInt8], with pair: AsymmetricPrivateKey,
        _ algorithm: AsymmetricEncryptionAlgorithm
    ) throws(CryptographyError) -> SecretBytes {
        guard let bits = pair.spec.modulusBits, wrapped.count > bits / 8 else {
            throw .decryptionFailed
        }
        let key = try pair.decrypt(Array(wrapped[..<(bits / 8)]), algorithm)
        return try AESKeyWrap.unwrap(Array(wrapped[(bits / 8)...]), under: key)
    }
}
