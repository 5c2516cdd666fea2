import Testing

@testable import KMSWire

@Suite struct TextBytesTests {
    /// RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func `base 64 matches the published vectors`(_ text: String, _ encoded: String) {
        #expect(base64(Array(text.utf8)) == encoded)
    }

    @Test func `base 64 has all its digits`() {
        #expect(base64([0xFB, 0xFF, 0x3E]) == "+/8+")
    }

    /// RFC 4648 §10, in lower case.
    @Test func `base 16 matches the published vectors`() {
        #expect(hexadecimal(Array("foobar".utf8)) == Array("666f6f626172".utf8))
        #expect(hexadecimal([0xAB, 0xCD, 0xEF, 0x09]) == Array("abcdef09".utf8))
    }

    @Test func `letters of other alphabets do not turn into ASCII`() {
        #expect(lowercasedASCII("X-Amz-Date") == "x-amz-date")
        #expect(lowercasedASCII("x\u{212A}") == "x\u{212A}")
        #expect(lowercasedASCII("x\u{212A}") != "xk")
    }
}
