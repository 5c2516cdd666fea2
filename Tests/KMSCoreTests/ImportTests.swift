import Cryptography
import KMSModel
import Testing

/// Imported material, from the token to its end.
@Suite struct ImportTests {
    struct Wrapping: Sendable, CustomTestStringConvertible {
        let algorithm: WrappingAlgorithm
        let spec: WrappingKeySpec
        var testDescription: String { "\(algorithm.rawValue) \(spec.rawValue)" }
        /// Whether the material is under an AES key, and only that under the public one.
        var isHybrid: Bool { algorithm.rawValue.hasPrefix("RSA_AES") }
    }

    static let wrappings =
        [
            WrappingAlgorithm.rsaesOaepSha1, .rsaesOaepSha256, .rsaAesKeyWrapSha1,
            .rsaAesKeyWrapSha256,
        ].flatMap { algorithm in
            [WrappingKeySpec.rsa2048, .rsa3072, .rsa4096].map {
                Wrapping(algorithm: algorithm, spec: $0)
            }
        } + [Wrapping(algorithm: .sm2pke, spec: .sm2)]

    static let material = [UInt8](0..<32)

    /// For material that is not the one with that id.
    static func isOther(than id: String) -> KMSError {
        KMSError(
            .incorrectKeyMaterial,
            "Imported key material does not have the expected identifier (\(id)).")
    }

    // MARK: Wrapping

    @Test(arguments: wrappings)
    func `material comes in under every wrapping`(_ wrapping: Wrapping) throws {
        let kms = try TestKeystore()
        let spec = wrapping.isHybrid ? KeySpec.eccNistP521 : .symmetricDefault
        let key = try kms.key(spec, nil, .external)
        #expect(try kms.state(key) == "PendingImport")
        #expect(try kms.metadata(key)[.currentKeyMaterialID] == nil)
        let answer = try kms.importMaterial(
            try Self.material(spec), into: key, wrapping.algorithm, wrapping.spec)
        let metadata = try kms.metadata(key)
        #expect(metadata.text(.keyState) == "Enabled")
        #expect(metadata.text(.currentKeyMaterialID) == answer.text(.keyMaterialID))
        // Only material of symmetric encryption keys has a name.
        #expect((answer.text(.keyMaterialID) == nil) == spec.isAsymmetric)
        #expect(metadata.text(.expirationModel) == "KEY_MATERIAL_DOES_NOT_EXPIRE")
        #expect(metadata[.validTo] == nil)
    }

    /// Reads the public key, the material and the algorithm in hex; writes what to import.
    private static let python = #"""
        import os, sys
        from cryptography.hazmat.primitives import hashes, keywrap, serialization
        from cryptography.hazmat.primitives.asymmetric import padding
        name, key, material = sys.stdin.read().split("\n")[:3]
        public = serialization.load_der_public_key(bytes.fromhex(key))
        material = bytes.fromhex(material)
        hash = hashes.SHA1() if name.endswith("SHA_1") else hashes.SHA256()
        oaep = padding.OAEP(padding.MGF1(hash), hash, None)
        if name.startswith("RSAES"): out = public.encrypt(material, oaep)
        else:
            aes = os.urandom(32)
            wrapped = keywrap.aes_key_wrap_with_padding(aes, material)
            out = public.encrypt(aes, oaep) + wrapped
        print(out.hex())
        """#

    @Test(
        .enabled(if: Python.has("cryptography"), "needs python3-cryptography"),
        arguments: wrappings.filter { $0.spec == .rsa2048 })
    func `what Python's cryptography wraps comes in, of every kind of key`(
        _ wrapping: Wrapping
    ) throws {
        let kms = try TestKeystore()
        for spec in [
            KeySpec.symmetricDefault, .hmac224, .hmac512, .rsa2048, .eccNistP256, .eccNistP521,
            .eccSecgP256k1, .eccNistEdwards25519,
        ] {
            let needsMore: [KeySpec] = [.rsa2048, .eccNistP521, .eccNistEdwards25519]
            let fits = wrapping.isHybrid ? spec.isAsymmetric : !needsMore.contains(spec)
            guard fits else { continue }
            let material = try Self.material(spec)
            let key = try kms.key(spec, nil, .external)
            let parameters = try kms.importParameters(key, wrapping.algorithm, wrapping.spec)
            let lines = [
                wrapping.algorithm.rawValue, hexText(parameters.publicKey), hexText(material),
            ]
            let wrapped = unhex(
                String(
                    decoding: try Python.run(
                        Self.python, input: Array((lines.joined(separator: "\n") + "\n").utf8)),
                    as: UTF8.self))
            try kms.ask(
                .importKeyMaterial,
                Structure([
                    .keyID: .text(key), .importToken: .bytes(parameters.token),
                    .encryptedKeyMaterial: .bytes(wrapped),
                    .expirationModel: .text("KEY_MATERIAL_DOES_NOT_EXPIRE"),
                ]))
            #expect(try kms.state(key) == "Enabled")
            guard spec.isAsymmetric else { continue }
            #expect(
                try kms.ask(.getPublicKey, Structure([.keyID: .text(key)])).bytes(.publicKey)
                    == AsymmetricPrivateKey(pkcs8: secret(material)).publicKey.spki)
        }
    }

    static func material(_ spec: KeySpec) throws -> [UInt8] {
        switch spec {
        case .symmetricDefault, .hmac256: return material
        case .hmac224: return [UInt8](repeating: 1, count: 28)
        case .hmac384: return [UInt8](repeating: 1, count: 48)
        case .hmac512: return [UInt8](repeating: 1, count: 64)
        default: return bytes(try AsymmetricPrivateKey.generate(asymmetric(spec)).pkcs8)
        }
    }

    @Test func `wrappings that do not fit the key are refused when the token is asked for`() throws
    {
        let kms = try TestKeystore()
        let unfit: [(KeySpec, WrappingAlgorithm, WrappingKeySpec)] = [
            (.rsa2048, .rsaesOaepSha256, .rsa4096), (.rsa2048, .rsaesOaepSha1, .rsa4096),
            (.eccNistP521, .rsaesOaepSha256, .rsa2048),
            (.eccNistEdwards25519, .rsaesOaepSha256, .rsa2048),
            (.eccNistP256, .rsaAesKeyWrapSha256, .sm2),
            (.symmetricDefault, .rsaAesKeyWrapSha256, .rsa2048),
            (.symmetricDefault, .rsaAesKeyWrapSha1, .rsa4096),
            (.hmac384, .rsaAesKeyWrapSha256, .rsa2048),
            (.symmetricDefault, .rsaesPkcs1V15, .rsa2048),
            (.symmetricDefault, .sm2pke, .rsa2048), (.symmetricDefault, .rsaesOaepSha1, .sm2),
        ]
        for (spec, algorithm, wrappingSpec) in unfit {
            let key = try kms.key(spec, nil, .external)
            #expect(
                throws: KMSError.validation(
                    "Wrapping algorithm \(algorithm.rawValue) and wrapping key spec "
                        + "\(wrappingSpec.rawValue) cannot be used to import a \(spec.rawValue) "
                        + "key.")
            ) { try kms.importParameters(key, algorithm, wrappingSpec) }
        }
    }

    @Test(arguments: [
        KeySpec.symmetricDefault, .hmac224, .hmac384, .rsa2048, .eccNistP384, .eccNistEdwards25519,
    ])
    func `material of another kind or length is refused`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, nil, .external)
        let isHMAC = spec == .hmac224 || spec == .hmac384
        let right = try Self.material(spec)
        let tooLong = isHMAC ? [UInt8](repeating: 1, count: 129) : right + [0]
        let wrapping = spec.isAsymmetric ? WrappingAlgorithm.rsaAesKeyWrapSha256 : .rsaesOaepSha256
        let wrong: [[UInt8]] = [
            [1], Array(right.dropLast()), tooLong, try Self.material(.eccNistP256),
        ]
        for material in wrong {
            #expect(throws: KMSError.invalidCiphertext) {
                try kms.importMaterial(material, into: key, wrapping)
            }
        }
        #expect(try kms.state(key) == "PendingImport")
    }

    @Test(
        arguments: zip(
            [KeySpec.hmac224, .hmac256, .hmac384, .hmac512],
            [HashFunction.sha224, .sha256, .sha384, .sha512]))
    func `material of an HMAC key is as long as its hash, or longer up to 128 bytes`(
        _ spec: KeySpec, _ hash: HashFunction
    ) throws {
        let kms = try TestKeystore()
        let algorithm = try #require(spec.macAlgorithms.first)
        for count in [hash.byteCount, hash.byteCount + 1, 128] {
            let key = try kms.key(spec, nil, .external)
            let material = [UInt8](repeating: 5, count: count)
            #expect(try kms.importMaterial(material, into: key)[.keyMaterialID] == nil)
            let code = try kms.ask(
                .generateMAC,
                Structure([
                    .keyID: .text(key), .message: .secret(secret("m")),
                    .macAlgorithm: .choice(algorithm),
                ])
            ).bytes(.mac)
            let expected = HMAC.authenticationCode(
                for: Array("m".utf8), key: secret(material), hash)
            #expect(code == expected)
        }
    }

    // MARK: Tokens

    private func request(
        _ key: String, _ parameters: TestKeystore.ImportParameters, _ wrapped: [UInt8]
    ) -> Structure {
        Structure([
            .keyID: .text(key), .importToken: .bytes(parameters.token),
            .encryptedKeyMaterial: .bytes(wrapped),
            .expirationModel: .text("KEY_MATERIAL_DOES_NOT_EXPIRE"),
        ])
    }

    @Test func `a token is for one key, for a day, and as it was given out`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let other = try kms.key(.symmetricDefault, nil, .external)
        let parameters = try kms.importParameters(key)
        let wrapped = try TestKeystore.wrap(Self.material, parameters)
        #expect(
            try kms.refusal(.importKeyMaterial, request(other, parameters, wrapped))
                == KMSError(.invalidImportToken))
        var input = request(key, parameters, wrapped)
        for index in stride(from: 0, to: parameters.token.count, by: 97) {
            var changed = parameters.token
            changed[index] ^= 1
            input[.importToken] = .bytes(changed)
            #expect(
                try kms.refusal(.importKeyMaterial, input)
                    == KMSError(.invalidImportToken))
        }
        for token in [Array(parameters.token.dropLast()), parameters.token + [0], [1]] {
            input[.importToken] = .bytes(token)
            #expect(try kms.refusal(.importKeyMaterial, input)?.code == .invalidImportToken)
        }
        // Another keystore's token.
        let foreign = try TestKeystore()
        let foreignKey = try foreign.key(.symmetricDefault, nil, .external)
        input[.importToken] = .bytes(try foreign.importParameters(foreignKey).token)
        #expect(try kms.refusal(.importKeyMaterial, input)?.code == .invalidImportToken)
        // Another token's public key.
        input = request(
            key, parameters, try TestKeystore.wrap(Self.material, try kms.importParameters(key)))
        #expect(try kms.refusal(.importKeyMaterial, input) == .invalidCiphertext)
        for bad in [[1], Array(wrapped.dropLast()), wrapped + [0]] {
            #expect(
                try kms.refusal(.importKeyMaterial, request(key, parameters, bad))
                    == .invalidCiphertext)
        }
        kms.clock.advance(minutes: 24 * 60 - 1)
        #expect(try kms.refusal(.importKeyMaterial, request(key, parameters, wrapped)) == nil)
        kms.clock.advance(minutes: 1)
        #expect(
            try kms.refusal(.importKeyMaterial, request(key, parameters, wrapped))
                == KMSError(.expiredImportToken))
    }

    @Test func `who may not import learns nothing of the token`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        var input = Structure([
            .keyID: .text(key), .importToken: .bytes([1]), .encryptedKeyMaterial: .bytes([1]),
        ])
        #expect(try kms.refusal(.importKeyMaterial, input, as: kms.stranger)?.code == .accessDenied)
        input[.expirationModel] = .text("KEY_MATERIAL_DOES_NOT_EXPIRE")
        #expect(try kms.refusal(.importKeyMaterial, input, as: kms.stranger)?.code == .accessDenied)
        #expect(try kms.refusal(.importKeyMaterial, input)?.code == .invalidImportToken)
    }
}
