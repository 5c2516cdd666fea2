internal import Synchronization

/// Bytes that grow at their end and keep their memory when they are emptied, so that an event costs
/// no allocation. One thread at a time: ``EventBufferPool`` gives each to one.
@safe
final class EventBuffer: @unchecked Sendable {  // SAFETY: above
    private(set) var count = 0
    // SAFETY: `capacity` bytes, of which the first `count` are initialized; only `reserve` and
    // `deinit` free it.
    private var start: UnsafeMutablePointer<UInt8>  // SAFETY: above
    private(set) var capacity: Int

    init(capacity: Int = 4096) {
        self.capacity = capacity
        unsafe start = .allocate(capacity: capacity)
    }

    deinit {
        unsafe start.deallocate()
    }

    /// Forgets all bytes, then holds `count` zeros.
    func reset(toZeros count: Int = 0) {
        self.count = 0
        reserve(count)
        // SAFETY: there is room for `count` bytes.
        unsafe start.update(repeating: 0, count: count)
        self.count = count
    }

    @inline(__always)
    private func reserve(_ more: Int) {
        if capacity - count < more { grow(more) }
    }

    private func grow(_ more: Int) {
        let newCapacity = max(2 * capacity, count + more)
        let new = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
        // SAFETY: both have room for `count` bytes and are different memory.
        unsafe new.update(from: start, count: count)
        unsafe start.deallocate()
        unsafe start = new
        capacity = newCapacity
    }

    @inline(__always)
    func append(_ byte: UInt8) {
        reserve(1)
        // SAFETY: there is room for one more.
        unsafe start[count] = byte
        count += 1
    }

    @inline(__always)
    func append(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        reserve(length)
        // SAFETY: there is room, and a static string's bytes live for the program's whole run.
        unsafe (start + count).update(from: text.utf8Start, count: length)
        count += length
    }

    @inline(__always)
    func append(_ bytes: Span<UInt8>) {
        reserve(bytes.count)
        // SAFETY: there is room, and the pointers end with the closure.
        unsafe bytes.withUnsafeBufferPointer { bytes in
            if let source = bytes.baseAddress {
                unsafe (start + count).update(from: source, count: bytes.count)
            }
        }
        count += bytes.count
    }

    func append(_ bytes: [UInt8]) { append(bytes.span) }

    /// Makes `count` more bytes and lets `body` set them all.
    @inline(__always)
    func append(_ count: Int, _ body: (inout MutableSpan<UInt8>) -> Void) {
        reserve(count)
        // SAFETY: there is room; the bytes are initialized before the span sees them.
        let target = unsafe UnsafeMutableBufferPointer(start: start + self.count, count: count)
        unsafe target.update(repeating: 0)
        var span = unsafe MutableSpan(_unsafeElements: target)
        body(&span)
        self.count += count
    }

    /// Overwrites bytes that are there.
    func replace(at offset: Int, with bytes: [UInt8]) {
        precondition(offset >= 0 && offset + bytes.count <= count, "BUG: outside of the buffer")
        for (index, byte) in bytes.enumerated() {
            // SAFETY: checked above.
            unsafe start[offset + index] = byte
        }
    }

    func putBigEndian(_ value: UInt64, at offset: Int) {
        precondition(offset >= 0 && offset + 8 <= count, "BUG: outside of the buffer")
        for index in 0..<8 {
            // SAFETY: checked above.
            unsafe start[offset + index] = UInt8(truncatingIfNeeded: value >> (56 - 8 * index))
        }
    }

    @inline(__always)
    func withRawSpan<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { extendLifetime(self) }
        // SAFETY: the bytes are initialized and live as long as `self`; the span ends with `body`.
        return try body(unsafe RawSpan(_unsafeStart: start, byteCount: count))
    }

    /// A copy of the bytes from `offset` on.
    func bytes(from offset: Int = 0) -> [UInt8] {
        precondition(offset >= 0 && offset <= count, "BUG: outside of the buffer")
        // SAFETY: checked above.
        return unsafe Array(UnsafeBufferPointer(start: start + offset, count: count - offset))
    }
}

/// Buffers between two events. At most as many as events were written at once.
final class EventBufferPool: Sendable {
    private static let limit = 64
    /// One that grew beyond this for a long event is let go.
    private static let limitBytes = 64 << 10

    private let buffers = Mutex<[EventBuffer]>([])

    func take() -> EventBuffer { buffers.withLock { $0.popLast() } ?? EventBuffer() }

    func giveBack(_ buffer: EventBuffer) {
        guard buffer.capacity <= EventBufferPool.limitBytes else { return }
        buffers.withLock { buffers in
            if buffers.count < EventBufferPool.limit { buffers.append(buffer) }
        }
    }
}
