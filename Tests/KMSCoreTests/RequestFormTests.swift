import Cryptography
import KMSModel
import Testing

@testable import KMSCore

/// The form of every request, from the service model's shapes.
@Suite struct RequestFormTests {
    @Test(arguments: KMSOperation.allCases)
    func `each broken constraint of a request is refused in AWS's words, and logged`(
        _ operation: KMSOperation
    ) throws {
        let kms = try TestKeystore()
        let revision = try kms.keystore.store.snapshot().revision
        var count = 0
        func expect(_ input: Structure, _ failures: [String]) throws {
            count += 1
            #expect(try kms.refusal(operation, input) == Complaint.expected(failures))
        }
        for member in operation.input.members {
            let path = member.member.lowerName
            if member.isRequired {
                var input = Sample.structure(operation.input)
                input[member.member] = nil
                try expect(input, [Complaint.missing(path)])
            }
            for broken in BrokenMember.all(member.shape, at: path) {
                var input = Sample.structure(operation.input)
                input[member.member] = broken.value
                try expect(input, broken.failures)
            }
        }
        #expect(try kms.keystore.store.snapshot().revision == revision)
        let events = try kms.events()
        #expect(events.count == count)
        #expect(events.allSatisfy { $0.eventName == operation.rawValue })
        #expect(events.allSatisfy { $0.errorCode == "ValidationException" })
    }

    /// One character of any length, and characters that JSON writes with six bytes each.
    @Test(arguments: [
        "a" + String(repeating: "\u{301}", count: 500_000),
        String(repeating: "\u{7F}", count: 100_000),
    ])
    func `what was far too long is neither sent back nor kept from the log`(_ text: String) throws {
        let kms = try TestKeystore()
        let error = try kms.refusal(.describeKey, Structure([.keyID: .text(text)]))
        #expect(error?.code == .validation)
        #expect((error?.message.utf8.count).map { $0 < 2000 } == true)
        let events = try kms.events()
        #expect(events.map(\.errorCode) == ["ValidationException"])
    }

    @Test func `all that is wrong is told at once`() throws {
        let kms = try TestKeystore()
        let input = Structure([.keySpec: .text("AES"), .keyUsage: .text("ANY")])
        let refusal = try #require(try kms.refusal(.createKey, input))
        #expect(
            refusal.message.hasPrefix("2 validation errors detected: Value 'ANY' at 'keyUsage'"))
        #expect(refusal.message.contains("; Value 'AES' at 'keySpec' failed"))
    }

    @Test func `a member that an operation does not have, or of another type, is refused`() throws {
        let kms = try TestKeystore()
        for (input, message) in [
            (
                Structure([.keyID: .text("x"), .plaintext: .secret(secret("x"))]),
                "DescribeKeyRequest has no member Plaintext"
            ),
            (Structure([.keyID: .number(1)]), "KeyId is of another type"),
            (
                Structure([.keyID: .text("x"), .grantTokens: .list([.number(1)])]),
                "an element of grantTokens is of another type"
            ),
        ] {
            #expect(try kms.refusal(.describeKey, input) == .serialization(message))
        }
    }

    /// A member far too long is refused, not a reason to fail.
    @Test(arguments: [10_001, 3_000_000])
    func `members of any size are refused, and their event fits into the log`(
        _ count: Int
    ) throws {
        let kms = try TestKeystore()
        for letter in ["x", "\u{0}", "é", "\u{1F511}"] {
            let long = String(repeating: letter, count: count)
            let refusal = try kms.refusal(
                .tagResource,
                Structure([
                    .keyID: .text(long),
                    .tags: .tags([Tag(key: long, value: long), Tag(key: long, value: long)]),
                ]))
            #expect(refusal?.code == .validation)
            let context = EncryptionContext(["name": long, long: ""])
            let encrypt = try kms.refusal(
                .encrypt,
                Structure([
                    .keyID: .text("alias/aws/keyfold"), .plaintext: .secret(secret("x")),
                    .encryptionContext: .context(context),
                ]))
            #expect(
                encrypt == .validation("EncryptionContext must not be longer than 8192 bytes"))
            #expect(
                try kms.refusal(
                    .createGrant,
                    Structure([
                        .keyID: .text("alias/aws/keyfold"), .granteePrincipal: .text("x"),
                        .operations: .texts([String](repeating: long, count: 3)),
                        .constraints: .structure(
                            Structure([.encryptionContextEquals: .context(context)])),
                    ]))?.code == .validation)
        }
        #expect(try kms.events().count == 12)
    }
}
