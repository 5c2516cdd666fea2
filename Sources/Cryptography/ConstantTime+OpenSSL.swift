import COpenSSL

/// Whether two byte strings are equal; takes a time that depends on their lengths only.
package func constantTimeEqual(_ a: RawSpan, _ b: RawSpan) -> Bool {
    guard a.byteCount == b.byteCount else { return false }
    // SAFETY: both buffers have the same count, and the call only reads that many bytes of each.
    return unsafe a.withUnsafeBytes { a in
        unsafe b.withUnsafeBytes { b in
            unsafe CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count) == 0
        }
    }
}

/// Whether two byte arrays are equal; takes a time that depends on their lengths only.
package func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withRawSpan { a in b.withRawSpan { b in constantTimeEqual(a, b) } }
}

/// Overwrites an array with zeros in a way that the compiler cannot leave out.
///
/// Wipes the one copy that the caller holds: an array that shares its storage is copied first.
package func wipe(_ bytes: inout [UInt8]) {
    bytes.withMutableRawSpan { wipe(&$0, 0..<$0.byteCount) }
}

/// Overwrites part of a span with zeros in a way that the compiler cannot leave out.
package func wipe(_ bytes: inout MutableRawSpan, _ range: Range<Int>) {
    precondition(
        range.lowerBound >= 0 && range.upperBound <= bytes.byteCount, "BUG: wipe out of range")
    unsafe bytes.withUnsafeMutableBytes { buffer in
        // SAFETY: `range` lies in the buffer; the call writes exactly its bytes.
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[range])
        unsafe OPENSSL_cleanse(target.baseAddress, target.count)
    }
}
