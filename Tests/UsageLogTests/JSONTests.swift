import Foundation
import KMSModel
import Testing

@testable import UsageLog

@Suite struct JSONTests {
    private let scope = Fixture.scope
    private let keyARN =
        "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

    /// An open of a file through a mount.
    private var decrypt: UsageEvent {
        var event = UsageEvent(
            eventID: "7c3f0e0a-5b1d-4b8e-9d0a-0f1e2d3c4b5a",
            eventTime: Timestamp(millisecondsSinceEpoch: 1_795_464_900_123),
            eventName: "Decrypt", scope: scope,
            caller: Caller(
                principalARN: scope.userARN(uid: 1000),
                process: ProcessIdentity(uid: 1000, gid: 100, pid: 4711, program: "vim"),
                userAgent: "keyfoldfs/0.1",
                fileActivity: FileActivity(operation: .open, path: "notes/a \"b\".txt")))
        event.resources = [keyARN]
        event.requestParameters = [
            .init("encryptionAlgorithm", .text("SYMMETRIC_DEFAULT")), .init("dryRun", .flag(false)),
            .init("numberOfBytes", .number(-32)),
        ]
        event.encryptionContext = EncryptionContext(["b": "2", "a": "1"])
        event.keyMaterialID = KeyMaterialID(bytes: [UInt8](repeating: 0xAB, count: 32))
        event.keyVersion = 3
        return event
    }

    @Test func `an event's record is byte for byte this`() {
        let expected = """
            {"eventVersion":"1.11","userIdentity":{"type":"IAMUser","principalId":"uid-1000",\
            "arn":"arn:aws:iam::123456789012:user/local/uid-1000","accountId":"123456789012",\
            "userName":"uid-1000"},"eventTime":"2026-11-23T20:15:00Z",\
            "eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":"us-east-1",\
            "sourceIPAddress":"127.0.0.1","userAgent":"keyfoldfs/0.1",\
            "requestParameters":{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","dryRun":false,\
            "numberOfBytes":-32,"encryptionContext":{"a":"1","b":"2"}},"responseElements":null,\
            "additionalEventData":{"eventTimeMilliseconds":1795464900123,\
            "keyMaterialId":"\(String(repeating: "ab", count: 32))","keyVersion":3,\
            "keyfold":{"uid":1000,"gid":100,"pid":4711,"program":"vim","operation":"open",\
            "path":"notes/a \\"b\\".txt"}},"requestID":"7c3f0e0a-5b1d-4b8e-9d0a-0f1e2d3c4b5a",\
            "eventID":"7c3f0e0a-5b1d-4b8e-9d0a-0f1e2d3c4b5a","readOnly":true,\
            "resources":[{"accountId":"123456789012","type":"AWS::KMS::Key","ARN":"\(keyARN)"}],\
            "eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012",\
            "eventCategory":"Management"}
            """
        #expect(String(decoding: decrypt.cloudTrailJSON(), as: UTF8.self) == expected)
    }

    @Test func `a refused request tells the exception`() throws {
        var event = decrypt
        event.error = .disabled("\(keyARN) is disabled.")
        let record = try foundationObject(event.cloudTrailJSON())
        #expect(record["errorCode"] as? String == "DisabledException")
        #expect(record["errorMessage"] as? String == "\(keyARN) is disabled.")
        #expect(record["responseElements"] is NSNull)
    }

    @Test func `the root principal and the service itself have their own identity`() throws {
        var event = decrypt
        event.caller.principalARN = scope.rootPrincipalARN
        let root = try foundationObject(event.cloudTrailJSON())["userIdentity"] as? [String: String]
        #expect(
            root == [
                "type": "Root", "principalId": "123456789012", "accountId": "123456789012",
                "arn": "arn:aws:iam::123456789012:root",
            ])
        event.eventName = "RotateKey"
        event.isReadOnly = false
        let service = try foundationObject(event.cloudTrailJSON())
        #expect(service["eventType"] as? String == "AwsServiceEvent")
        #expect(
            service["userIdentity"] as? [String: String] == [
                "accountId": "123456789012", "invokedBy": "AWS Internal",
            ])
        #expect(service["requestParameters"] is NSNull)
        let details = service["serviceEventDetails"] as? [String: Any]
        #expect(details?["encryptionAlgorithm"] as? String == "SYMMETRIC_DEFAULT")
    }

    /// Source: AWS KMS developer guide, the second of the log entries of UpdatePrimaryRegion.
    @Test func `what the service asks for on somebody's behalf says so beside his name`() throws {
        var event = decrypt
        event.eventName = "CreateKey"
        event.requestID = "another"
        event.isForwarded = true
        let record = try foundationObject(event.cloudTrailJSON())
        #expect(
            record["userIdentity"] as? [String: String] == [
                "type": "IAMUser", "principalId": "uid-1000", "accountId": "123456789012",
                "arn": "arn:aws:iam::123456789012:user/local/uid-1000", "userName": "uid-1000",
                "invokedBy": "kms.amazonaws.com",
            ])
        #expect(record["eventType"] as? String == "AwsApiCall")
        #expect(record["requestID"] as? String == "another")
        #expect(record["requestParameters"] is [String: Any])
    }

    @Test func `that a replica was synchronized is a call of the service's, without parameters`()
        throws
    {
        var event = decrypt
        event.eventName = "SynchronizeMultiRegionKey"
        event.isReadOnly = false
        event.responseElements = [.init("keyId", .text(keyARN))]
        let record = try foundationObject(event.cloudTrailJSON())
        #expect(
            record["userIdentity"] as? [String: String] == [
                "accountId": "123456789012", "invokedBy": "AWS Internal",
            ])
        #expect(record["eventType"] as? String == "AwsApiCall")
        #expect(record["eventCategory"] as? String == "Management")
        #expect(record["requestParameters"] is NSNull)
        #expect(record["responseElements"] as? [String: String] == ["keyId": keyARN])
        #expect(record["serviceEventDetails"] == nil)
    }

    @Test(arguments: [
        "", "plain", "\"", "\\", "\u{0}\u{1}\u{1F}\u{7F}", "\n\r\t", "\u{80}\u{9B}\u{9F}\u{A0}é",
        "\u{C2}\u{FF}", "日本語 🗝️", "\u{2028}\u{2029}\u{FEFF}", "</script>", "a\u{0}b",
        String(decoding: [0x66, 0xFF, 0xC2, 0xC2, 0x80, 0xED, 0xA0, 0x80], as: UTF8.self),
    ])
    func `any string survives JSON`(_ text: String) throws {
        var event = decrypt
        event.caller.userAgent = text
        event.caller.fileActivity?.path = text
        event.requestParameters = [.init(text, .text(text))]
        event.encryptionContext = EncryptionContext([text: text])
        let json = event.cloudTrailJSON()
        #expect(!json.contains { $0 < 0x20 || $0 == 0x7F })
        let record = try foundationObject(json)
        #expect((record["userAgent"] as? String)?.utf8.elementsEqual(text.utf8) == true)
        let logged = try #require(
            LoggedEvent(segment: SegmentID(), sequence: 1, time: 0, json: json))
        #expect(logged.path?.utf8.elementsEqual(text.utf8) == true)
        #expect(logged.encryptionContext.map(\.value) == [text])
        #expect(logged.encryptionContext.map(\.name) == [text])
    }

    @Test func `times are those of Timestamp`() throws {
        for milliseconds in [
            0, 1, 999, 951_782_400_000, 951_868_799_999, 1_709_164_800_000, 4_102_444_799_999,
            253_402_300_799_999, 253_402_300_800_000, -1,
        ] as [Int64] {
            var event = decrypt
            event.eventTime = Timestamp(millisecondsSinceEpoch: milliseconds)
            let record = try foundationObject(event.cloudTrailJSON())
            #expect(record["eventTime"] as? String == event.eventTime.iso8601)
        }
    }

    @Test func `what was logged is read back field by field`() throws {
        var event = decrypt
        event.error = .incorrectKey
        let logged = try #require(
            LoggedEvent(
                segment: SegmentID(), sequence: 7, time: event.eventTime.millisecondsSinceEpoch,
                json: event.cloudTrailJSON()))
        #expect(logged.eventTime == event.eventTime)
        #expect(logged.eventName == "Decrypt")
        #expect(logged.keyARNs == [keyARN])
        #expect(logged.principalARN == event.caller.principalARN)
        #expect(logged.keyVersion == 3)
        #expect(logged.errorCode == "IncorrectKeyException")
        #expect(logged.uid == 1000 && logged.gid == 100 && logged.pid == 4711)
        #expect(logged.program == "vim")
        #expect(logged.fileOperation == "open")
        #expect(logged.path == "notes/a \"b\".txt")
        #expect(logged.encryptionContext.map(\.name) == ["a", "b"])
    }

    @Test(arguments: [
        "", "{", "}", "{]", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01", "1.", "-", "1e", "+1",
        "tru", "nul", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00x\"", "1 2",
        "\"\u{1}\"", "[1 2]", "--1", ".5", "\"\\ud800\\u0041\"",
    ])
    func `what is no JSON is refused`(_ text: String) {
        #expect(JSON(ofLog: Array(text.utf8)) == nil)
    }

    @Test func `what is JSON is read`() {
        let text =
            #" {"a" : [1, -2.5e+3, 0, true, false, null, {}, []], "b\u00e9\ud83d\udddd":"\/"} "#
        #expect(
            JSON(ofLog: Array(text.utf8))
                == .object([
                    .init(
                        name: "a",
                        value: .array([
                            .number("1"), .number("-2.5e+3"), .number("0"), .flag(true),
                            .flag(false), .null, .object([]), .array([]),
                        ])),
                    .init(name: "bé🗝", value: .text("/")),
                ]))
        #expect(JSON(ofLog: Array(repeating: UInt8(ascii: "["), count: 100_000)) == nil)
        #expect(JSON(ofLog: [0x22, 0xFF, 0x22]) == nil)
    }

    @Test func `the parser never traps on changed records`() {
        let original = decrypt.cloudTrailJSON()
        var random = SeededRandom(seed: 20261123)
        for _ in 0..<3000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                default: bytes.removeLast(bytes.count - index)
                }
                if bytes.isEmpty { break }
            }
            _ = LoggedEvent(segment: SegmentID(), sequence: 1, time: 0, json: bytes)
        }
    }

    private func foundationObject(_ json: [UInt8]) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any])
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
