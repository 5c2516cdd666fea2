internal import Cryptography

/// 160 random bits as text that people write down: six groups of six letters and digits.
///
/// 32 characters of Crockford's base 32 hold the key, four more the first 20 bits of
/// SHA-256("keyfold recovery key 1" ‖ key), so that a typing error is told from a wrong key.
enum RecoveryKey {
    static let byteCount = 20
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
    private static let characterCount = 36
    private static let groupCharacters = 6

    static func text(of key: SecretBytes) -> SecretBytes {
        var bits = key.withBytes { span in (0..<span.byteCount).map { span.unsafeLoadByte(at: $0) }
        }
        bits += checksum(bits)
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for index in 0..<characterCount {
            if index > 0, index % groupCharacters == 0 { text.append(UInt8(ascii: "-")) }
            text.append(alphabet[Int(fiveBits(bits, at: index))])
        }
        wipe(&bits)
        return SecretBytes(consuming: &text)
    }

    /// The key in a text as people type it: case, spaces and dashes do not matter, and O, I, L
    /// are the digits they look like. nil for a typing error.
    static func key(from text: SecretBytes) -> SecretBytes? {
        var values: [UInt8] = []
        values.reserveCapacity(64)
        defer { wipe(&values) }
        let isReadable = text.withBytes { span in
            for index in 0..<span.byteCount {
                let byte = span.unsafeLoadByte(at: index)
                if [UInt8(ascii: "-"), UInt8(ascii: " "), 9, 10, 13].contains(byte) { continue }
                guard let value = value(of: byte), values.count < characterCount else {
                    return false
                }
                values.append(value)
            }
            return values.count == characterCount
        }
        guard isReadable else { return nil }
        var bytes = [UInt8](repeating: 0, count: byteCount + 3)
        for bit in 0..<characterCount * 5 where values[bit / 5] >> (4 - bit % 5) & 1 == 1 {
            bytes[bit / 8] |= 0x80 >> (bit % 8)
        }
        defer { wipe(&bytes) }
        var key = Array(bytes.prefix(byteCount))
        guard Array(bytes.suffix(3)) == checksum(key) else {
            wipe(&key)
            return nil
        }
        return SecretBytes(consuming: &key)
    }

    /// 20 bits in three bytes; the last four bits are zero.
    private static func checksum(_ key: [UInt8]) -> [UInt8] {
        var message = Array("keyfold recovery key 1".utf8) + key
        let hash = SHA256.hash(message)
        wipe(&message)
        return [hash[0], hash[1], hash[2] & 0xf0]
    }

    private static func fiveBits(_ bytes: [UInt8], at index: Int) -> UInt8 {
        (0..<5).reduce(0) { value, offset in
            let bit = index * 5 + offset
            return value << 1 | bytes[bit / 8] >> (7 - bit % 8) & 1
        }
    }

    private static func value(of character: UInt8) -> UInt8? {
        let isLower = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(character)
        switch isLower ? character - 32 : character {
        case UInt8(ascii: "O"): return 0
        case UInt8(ascii: "I"), UInt8(ascii: "L"): return 1
        case let upper: return alphabet.firstIndex(of: upper).map(UInt8.init)
        }
    }
}
