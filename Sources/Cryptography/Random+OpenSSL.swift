import COpenSSL

/// Random bytes that may become public: ids, nonces, salts. Keys come from
/// ``SecretBytes/random(count:)``.
package enum Random {
    /// `count` random bytes.
    package static func bytes(_ count: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        result.withMutableRawSpan { fill(&$0) }
        return result
    }

    /// Fills the whole span with random bytes. Reseeds by itself after a fork.
    package static func fill(_ span: inout MutableRawSpan) {
        precondition(span.byteCount <= Int32.max, "BUG: \(span.byteCount) random bytes at once")
        guard span.byteCount > 0 else { return }
        unsafe span.withUnsafeMutableBytes { buffer in
            // SAFETY: the call writes exactly `buffer.count` bytes to the buffer.
            unsafe Library.require(RAND_bytes(buffer.octets, Int32(buffer.count)), "RAND_bytes")
        }
    }
}
