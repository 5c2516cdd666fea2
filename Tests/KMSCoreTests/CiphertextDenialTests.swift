import KMSModel
import Testing

/// What somebody learns of a key from a ciphertext that it may not open.
@Suite struct CiphertextDenialTests {
    private let kms: TestKeystore
    private let key: String
    /// Of a key that this keystore does not have.
    private let foreign: [UInt8]

    init() throws {
        kms = try TestKeystore()
        key = try kms.key()
        let other = try TestKeystore()
        foreign = try StateTableTests.blob(other, try other.key())
    }

    private func decrypt(_ blob: [UInt8], as caller: Caller) throws -> KMSError? {
        try kms.refusal(.decrypt, Structure([.ciphertextBlob: .bytes(blob)]), as: caller)
    }

    private func put(_ statement: String) throws {
        try kms.ask(
            .putKeyPolicy,
            Structure([
                .keyID: .text(key), .policy: .text(PolicyTexts.document([statement])),
                .bypassPolicyLockoutSafetyCheck: .flag(true),
            ]))
    }

    static let policies = [
        PolicyTexts.statement(["root"], ["kms:*"]),
        PolicyTexts.statement(["root"], ["kms:Describe*"]),
        PolicyTexts.statement(["*"], ["kms:*"], effect: "Deny"),
    ]

    @Test(arguments: policies)
    func `who may not decrypt does not learn whether the key exists`(_ policy: String) throws {
        let blob = try StateTableTests.blob(kms, key)
        try put(policy)
        let refusal = try decrypt(blob, as: kms.stranger)
        #expect(
            refusal?.message
                == PermissionTests.hiddenDenial("Decrypt", kms.stranger, cause: nil).message)
        #expect(refusal?.message == (try decrypt(foreign, as: kms.stranger))?.message)
    }

    @Test(arguments: policies.dropFirst())
    func `nor does the owner, whom the key's policy keeps out`(_ policy: String) throws {
        let blob = try StateTableTests.blob(kms, key)
        try put(policy)
        #expect(try decrypt(blob, as: kms.owner)?.message == unknownKeyMessage)
        #expect(try decrypt(foreign, as: kms.owner)?.message == unknownKeyMessage)
    }

    @Test func `the log has the key and the cause`() throws {
        let blob = try StateTableTests.blob(kms, key)
        _ = try decrypt(blob, as: kms.stranger)
        let event = try #require(try kms.events().last)
        #expect(event.errorCode == "AccessDeniedException")
        #expect(
            event.errorMessage
                == PermissionTests.denial("Decrypt", kms.stranger, key, .identity).message)
        #expect(event.keyARNs == [key])
    }

    @Test func `ReEncrypt tells no more of its source`() throws {
        let input = Structure([
            .ciphertextBlob: .bytes(try StateTableTests.blob(kms, key)),
            .destinationKeyID: .text(key),
        ])
        let denied = { (cause: KMSError?) in
            PermissionTests.hiddenDenial("ReEncryptFrom", kms.stranger, cause: cause)
        }
        #expect(
            try kms.refusal(.reEncrypt, input, as: kms.stranger)
                == denied(PermissionTests.denial("ReEncryptFrom", kms.stranger, key, .identity)))
        #expect(
            try kms.refusal(
                .reEncrypt, input.with(.ciphertextBlob, .bytes(foreign)), as: kms.stranger)
                == denied(nil))
    }

    @Test func `a key that is named is told in full`() throws {
        let input = Structure([
            .ciphertextBlob: .bytes(try StateTableTests.blob(kms, key)), .keyID: .text(key),
        ])
        #expect(
            try kms.refusal(.decrypt, input, as: kms.stranger)
                == PermissionTests.denial("Decrypt", kms.stranger, key, .identity))
    }
}
