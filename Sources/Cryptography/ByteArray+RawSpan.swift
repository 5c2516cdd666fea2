/// Lends an array's bytes as the spans that the primitives take.
///
/// The standard library marks `Span.bytes` unsafe since padding would be readable; `UInt8` has none.
extension [UInt8] {
    /// Lends the bytes for reading.
    package func withRawSpan<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        // SAFETY: no padding between or within bytes; the span cannot escape `body`.
        try body(unsafe span.bytes)
    }

    /// Lends the bytes for reading and writing.
    package mutating func withMutableRawSpan<R, E: Error>(
        _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        var elements = mutableSpan
        // SAFETY: every bit pattern is a `UInt8`; the span cannot escape `body`.
        var bytes = unsafe elements.mutableBytes
        return try body(&bytes)
    }
}

extension RawSpan {
    /// One byte.
    package func byte(at offset: Int) -> UInt8 {
        // SAFETY: every bit pattern is a `UInt8`; the load checks its bounds.
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
}
