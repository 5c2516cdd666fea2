import KMSModel
import KMSWire
import TestSupport
import Testing

@testable import KMSClient

@Suite struct CredentialProcessTests {
    private static func parse(_ text: String) throws(CredentialProcessAnswer.Fault)
        -> AWSCredentials
    {
        try CredentialProcessAnswer.parse(Array(text.utf8))
    }

    @Test func `an answer has a key, and may have a token and an end`() throws {
        let full = try Self.parse(
            #"""
             {"Version": 1, "AccessKeyId" : "AKID", "SecretAccessKey":"a\/b\u002b\u00e9\ud83d\ude00",
              "SessionToken": "t", "Expiration": "2026-11-24T12:00:00Z", "More": [1, {"a": null}]} 
            """#)
        #expect(full.accessKeyID == "AKID")
        #expect(exposed(full.secretAccessKey) == Array("a/b+é😀".utf8))
        #expect(full.sessionToken == "t")
        #expect(full.expiration == Timestamp(iso8601: "2026-11-24T12:00:00Z"))
        #expect("\(full)" == "AWSCredentials(AKID)")
        let short = try Self.parse(
            #"{"SecretAccessKey":"s","AccessKeyId":"A","Version":1,"SessionToken":null}"#)
        #expect(short.sessionToken == nil)
        #expect(short.expiration == nil)
    }

    @Test(arguments: [
        ("", CredentialProcessAnswer.Fault.notJSON), ("[]", .notJSON), ("{}", .otherVersion),
        (#"{"Version":2,"AccessKeyId":"A","SecretAccessKey":"s"}"#, .otherVersion),
        (#"{"Version":"1","AccessKeyId":"A","SecretAccessKey":"s"}"#, .otherVersion),
        (#"{"Version":1,"SecretAccessKey":"s"}"#, .noAccessKeyID),
        (#"{"Version":1,"AccessKeyId":"","SecretAccessKey":"s"}"#, .noAccessKeyID),
        (#"{"Version":1,"AccessKeyId":"A"}"#, .noSecretAccessKey),
        (#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":""}"#, .noSecretAccessKey),
        (#"{"Version":1,"AccessKeyId":1,"SecretAccessKey":"s"}"#, .malformedMember),
        (#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":["s"]}"#, .malformedMember),
        (
            #"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"}"#,
            .malformedExpiration
        ),
        (#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s"}{}"#, .notJSON),
    ])
    func `an answer without them is refused`(
        _ text: String, _ fault: CredentialProcessAnswer.Fault
    ) {
        #expect(throws: fault) { try Self.parse(text) }
    }

    @Test(arguments: [
        ("2026-11-24T12:00:00Z", 0), ("2026-11-24T12:00:00.5Z", 500),
        ("2026-11-24T12:00:00.123456789Z", 123), ("2026-11-24T14:30:00+02:30", 0),
        ("2026-11-24T11:00:00-0100", 0), ("2026-11-25T11:59:00.001+23:59", 1),
    ])
    func `times have an offset`(_ text: String, _ milliseconds: Int64) throws {
        let noon = try #require(Timestamp(iso8601: "2026-11-24T12:00:00Z"))
        #expect(Timestamp(offsetISO8601: text) == noon.advanced(byMilliseconds: milliseconds))
    }

    @Test(arguments: [
        "", "2026-11-24", "2026-11-24T12:00:00", "2026-11-24T12:00:00.Z", "2026-11-24T12:00:00+1",
        "2026-11-24T12:00:00+24:00", "2026-11-24T12:00:00+01:60", "2026-11-24T12:00:00 Z",
        "2026-11-24T12:00:00.1234567890Z", "2026-11-24T12:00:00ZZ", "2026-13-24T12:00:00Z",
    ])
    func `other times are none`(_ text: String) {
        #expect(Timestamp(offsetISO8601: text) == nil)
    }

    // MARK: JSON

    @Test(arguments: [
        "{", "{}}", "{,}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{"a":1 "b":2}"#, #"{a:1}"#,
        #"{'a':1}"#, #"{"a":01}"#, #"{"a":1.}"#, #"{"a":.1}"#, #"{"a":+1}"#, #"{"a":1e}"#,
        #"{"a":tru}"#, #"{"a":NaN}"#, #"{"a":[1,]}"#, #"{"a":"}"#, #"{"a":"\x"}"#,
        #"{"a":"\u12"}"#, #"{"a":"\ud800"}"#, #"{"a":"\ud800\u0041"}"#, #"{"a":"\udc00"}"#,
        #"{"a":"\u+123"}"#, "{\"a\":\"\n\"}", #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#,
        "{\"a\":" + String(repeating: "[", count: 17) + String(repeating: "]", count: 17) + "}",
        "{" + (0...64).map { "\"\($0)\":1" }.joined(separator: ",") + "}",
    ])
    func `what is not JSON, or too much of it, is refused`(_ text: String) {
        #expect(throws: JSONScanner.Malformed.self) {
            var scanner = try JSONScanner(Array(text.utf8))
            _ = try scanner.topLevelMembers()
        }
    }

    @Test func `what is not UTF-8 is refused`() {
        #expect(throws: JSONScanner.Malformed.self) {
            try JSONScanner(Array("{\"a\":\"".utf8) + [0xFF] + Array("\"}".utf8))
        }
    }

    @Test(arguments: ["0", "-0", "1", "-12.5", "1e9", "1E+9", "0.1e-9", "true", "false", "null"])
    func `words and numbers are given as they are written`(_ word: String) throws {
        var scanner = try JSONScanner(Array("{\"a\":\(word) }".utf8))
        #expect(try scanner.topLevelMembers() == ["a": .other(word)])
    }

    @Test func `hostile answers end in a result or an error`() {
        var random = RandomSource(seed: 22)
        let genuine = Array(
            #"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s\u0041","X":[1,{}]}"#.utf8)
        var faults: Set<CredentialProcessAnswer.Fault> = []
        for _ in 0..<20_000 {
            var bytes = genuine
            for _ in 0..<random.number(1..<4) where !bytes.isEmpty {
                let place = random.number(0..<bytes.count)
                switch random.number(0..<4) {
                case 0: bytes[place] ^= 1 << UInt8(random.number(0..<8))
                case 1: bytes.remove(at: place)
                case 2: bytes = Array(bytes[..<place])
                default: bytes.insert(bytes[random.number(0..<bytes.count)], at: place)
                }
            }
            do throws(CredentialProcessAnswer.Fault) {
                _ = try CredentialProcessAnswer.parse(bytes)
            } catch {
                faults.insert(error)
            }
        }
        let expected: Set<CredentialProcessAnswer.Fault> = [
            .notJSON, .otherVersion, .noAccessKeyID, .noSecretAccessKey,
        ]
        #expect(faults == expected)
    }

    // MARK: Commands

    @Test(arguments: [
        ("a b  c", ["a", "b", "c"]), (" a\tb ", ["a", "b"]), ("'a b' c", ["a b", "c"]),
        (#""a b" c"#, ["a b", "c"]), (#"a\ b"#, ["a b"]), (#"'a\b'"#, [#"a\b"#]),
        (#""a\"b\\c\d""#, [#"a"b\c\d"#]), ("a'b'\"c\"", ["abc"]), ("''", [""]),
        ("a $HOME *;b", ["a", "$HOME", "*;b"]),
    ])
    func `a command is split into words, and no shell is asked`(_ line: String, _ words: [String]) {
        #expect(CommandWords.split(line) == words)
    }

    @Test(arguments: ["", "  ", "'a", "\"a", "a\\", "\"a\\"])
    func `a command without an end is none`(_ line: String) {
        #expect(CommandWords.split(line) == nil)
    }
}
