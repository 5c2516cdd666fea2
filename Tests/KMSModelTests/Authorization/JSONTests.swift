import KMSModel
import Testing

@Suite struct JSONTests {
    private func parse(_ text: String, depth: Int = 8) throws -> JSON {
        try JSON(
            parsing: Array(text.utf8), within: .init(maximumBytes: 100, maximumDepth: depth))
    }

    @Test(arguments: [
        ("null", JSON.null), (" true\n", .flag(true)), ("false", .flag(false)),
        ("-0.5e+3", .number("-0.5e+3")), ("0", .number("0")), (#""""#, .text("")),
        (#""a\"\\\/\b\f\n\r\tz""#, .text("a\"\\/\u{8}\u{c}\n\r\tz")),
        (#""\u00e9\uD83D\uDE00""#, .text("é😀")), ("[]", .array([])), ("{}", .object([])),
        ("[1 , [ ] ]", .array([.number("1"), .array([])])),
        (
            #"{"b": 1, "a": {"b": null}}"#,
            .object([
                .init(name: "b", value: .number("1")),
                .init(name: "a", value: .object([.init(name: "b", value: .null)])),
            ])
        ),
    ])
    func `a value is read`(_ text: String, _ expected: JSON) throws {
        #expect(try parse(text) == expected)
    }

    @Test(arguments: [
        ("", JSONError.unexpectedEnd), (" ", .unexpectedEnd), ("[", .unexpectedEnd),
        (#"{"a":"#, .unexpectedEnd), (#""a"#, .unexpectedEnd), ("tru", .unexpectedEnd),
        ("trux", .unexpectedByte(offset: 3)), ("1 2", .unexpectedByte(offset: 2)),
        ("[1,]", .unexpectedByte(offset: 3)), ("[1 2]", .unexpectedByte(offset: 3)),
        (#"{"a" 1}"#, .unexpectedByte(offset: 5)), ("{a:1}", .unexpectedByte(offset: 1)),
        (#"{"a":1,}"#, .unexpectedByte(offset: 7)), ("'a'", .unexpectedByte(offset: 0)),
        ("01", .invalidNumber(offset: 0)), ("-", .invalidNumber(offset: 0)),
        ("[1.]", .invalidNumber(offset: 1)), ("1e", .invalidNumber(offset: 0)),
        (".5", .unexpectedByte(offset: 0)), ("\"\u{1}\"", .invalidString(offset: 1)),
        (#""\x""#, .invalidString(offset: 2)), (#""\u12g4""#, .invalidString(offset: 5)),
        (#""\uD800""#, .unexpectedByte(offset: 7)), (#""\uDC00""#, .invalidString(offset: 3)),
        (#""\uD800\u0041""#, .invalidString(offset: 3)),
        (#"{"a":1,"a":2}"#, .duplicateName("a", offset: 7)),
        (#"{"a":1,"\u0061":2}"#, .duplicateName("a", offset: 7)),
        (String(repeating: "[", count: 9), .tooDeep(offset: 8)),
        (String(repeating: " ", count: 101), .tooLong(byteCount: 101)),
    ])
    func `what is no JSON is refused where it goes wrong`(_ text: String, _ error: JSONError) {
        #expect(throws: error) { try parse(text) }
    }

    @Test func `bytes that are no UTF-8 are refused`() {
        #expect(throws: JSONError.invalidString(offset: 0)) {
            try JSON(
                parsing: [0x22, 0xC3, 0x28, 0x22], within: .init(maximumBytes: 9, maximumDepth: 1))
        }
    }

    @Test func `as deep as allowed is deep enough`() throws {
        let text = String(repeating: "[", count: 8) + String(repeating: "]", count: 8)
        #expect(throws: Never.self) { try parse(text) }
        #expect(throws: JSONError.tooDeep(offset: 7)) { try parse(text, depth: 7) }
    }
}
