internal import Cryptography
internal import Synchronization

/// Cipher contexts that wait for their next use, at most as many as were ever used at once.
final class CipherPool: Sendable {
    // Unchecked: a context is out of the pool while a thread uses it.
    private struct Idle: @unchecked Sendable {  // SAFETY: above
        let cipher: AESGCM256
    }

    private static let maximumIdle = 64
    private let idle = Mutex<[Idle]>([])

    func withCipher<Value, Failure: Error>(
        _ body: (AESGCM256) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let taken = idle.withLock { $0.popLast() } ?? Idle(cipher: AESGCM256())
        defer {
            idle.withLock { if $0.count < CipherPool.maximumIdle { $0.append(taken) } }
        }
        return try body(taken.cipher)
    }
}
