internal import Synchronization

/// Random UUIDs (RFC 9562 §5.4), as texts of 36 bytes: names of requests and events.
///
/// Randomness is drawn for many at a time: a call of the generator for each would cost more than
/// the encryption that the event is about.
package enum RandomUUID {
    private static let poolBytes = 4096
    private static let pool = Mutex<[UInt8]>([])

    package static func text() -> String {
        var (high, low) = pool.withLock { pool -> (UInt64, UInt64) in
            if pool.count < 16 { pool = Random.bytes(poolBytes) }
            return (takeWord(&pool), takeWord(&pool))
        }
        high = high & ~0xF000 | 0x4000
        low = low & ~(3 << 62) | 1 << 63
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                text.append(UInt8(ascii: "-"))
            }
            let nibble = (digit < 16 ? high : low) >> UInt64(60 - digit % 16 * 4) & 15
            text.append(UInt8(nibble < 10 ? 48 + nibble : 87 + nibble))
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func takeWord(_ pool: inout [UInt8]) -> UInt64 {
        var word: UInt64 = 0
        for byte in pool.suffix(8) { word = word << 8 | UInt64(byte) }
        pool.removeLast(8)
        return word
    }
}
