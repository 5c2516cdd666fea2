internal import Cryptography
internal import Synchronization

/// Ids of events: random UUIDs (RFC 9562, version 4).
///
/// Randomness is drawn for many at a time: a system call for each would cost more than the
/// encryption does.
enum EventID {
    private static let poolBytes = 4096
    private static let pool = Mutex<[UInt8]>([])
    private static let digits = Array("0123456789abcdef".utf8)

    static func make() -> String {
        var id: [UInt8] = []
        id.reserveCapacity(16)
        pool.withLock { pool in
            if pool.count < 16 { pool = Random.bytes(poolBytes) }
            for _ in 0..<16 { id.append(pool.removeLast()) }
        }
        id[6] = id[6] & 0x0f | 0x40
        id[8] = id[8] & 0x3f | 0x80
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for index in 0..<16 {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                text.append(UInt8(ascii: "-"))
            }
            text.append(digits[Int(id[index] >> 4)])
            text.append(digits[Int(id[index] & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
