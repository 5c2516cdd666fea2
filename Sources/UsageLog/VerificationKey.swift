internal import Cryptography

/// The key that all checkpoints of a log follow from, as people keep it: PEM or hex digits.
package struct VerificationKey: Hashable, Sendable {
    /// The Ed25519 public key, 32 bytes.
    package let bytes: [UInt8]

    /// SubjectPublicKeyInfo before the key itself (RFC 8410 §4).
    private static let prefix: [UInt8] = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ]
    private static let begin = "-----BEGIN PUBLIC KEY-----"
    private static let end = "-----END PUBLIC KEY-----"

    package init?(bytes: [UInt8]) {
        guard bytes.count == Ed25519.publicKeyBytes else { return nil }
        self.bytes = bytes
    }

    /// Reads what ``pem`` or ``hexDigits`` gives, with white space around it.
    package init?(text: String) {
        let lines = text.split(whereSeparator: \.isWhitespace).map(String.init)
        if lines.count == 1, let bytes = bytesOfHex(lines[0]) {
            self.init(bytes: bytes)
            return
        }
        let words = lines.joined(separator: " ")
        guard words.hasPrefix(VerificationKey.begin), words.hasSuffix(VerificationKey.end),
            let der = Base64.decode(
                words.dropFirst(VerificationKey.begin.count).dropLast(VerificationKey.end.count)
                    .filter { $0 != " " }),
            der.count == 44, Array(der.prefix(12)) == VerificationKey.prefix
        else { return nil }
        self.init(bytes: Array(der.dropFirst(12)))
    }

    package var hexDigits: String { hex(bytes) }

    package var pem: String {
        """
        \(VerificationKey.begin)
        \(Base64.encode(VerificationKey.prefix + bytes))
        \(VerificationKey.end)

        """
    }

    /// SHA-256 of the key, in hex digits: to compare by eye.
    package var fingerprint: String { hex(SHA256.hash(bytes)) }
}

/// RFC 4648 §4, of whole keys only.
private enum Base64 {
    private static let digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for index in 0..<4 {
                text.append(
                    index <= group.count
                        ? digits[bits >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ text: String) -> [UInt8]? {
        let characters = Array(text.utf8)
        guard characters.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: characters.count, by: 4) {
            var bits = 0
            var padding = 0
            for character in characters[start..<start + 4] {
                let value = digits.firstIndex(of: character)
                if value == nil, character == UInt8(ascii: "="), start + 4 == characters.count {
                    padding += 1
                    bits <<= 6
                } else if let value, padding == 0 {
                    bits = bits << 6 | value
                } else {
                    return nil
                }
            }
            guard padding <= 2 else { return nil }
            for index in 0..<3 - padding {
                bytes.append(UInt8(truncatingIfNeeded: bits >> (16 - 8 * index)))
            }
        }
        return encode(bytes) == text ? bytes : nil
    }
}
