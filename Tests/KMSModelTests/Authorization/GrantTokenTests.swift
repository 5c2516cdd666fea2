import Cryptography
import KMSModel
import TestSupport
import Testing

@Suite struct GrantTokenTests {
    private static func key(_ seed: UInt8) -> SecretBytes {
        var bytes = [UInt8](repeating: seed, count: 32)
        return SecretBytes(consuming: &bytes)
    }

    private func token() throws -> (GrantToken, String) {
        let id = try #require(GrantID(bytes: pattern(32)))
        let token = GrantToken(grantID: id, key: Sample.key)
        return (token, token.text(nonce: pattern(16, seed: 2), macKey: Self.key(1)))
    }

    @Test func `a token tells the grant and the key`() throws {
        let (token, text) = try token()
        #expect(GrantToken(decoding: text, macKey: Self.key(1)) == token)
        #expect(text.utf8.count <= 300)
    }

    @Test func `two tokens of one grant differ in text only`() throws {
        let (token, text) = try token()
        let other = token.text(nonce: pattern(16, seed: 3), macKey: Self.key(1))
        #expect(other != text)
        #expect(GrantToken(decoding: other, macKey: Self.key(1)) == token)
    }

    @Test func `no other key makes the token`() throws {
        let (_, text) = try token()
        #expect(GrantToken(decoding: text, macKey: Self.key(2)) == nil)
    }

    @Test func `a token changed anywhere, or cut anywhere, is none`() throws {
        let (_, text) = try token()
        let bytes = Array(text.utf8)
        for index in bytes.indices {
            var changed = bytes
            changed[index] =
                changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            let changedText = String(decoding: changed, as: UTF8.self)
            #expect(GrantToken(decoding: changedText, macKey: Self.key(1)) == nil)
            let cut = String(decoding: bytes[..<index], as: UTF8.self)
            #expect(GrantToken(decoding: cut, macKey: Self.key(1)) == nil)
        }
        #expect(GrantToken(decoding: text + "AAAA", macKey: Self.key(1)) == nil)
    }

    @Test func `a token has at most 8192 characters`() {
        let text = String(repeating: "A", count: 8196)
        #expect(GrantToken(decoding: text, macKey: Self.key(1)) == nil)
    }
}
