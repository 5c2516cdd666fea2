import Cryptography
import KMSModel
import KMSStore
import Testing

@testable import KMSCore

/// DryRun, of every operation that has it: all is checked, nothing is done and nothing is told.
@Suite struct DryRunTests {
    private static let would = KMSError(
        .dryRun, "The request would have succeeded, but the DryRun option is set.")

    /// The rows of the state table that ask for more than a state, and those that need a key of
    /// another kind than theirs.
    static let rows =
        StateTableTests.rows.filter { row in
            row.operation.input[.dryRun] != nil && row.operation != .encapsulate
                && row.operation != .decapsulate
        } + encapsulation

    private static let encapsulating = Structure([.encapsulationAlgorithm: .text("ML_KEM")])
    private static let encapsulation: [StateTableTests.Row] = [
        StateTableTests.Row(operation: .encapsulate, spec: .mlKem768, cells: [:]) { _, _ in
            encapsulating
        },
        StateTableTests.Row(operation: .decapsulate, spec: .mlKem768, cells: [:]) { kms, key in
            let made = try kms.ask(.encapsulate, encapsulating.with(.keyID, .text(key)))
            return encapsulating.with(
                .sharedSecretCiphertextBlob, made[.sharedSecretCiphertextBlob])
        },
    ]

    @Test func `the table has every operation that takes a DryRun`() {
        let all = KMSOperation.allCases.filter { $0.input[.dryRun] != nil }
        #expect(Set(Self.rows.map(\.operation)) == Set(all))
        #expect(all.count == 17)
    }

    @Test(arguments: rows)
    func `a dry run says that it would have worked, and does and tells nothing`(
        _ row: StateTableTests.Row
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.key(row.spec, row.usage)
        var input = try row.members(kms, key)
        if input[row.name] == nil { input[row.name] = .text(key) }
        input[.dryRun] = .flag(true)
        let before = try traces(kms, key)
        kms.clock.advance(minutes: 5)
        #expect(try kms.refusal(row.operation, input) == Self.would)
        #expect(try kms.refusal(row.operation, input, as: kms.stranger)?.code == .accessDenied)
        #expect(try traces(kms, key) == before)
        input[.dryRun] = .flag(false)
        #expect(try kms.refusal(row.operation, input) == nil)
    }

    private struct Traces: Equatable {
        let revision: UInt64
        let grantIDs: [String]
        let lastUse: Timestamp?
    }

    /// What an operation that was carried out would leave.
    private func traces(_ kms: TestKeystore, _ key: String) throws -> Traces {
        let input = Structure([.keyID: .text(key)])
        return Traces(
            revision: try kms.keystore.store.snapshot().revision,
            grantIDs: try kms.ask(.listGrants, input).structures(.grants).compactMap {
                $0.text(.grantID)
            },
            lastUse: try kms.ask(.getKeyLastUsage, input).structure(.keyLastUsage)?
                .time(.timestamp))
    }

    /// Recorded from AWS, as that a wrong ciphertext is told.
    @Test func `a dry run tells a wrong signature, code or ciphertext`() throws {
        let kms = try TestKeystore()
        let other = Value.secret(secret("another message"))
        var signing = StateTableTests.signing
        signing[.keyID] = .text(try kms.key(.eccNistP256, .signVerify))
        let signed = signing.with(.signature, try kms.ask(.sign, signing)[.signature])
            .with(.dryRun, .flag(true))
        #expect(try kms.refusal(.verify, signed) == Self.would)
        #expect(
            try kms.refusal(.verify, signed.with(.message, other)) == KMSError(.invalidSignature))

        var coding = StateTableTests.coding
        coding[.keyID] = .text(try kms.key(.hmac256))
        let coded = coding.with(.mac, try kms.ask(.generateMAC, coding)[.mac])
            .with(.dryRun, .flag(true))
        #expect(try kms.refusal(.verifyMAC, coded) == Self.would)
        #expect(try kms.refusal(.verifyMAC, coded.with(.message, other)) == KMSError(.invalidMAC))

        var blob = try StateTableTests.blob(kms, try kms.key())
        blob[blob.count - 1] ^= 1
        let opening = Structure([.ciphertextBlob: .bytes(blob), .dryRun: .flag(true)])
        #expect(try kms.refusal(.decrypt, opening) == .invalidCiphertext)
    }

    @Test func `a dry run tells a context that no key pair takes`() throws {
        let kms = try TestKeystore()
        let (pair, key) = (try kms.key(.rsa2048, .encryptDecrypt), try kms.key())
        let context = Value.context(EncryptionContext(["a": "b"]))
        let refused = KMSError.validation(
            "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.")
        #expect(
            try kms.refusal(
                .encrypt,
                Structure([
                    .keyID: .text(pair), .plaintext: .secret(secret("x")),
                    .encryptionAlgorithm: .text("RSAES_OAEP_SHA_256"),
                    .encryptionContext: context, .dryRun: .flag(true),
                ])) == refused)
        #expect(
            try kms.refusal(
                .reEncrypt,
                Structure([
                    .ciphertextBlob: .bytes(try StateTableTests.blob(kms, key)),
                    .destinationKeyID: .text(pair),
                    .destinationEncryptionAlgorithm: .text("RSAES_OAEP_SHA_256"),
                    .destinationEncryptionContext: context, .dryRun: .flag(true),
                ])) == refused)
    }

    @Test func `a dry run may leave the ciphertext out where it says so`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        var input = Structure([
            .keyID: .text(key), .dryRun: .flag(true),
            .dryRunModifiers: .texts(["IGNORE_CIPHERTEXT"]),
        ])
        #expect(try kms.refusal(.decrypt, input) == Self.would)
        #expect(try kms.refusal(.decrypt, input, as: kms.stranger)?.code == .accessDenied)
        input[.keyID] = nil
        #expect(try kms.refusal(.decrypt, input) == .validation("KeyId is required."))
        input[.keyID] = .text(key)
        input[.dryRunModifiers] = nil
        #expect(try kms.refusal(.decrypt, input) == .validation("CiphertextBlob is required."))
        input[.dryRun] = nil
        input[.dryRunModifiers] = .texts(["IGNORE_CIPHERTEXT"])
        #expect(
            try kms.refusal(.decrypt, input)
                == .validation("DryRunModifiers can be specified only when DryRun is true."))
        #expect(
            try kms.refusal(
                .reEncrypt,
                Structure([
                    .sourceKeyID: .text(key), .destinationKeyID: .text(try kms.key()),
                    .dryRun: .flag(true), .dryRunModifiers: .texts(["IGNORE_CIPHERTEXT"]),
                ])) == Self.would)
    }
}
