import Cryptography
import KMSModel
import Testing

/// KMS-REFERENCE's table, cell by cell: every operation that uses a key, in every state of it
/// (AWS KMS developer guide, "Key states", table and footnotes).
@Suite struct StateTableTests {
    enum State: String, CaseIterable, Sendable {
        case enabled, disabled, pendingDeletion, pendingReplicaDeletion, pendingImport, unavailable
    }

    /// What a cell of the table says; `ARN` in a message stands for the key's.
    enum Cell: Sendable {
        case ok
        case disabled, pendingDeletion, pendingReplicaDeletion, pendingImport, unavailable
        case notPendingDeletion
        case unsupported(String)
        /// The state lets it through, and something else ends it.
        case ends(KMSError.Code, String)

        func error(for arn: String) -> KMSError? {
            switch self {
            case .ok: nil
            case .disabled: .disabled("\(arn) is disabled.")
            case .pendingDeletion: .invalidState("\(arn) is pending deletion.")
            case .pendingReplicaDeletion: .invalidState("\(arn) is pending replica deletion.")
            case .pendingImport: .invalidState("\(arn) is pending import.")
            case .unavailable: .invalidState("\(arn) is unavailable.")
            case .notPendingDeletion: .invalidState("\(arn) is not pending deletion.")
            case .unsupported(let message):
                .unsupportedOperation(message.replacing("ARN", with: arn))
            case .ends(let code, let message): KMSError(code, message.replacing("ARN", with: arn))
            }
        }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let operation: KMSOperation
        var spec = KeySpec.symmetricDefault
        var usage: KeyUsage?
        /// Whether the keys are of imported material in all states that allow it.
        var isImported = false
        var isMultiRegion = false
        let cells: [State: Cell]
        /// The request beside the key's id, made while the key is still enabled.
        var members: @Sendable (TestKeystore, String) throws -> Structure = { _, _ in Structure() }
        /// The member that names the key.
        var name: Member = .keyID

        var testDescription: String { operation.rawValue }
    }

    static func cells(
        _ enabled: Cell, _ disabled: Cell, _ deletion: Cell, _ import: Cell, _ unavailable: Cell
    ) -> [State: Cell] {
        // The two kinds of waiting refuse alike, each in its own words.
        let replicas: Cell =
            if case .pendingDeletion = deletion { .pendingReplicaDeletion } else { deletion }
        return [
            .enabled: enabled, .disabled: disabled, .pendingDeletion: deletion,
            .pendingReplicaDeletion: replicas, .pendingImport: `import`,
            .unavailable: unavailable,
        ]
    }

    static let cryptographic = cells(.ok, .disabled, .pendingDeletion, .pendingImport, .unavailable)
    static let always = cells(.ok, .ok, .ok, .ok, .ok)
    static let attributes = cells(.ok, .ok, .pendingDeletion, .ok, .ok)
    static func origin(_ origin: KeyOrigin) -> Cell {
        .unsupported("ARN origin is \(origin.rawValue) which is not valid for this operation.")
    }
    static func usage(_ operation: KMSOperation) -> Cell {
        .ends(
            .invalidKeyUsage,
            "ARN key usage is ENCRYPT_DECRYPT which is not valid for \(operation.rawValue).")
    }

    // MARK: Rows

    static let encryption: [Row] = [
        Row(operation: .encrypt, cells: cryptographic) { _, _ in
            Structure([.plaintext: .secret(secret("x"))])
        },
        Row(operation: .decrypt, cells: cryptographic) { kms, key in
            Structure([.ciphertextBlob: .bytes(try blob(kms, key))])
        },
        Row(
            operation: .reEncrypt, cells: cryptographic,
            members: { kms, key in
                let other = try kms.key()
                return Structure([
                    .ciphertextBlob: .bytes(try blob(kms, other)), .sourceKeyID: .text(other),
                ])
            }, name: .destinationKeyID),
        Row(
            operation: .reEncrypt, cells: cryptographic,
            members: { kms, key in
                Structure([
                    .ciphertextBlob: .bytes(try blob(kms, key)),
                    .destinationKeyID: .text(try kms.key()),
                ])
            }, name: .sourceKeyID),
        Row(operation: .generateDataKey, cells: cryptographic) { _, _ in
            Structure([.keySpec: .text("AES_256")])
        },
        Row(operation: .generateDataKeyWithoutPlaintext, cells: cryptographic) { _, _ in
            Structure([.numberOfBytes: .number(16)])
        },
        Row(
            operation: .generateDataKeyPair,
            cells: cells(.ok, .disabled, .pendingDeletion, .pendingImport, .unavailable)
        ) { _, _ in Structure([.keyPairSpec: .text("ECC_NIST_P256")]) },
        Row(operation: .generateDataKeyPairWithoutPlaintext, cells: cryptographic) { _, _ in
            Structure([.keyPairSpec: .text("ECC_NIST_P256")])
        },
        Row(
            operation: .encapsulate,
            cells: cells(
                usage(.encapsulate), .disabled, .pendingDeletion, .pendingImport, .unavailable)
        ) { _, _ in Structure([.encapsulationAlgorithm: .text("ML_KEM")]) },
        Row(
            operation: .decapsulate,
            cells: cells(
                usage(.decapsulate), .disabled, .pendingDeletion, .pendingImport, .unavailable)
        ) { _, _ in
            Structure([
                .encapsulationAlgorithm: .text("ML_KEM"), .sharedSecretCiphertextBlob: .bytes([1]),
            ])
        },
    ]

    static let pairsAndCodes: [Row] = [
        Row(operation: .sign, spec: .eccNistP256, usage: .signVerify, cells: cryptographic) {
            _, _ in signing
        },
        Row(operation: .verify, spec: .eccNistP256, usage: .signVerify, cells: cryptographic) {
            kms, key in
            var input = signing
            input[.keyID] = .text(key)
            input[.signature] = (try? kms.ask(.sign, input))?[.signature] ?? .bytes([1])
            return input
        },
        // Recorded from AWS: a disabled key's public half is still told.
        Row(
            operation: .getPublicKey, spec: .eccNistP256, usage: .signVerify,
            cells: cells(.ok, .ok, .pendingDeletion, .pendingImport, .unavailable)),
        Row(operation: .generateMAC, spec: .hmac256, cells: cryptographic) { _, _ in coding },
        Row(operation: .verifyMAC, spec: .hmac256, cells: cryptographic) { kms, key in
            var input = coding
            input[.keyID] = .text(key)
            input[.mac] = (try? kms.ask(.generateMAC, input))?[.mac] ?? .bytes([1])
            return input
        },
        Row(
            operation: .deriveSharedSecret, spec: .eccNistP256, usage: .keyAgreement,
            cells: cryptographic
        ) { _, _ in
            Structure([
                .keyAgreementAlgorithm: .text("ECDH"),
                .publicKey: .bytes(try AsymmetricPrivateKey.generate(.nistP256).publicKey.spki),
            ])
        },
    ]

    static let management: [Row] = [
        Row(
            operation: .createGrant,
            cells: cells(.ok, .disabled, .pendingDeletion, .pendingImport, .ok)
        ) { _, _ in granting },
        Row(operation: .retireGrant, cells: always) { kms, key in
            Structure([.grantID: .text(try grant(kms, key))])
        },
        Row(operation: .revokeGrant, cells: always) { kms, key in
            Structure([.grantID: .text(try grant(kms, key))])
        },
        Row(operation: .listGrants, cells: always),
        Row(
            operation: .replicateKey, isMultiRegion: true,
            cells: cells(.ok, .disabled, .pendingDeletion, .pendingImport, .unavailable)
        ) { _, _ in Structure([.replicaRegion: .text("ap-south-1")]) },
        Row(
            operation: .updatePrimaryRegion, isMultiRegion: true,
            cells: cells(.ok, .disabled, .pendingDeletion, .pendingImport, .unavailable)
        ) { kms, key in
            // The one without siblings is the unavailable one.
            if key.contains("mrk-") { _ = try? kms.replicate(key, to: "eu-west-1") }
            return Structure([.primaryRegion: .text("eu-west-1")])
        },
        Row(
            operation: .enableKey,
            cells: cells(.ok, .ok, .pendingDeletion, .pendingImport, .ok)),
        Row(
            operation: .disableKey,
            cells: cells(.ok, .ok, .pendingDeletion, .pendingImport, .ok)),
        Row(operation: .scheduleKeyDeletion, cells: cells(.ok, .ok, .pendingDeletion, .ok, .ok)),
        Row(
            operation: .cancelKeyDeletion,
            cells: cells(
                .notPendingDeletion, .notPendingDeletion, .ok, .notPendingDeletion,
                .notPendingDeletion)),
        Row(operation: .describeKey, cells: always),
        Row(operation: .getKeyLastUsage, cells: always),
        Row(operation: .getKeyPolicy, cells: always),
        Row(operation: .listKeyPolicies, cells: always),
        Row(operation: .putKeyPolicy, cells: always) { _, _ in
            Structure([.policy: .text(ownersPolicy)])
        },
        Row(operation: .updateKeyDescription, cells: attributes) { _, _ in
            Structure([.description: .text("new")])
        },
        Row(operation: .tagResource, cells: attributes) { _, _ in
            Structure([.tags: .tags([Tag(key: "k", value: "v")])])
        },
        Row(operation: .untagResource, cells: attributes) { _, _ in
            Structure([.tagKeys: .texts(["k"])])
        },
        Row(operation: .listResourceTags, cells: always),
        Row(operation: .listAliases, cells: always),
        Row(
            operation: .createAlias, cells: attributes,
            members: { _, _ in Structure([.aliasName: .text("alias/new")]) }, name: .targetKeyID),
        Row(
            operation: .updateAlias, cells: attributes,
            members: { kms, _ in
                try Structure([.aliasName: .text(alias(kms, for: kms.key()))])
            }, name: .targetKeyID),
        // Away from the key: its state does not count.
        Row(
            operation: .updateAlias, cells: always,
            members: { kms, key in
                try Structure([
                    .aliasName: .text(alias(kms, for: key)), .targetKeyID: .text(kms.key()),
                ])
            }, name: .aliasName),
        Row(
            operation: .deleteAlias, cells: always,
            members: { kms, key in try Structure([.aliasName: .text(alias(kms, for: key))]) },
            name: .aliasName),
    ]

    static let rotation: [Row] = [
        Row(
            operation: .enableKeyRotation,
            cells: cells(
                .ok, .disabled, .pendingDeletion, origin(.external), origin(.awsCloudhsm))),
        Row(
            operation: .disableKeyRotation,
            cells: cells(
                .ok, .disabled, .pendingDeletion, origin(.external), origin(.awsCloudhsm))),
        Row(
            operation: .getKeyRotationStatus,
            cells: cells(.ok, .ok, .ok, .ok, origin(.awsCloudhsm))),
        Row(
            operation: .rotateKeyOnDemand,
            cells: cells(
                .ok, .disabled, .pendingDeletion, .pendingImport, origin(.awsCloudhsm))),
        Row(
            operation: .listKeyRotations,
            cells: cells(.ok, .ok, .ok, .ok, origin(.awsCloudhsm))),
        Row(
            operation: .getParametersForImport, isImported: true,
            cells: cells(.ok, .ok, .pendingDeletion, .ok, origin(.awsCloudhsm))
        ) { _, _ in
            Structure([
                .wrappingAlgorithm: .text("RSAES_OAEP_SHA_256"),
                .wrappingKeySpec: .text("RSA_2048"),
            ])
        },
        // A state that takes material looks at the token next.
        Row(
            operation: .importKeyMaterial, isImported: true,
            cells: cells(badToken, badToken, .pendingDeletion, badToken, origin(.awsCloudhsm))
        ) { _, _ in
            Structure([
                .importToken: .bytes([1]), .encryptedKeyMaterial: .bytes([1]),
                .expirationModel: .text("KEY_MATERIAL_DOES_NOT_EXPIRE"),
            ])
        },
        Row(
            operation: .deleteImportedKeyMaterial, isImported: true,
            cells: cells(.ok, .ok, .ok, .ok, origin(.awsCloudhsm))),
    ]

    static let badToken = Cell.ends(.invalidImportToken, "")
    static let rows = encryption + pairsAndCodes + management + rotation

    // MARK: Members

    static let signing = Structure([
        .message: .secret(secret("m")), .signingAlgorithm: .text("ECDSA_SHA_256"),
    ])
    static let coding = Structure([
        .message: .secret(secret("m")), .macAlgorithm: .text("HMAC_SHA_256"),
    ])
    static let granting = Structure([
        .granteePrincipal: .text("arn:aws:iam::111122223333:root"),
        .operations: .texts(["DescribeKey"]),
    ])
    static let ownersPolicy = """
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": \
        {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}}
        """

    /// A ciphertext of the key; of one that cannot make any, something that looks like one.
    static func blob(_ kms: TestKeystore, _ key: String) throws -> [UInt8] {
        let input = Structure([.keyID: .text(key), .plaintext: .secret(secret("x"))])
        if let blob = try? kms.ask(.encrypt, input).bytes(.ciphertextBlob) { return blob }
        let arn = try #require(KeyARN(key))
        return SymmetricBlob(
            keyID: arn.keyID, keyVersion: 1, salt: [UInt8](repeating: 1, count: 16),
            box: [UInt8](repeating: 1, count: 29)
        ).bytes
    }

    static func grant(_ kms: TestKeystore, _ key: String) throws -> String {
        var input = granting
        input[.keyID] = .text(key)
        return try #require(try kms.ask(.createGrant, input).text(.grantID))
    }

    static func alias(_ kms: TestKeystore, for key: String) throws -> String {
        try kms.ask(
            .createAlias, Structure([.aliasName: .text("alias/old"), .targetKeyID: .text(key)]))
        return "alias/old"
    }

    // MARK: The test

    @Test(arguments: rows)
    func `every state lets through or refuses an operation as AWS does`(_ row: Row) throws {
        for state in State.allCases {
            let kms = try TestKeystore()
            let (key, members) = try subject(of: row, in: state, kms)
            var input = members
            if input[row.name] == nil { input[row.name] = .text(key) }
            #expect(try kms.state(key)?.lowercased() == state.rawValue.lowercased())
            let cell = try #require(row.cells[state])
            let refusal = try kms.refusal(row.operation, input)
            #expect(refusal == cell.error(for: key), "\(row.operation) \(state)")
        }
    }

    /// A key in a state, and the rest of a request for it.
    private func subject(
        of row: Row, in state: State, _ kms: TestKeystore
    ) throws -> (key: String, members: Structure) {
        if state == .unavailable {
            let key = try kms.unavailableKey()
            return (key, try row.members(kms, key))
        }
        let isImported = row.isImported || state == .pendingImport
        let key = try kms.key(
            row.spec, row.usage, isImported ? .external : .awsKms,
            isMultiRegion: row.isMultiRegion || state == .pendingReplicaDeletion)
        if isImported { try kms.importMaterial(Self.material(row.spec), into: key) }
        let members = try row.members(kms, key)
        let input = Structure([.keyID: .text(key)])
        switch state {
        case .enabled: break
        case .disabled: try kms.ask(.disableKey, input)
        case .pendingDeletion:
            _ = try? kms.ask(
                .scheduleKeyDeletion,
                Structure([
                    .keyID: .text(kms.sibling(of: key, in: "eu-west-1")),
                    .pendingWindowInDays: .number(7),
                ]), in: "eu-west-1")
            if row.isMultiRegion { kms.waitForDeletion(days: 7) }
            try kms.ask(.scheduleKeyDeletion, input)
        case .pendingReplicaDeletion:
            _ = try? kms.replicate(key, to: "eu-west-1")
            try kms.ask(.scheduleKeyDeletion, input)
        case .pendingImport: try kms.ask(.deleteImportedKeyMaterial, input)
        case .unavailable: break
        }
        return (key, members)
    }

    static func material(_ spec: KeySpec) throws -> [UInt8] {
        switch spec {
        case .symmetricDefault, .hmac256: return [UInt8](repeating: 7, count: 32)
        default: return bytes(try AsymmetricPrivateKey.generate(.nistP256).pkcs8)
        }
    }

    @Test func `the table is about every operation that uses a key`() {
        let others: Set<KMSOperation> = [
            .createKey, .listKeys, .generateRandom, .listRetirableGrants, .createCustomKeyStore,
            .connectCustomKeyStore, .disconnectCustomKeyStore, .describeCustomKeyStores,
            .updateCustomKeyStore, .deleteCustomKeyStore,
        ]
        #expect(Set(Self.rows.map(\.operation)).union(others) == Set(KMSOperation.allCases))
        #expect(KMSOperation.allCases.count == 56)
    }
}
