/// Copies between two spans, which cannot overlap: the target is exclusive.
package func copyBytes(
    _ source: RawSpan, _ range: Range<Int>, to target: inout MutableRawSpan, at offset: Int
) {
    precondition(
        range.lowerBound >= 0 && range.upperBound <= source.byteCount && offset >= 0
            && offset + range.count <= target.byteCount, "BUG: copy out of range")
    // SAFETY: both ranges were checked above.
    unsafe source.withUnsafeBytes { source in
        unsafe target.withUnsafeMutableBytes { target in
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + range.count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range]))
        }
    }
}

/// Sets bytes to zero.
package func zeroBytes(_ target: inout MutableRawSpan, _ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= target.byteCount, "BUG: range")
    // SAFETY: the range was checked above.
    unsafe target.withUnsafeMutableBytes { target in
        _ = unsafe UnsafeMutableRawBufferPointer(rebasing: target[range])
            .initializeMemory(as: UInt8.self, repeating: 0)
    }
}

extension RawSpan {
    /// A copy of some of its bytes, in memory that was not cleared for it first.
    package func bytes(_ range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "BUG: range")
        // SAFETY: the range was checked above.
        return unsafe withUnsafeBytes { source in
            unsafe Array(UnsafeRawBufferPointer(rebasing: source[range]))
        }
    }
}
