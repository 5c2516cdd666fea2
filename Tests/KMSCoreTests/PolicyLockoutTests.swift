import KMSModel
import Testing

/// The lockout check looks at the key that the policy is for; and only who may put a policy learns
/// what is wrong with it.
@Suite struct PolicyLockoutTests {
    private let kms: TestKeystore
    private let lockout = KMSError.malformedPolicyDocument(
        "The new key policy will not allow you to update the key policy in the future.")

    init() throws {
        kms = try TestKeystore()
    }

    /// Everything to the account's root, on one resource alone.
    private func policy(on resource: String) -> Value {
        .text(
            PolicyTexts.document([PolicyTexts.statement(["root"], ["kms:*"])])
                .replacing(#""Resource": "*""#, with: #""Resource": "\#(resource)""#))
    }

    private func policy(under condition: String) -> Value {
        .text(
            PolicyTexts.document([
                PolicyTexts.statement(["root"], ["kms:*"], condition: condition)
            ]))
    }

    @Test func `a policy may name its own key alone`() throws {
        let (key, other) = (try kms.key(), try kms.key())
        let input = Structure([.keyID: .text(key)])
        #expect(try kms.refusal(.putKeyPolicy, input.with(.policy, policy(on: other))) == lockout)
        #expect(try kms.refusal(.putKeyPolicy, input.with(.policy, policy(on: key))) == nil)
        #expect(try kms.refusal(.describeKey, input) == nil)
    }

    @Test func `conditions on what the key is count`() throws {
        let key = try kms.key()
        try kms.ask(
            .tagResource,
            Structure([.keyID: .text(key), .tags: .tags([Tag(key: "team", value: "red")])]))
        let input = Structure([.keyID: .text(key)])
        for (name, holds, fails) in [
            ("kms:KeySpec", "SYMMETRIC_DEFAULT", "HMAC_256"),
            ("aws:ResourceTag/team", "red", "blue"),
        ] {
            let cases: [(String, KMSError?)] = [(fails, lockout), (holds, nil)]
            for (value, expected) in cases {
                let condition = #"{"StringEquals": {"\#(name)": "\#(value)"}}"#
                #expect(
                    try kms.refusal(
                        .putKeyPolicy, input.with(.policy, policy(under: condition))) == expected)
            }
        }
    }

    @Test func `a new key's policy is looked at with the key that is to be`() throws {
        func spec(_ name: String) -> String { #"{"StringEquals": {"kms:KeySpec": "\#(name)"}}"# }
        func create(_ policy: Value) throws -> KMSError? {
            try kms.refusal(.createKey, Structure([.policy: policy]))
        }
        #expect(try create(policy(under: spec("SYMMETRIC_DEFAULT"))) == nil)
        #expect(try create(policy(under: spec("HMAC_256"))) == lockout)
        let tag = policy(under: #"{"StringEquals": {"aws:ResourceTag/team": "red"}}"#)
        #expect(try create(tag) == lockout)
        #expect(
            try kms.refusal(
                .createKey,
                Structure([.policy: tag, .tags: .tags([Tag(key: "team", value: "red")])])) == nil)
        #expect(
            try create(policy(on: "arn:aws:kms:us-east-1:111122223333:key/00000000-*")) == lockout)
    }

    @Test func `a replica's policy is looked at with the replica`() throws {
        let key = try kms.key(isMultiRegion: true)
        let replica = kms.sibling(of: key, in: "eu-west-1")
        let input = Structure([.keyID: .text(key), .replicaRegion: .text("eu-west-1")])
        #expect(try kms.refusal(.replicateKey, input.with(.policy, policy(on: key))) == lockout)
        #expect(try kms.refusal(.replicateKey, input.with(.policy, policy(on: replica))) == nil)
        #expect(
            try kms.refusal(.describeKey, Structure([.keyID: .text(replica)]), in: "eu-west-1")
                == nil)
    }

    @Test func `who may make no keys does not learn whether a principal exists`() throws {
        let bob = try kms.newUser("bob")
        let unknown = Value.text(PolicyTexts.everything(to: ["nobody"]))
        #expect(
            try kms.refusal(.createKey, Structure([.policy: unknown]), as: bob)
                == PermissionTests.denial("CreateKey", bob, nil, .identity))
        let key = try kms.key(isMultiRegion: true)
        let input = Structure([
            .keyID: .text(key), .replicaRegion: .text("eu-west-1"), .policy: unknown,
        ])
        #expect(
            try kms.refusal(.replicateKey, input, as: bob)
                == PermissionTests.denial("ReplicateKey", bob, key, .identity))
        // The permission for the key is not that to make keys.
        try kms.ask(
            .putKeyPolicy,
            Structure([
                .keyID: .text(key), .policy: .text(PolicyTexts.everything(to: ["bob"])),
            ]))
        #expect(
            try kms.refusal(.replicateKey, input, as: bob)
                == PermissionTests.denial("CreateKey", bob, nil, .identity))
        #expect(try kms.refusal(.replicateKey, input)?.code == .malformedPolicy)
    }
}
