import COpenSSL

/// 96-bit random nonces, drawn from libcrypto's generator 4 KiB at a time.
///
/// A call of the generator costs about as much as sealing a block, whatever its length. Each nonce
/// is wiped as it is handed out. One thread at a time.
@safe
struct NoncePool: ~Copyable {
    static let nonceBytes = 12
    /// As many whole nonces as fit into 4 KiB.
    private static let capacityBytes = 4096 / nonceBytes * nonceBytes

    private let storage: UnsafeMutableRawBufferPointer
    private var usedBytes = NoncePool.capacityBytes

    init() {
        unsafe storage = .allocate(byteCount: Self.capacityBytes, alignment: 16)
        unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        // SAFETY: made in `init`, freed only here.
        unsafe OPENSSL_cleanse(storage.baseAddress, storage.count)
        unsafe storage.deallocate()
    }

    /// Writes the next nonce, 12 bytes, to `target` from `offset` on.
    mutating func draw(into target: inout MutableRawSpan, at offset: Int) {
        precondition(
            offset >= 0 && offset <= target.byteCount - Self.nonceBytes, "BUG: no room for a nonce")
        if usedBytes == Self.capacityBytes { refill() }
        let range = usedBytes..<usedBytes + Self.nonceBytes
        unsafe target.withUnsafeMutableBytes { target in
            // SAFETY: both ranges have 12 bytes and lie in their buffers, which are different
            // memory: no one else has the address of `storage`.
            let nonce = unsafe UnsafeMutableRawBufferPointer(rebasing: storage[range])
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + nonce.count])
                .copyMemory(from: UnsafeRawBufferPointer(nonce))
            unsafe OPENSSL_cleanse(nonce.baseAddress, nonce.count)
        }
        usedBytes = range.upperBound
    }

    private mutating func refill() {
        // SAFETY: the call writes exactly `storage.count` bytes to the buffer.
        unsafe Library.require(RAND_bytes(storage.octets, Int32(storage.count)), "RAND_bytes")
        usedBytes = 0
    }
}
