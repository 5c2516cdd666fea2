import Cryptography
import KMSModel
import Testing

/// Imported material, from the token to its end.
@Suite struct ImportTests {
    struct Wrapping: Sendable, CustomTestStringConvertible {
        let algorithm: WrappingAlgorithm
        let spec: WrappingKeySpec
        var testDescription: String { "\(algorithm.rawValue) \(spec.rawValue)" }
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
    static let isOther = KMSError(
        .incorrectKeyMaterial,
        "The key material in the request is not the same key material that was previously "
            + "imported into this KMS key.")

    // MARK: Wrapping

    @Test(arguments: wrappings)
    func `material comes in under every wrapping`(_ wrapping: Wrapping) throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        #expect(try kms.state(key) == "PendingImport")
        #expect(try kms.metadata(key)[.currentKeyMaterialID] == nil)
        let answer = try kms.importMaterial(
            Self.material, into: key, wrapping.algorithm, wrapping.spec)
        let metadata = try kms.metadata(key)
        #expect(metadata.text(.keyState) == "Enabled")
        #expect(metadata.text(.currentKeyMaterialID) == answer.text(.keyMaterialID))
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
            let isWrap = wrapping.algorithm.rawValue.hasPrefix("RSA_AES")
            // Too long for OAEP.
            guard isWrap || (spec != .rsa2048 && spec != .eccNistP521) else { continue }
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
        for (spec, algorithm, wrappingSpec) in [
            (KeySpec.rsa2048, WrappingAlgorithm.rsaesOaepSha256, WrappingKeySpec.rsa4096),
            (.rsa2048, .rsaesOaepSha1, .rsa4096), (.eccNistP521, .rsaesOaepSha256, .rsa2048),
            (.symmetricDefault, .sm2pke, .rsa2048), (.symmetricDefault, .rsaesOaepSha1, .sm2),
        ] {
            let key = try kms.key(spec, nil, .external)
            #expect(
                throws: KMSError.validation(
                    "WrappingAlgorithm \(algorithm.rawValue) with WrappingKeySpec "
                        + "\(wrappingSpec.rawValue) is not compatible with KeySpec "
                        + "\(spec.rawValue)")
            ) { try kms.importParameters(key, algorithm, wrappingSpec) }
        }
        let key = try kms.key(.symmetricDefault, nil, .external)
        #expect(
            throws: KMSError.unsupportedOperation(
                "The wrapping algorithm RSAES_PKCS1_V1_5 is not supported any more.")
        ) { try kms.importParameters(key, .rsaesPkcs1V15, .rsa2048) }
    }

    @Test(arguments: [
        KeySpec.symmetricDefault, .hmac224, .hmac384, .rsa2048, .eccNistP384, .eccNistEdwards25519,
    ])
    func `material of another kind or length is refused`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, nil, .external)
        var wrong: [[UInt8]] = [
            [1], [UInt8](repeating: 1, count: 33), try Self.material(.eccNistP256),
        ]
        if let right = try? Self.material(spec) { wrong.append(right + [0]) }
        for material in wrong {
            #expect(
                throws: KMSError(
                    .incorrectKeyMaterial,
                    "The key material is not valid for the key spec \(spec.rawValue).")
            ) { try kms.importMaterial(material, into: key, .rsaAesKeyWrapSha256) }
        }
        #expect(try kms.state(key) == "PendingImport")
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
                == KMSError(.invalidImportToken, "The import token belongs to another key."))
        var input = request(key, parameters, wrapped)
        for index in stride(from: 0, to: parameters.token.count, by: 97) {
            var changed = parameters.token
            changed[index] ^= 1
            input[.importToken] = .bytes(changed)
            #expect(
                try kms.refusal(.importKeyMaterial, input)
                    == KMSError(.invalidImportToken, "The import token is not valid."))
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

    // MARK: Validity

    @Test func `material expires by default, and needs a date within a year`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let now = kms.clock.now()
        func importing(_ model: String?, _ date: Timestamp?) throws {
            try kms.importMaterial(
                Self.material, into: key,
                options: [
                    .expirationModel: model.map(Value.text), .validTo: date.map(Value.time),
                ])
        }
        let needsDate = KMSError.validation(
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
        #expect(throws: needsDate) { try importing(nil, nil) }
        #expect(throws: needsDate) { try importing("KEY_MATERIAL_EXPIRES", nil) }
        #expect(
            throws: KMSError.validation(
                "A validTo date must not be set if the ExpirationModel is "
                    + "KEY_MATERIAL_DOES_NOT_EXPIRE")
        ) { try importing("KEY_MATERIAL_DOES_NOT_EXPIRE", now.advanced(byDays: 1)) }
        for date in [
            now, now.advanced(byDays: -1), now.advanced(byMilliseconds: 365 * 86_400_000 + 1),
        ] {
            #expect(
                throws: KMSError.validation(
                    "ValidTo must be in the future, and at most 365 days from now.")
            ) { try importing(nil, date) }
        }
        try importing(nil, now.advanced(byDays: 365))
        #expect(try kms.metadata(key).time(.validTo) == now.advanced(byDays: 365))
        // Importing again changes the model.
        try importing("KEY_MATERIAL_DOES_NOT_EXPIRE", nil)
        #expect(try kms.metadata(key).text(.expirationModel) == "KEY_MATERIAL_DOES_NOT_EXPIRE")
        #expect(try kms.metadata(key)[.validTo] == nil)
    }

    @Test func `expired material is gone, and the same material brings its ciphertexts back`()
        throws
    {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let date = kms.clock.now().advanced(byDays: 2)
        let id = try kms.importMaterial(
            Self.material, into: key,
            options: [.expirationModel: nil, .validTo: .time(date)]
        ).text(.keyMaterialID)
        let blob = try StateTableTests.blob(kms, key)
        let opening = Structure([.ciphertextBlob: .bytes(blob)])
        kms.clock.advance(minutes: 2 * 24 * 60 - 1)
        #expect(try kms.refusal(.decrypt, opening) == nil)
        kms.clock.advance(minutes: 1)
        #expect(
            try kms.refusal(.decrypt, opening) == .invalidState("\(key) is pending import."))
        let metadata = try kms.metadata(key)
        #expect(metadata.text(.keyState) == "PendingImport")
        #expect(metadata.text(.currentKeyMaterialID) == id)
        #expect(metadata[.expirationModel] == nil && metadata[.validTo] == nil)
        let events = try kms.events().filter { $0.eventName == "DeleteExpiredKeyMaterial" }
        #expect(events.count == 1 && events.first?.keyARNs == [key])
        #expect(throws: Self.isOther) {
            try kms.importMaterial(Self.material.reversed(), into: key)
        }
        #expect(
            try kms.importMaterial(Self.material, into: key).text(.keyMaterialID) == id)
        #expect(try kms.refusal(.decrypt, opening) == nil)
    }

    @Test func `deleted material is gone, also where it was in use`() throws {
        let kms = try TestKeystore()
        for spec in [KeySpec.symmetricDefault, .hmac256, .eccNistP256] {
            let key = try kms.key(spec, nil, .external)
            let material = try Self.material(spec)
            try kms.importMaterial(material, into: key)
            var use: (KMSOperation, Structure) =
                switch spec {
                case .symmetricDefault: (.encrypt, Structure([.plaintext: .secret(secret("x"))]))
                case .hmac256: (.generateMAC, StateTableTests.coding)
                default: (.sign, StateTableTests.signing)
                }
            use.1[.keyID] = .text(key)
            #expect(try kms.refusal(use.0, use.1) == nil)
            try kms.ask(.deleteImportedKeyMaterial, Structure([.keyID: .text(key)]))
            #expect(
                try kms.refusal(use.0, use.1) == .invalidState("\(key) is pending import."))
            // Nothing happens the second time.
            try kms.ask(.deleteImportedKeyMaterial, Structure([.keyID: .text(key)]))
            let wrong = spec == .eccNistP256 ? try Self.material(spec) : material.reversed()
            #expect(throws: Self.isOther) { try kms.importMaterial(wrong, into: key) }
            try kms.importMaterial(material, into: key)
            #expect(try kms.refusal(use.0, use.1) == nil)
        }
    }

    @Test func `a deletion leaves the state of a key alone that waits for its own`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let input = Structure([.keyID: .text(key)])
        try kms.importMaterial(Self.material, into: key)
        try kms.ask(.scheduleKeyDeletion, input)
        try kms.ask(.deleteImportedKeyMaterial, input)
        #expect(try kms.state(key) == "PendingDeletion")
        try kms.ask(.cancelKeyDeletion, input)
        #expect(try kms.state(key) == "Disabled")
        // Without its material it cannot be more than this.
        try kms.ask(.enableKey, input)
        #expect(try kms.state(key) == "PendingImport")
        try kms.importMaterial(Self.material, into: key)
        #expect(try kms.state(key) == "Enabled")
    }

    // MARK: Versions

    private func rotations(_ kms: TestKeystore, _ key: String, in region: String = "us-east-1")
        throws -> [Structure]
    {
        try kms.ask(
            .listKeyRotations,
            Structure([.keyID: .text(key), .includeKeyMaterial: .text("ALL_KEY_MATERIAL")]),
            in: region
        ).structures(.rotations)
    }

    private func states(_ kms: TestKeystore, _ key: String, in region: String = "us-east-1")
        throws -> [String]
    {
        try rotations(kms, key, in: region).compactMap { $0.text(.keyMaterialState) }
    }

    private static let new: KeyValuePairs<Member, Value?> = [.importType: .text("NEW_KEY_MATERIAL")]
    private static let second = [UInt8](repeating: 2, count: 32)
    private static let third = [UInt8](repeating: 3, count: 32)

    @Test func `new material waits for a rotation on demand, and the old one still opens`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let input = Structure([.keyID: .text(key)])
        try kms.importMaterial(Self.material, into: key)
        let old = try StateTableTests.blob(kms, key)
        #expect(
            try kms.refusal(.rotateKeyOnDemand, input)
                == .invalidState(
                    "No available key material pending rotation for the key: \(key)."))
        #expect(throws: Self.isOther) { try kms.importMaterial(Self.second, into: key) }
        let id = try #require(
            try kms.importMaterial(Self.second, into: key, options: Self.new).text(.keyMaterialID))
        #expect(try states(kms, key) == ["CURRENT", "PENDING_ROTATION"])
        let waiting = try #require(try rotations(kms, key).last)
        #expect(waiting[.rotationDate] == nil && waiting[.rotationType] == nil)
        #expect(waiting.text(.importState) == "IMPORTED")
        let refusal = #expect(throws: KMSError.self) {
            try kms.importMaterial(Self.third, into: key, options: Self.new)
        }
        #expect(
            refusal?.message.hasPrefix("New key material (id: ") == true
                && refusal?.message.hasSuffix(
                    "because another key material (id: \(id)) is pending rotation.") == true
        )
        #expect(refusal?.code == .invalidState)
        #expect(try kms.metadata(key).text(.currentKeyMaterialID) != id)
        try kms.ask(.rotateKeyOnDemand, input)
        #expect(try states(kms, key) == ["NON_CURRENT", "CURRENT"])
        #expect(try kms.metadata(key).text(.currentKeyMaterialID) == id)
        let current = try #require(try rotations(kms, key).last)
        #expect(current.text(.rotationType) == "ON_DEMAND")
        #expect(current.time(.rotationDate) == kms.clock.now())
        for blob in [old, try StateTableTests.blob(kms, key)] {
            #expect(try kms.refusal(.decrypt, Structure([.ciphertextBlob: .bytes(blob)])) == nil)
        }
        // Without any one of them the key rests.
        let first = try #require(try rotations(kms, key).first?.text(.keyMaterialID))
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(first)]))
        #expect(try kms.state(key) == "PendingImport")
        #expect(
            try rotations(kms, key).compactMap { $0.text(.importState) } == [
                "PENDING_IMPORT", "IMPORTED",
            ])
        try kms.importMaterial(
            Self.material, into: key, options: [.keyMaterialID: .text(first)])
        #expect(try kms.state(key) == "Enabled")
    }

    @Test func `material that waits comes and goes without touching the key`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        try kms.importMaterial(Self.material, into: key)
        let id = try #require(
            try kms.importMaterial(Self.second, into: key, options: Self.new).text(.keyMaterialID))
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(id)]))
        #expect(try kms.state(key) == "Enabled")
        #expect(
            try kms.refusal(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))?.code
                == .invalidState)
        // Another one may take its place.
        try kms.importMaterial(Self.third, into: key, options: Self.new)
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        #expect(try states(kms, key) == ["NON_CURRENT", "CURRENT"])
    }

    @Test func `an id follows from key and material, and must be the material's`() throws {
        let kms = try TestKeystore()
        let (key, other) = (
            try kms.key(.symmetricDefault, nil, .external),
            try kms.key(.symmetricDefault, nil, .external)
        )
        let id = try #require(
            try kms.importMaterial(Self.material, into: key).text(.keyMaterialID))
        #expect(try kms.importMaterial(Self.material, into: other).text(.keyMaterialID) != id)
        let wrong = String(repeating: "0", count: 64)
        #expect(throws: Self.isOther) {
            try kms.importMaterial(
                Self.material, into: key, options: [.keyMaterialID: .text(wrong)])
        }
        #expect(
            try kms.refusal(
                .deleteImportedKeyMaterial,
                Structure([.keyID: .text(key), .keyMaterialID: .text(wrong)]))?.code == .notFound)
        #expect(
            throws: KMSError.validation(
                "KeyMaterialId cannot be specified when ImportType is NEW_KEY_MATERIAL.")
        ) {
            try kms.importMaterial(
                Self.second, into: key,
                options: [
                    .importType: .text("NEW_KEY_MATERIAL"), .keyMaterialID: .text(id),
                ])
        }
    }

    @Test func `a first import that calls itself the second is refused`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        #expect(throws: Self.isOther) {
            try kms.importMaterial(
                Self.material, into: key, options: [.importType: .text("EXISTING_KEY_MATERIAL")])
        }
    }

    @Test func `only symmetric keys have material by names`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.hmac256, nil, .external)
        for (member, value) in [
            (Member.importType, "NEW_KEY_MATERIAL"), (.keyMaterialDescription, "x"),
            (.keyMaterialID, String(repeating: "0", count: 64)),
        ] {
            #expect(
                throws: KMSError.validation(
                    "\(member.rawValue) is only valid for symmetric encryption KMS keys.")
            ) {
                try kms.importMaterial(
                    Self.material, into: key, options: [member: .text(value)])
            }
        }
    }

    @Test func `a description stays until another comes with the same material`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        func described(_ text: String?) throws -> String? {
            try kms.importMaterial(
                Self.material, into: key,
                options: [.keyMaterialDescription: text.map(Value.text)])
            return try rotations(kms, key).first?.text(.keyMaterialDescription)
        }
        #expect(try described("one") == "one")
        #expect(try described(nil) == "one")
        #expect(try described("two") == "two")
    }

    // MARK: Regions

    @Test func `a multi-Region key rotates when all its Regions have the new material`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external, isMultiRegion: true)
        try kms.importMaterial(Self.material, into: key)
        let replica = try kms.replicate(key, to: "eu-west-1")
        #expect(try kms.state(replica, in: "eu-west-1") == "PendingImport")
        // Another material than the primary's.
        #expect(throws: Self.isOther) {
            try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
        }
        try kms.importMaterial(Self.material, into: replica, in: "eu-west-1")
        let blob = try StateTableTests.blob(kms, key)
        #expect(
            try kms.refusal(
                .decrypt, Structure([.ciphertextBlob: .bytes(blob)]), in: "eu-west-1") == nil)
        #expect(
            throws: KMSError.unsupportedOperation("\(replica) is not a multi-region primary key.")
        ) { try kms.importMaterial(Self.second, into: replica, in: "eu-west-1", options: Self.new) }
        let id = try kms.importMaterial(Self.second, into: key, options: Self.new)
            .text(.keyMaterialID)
        let waiting = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
        #expect(try states(kms, key) == ["CURRENT", waiting])
        #expect(try states(kms, replica, in: "eu-west-1") == ["CURRENT", waiting])
        #expect(try kms.state(replica, in: "eu-west-1") == "Enabled")
        #expect(
            try kms.refusal(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
                == .invalidState(
                    "No available key material pending rotation for the key: \(key)."))
        #expect(
            try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
                .text(.keyMaterialID) == id)
        #expect(try states(kms, key) == ["CURRENT", "PENDING_ROTATION"])
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        for (name, region) in [(key, "us-east-1"), (replica, "eu-west-1")] {
            #expect(try states(kms, name, in: region) == ["NON_CURRENT", "CURRENT"])
            #expect(
                try kms.metadata(name, in: region).text(.currentKeyMaterialID) == id)
        }
    }

    @Test func `the primary's waiting material takes that of its replicas along`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external, isMultiRegion: true)
        try kms.importMaterial(Self.material, into: key)
        let replica = try kms.replicate(key, to: "eu-west-1")
        try kms.importMaterial(Self.material, into: replica, in: "eu-west-1")
        let id = try #require(
            try kms.importMaterial(Self.second, into: key, options: Self.new).text(.keyMaterialID))
        try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(id)]))
        #expect(
            try rotations(kms, replica, in: "eu-west-1").last?.text(.importState)
                == "PENDING_IMPORT")
        for (name, region) in [(key, "us-east-1"), (replica, "eu-west-1")] {
            #expect(try kms.state(name, in: region) == "Enabled")
        }
    }
}
