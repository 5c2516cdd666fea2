package import Cryptography

/// What CreateGrant hands out beside a grant's id: the id, the key and a random number, with a
/// code that tells a token of this keystore from any other. Opaque to whoever holds it.
///
/// ```
/// offset  size  field
///      0     1  format, 1
///      1    32  grant id
///     33    16  nonce: each token is another, also for one grant
///     49     n  key ARN, n = 1…512
///   49+n    32  HMAC-SHA256 of the label `keyfold grant token 1` and all before
/// ```
///
/// The text is its base 64 with padding. A token proves nothing about permissions: those are the
/// grant's, if there still is one of this id.
package struct GrantToken: Hashable, Sendable {
    package static let maximumTextBytes = 8192
    package static let nonceBytes = 16

    package let grantID: GrantID
    package let key: KeyARN

    package init(grantID: GrantID, key: KeyARN) {
        self.grantID = grantID
        self.key = key
    }

    /// The token's text.
    ///
    /// - Parameters:
    ///   - nonce: 16 random bytes.
    ///   - macKey: for this purpose alone.
    package func text(nonce: [UInt8], macKey: SecretBytes) -> String {
        precondition(nonce.count == Self.nonceBytes, "BUG: a grant token's nonce has 16 bytes")
        var bytes = [Self.format] + grantID.bytes + nonce + Array(key.description.utf8)
        bytes += HMACSHA256.authenticationCode(for: Self.label + bytes, key: macKey)
        return Base64.encode(bytes)
    }

    /// nil for anything that ``text(nonce:macKey:)`` did not make with the same key.
    package init?(decoding text: String, macKey: SecretBytes) {
        guard text.utf8.count <= Self.maximumTextBytes, let bytes = Base64.decode(text),
            bytes.count > Self.headBytes + HMACSHA256.byteCount
        else { return nil }
        let body = Array(bytes.dropLast(HMACSHA256.byteCount))
        let code = Array(bytes.suffix(HMACSHA256.byteCount))
        guard HMACSHA256.isValid(code, for: Self.label + body, key: macKey),
            body[0] == Self.format, let grantID = GrantID(bytes: body[1..<33]),
            let arn = String(validating: body[Self.headBytes...], as: UTF8.self),
            let key = KeyARN(arn)
        else { return nil }
        self.init(grantID: grantID, key: key)
    }

    private static let format: UInt8 = 1
    private static let headBytes = 49
    private static let label = Array("keyfold grant token 1".utf8)
}
