import Foundation
import Testing

@testable import Console

struct JSONValueTests {
    @Test func `members keep the order in which they are given`() {
        let value = JSONValue.object([
            "z": .number(1), "a": .list([.flag(true), .null, .text("x")]), "m": .object([]),
        ])
        #expect(value.line == #"{"z":1,"a":[true,null,"x"],"m":{}}"#)
    }

    @Test(arguments: [
        ("plain", #""plain""#), ("", #""""#), (#"a"b"#, #""a\"b""#), (#"a\b"#, #""a\\b""#),
        ("a\nb\rc\td", #""a\nb\rc\td""#), ("\r\n", #""\r\n""#), ("\0\u{1F}", #""\u0000\u001f""#),
        ("\u{1B}[0m", #""\u001b[0m""#), ("\u{7F}", #""\u007f""#), ("Größe 🔑", #""Größe 🔑""#),
        ("/a/b", #""/a/b""#),
    ])
    func `a text is escaped where it must be`(_ text: String, _ json: String) {
        #expect(JSONValue.text(text).line == json)
    }

    @Test func `a member's name is escaped as well`() {
        #expect(JSONValue.object(["a\"\n": .null]).line == #"{"a\"\n":null}"#)
    }

    @Test func `every character up to U+02FF is read back by another parser`() throws {
        for scalar in (UInt32(0)...0x2FF).compactMap(Unicode.Scalar.init) {
            let text = "<\(Character(scalar))>"
            let json = JSONValue.list([.text(text)]).line
            #expect(!json.contains("\n"))
            let read = try JSONDecoder().decode([String].self, from: Data(json.utf8))
            // Compared by bytes: equal strings may have other scalars.
            #expect(read.map { Array($0.utf8) } == [Array(text.utf8)])
        }
    }

    @Test func `numbers beyond 64 bits stop at the limit`() {
        #expect(JSONValue.number(UInt64.max).line == "9223372036854775807")
        #expect(JSONValue.number(Int8.min).line == "-128")
    }

    @Test func `what is missing is null`() {
        #expect(JSONValue.text(ifAny: nil).line == "null")
        #expect(JSONValue.text(ifAny: "a").line == #""a""#)
        #expect(JSONValue.number(ifAny: Int?.none).line == "null")
        #expect(JSONValue.number(ifAny: 3).line == "3")
    }
}
