import KMSModel
import Testing

@Suite struct IdentifierTests {
    @Test func `a key id is read in both forms and written back`() throws {
        for text in [
            "01234567-89ab-4cde-8f01-23456789abcd", "mrk-0123456789abcdef0123456789abcdef",
        ] {
            let id = try #require(KeyID(text))
            #expect(id.description == text)
            #expect(KeyID(bytes: id.bytes, isMultiRegion: id.isMultiRegion) == id)
        }
    }

    @Test(arguments: [
        "", "0123456789abcdef0123456789abcdef", "01234567-89ab-4cde-8f01-23456789abc",
        "01234567x89ab-4cde-8f01-23456789abcd", "mrk-0123", "01234567-89ab-4cde-8f01-23456789abcg",
    ])
    func `what is no key id is refused`(_ text: String) {
        #expect(KeyID(text) == nil)
    }

    @Test(arguments: ["alias/", "alias", "alias/a b", "alias/ä", "alias/a:b", "Alias/a"])
    func `what is no alias name is refused`(_ text: String) {
        #expect(AliasName(text) == nil)
    }

    @Test(arguments: [
        ("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"), ("us-isob-east-1", "aws-iso-b"),
        ("eusc-de-east-1", "aws-eusc"),
    ])
    func `a key's ARN has the partition of its Region`(_ region: String, _ partition: String) throws
    {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab"
        let text = "arn:\(partition):kms:\(region):111122223333:key/\(id)"
        let arn = try #require(KeyARN(text))
        #expect(arn.description == text)
        #expect(KeyARN("arn:aws:kms:\(region):111122223333:key/\(id)") == arn)
        #expect(KeyARN("arn:aws-other:kms:\(region):111122223333:key/\(id)") == nil)
        let alias = try #require(AliasName("alias/a"))
        #expect(
            alias.arn(in: arn.scope) == "arn:\(partition):kms:\(region):111122223333:alias/a")
    }

    @Test func `an alias name has at most 256 characters`() {
        #expect(AliasName("alias/" + String(repeating: "a", count: 250)) != nil)
        #expect(AliasName("alias/" + String(repeating: "a", count: 251)) == nil)
    }

    @Test func `the four ways to name a key are told apart`() throws {
        let scope = try #require(AccountScope(account: "111122223333", region: "eu-west-1"))
        let id = try #require(KeyID("01234567-89ab-4cde-8f01-23456789abcd"))
        let alias = try #require(AliasName("alias/a"))
        #expect(KeyReference(id.description) == .keyID(id))
        #expect(
            KeyReference("arn:aws:kms:eu-west-1:111122223333:key/\(id)")
                == .keyARN(KeyARN(scope: scope, keyID: id)))
        #expect(KeyReference("alias/a") == .alias(alias))
        #expect(
            KeyReference("arn:aws:kms:eu-west-1:111122223333:alias/a") == .aliasARN(scope, alias))
        #expect(KeyReference("arn:aws:s3:eu-west-1:111122223333:key/\(id)") == nil)
    }
}

@Suite struct EncryptionContextTests {
    @Test func `no two contexts share an encoding`() {
        let contexts: [[String: String]] = [
            [:], ["": ""], ["a": "bc"], ["ab": "c"], ["abc": ""], ["a": "b", "c": ""],
            ["a": "", "b": "c"],
        ]
        let encodings = Set(contexts.map { EncryptionContext($0).canonicalBytes })
        #expect(encodings.count == contexts.count)
    }

    @Test func `the encoding is a count and length-prefixed strings, sorted by bytes`() {
        #expect(
            EncryptionContext(["b": "x", "a": ""]).canonicalBytes
                == [0, 0, 0, 2, 0, 0, 0, 1, 97, 0, 0, 0, 0, 0, 0, 0, 1, 98, 0, 0, 0, 1, 120])
    }
}

@Suite struct SymmetricBlobTests {
    @Test func `a blob is read back, and nothing shorter or longer is`() throws {
        let id = try #require(KeyID("01234567-89ab-4cde-8f01-23456789abcd"))
        let blob = SymmetricBlob(
            keyID: id, keyVersion: 7, salt: [UInt8](repeating: 1, count: 16),
            box: [UInt8](repeating: 2, count: 29))
        let bytes = blob.bytes
        #expect(bytes.count == SymmetricBlob.headBytes + 29)
        #expect(SymmetricBlob(decoding: bytes) == blob)
        #expect(SymmetricBlob(decoding: Array(bytes.dropLast())) == nil)
        let longest = bytes + [UInt8](repeating: 0, count: 4095)
        #expect(SymmetricBlob(decoding: longest) != nil)
        #expect(SymmetricBlob(decoding: longest + [0]) == nil)
    }

    @Test func `another format, unknown flags and version 0 are refused`() throws {
        let id = try #require(KeyID("01234567-89ab-4cde-8f01-23456789abcd"))
        let bytes = SymmetricBlob(
            keyID: id, keyVersion: 1, salt: [UInt8](repeating: 1, count: 16),
            box: [UInt8](repeating: 2, count: 29)
        ).bytes
        for (index, value) in [(0, UInt8(2)), (1, 2), (21, 0)] {
            var changed = bytes
            changed[index] = value
            #expect(SymmetricBlob(decoding: changed) == nil)
        }
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00Z"), (951_782_400_000, "2000-02-29T00:00:00Z"),
        (1_795_522_500_000, "2026-11-24T12:15:00Z"), (-1000, "1969-12-31T23:59:59Z"),
    ])
    func `times are written and read as ISO 8601`(_ milliseconds: Int64, _ text: String) {
        let time = Timestamp(millisecondsSinceEpoch: milliseconds)
        #expect(time.iso8601 == text)
        #expect(Timestamp(iso8601: text) == time)
    }

    @Test(arguments: ["", "2026", "2026-13-01", "2026-11-23T25:00:00Z", "2026-11-23T10:00:00"])
    func `what is no time is refused`(_ text: String) {
        #expect(Timestamp(iso8601: text) == nil)
    }
}

@Suite struct KeyStateRuleTests {
    private static let arn: KeyARN = {
        guard let scope = AccountScope(account: "111122223333", region: "us-east-1") else {
            preconditionFailure("an account has twelve digits")
        }
        return KeyARN(scope: scope, keyID: KeyID(high: 1, low: 2, isMultiRegion: false))
    }()
    private static let now = Timestamp(secondsSinceEpoch: 1_000_000)

    @Test func `cancelling a deletion always ends in disabled`() throws {
        for state in [KeyState.enabled, .disabled] {
            let pending = try state.applying(
                .scheduleDeletion(windowDays: 7, hasReplicas: false), to: Self.arn, now: Self.now)
            #expect(pending == .pendingDeletion(at: Self.now.advanced(byDays: 7)))
            #expect(
                try pending.applying(.cancelDeletion, to: Self.arn, now: Self.now) == .disabled)
        }
    }

    @Test(arguments: [
        KeyEvent.enable, .disable, .scheduleDeletion(windowDays: 7, hasReplicas: false),
    ])
    func `a key that waits for its deletion takes nothing but its cancelling`(_ event: KeyEvent) {
        #expect(throws: KMSError.invalidState("\(Self.arn) is pending deletion.")) {
            try KeyState.pendingDeletion(at: Self.now).applying(
                event, to: Self.arn, now: Self.now)
        }
    }

    @Test func `a primary key that waits for its replicas says so`() {
        #expect(throws: KMSError.invalidState("\(Self.arn) is pending replica deletion.")) {
            try KeyState.pendingReplicaDeletion(windowDays: 7)
                .permit(.changeAttributes, on: Self.arn)
        }
    }

    @Test func `reading is allowed in every state`() throws {
        for state in [KeyState.enabled, .disabled, .pendingDeletion(at: Self.now)] {
            try state.permit(.read, on: Self.arn)
        }
    }
}
