import Cryptography
import KMSCore
import KMSModel
import Testing

@Suite struct CryptographicOperationTests {
    let kms: TestKeystore
    let key: KeyARN

    init() throws {
        kms = try TestKeystore()
        key = try kms.newKey().arn
    }

    private func encrypt(
        _ plaintext: [UInt8] = Array("text".utf8), _ context: [String: String] = [:]
    ) throws -> [UInt8] {
        try kms.service.encrypt(
            secret(plaintext), under: key.description, context: EncryptionContext(context),
            as: kms.owner
        ).blob
    }

    private func decrypt(
        _ blob: [UInt8], under key: String? = nil, _ context: [String: String] = [:]
    ) throws -> UnwrappedData {
        try kms.service.decrypt(
            blob, under: key, context: EncryptionContext(context), as: kms.owner)
    }

    @Test(arguments: [1, 32, 4096])
    func `what was encrypted decrypts`(_ count: Int) throws {
        let plaintext = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let blob = try encrypt(plaintext, ["a": "b"])
        let opened = try decrypt(blob, ["a": "b"])
        #expect(bytes(opened.plaintext) == plaintext)
        #expect(opened.keyARN == key)
        #expect(try encrypt(plaintext, ["a": "b"]) != blob)
    }

    @Test(arguments: [
        (0, "Member must have length greater than or equal to 1"),
        (4097, "Member must have length less than or equal to 4096"),
    ])
    func `plaintexts of other lengths are refused without being shown`(
        _ count: Int, _ constraint: String
    ) throws {
        let message =
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
            + constraint
        #expect(throws: KMSError.validation(message)) {
            try encrypt([UInt8](repeating: 7, count: count))
        }
    }

    @Test(arguments: [
        (
            0,
            "Value '0' at 'numberOfBytes' failed to satisfy constraint: "
                + "Member must have value greater than or equal to 1"
        ),
        (
            1025,
            "Value '1025' at 'numberOfBytes' failed to satisfy constraint: "
                + "Member must have value less than or equal to 1024"
        ),
    ])
    func `data keys and random bytes have bounds`(_ count: Int, _ message: String) throws {
        let expected = KMSError.validation("1 validation error detected: \(message)")
        #expect(throws: expected) {
            try kms.service.generateDataKey(
                under: key.description, byteCount: count, context: .empty, as: kms.owner)
        }
        #expect(throws: expected) {
            try kms.service.generateDataKeyWithoutPlaintext(
                under: key.description, byteCount: count, context: .empty, as: kms.owner)
        }
        #expect(throws: expected) {
            try kms.service.generateRandom(byteCount: count, as: kms.owner)
        }
    }

    @Test func `contexts with the same letters are not interchangeable`() throws {
        let contexts: [[String: String]] = [
            [:], ["a": "bc"], ["ab": "c"], ["a": "b", "c": ""], ["abc": ""], ["A": "bc"],
        ]
        for (index, context) in contexts.enumerated() {
            let blob = try encrypt(Array("x".utf8), context)
            for (other, wrong) in contexts.enumerated() where other != index {
                #expect(throws: KMSError.invalidCiphertext) { try decrypt(blob, wrong) }
            }
            #expect(text(try decrypt(blob, context).plaintext) == "x")
        }
    }

    @Test func `the order in which a context is written does not matter`() throws {
        let blob = try encrypt(Array("x".utf8), ["b": "2", "a": "1"])
        #expect(text(try decrypt(blob, ["a": "1", "b": "2"]).plaintext) == "x")
    }

    @Test func `every flipped bit of a blob is found`() throws {
        let blob = try encrypt()
        for index in blob.indices {
            for bit in 0..<8 {
                var changed = blob
                changed[index] ^= 1 << bit
                // Bit 0 of byte 1 and bytes 2 to 17 name the key: another name is another key.
                let namesAnotherKey = (2..<18).contains(index) || index == 1 && bit == 0
                #expect(
                    throws: namesAnotherKey
                        ? KMSError.accessDenied(unknownKeyMessage) : .invalidCiphertext
                ) { try decrypt(changed) }
                #expect(throws: namesAnotherKey ? KMSError.incorrectKey : .invalidCiphertext) {
                    try decrypt(changed, under: key.description)
                }
            }
        }
    }

    @Test func `cut and lengthened blobs are refused`() throws {
        let blob = try encrypt()
        for count in 1..<blob.count {
            #expect(throws: KMSError.invalidCiphertext) { try decrypt(Array(blob.prefix(count))) }
        }
        #expect(throws: KMSError.invalidCiphertext) { try decrypt(blob + [0]) }
        #expect(
            throws: KMSError.validation(
                "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy "
                    + "constraint: Member must have length greater than or equal to 1")
        ) { try decrypt([]) }
        #expect(
            throws: KMSError.validation(
                "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy "
                    + "constraint: Member must have length less than or equal to 6144")
        ) { try decrypt([UInt8](repeating: 1, count: 6145)) }
    }

    @Test func `naming another key for a blob is an incorrect key`() throws {
        let other = try kms.newKey().arn
        let blob = try encrypt()
        #expect(throws: KMSError.incorrectKey) { try decrypt(blob, under: other.description) }
        #expect(text(try decrypt(blob, under: key.keyID.description).plaintext) == "text")
    }

    @Test func `a key of another keystore is not told from a missing one`() throws {
        let other = try TestKeystore()
        let blob = try encrypt()
        #expect(throws: KMSError.accessDenied(unknownKeyMessage)) {
            try other.service.decrypt(blob, under: nil, context: .empty, as: other.owner)
        }
    }

    @Test func `a data key's plaintext is what its blob holds`() throws {
        let context = EncryptionContext(["keyfold:file": "1"])
        let dataKey = try kms.service.generateDataKey(
            under: key.description, byteCount: 32, context: context, as: kms.owner)
        #expect(dataKey.plaintext.count == 32)
        let opened = try kms.service.decrypt(
            dataKey.wrapped.blob, under: key.description, context: context, as: kms.owner)
        #expect(opened.plaintext.isEqual(to: dataKey.plaintext))
        #expect(opened.materialID == dataKey.wrapped.materialID)
        let blind = try kms.service.generateDataKeyWithoutPlaintext(
            under: key.description, byteCount: 1024, context: context, as: kms.owner)
        #expect(
            try kms.service.decrypt(blind.blob, under: nil, context: context, as: kms.owner)
                .plaintext.count == 1024)
    }

    @Test func `re-encryption moves a blob to another key and context`() throws {
        let other = try kms.newKey().arn
        let blob = try encrypt(Array("x".utf8), ["a": "1"])
        let moved = try kms.service.reEncrypt(
            ReEncryptRequest(
                blob: blob, sourceKey: key.description,
                sourceContext: EncryptionContext(["a": "1"]),
                destinationKey: other.description,
                destinationContext: EncryptionContext(["b": "2"])), as: kms.owner)
        #expect(moved.keyARN == other)
        #expect(text(try decrypt(moved.blob, ["b": "2"]).plaintext) == "x")
        #expect(throws: KMSError.invalidCiphertext) { try decrypt(moved.blob, ["a": "1"]) }
        let event = try #require(try kms.events().last { $0.eventName == "ReEncrypt" })
        #expect(Set(event.keyARNs) == [key.description, other.description])
    }

    @Test func `keys are named by id, ARN, alias and alias ARN`() throws {
        try kms.service.createAlias("alias/a", target: key.description, as: kms.owner)
        for name in [
            key.description, key.keyID.description, "alias/a",
            "arn:aws:kms:us-east-1:111122223333:alias/a",
        ] {
            let wrapped = try kms.service.encrypt(
                secret("x"), under: name, context: .empty, as: kms.owner)
            #expect(wrapped.keyARN == key)
            #expect(try kms.service.describeKey(name, as: kms.owner).arn == key)
        }
        for name in ["alias/a", "arn:aws:kms:us-east-1:111122223333:alias/a"] {
            #expect(
                throws: KMSError.invalidARN("Key Aliases are not supported for this operation.")
            ) { try kms.service.disableKey(name, as: kms.owner) }
        }
    }

    @Test(arguments: [
        ("nonsense", KMSError.notFound("Invalid keyId 'nonsense'")),
        (
            "0123456789abcdef0123456789abcdef",
            .notFound("Invalid keyId '0123456789abcdef0123456789abcdef'")
        ),
        (
            "00000000-0000-4000-8000-000000000000",
            .notFound(
                "Key 'arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000' "
                    + "does not exist")
        ),
        (
            "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000",
            .notFound("Invalid arn eu-west-1")
        ),
        (
            "alias/none",
            .notFound("Alias arn:aws:kms:us-east-1:111122223333:alias/none is not found.")
        ),
        ("arn:aws:kms:nothing", .invalidARN("Invalid arn arn:aws:kms:nothing")),
        (
            "",
            .validation(
                "1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: "
                    + "Member must have length greater than or equal to 1")
        ),
    ])
    func `names of no key get AWS's words`(_ name: String, _ error: KMSError) throws {
        #expect(throws: error) { try kms.service.describeKey(name, as: kms.owner) }
    }

    @Test func `a key of another account is denied`() throws {
        let foreign =
            "arn:aws:kms:us-east-1:999988887777:key/00000000-0000-4000-8000-000000000000"
        #expect(
            throws: KMSError.accessDenied(
                "User: arn:aws:iam::111122223333:root is not authorized to perform: "
                    + "kms:DescribeKey on resource: \(foreign) because no resource-based policy "
                    + "allows the kms:DescribeKey action")
        ) { try kms.service.describeKey(foreign, as: kms.owner) }
    }

    @Test func `only the owner may use keys`() throws {
        let blob = try encrypt()
        func denied(_ action: String, _ key: KeyARN?) -> KMSError {
            .accessDenied(
                "User: arn:aws:iam::111122223333:user/mallory is not authorized to perform: "
                    + "kms:\(action)\(key.map { " on resource: \($0)" } ?? "") because no "
                    + "identity-based policy allows the kms:\(action) action")
        }
        #expect(
            throws: PermissionTests.hiddenDenial(
                "Decrypt", kms.stranger, cause: denied("Decrypt", key))
        ) { try kms.service.decrypt(blob, under: nil, context: .empty, as: kms.stranger) }
        #expect(throws: denied("Decrypt", key)) {
            try kms.service.decrypt(
                blob, under: key.description, context: .empty, as: kms.stranger)
        }
        #expect(throws: denied("GenerateDataKey", key)) {
            try kms.service.generateDataKey(
                under: key.description, byteCount: 32, context: .empty, as: kms.stranger)
        }
        #expect(throws: denied("CreateKey", nil)) {
            try kms.service.createKey(CreateKeyRequest(), as: kms.stranger)
        }
        #expect(throws: denied("ListKeys", nil)) {
            try kms.service.listKeys(PageRequest(), as: kms.stranger)
        }
        #expect(throws: denied("GenerateRandom", nil)) {
            try kms.service.generateRandom(byteCount: 8, as: kms.stranger)
        }
    }

    @Test func `threads decrypt while another rotates`() async throws {
        let blob = try encrypt()
        try await withThrowingTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<300 {
                        let plaintext = try decrypt(blob).plaintext
                        #expect(text(plaintext) == "text")
                    }
                }
            }
            group.addTask {
                for _ in 0..<25 {
                    _ = try kms.service.rotateKeyOnDemand(key.description, as: kms.owner)
                    let plaintext = try decrypt(try encrypt()).plaintext
                    #expect(text(plaintext) == "text")
                }
            }
            try await group.waitForAll()
        }
        #expect(
            try kms.service.describeKey(key.description, as: kms.owner).currentVersion == 26)
    }
}
