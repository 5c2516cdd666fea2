import Cryptography
import Foundation
import KMSModel
import KMSWire
import TestSupport
import Testing

private func decode(
    _ body: String, as shape: StructureShape = .decryptRequest
) throws(KMSError) -> Structure {
    try JSONCodec.decode(body: Array(body.utf8), as: shape)
}

private func encodedText(_ structure: Structure, as shape: StructureShape) throws -> String {
    String(decoding: try JSONCodec.encode(structure, as: shape), as: UTF8.self)
}

@Suite struct JSONRoundTripTests {
    @Test(arguments: KMSOperation.allCases)
    func `every member of every operation comes back as it went`(_ operation: KMSOperation) throws {
        for (number, shape) in [operation.input, operation.output].enumerated() {
            for seed in 0..<20 {
                var sampler = ShapeSampler(seed: UInt64(seed * 2 + number))
                sampler.isComplete = seed < 10
                let structure = sampler.structure(shape)
                let body = try JSONCodec.encode(structure, as: shape)
                let again = try JSONCodec.decode(body: body, as: shape)
                #expect(try Plain.text(again) == Plain.text(structure))
                #expect(try JSONCodec.encode(again, as: shape) == body)
            }
        }
    }

    @Test func `what is written is JSON for Foundation, too`() throws {
        var sampler = ShapeSampler(seed: 3)
        for shape in StructureShape.all {
            let body = try JSONCodec.encode(sampler.structure(shape), as: shape)
            _ = try JSONSerialization.jsonObject(with: Data(body))
        }
    }

    @Test func `a Decrypt request is written as AWS's clients write it`() throws {
        let request = Structure([
            .ciphertextBlob: .bytes([0xFB, 0xFF, 0xFE]),
            .encryptionContext: .context(EncryptionContext(["b": "2", "a": "\"1\""])),
            .dryRun: .flag(false),
        ])
        #expect(
            try encodedText(request, as: .decryptRequest)
                == #"{"CiphertextBlob":"+//+","EncryptionContext":{"a":"\"1\"","b":"2"},"DryRun":false}"#
        )
    }

    @Test(arguments: [
        (1_732_447_558_000, "1732447558"), (1_732_447_558_120, "1732447558.12"),
        (1_732_447_558_001, "1732447558.001"), (0, "0"), (-1, "-0.001"), (-1500, "-1.5"),
    ])
    func `a time is written in seconds, with the fraction it has`(
        _ milliseconds: Int, _ text: String
    ) throws {
        let time = Timestamp(millisecondsSinceEpoch: Int64(milliseconds))
        let answer = Structure([.deletionDate: .time(time)])
        #expect(
            try encodedText(answer, as: .scheduleKeyDeletionResponse)
                == "{\"DeletionDate\":\(text)}")
    }

    @Test func `a member of another shape or kind is not written`() {
        let failure = #expect(throws: KMSError.self) {
            try JSONCodec.encode(Structure([.plaintext: .text("p")]), as: .decryptResponse)
        }
        #expect(failure?.code == .internalFailure)
        #expect(throws: KMSError.internalFailure("DecryptResponse has no member Marker")) {
            try JSONCodec.encode(Structure([.marker: .text("m")]), as: .decryptResponse)
        }
    }

    @Test func `the largest request of AWS's limits fits, written at its widest`() throws {
        let wide = String(repeating: "\u{FF}", count: 32_768)
        let tag = Structure([
            .tagKey: .text(String(repeating: "😀", count: 128)),
            .tagValue: .text(String(repeating: "😀", count: 256)),
        ])
        let creation = Structure([
            .policy: .text(wide), .description: .text(String(repeating: "😀", count: 8192)),
            .tags: .structures(Array(repeating: tag, count: 50)),
        ])
        let attested = Structure([
            .keyID: .text(String(repeating: "k", count: 2048)),
            .encryptionContext: .context(
                EncryptionContext(["n": String(repeating: "😀", count: 8191)])),
            .grantTokens: .texts(Array(repeating: String(repeating: "g", count: 8192), count: 10)),
            .recipient: .structure(
                Structure([.attestationDocument: .bytes([UInt8](repeating: 7, count: 262_144))])),
        ])
        for (request, shape) in [
            (creation, StructureShape.createKeyRequest), (attested, .generateDataKeyRequest),
        ] {
            let object = try JSONSerialization.jsonObject(
                with: Data(try JSONCodec.encode(request, as: shape)))
            let widest = try Plain.text(of: object).unicodeScalars.map { scalar in
                scalar.isASCII
                    ? String(Character(scalar))
                    : String(Character(scalar)).utf16.map {
                        "\\u" + String($0, radix: 16).leftPadded
                    }
                    .joined()
            }.joined()
            #expect(widest.utf8.count < JSONCodec.maximumBodyBytes)
            let again = try decode(widest, as: shape)
            #expect(try Plain.text(again) == Plain.text(request))
        }
    }
}

extension String {
    fileprivate var leftPadded: String { String(repeating: "0", count: 4 - count) + self }
}

@Suite struct JSONDecodingTests {
    @Test func `null and unknown members are not there, and no body is an empty request`() throws {
        let body = #"""
             { "KeyId" : null , "Later": {"a":[1,-2.5e+3,{"b":null}],"c":"\u00e9\n"},
               "GrantTokens":[ "one" , "two" ],"DryRun":true }
            """#
        let structure = try decode(body)
        #expect(structure.members.count == 2)
        #expect(structure.texts(.grantTokens) == ["one", "two"])
        #expect(structure.flag(.dryRun))
        #expect(try decode("").isEmpty)
        #expect(try decode("{}").isEmpty)
    }

    @Test(arguments: [
        (#""\u0041\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t""#, "Aé😀\"\\/\u{8}\u{c}\n\r\t"),
        (#""\u0000""#, "\0"), ("\"\"", ""),
    ])
    func `escapes mean what RFC 8259 says`(_ json: String, _ text: String) throws {
        #expect(try decode("{\"KeyId\":\(json)}").text(.keyID) == text)
    }

    @Test(arguments: [
        ("1732447558", 1_732_447_558_000), ("1732447558.123", 1_732_447_558_123),
        ("1.732447558123E9", 1_732_447_558_123), ("0", 0), ("-1.5", -1500),
        ("\"2024-11-24T11:25:58Z\"", 1_732_447_558_000),
        ("\"2024-11-24T11:25:58.123Z\"", 1_732_447_558_123),
    ])
    func `times are read in all their forms`(_ json: String, _ milliseconds: Int) throws {
        let structure = try decode("{\"ValidTo\":\(json)}", as: .importKeyMaterialRequest)
        #expect(structure.time(.validTo)?.millisecondsSinceEpoch == Int64(milliseconds))
    }

    @Test(arguments: [("32", 32), ("3.2e1", 32), ("32.0", 32), ("-5", -5)])
    func `whole numbers are read in all their forms`(_ json: String, _ number: Int) throws {
        let structure = try decode("{\"NumberOfBytes\":\(json)}", as: .generateDataKeyRequest)
        #expect(structure.number(.numberOfBytes) == number)
    }

    @Test func `secrets become secrets, whatever is escaped in them`() throws {
        let plain = try decode(#"{"Plaintext":"\u002b\/\/\u002b"}"#, as: .encryptRequest)
        #expect(plain.secret(.plaintext)?.copiedBytes() == [0xFB, 0xFF, 0xFE])
        let store = try decode(
            #"{"KeyStorePassword":"p\u00e4ß\""}"#, as: .createCustomKeyStoreRequest)
        #expect(store.secret(.keyStorePassword)?.copiedBytes() == Array("päß\"".utf8))
    }

    /// As recorded from AWS's services with this protocol, where they have words for it.
    static let mismatches: [(String, StructureShape, String)] = [
        (#"{"KeyId":1}"#, .decryptRequest, "NUMBER_VALUE cannot be converted to String"),
        (#"{"KeyId":1.5}"#, .decryptRequest, "DECIMAL_VALUE cannot be converted to String"),
        (#"{"KeyId":true}"#, .decryptRequest, "TRUE_VALUE cannot be converted to String"),
        (#"{"KeyId":[]}"#, .decryptRequest, "Unrecognized collection type"),
        (#"{"KeyId":{}}"#, .decryptRequest, "Start of structure or map found where not expected"),
        (#"{"DryRun":"true"}"#, .decryptRequest, "Unexpected token received from parser"),
        (#"{"DryRun":1}"#, .decryptRequest, "NUMBER_VALUE cannot be converted to Boolean"),
        (#"{"Limit":"1"}"#, .listKeysRequest, "STRING_VALUE cannot be converted to Integer"),
        (#"{"Limit":1.5}"#, .listKeysRequest, "DECIMAL_VALUE cannot be converted to Integer"),
        (#"{"Limit":1e40}"#, .listKeysRequest, "DECIMAL_VALUE cannot be converted to Integer"),
        (
            #"{"Limit":9223372036854775808}"#, .listKeysRequest,
            "NUMBER_VALUE cannot be converted to Integer"
        ),
        (
            #"{"CiphertextBlob":1}"#, .decryptRequest,
            "only base-64-encoded strings are convertible to bytes"
        ),
        (
            #"{"CiphertextBlob":"abcde"}"#, .decryptRequest,
            "Base64 encoded length is expected a multiple of 4 bytes but found: 5"
        ),
        (#"{"CiphertextBlob":"ab-_"}"#, .decryptRequest, "Invalid Base64 character detected"),
        (#"{"CiphertextBlob":"a=b="}"#, .decryptRequest, "Invalid Base64 character detected"),
        (#"{"CiphertextBlob":"===="}"#, .decryptRequest, "Invalid Base64 character detected"),
        (#"{"CiphertextBlob":"QUF="}"#, .decryptRequest, "Invalid Base64 character detected"),
        (#"{"CiphertextBlob":"QR=="}"#, .decryptRequest, "Invalid Base64 character detected"),
        (#"{"CiphertextBlob":"QU I"}"#, .decryptRequest, "Invalid Base64 character detected"),
        (#"{"GrantTokens":"t"}"#, .decryptRequest, "Unexpected field type"),
        (
            #"{"GrantTokens":{}}"#, .decryptRequest,
            "Start of structure or map found where not expected"
        ),
        (#"{"GrantTokens":[null]}"#, .decryptRequest, "A list has an element that is null"),
        (#"{"EncryptionContext":"a"}"#, .decryptRequest, "Unexpected field type"),
        (#"{"EncryptionContext":[]}"#, .decryptRequest, "Unrecognized collection type"),
        (
            #"{"EncryptionContext":{"a":null}}"#, .decryptRequest,
            "NULL_VALUE cannot be converted to String"
        ),
        (
            #"{"EncryptionContext":{"a":"1","a":"1"}}"#, .decryptRequest,
            "An encryption context has a name twice"
        ),
        // é in two forms, which one Swift string equals the other.
        (
            #"{"EncryptionContext":{"\u00e9":"1","e\u0301":"2"}}"#, .decryptRequest,
            "An encryption context has a name twice"
        ),
        (#"{"Recipient":7}"#, .decryptRequest, "Unexpected field type"),
        (#"{"KeyId":"a","KeyId":"b"}"#, .decryptRequest, "Duplicate field 'KeyId'"),
        (#"{"KeyId":null,"KeyId":"b"}"#, .decryptRequest, "Duplicate field 'KeyId'"),
        (
            #"{"ValidTo":"yesterday"}"#, .importKeyMaterialRequest,
            "STRING_VALUE cannot be converted to Date"
        ),
        (
            #"{"ValidTo":1e300}"#, .importKeyMaterialRequest,
            "DECIMAL_VALUE cannot be converted to Date"
        ),
        (
            #"{"ValidTo":false}"#, .importKeyMaterialRequest,
            "FALSE_VALUE cannot be converted to Date"
        ),
        ("[]", .decryptRequest, "Unexpected token received from parser"),
        ("null", .decryptRequest, "Unexpected token received from parser"),
        ("\"{}\"", .decryptRequest, "Unexpected token received from parser"),
    ]

    @Test(arguments: mismatches)
    func `a value of another kind is refused in AWS's words`(
        _ body: String, _ shape: StructureShape, _ message: String
    ) {
        #expect(throws: KMSError.serialization(message)) { try decode(body, as: shape) }
    }

    @Test(arguments: [
        "{", "}", " ", "{\"KeyId\"", "{\"KeyId\":", "{\"KeyId\":\"a\"", "{\"KeyId\":\"a\",}",
        "{,}", "{\"KeyId\" \"a\"}", "{\"KeyId\":\"a\"}x", "{\"KeyId\":\"a\"}{}", "{'KeyId':'a'}",
        "{KeyId:\"a\"}", "{\"KeyId\":nul}", "{\"KeyId\":\"a}", "{\"KeyId\":\"\\\"}",
        "{\"KeyId\":\"\\x41\"}", "{\"KeyId\":\"\\u12\"}", "{\"KeyId\":\"\\ud800\"}",
        "{\"KeyId\":\"\\ud800\\u0041\"}", "{\"KeyId\":\"\\udc00\"}", "{\"KeyId\":\"\u{1}\"}",
        "{\"KeyId\":\"a\nb\"}", "{\"X\":01}", "{\"X\":-}", "{\"X\":1.}", "{\"X\":.5}",
        "{\"X\":1e}", "{\"X\":+1}", "{\"X\":NaN}", "{\"X\":[1,]}", "{\"X\":[1 2]}", "{\"X\":tru}",
        "{\"X\":1}/*c*/", "\u{feff}{}", "{\"\\ud800\":1}",
    ])
    func `what is no JSON is refused`(_ body: String) {
        let failure = #expect(throws: KMSError.self) { try decode(body) }
        #expect(failure?.code == .serialization)
        #expect(failure?.message.hasPrefix("The body is no well-formed JSON: ") == true)
    }

    @Test func `strings that are no UTF-8 are refused, secrets too`() {
        for (name, shape) in [
            ("KeyId", StructureShape.decryptRequest),
            ("KeyStorePassword", .createCustomKeyStoreRequest),
        ] {
            for bytes: [UInt8] in [[0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80]] {
                let body = Array("{\"\(name)\":\"".utf8) + bytes + Array("\"}".utf8)
                #expect(
                    throws: KMSError.serialization(
                        "The body is no well-formed JSON: a string is no UTF-8")
                ) { try JSONCodec.decode(body: body, as: shape) }
            }
        }
    }

    @Test func `nesting and size have their bounds`() throws {
        let deepest = JSONCodec.maximumDepth - 1
        func nested(_ depth: Int) -> String {
            "{\"X\":" + String(repeating: "[", count: depth)
                + String(repeating: "]", count: depth) + "}"
        }
        #expect(try decode(nested(deepest)).isEmpty)
        #expect(throws: KMSError.malformed("nested too deeply")) { try decode(nested(deepest + 1)) }
        let endless = String(repeating: "{\"a\":[", count: 100_000)
        #expect(throws: KMSError.malformed("nested too deeply")) { try decode(endless) }
        let large = "{\"X\":\"" + String(repeating: "x", count: JSONCodec.maximumBodyBytes) + "\"}"
        #expect(throws: KMSError.serialization("The body has more than 1048576 bytes")) {
            try decode(large)
        }
    }

    @Test func `seeded changes of requests are refused or read, and nothing else`() throws {
        var source = RandomSource(seed: 7)
        var sampler = ShapeSampler(seed: 7)
        for _ in 0..<4000 {
            let shape = StructureShape.all[source.number(0..<StructureShape.all.count)]
            var body = try JSONCodec.encode(sampler.structure(shape), as: shape)
            for _ in 0..<source.number(1..<4) where !body.isEmpty {
                let place = source.number(0..<body.count)
                switch source.number(0..<3) {
                case 0: body[place] = UInt8(source.number(0..<256))
                case 1: body.remove(at: place)
                default: body.insert(Array("{}[]\",:\\u0".utf8)[source.number(0..<10)], at: place)
                }
            }
            do throws(KMSError) {
                let structure = try JSONCodec.decode(body: body, as: shape)
                _ = try JSONCodec.encode(structure, as: shape)
            } catch {
                #expect(error.code == .serialization)
            }
        }
    }
}

extension KMSError {
    fileprivate static func malformed(_ reason: String) -> KMSError {
        .serialization("The body is no well-formed JSON: \(reason)")
    }
}

@Suite struct JSONErrorTests {
    @Test func `an error has its name and, where there is one, its message`() {
        #expect(
            JSONCodec.encode(KMSError.notFound("Invalid keyId \"x\""))
                == Array(
                    #"{"__type":"NotFoundException","message":"Invalid keyId \"x\""}"#.utf8))
        #expect(
            JSONCodec.encode(KMSError.invalidCiphertext)
                == Array(#"{"__type":"InvalidCiphertextException"}"#.utf8))
    }

    @Test func `an error comes back as it went`() throws {
        for code in KMSError.Code.allCases {
            for message in ["", "a \"message\"\n"] {
                let error = KMSError(code, message)
                #expect(
                    JSONCodec.decodeError(body: JSONCodec.encode(error))?.kmsError == error)
            }
        }
    }

    @Test(arguments: [
        #"{"__type":"com.amazonaws.kms#NotFoundException:http://x/#y","Message":"m"}"#,
        #"{"message":"m","__type":"NotFoundException","more":[1]}"#,
    ])
    func `namespaces, addresses and other members don't matter`(_ body: String) {
        #expect(
            JSONCodec.decodeError(body: Array(body.utf8))?.kmsError == .notFound("m"))
    }

    @Test func `the header goes before the body, and an unknown name stays a name`() {
        let body = Array(#"{"__type":"NotFoundException","message":"m"}"#.utf8)
        let error = JSONCodec.decodeError(body: body, typeHeader: "Other:http://x")
        #expect(error?.name == "Other")
        #expect(error?.message == "m")
        #expect(error?.kmsError == nil)
        #expect(JSONCodec.decodeError(body: Array("<html>".utf8)) == nil)
        #expect(JSONCodec.decodeError(body: Array("<html>".utf8), typeHeader: "X")?.name == "X")
    }
}

@Suite struct Base64Tests {
    @Test func `RFC 4648's examples, and all bytes against Foundation`() throws {
        let examples = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]
        for (count, text) in examples.enumerated() {
            let bytes = Array("foobar".utf8.prefix(count))
            let structure = Structure([.ciphertextBlob: .bytes(bytes)])
            #expect(
                try encodedText(structure, as: .decryptRequest)
                    == "{\"CiphertextBlob\":\"\(text)\"}")
        }
        for count in 0..<300 {
            let bytes = pattern(count, seed: UInt64(count))
            let text = Data(bytes).base64EncodedString()
            let structure = try decode("{\"CiphertextBlob\":\"\(text)\"}")
            #expect(structure.bytes(.ciphertextBlob) == bytes)
        }
    }
}
