import Foundation
import KMSModel
import Synchronization
import Testing

/// ReEncrypt uses two keys, both as they are at one time.
@Suite struct ReEncryptTests {
    private let kms: TestKeystore
    private let alice: Caller
    private let source: String
    private let other: String

    init() throws {
        kms = try TestKeystore()
        alice = try kms.newUser("alice")
        // To open a ciphertext under an RSA key takes so long that an alias may change meanwhile.
        source = try kms.key(.rsa2048, .encryptDecrypt)
        other = try kms.key(.rsa2048, .encryptDecrypt)
    }

    /// Lets alice encrypt anew under a key if it is the source's, or if it is not.
    private func put(_ more: String..., on key: String, ifSame isSame: Bool) throws {
        let there = PolicyTexts.statement(
            ["alice"], ["kms:ReEncryptTo"],
            condition: #"{"Bool": {"kms:ReEncryptOnSameKey": "\#(isSame)"}}"#)
        try kms.ask(
            .putKeyPolicy,
            Structure([
                .keyID: .text(key),
                .policy: .text(PolicyTexts.document([PermissionTests.owners, there] + more)),
            ]))
    }

    private func point(_ operation: KMSOperation, to key: String) throws {
        try kms.ask(
            operation, Structure([.aliasName: .text("alias/moving"), .targetKeyID: .text(key)]))
    }

    private func request() throws -> Structure {
        let algorithm = Value.choice(EncryptionAlgorithm.rsaesOaepSha256)
        let sealed = try kms.ask(
            .encrypt,
            Structure([
                .keyID: .text(source), .plaintext: .secret(secret("x")),
                .encryptionAlgorithm: algorithm,
            ]))
        return Structure([
            .ciphertextBlob: sealed[.ciphertextBlob], .sourceKeyID: .text(source),
            .destinationKeyID: .text("alias/moving"), .sourceEncryptionAlgorithm: algorithm,
            .destinationEncryptionAlgorithm: algorithm,
        ])
    }

    @Test func `whether both keys are one is judged of the keys that are used`() throws {
        try put(
            PolicyTexts.statement(["alice"], ["kms:ReEncryptFrom"]), on: source, ifSame: true)
        try put(on: other, ifSame: false)
        try point(.createAlias, to: source)
        let input = try request()
        let isOver = Atomic(false)
        let thread = DispatchGroup()
        DispatchQueue.global().async(group: thread) {
            defer { isOver.store(true, ordering: .relaxed) }
            for round in 0..<60 {
                #expect(throws: Never.self) {
                    try point(.updateAlias, to: round.isMultiple(of: 2) ? other : source)
                }
            }
        }
        defer { thread.wait() }
        while !isOver.load(ordering: .relaxed) {
            let refusal = try kms.refusal(.reEncrypt, input, as: alice)
            #expect(refusal == nil)
        }
    }
}
