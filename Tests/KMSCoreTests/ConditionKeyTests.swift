import Cryptography
import KMSModel
import Testing

/// The condition keys whose values the service knows, each end to end: under a key policy that
/// allows nothing but what meets one condition.
@Suite struct ConditionKeyTests {
    /// One request: its key, who makes it, and its other members.
    struct Side: Sendable {
        var spec = KeySpec.symmetricDefault
        var usage: KeyUsage?
        var origin = KeyOrigin.awsKms
        var isMultiRegion = false
        var region = "us-east-1"
        /// Made by the owner while the key still has its first policy.
        var members: @Sendable (TestKeystore, String) throws -> Structure = { _, _ in Structure() }
        var changeCaller: @Sendable (inout Caller) -> Void = { _ in }

        func with(_ member: Member, _ value: Value) -> Side {
            with(Structure([member: value]))
        }

        /// Further members.
        func with(_ more: Structure) -> Side {
            let before = members
            return making { kms, key in
                var all = try before(kms, key)
                for (member, value) in more.members { all[member] = value }
                return all
            }
        }

        func making(
            _ members: @escaping @Sendable (TestKeystore, String) throws -> Structure
        ) -> Side {
            var copy = self
            copy.members = members
            return copy
        }

        func calling(_ change: @escaping @Sendable (inout Caller) -> Void) -> Side {
            var copy = self
            copy.changeCaller = change
            return copy
        }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let key: String
        /// The operator, and what the key's value is compared with, in JSON.
        let comparison: String
        let value: String
        let operation: KMSOperation
        let matching: Side
        let other: Side
        /// Where no request can have another value, the value that this one has not.
        var otherValue: String?

        init(
            _ key: String, _ comparison: String, _ value: String, _ operation: KMSOperation,
            matching: Side, other: Side
        ) {
            self.key = key
            self.comparison = comparison
            self.value = value
            self.operation = operation
            self.matching = matching
            self.other = other
        }

        /// The same request under two conditions.
        init(
            _ key: String, _ comparison: String, _ value: String, not otherValue: String,
            _ operation: KMSOperation, _ side: Side = Side()
        ) {
            self.init(key, comparison, value, operation, matching: side, other: side)
            self.otherValue = otherValue
        }

        var testDescription: String { "\(key) of \(operation.rawValue)" }

        var actions: [String] {
            operation == .reEncrypt
                ? ["ReEncryptFrom", "ReEncryptTo"] : [operation.rawValue]
        }

        func condition(_ value: String) -> String {
            "{\"\(comparison)\": {\"\(key)\": \(value)}}"
        }
    }

    // MARK: The test

    @Test(arguments: rows)
    func `a permission under a condition is one for the requests that meet it`(
        _ row: Row
    ) throws {
        #expect(try outcome(of: row, row.matching, row.value).refusal == nil)
        let (refusal, denial) = try outcome(of: row, row.other, row.otherValue ?? row.value)
        #expect(refusal == denial)
    }

    /// The caller has neither a grant nor another statement that allows anything. It is an
    /// administrator: ReplicateKey also needs the account's permission to make keys.
    private func outcome(
        of row: Row, _ side: Side, _ value: String
    ) throws -> (refusal: KMSError?, denial: KMSError) {
        let kms = try TestKeystore()
        var alice = try kms.newUser("alice", isAdministrator: true)
        side.changeCaller(&alice)
        let key = try kms.key(
            side.spec, side.usage, side.origin, isMultiRegion: side.isMultiRegion, in: side.region)
        var input = try side.members(kms, key)
        let name: Member = row.operation == .reEncrypt ? .sourceKeyID : .keyID
        if input[name] == nil { input[name] = .text(key) }
        let statement = PolicyTexts.statement(
            ["alice"], row.actions.map { "kms:" + $0 }, condition: row.condition(value))
        try kms.ask(
            .putKeyPolicy,
            Structure([
                .keyID: .text(key), .policy: .text(PolicyTexts.document([statement])),
                .bypassPolicyLockoutSafetyCheck: .flag(true),
            ]), in: side.region)
        return (
            try kms.refusal(row.operation, input, as: alice, in: side.region),
            PermissionTests.denial(row.actions[0], alice, key, .resource)
        )
    }

    @Test func `a policy against requests without TLS does not lock out those over no network`()
        throws
    {
        let kms = try TestKeystore()
        let key = try kms.key()
        let denial = PolicyTexts.statement(
            ["*"], ["kms:*"], effect: "Deny",
            condition: #"{"Bool": {"aws:SecureTransport": "false"}}"#)
        var overTCP = kms.owner
        overTCP.transport = .network(address: "127.0.0.1", usesTLS: true)
        try kms.ask(
            .putKeyPolicy,
            Structure([
                .keyID: .text(key),
                .policy: .text(PolicyTexts.document([PermissionTests.owners, denial])),
            ]), as: overTCP)
        let input = Structure([.keyID: .text(key)])
        #expect(try kms.refusal(.describeKey, input) == nil)
        #expect(try kms.refusal(.describeKey, input, as: overTCP) == nil)
        overTCP.transport = .network(address: "127.0.0.1", usesTLS: false)
        #expect(
            try kms.refusal(.describeKey, input, as: overTCP)
                == PermissionTests.denial("DescribeKey", overTCP, key, .explicit))
    }

    @Test func `the table has every key but those that RequestConditions is never asked for`() {
        // See AuthorizationRequest.value(of:from:).
        let ofCallerAndContext: Set<ConditionKey.Name> = [
            .callerAccount, .principalAccount, .principalARN, .principalType,
            .principalIsAWSService, .principalServiceName, .userName, .encryptionContextKeys,
        ]
        // No request comes through a service of AWS, or for a resource of one.
        let ofServices: Set<ConditionKey.Name> = [.viaService, .sourceARN, .sourceAccount]
        var names: Set<ConditionKey.Name> = []
        for row in Self.rows {
            if case .named(let name) = ConditionKey(row.key) { names.insert(name) }
        }
        let rest = ofCallerAndContext.union(ofServices)
        #expect(names.isDisjoint(with: rest))
        #expect(names.union(rest) == Set(ConditionKey.Name.allCases))
    }

    // MARK: Rows

    static let rows: [Row] = Array(
        [ofKeys, ofAlgorithms, ofManagement, ofImports, ofGrants, ofCalls].joined())

    private static let ofKeys: [Row] = [
        Row(
            "kms:KeySpec", "StringEquals", #""HMAC_256""#, .describeKey,
            matching: Side(spec: .hmac256), other: Side()),
        Row(
            "kms:KeyUsage", "StringEquals", #""SIGN_VERIFY""#, .describeKey,
            matching: Side(spec: .eccNistP256, usage: .signVerify), other: Side()),
        Row(
            "kms:KeyOrigin", "StringEquals", #""EXTERNAL""#, .describeKey,
            matching: Side(origin: .external), other: Side()),
        Row(
            "kms:MultiRegion", "Bool", #""true""#, .describeKey,
            matching: Side(isMultiRegion: true), other: Side()),
        Row(
            "kms:MultiRegionKeyType", "StringEquals", #""PRIMARY""#, .describeKey,
            matching: Side(isMultiRegion: true), other: Side()),
        Row(
            "kms:RequestAlias", "StringEquals", #""alias/mine""#, .describeKey,
            matching: Side().making { kms, key in
                try named(kms, key)
                return Structure([.keyID: .text("alias/mine")])
            },
            other: Side().making { kms, key in
                try named(kms, key)
                return Structure()
            }),
        Row(
            "kms:ResourceAliases", "ForAnyValue:StringEquals", #""alias/mine""#, .describeKey,
            matching: Side().making { kms, key in
                try named(kms, key)
                return Structure()
            }, other: Side()),
        Row(
            "aws:ResourceTag/team", "StringEquals", #""red""#, .describeKey,
            matching: Side().making { kms, key in
                try kms.ask(.tagResource, Structure([.keyID: .text(key), .tags: team("red")]))
                return Structure()
            }, other: Side()),
        Row(
            "kms:ReEncryptOnSameKey", "Bool", #""true""#, .reEncrypt,
            matching: Side().making { kms, key in
                try reEncrypting(kms, from: key, to: key)
            },
            other: Side().making { kms, key in
                try reEncrypting(kms, from: key, to: try kms.key())
            }),
    ]

    private static let ofAlgorithms: [Row] = [
        Row(
            "kms:MessageType", "StringEquals", #""DIGEST""#, .sign,
            matching: signing("ECDSA_SHA_256").with(.messageType, .text("DIGEST")),
            other: signing("ECDSA_SHA_256")),
        Row(
            "kms:SigningAlgorithm", "StringEquals", #""ECDSA_SHA_256""#, .sign,
            matching: signing("ECDSA_SHA_256"), other: signing("ECDSA_SHA_384")),
        Row(
            "kms:EncryptionAlgorithm", "StringEquals", #""SYMMETRIC_DEFAULT""#, .encrypt,
            matching: Side().with(.plaintext, .secret(secret("x"))),
            other: Side().with(.plaintext, .secret(secret("x")))
                .with(.encryptionAlgorithm, .text("RSAES_OAEP_SHA_256"))),
        Row(
            "kms:MacAlgorithm", "StringEquals", #""HMAC_SHA_256""#, .generateMAC,
            matching: coding("HMAC_SHA_256"), other: coding("HMAC_SHA_224")),
        Row(
            "kms:KeyAgreementAlgorithm", "StringEquals", #""ECDH""#, not: #""other""#,
            .deriveSharedSecret,
            Side(spec: .eccNistP256, usage: .keyAgreement).making { _, _ in
                Structure([
                    .keyAgreementAlgorithm: .text("ECDH"),
                    .publicKey: .bytes(
                        try AsymmetricPrivateKey.generate(.nistP256).publicKey.spki),
                ])
            }),
        Row(
            "kms:DataKeyPairSpec", "StringEquals", #""ECC_NIST_P256""#, .generateDataKeyPair,
            matching: Side().with(.keyPairSpec, .text("ECC_NIST_P256")),
            other: Side().with(.keyPairSpec, .text("ECC_NIST_P384"))),
    ]

    private static let ofManagement: [Row] = [
        Row(
            "kms:ScheduleKeyDeletionPendingWindowInDays", "NumericEquals", #""30""#,
            .scheduleKeyDeletion, matching: Side(),
            other: Side().with(.pendingWindowInDays, .number(7))),
        Row(
            "kms:RotationPeriodInDays", "NumericEquals", #""365""#, .enableKeyRotation,
            matching: Side(), other: Side().with(.rotationPeriodInDays, .number(90))),
        Row(
            "kms:ReplicaRegion", "StringEquals", #""eu-west-1""#, .replicateKey,
            matching: Side(isMultiRegion: true).with(.replicaRegion, .text("eu-west-1")),
            other: Side(isMultiRegion: true).with(.replicaRegion, .text("ap-south-1"))),
        Row(
            "kms:PrimaryRegion", "StringEquals", #""eu-west-1""#, .updatePrimaryRegion,
            matching: promoting("eu-west-1"), other: promoting("us-east-1")),
        Row(
            "kms:BypassPolicyLockoutSafetyCheck", "Bool", #""false""#, .putKeyPolicy,
            matching: putting.with(.bypassPolicyLockoutSafetyCheck, .flag(false)),
            other: putting.with(.bypassPolicyLockoutSafetyCheck, .flag(true))),
        Row(
            "kms:PolicyName", "StringEquals", #""default""#, .putKeyPolicy,
            matching: putting, other: putting.with(.policyName, .text("other"))),
        Row(
            "kms:PolicyName", "StringEquals", #""default""#, .getKeyPolicy,
            matching: Side(), other: Side().with(.policyName, .text("other"))),
        Row(
            "aws:TagKeys", "ForAnyValue:StringEquals", #""team""#, .tagResource,
            matching: Side().with(.tags, team("red")),
            other: Side().with(.tags, .tags([Tag(key: "other", value: "red")]))),
        Row(
            "aws:RequestTag/team", "StringEquals", #""red""#, .tagResource,
            matching: Side().with(.tags, team("red")),
            other: Side().with(.tags, team("blue"))),
    ]

    private static let ofImports: [Row] = [
        Row(
            "kms:WrappingAlgorithm", "StringEquals", #""RSAES_OAEP_SHA_256""#,
            .getParametersForImport, matching: wrapping("RSAES_OAEP_SHA_256", "RSA_2048"),
            other: wrapping("RSAES_OAEP_SHA_1", "RSA_2048")),
        Row(
            "kms:WrappingKeySpec", "StringEquals", #""RSA_2048""#, .getParametersForImport,
            matching: wrapping("RSAES_OAEP_SHA_256", "RSA_2048"),
            other: wrapping("RSAES_OAEP_SHA_256", "RSA_3072")),
        Row(
            "kms:ValidTo", "DateLessThan", #""2026-12-10T00:00:00Z""#, .importKeyMaterial,
            matching: importing(days: 10), other: importing(days: 30)),
        Row(
            "kms:ExpirationModel", "StringEquals", #""KEY_MATERIAL_DOES_NOT_EXPIRE""#,
            .importKeyMaterial, matching: importing(days: nil), other: importing(days: 10)),
    ]

    private static let ofGrants: [Row] = [
        Row(
            "kms:GrantIsForAWSResource", "Bool", #""false""#, not: #""true""#, .createGrant,
            granting(["Encrypt"])),
        Row(
            "kms:GrantConstraintType", "StringEquals", #""EncryptionContextSubset""#, .createGrant,
            matching: granting(["Encrypt"]).with(
                .constraints,
                .structure(
                    Structure([
                        .encryptionContextSubset: .context(EncryptionContext(["a": "b"]))
                    ]))), other: granting(["Encrypt"])),
        Row(
            "kms:GrantOperations", "ForAllValues:StringEquals", #"["Encrypt"]"#, .createGrant,
            matching: granting(["Encrypt"]), other: granting(["Encrypt", "Decrypt"])),
        Row(
            "kms:GranteePrincipal", "StringEquals", #""arn:aws:iam::111122223333:root""#,
            .createGrant, matching: granting(["Encrypt"]),
            other: granting(["Encrypt"]).with(
                .granteePrincipal, .text("arn:aws:iam::111122223333:user/alice"))),
        Row(
            "kms:RetiringPrincipal", "StringEquals", #""arn:aws:iam::111122223333:root""#,
            .createGrant,
            matching: granting(["Encrypt"]).with(
                .retiringPrincipal, .text("arn:aws:iam::111122223333:root")),
            other: granting(["Encrypt"])),
    ]

    private static let ofCalls: [Row] = [
        Row(
            "aws:CurrentTime", "DateLessThan", #""2026-12-01T00:00:00Z""#, .describeKey,
            matching: Side(), other: later),
        // The same instant.
        Row(
            "aws:EpochTime", "NumericLessThan", #""1796083200""#, .describeKey,
            matching: Side(), other: later),
        Row(
            "aws:SecureTransport", "Bool", #""true""#, .describeKey,
            matching: Side().calling { $0.transport = .network(address: "::1", usesTLS: true) },
            other: from("::1")),
        // Over no network at all.
        Row(
            "aws:SecureTransport", "Bool", #""true""#, .describeKey, matching: Side(),
            other: from("127.0.0.1")),
        Row(
            "aws:UserAgent", "StringLike", #""KMSCore*""#, .describeKey, matching: Side(),
            other: Side().calling { $0.userAgent = "other" }),
        Row("aws:ViaAWSService", "Bool", #""false""#, not: #""true""#, .describeKey),
        Row(
            "aws:RequestedRegion", "StringEquals", #""us-east-1""#, .describeKey,
            matching: Side(), other: Side(region: "eu-west-1")),
        Row(
            "aws:ResourceAccount", "StringEquals", #""111122223333""#, not: #""444455556666""#,
            .describeKey),
        Row(
            "aws:userid", "StringEquals", #""arn:aws:iam::111122223333:user/alice""#,
            not: #""arn:aws:iam::111122223333:user/bob""#, .describeKey),
        Row(
            "aws:SourceIp", "IpAddress", #""10.0.0.0/8""#, .describeKey,
            matching: from("10.1.2.3"), other: from("192.0.2.1")),
        Row(
            "aws:SourceIp", "IpAddress", #""127.0.0.1""#, .describeKey, matching: Side(),
            other: from("192.0.2.1")),
    ]

    // MARK: Requests

    private static func team(_ name: String) -> Value { .tags([Tag(key: "team", value: name)]) }

    private static func named(_ kms: TestKeystore, _ key: String) throws {
        try kms.ask(
            .createAlias, Structure([.aliasName: .text("alias/mine"), .targetKeyID: .text(key)]))
    }

    /// Another key than the row's lets alice do it.
    private static func reEncrypting(
        _ kms: TestKeystore, from key: String, to other: String
    ) throws -> Structure {
        try kms.ask(
            .putKeyPolicy,
            Structure([
                .keyID: .text(other), .policy: .text(PolicyTexts.everything(to: ["alice"])),
            ]))
        return Structure([
            .ciphertextBlob: .bytes(try StateTableTests.blob(kms, key)),
            .destinationKeyID: .text(other),
        ])
    }

    private static func signing(_ algorithm: String) -> Side {
        Side(spec: .eccNistP256, usage: .signVerify).with(
            Structure([
                .message: .secret(secret([UInt8](repeating: 7, count: 32))),
                .signingAlgorithm: .text(algorithm),
            ]))
    }

    private static func coding(_ algorithm: String) -> Side {
        Side(spec: .hmac256).with(
            Structure([.message: .secret(secret("m")), .macAlgorithm: .text(algorithm)]))
    }

    private static func promoting(_ region: String) -> Side {
        Side(isMultiRegion: true).making { kms, key in
            try kms.replicate(key, to: "eu-west-1")
            return Structure([.primaryRegion: .text(region)])
        }
    }

    private static let putting = Side().with(
        .policy, .text(PolicyTexts.everything(to: ["alice"])))

    private static func wrapping(_ algorithm: String, _ spec: String) -> Side {
        Side(origin: .external).with(
            Structure([.wrappingAlgorithm: .text(algorithm), .wrappingKeySpec: .text(spec)]))
    }

    /// - Parameter days: nil for material that does not expire.
    private static func importing(days: Int?) -> Side {
        Side(origin: .external).making { kms, key in
            let parameters = try kms.importParameters(key)
            return Structure([
                .importToken: .bytes(parameters.token),
                .encryptedKeyMaterial: .bytes(
                    try TestKeystore.wrap([UInt8](repeating: 7, count: 32), parameters)),
                .expirationModel: .text(
                    days == nil ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : "KEY_MATERIAL_EXPIRES"),
                .validTo: days.map { .time(kms.clock.now().advanced(byDays: $0)) },
            ])
        }
    }

    private static func granting(_ operations: [String]) -> Side {
        Side().with(
            Structure([
                .granteePrincipal: .text("arn:aws:iam::111122223333:root"),
                .operations: .texts(operations),
            ]))
    }

    private static func from(_ address: String) -> Side {
        Side().calling { $0.transport = .network(address: address, usesTLS: false) }
    }

    private static let later = Side().making { kms, _ in
        kms.clock.advance(days: 30)
        return Structure()
    }
}
