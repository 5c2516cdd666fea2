internal import CLinux
internal import Glibc

/// A page-aligned buffer of a fixed size, reused for many operations; wiped when it goes.
///
/// Not thread-safe: one owner at a time.
// SAFETY: the pointer is private, made in init and freed in deinit only.
@safe
package final class PageBuffer {
    package let byteCount: Int
    private let start: UnsafeMutableRawPointer

    package init(byteCount: Int) {
        self.byteCount = byteCount
        unsafe start = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096)
        // SAFETY: the whole allocation becomes initialized.
        unsafe start.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    deinit {
        // SAFETY: explicit_bzero may not be optimized away, so no plaintext outlives the buffer.
        unsafe explicit_bzero(start, byteCount)
        unsafe start.deallocate()
    }

    package func withMutableBytes<Result, Failure: Error>(
        _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // SAFETY: the span covers the allocation, which lives while `self` does.
        var span = unsafe MutableRawSpan(
            _unsafeBytes: UnsafeMutableRawBufferPointer(start: start, count: byteCount))
        return try body(&span)
    }

    package func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // SAFETY: as above.
        try unsafe body(
            RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: start, count: byteCount)))
    }
}
