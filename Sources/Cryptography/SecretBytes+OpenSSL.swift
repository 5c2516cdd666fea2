import COpenSSL

/// Key material or a passphrase: bytes that are wiped when the last reference goes.
///
/// They lie in libcrypto's secure heap (locked in memory, kept out of core dumps, between guard
/// pages) once ``prepareSecureHeap()`` ran and while it has room, else in the ordinary heap.
/// The bytes never change after initialization, so any number of threads may read them at once.
@safe
package final class SecretBytes: Sendable {
    /// The number of bytes.
    package let count: Int

    // Never nil, also for a count of 0. Written only in initializers.
    nonisolated(unsafe) private let storage: UnsafeMutableRawPointer  // SAFETY: above

    /// Makes `count` zero bytes and lets `body` fill them in.
    ///
    /// - Throws: what `body` throws; the bytes are wiped then, too.
    package init<E: Error>(
        count: Int, initializingWith body: (inout MutableRawSpan) throws(E) -> Void
    ) throws(E) {
        precondition(count >= 0, "BUG: a secret of \(count) bytes")
        self.count = count
        unsafe storage = SecretHeap.allocate(count)
        // SAFETY: `storage` has `count` initialized bytes, no one else knows them yet, and the
        // span cannot outlive this scope.
        let buffer = unsafe UnsafeMutableRawBufferPointer(start: storage, count: count)
        var span = unsafe MutableRawSpan(_unsafeBytes: buffer)
        try body(&span)
    }

    /// A copy of `bytes`; the caller remains responsible for wiping the original.
    package convenience init(copying bytes: RawSpan) {
        self.init(count: bytes.byteCount) { target in
            copy(bytes, into: &target)
        }
    }

    /// Takes the bytes over: copies them, then wipes and empties the array.
    ///
    /// Other copies of the array, if the caller made any, are out of reach and keep the bytes.
    package convenience init(consuming bytes: inout [UInt8]) {
        self.init(count: bytes.count) { target in
            bytes.withRawSpan { copy($0, into: &target) }
        }
        wipe(&bytes)
        bytes = []
    }

    deinit {
        // SAFETY: `storage` came from `allocate(count)` and is freed only here; the call wipes it.
        unsafe SecretHeap.free(storage, count)
    }

    /// `count` bytes from libcrypto's generator for private values.
    package static func random(count: Int) -> SecretBytes {
        SecretBytes(count: count) { span in
            unsafe span.withUnsafeMutableBytes { buffer in
                precondition(buffer.count <= Int32.max, "BUG: a secret of \(buffer.count) bytes")
                // SAFETY: the call writes exactly `buffer.count` bytes to the buffer.
                unsafe Library.require(
                    RAND_priv_bytes(buffer.octets, Int32(buffer.count)), "RAND_priv_bytes")
            }
        }
    }

    /// Lends the bytes to `body`, which must not copy them to where they are not wiped.
    package func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        defer { extendLifetime(self) }
        // SAFETY: the `count` bytes are initialized, never change and live as long as `self`,
        // which outlasts the call; the span cannot escape `body`.
        return try body(unsafe RawSpan(_unsafeStart: UnsafeRawPointer(storage), byteCount: count))
    }

    /// A secret of the first `count` bytes.
    func prefix(_ count: Int) -> SecretBytes {
        withBytes { SecretBytes(copying: $0.extracting(0..<count)) }
    }

    /// The bytes in an ordinary array, for what is a secret by its form only (a message that is to
    /// be signed), or is wiped by the caller.
    package func copiedBytes() -> [UInt8] {
        withBytes { span in
            // SAFETY: the array is a copy; the span's bytes are initialized.
            unsafe span.withUnsafeBytes { unsafe Array($0) }
        }
    }

    /// Whether both hold the same bytes; takes a time that depends on the counts only.
    package func isEqual(to other: SecretBytes) -> Bool {
        withBytes { own in other.withBytes { constantTimeEqual(own, $0) } }
    }

    /// Sets up the secure heap of 1 MiB. Executables call it once, before the first secret; further
    /// calls do nothing.
    ///
    /// Where the system forbids it, secrets stay in the ordinary heap and are wiped all the same.
    package static func prepareSecureHeap() {
        _ = SecretHeap.setUpResult
    }
}

/// Copies all of `source` to the start of `target`, which is different memory.
private func copy(_ source: RawSpan, into target: inout MutableRawSpan) {
    precondition(source.byteCount <= target.byteCount, "BUG: no room for a secret")
    unsafe target.withUnsafeMutableBytes { target in
        // SAFETY: `target` has room for the whole source, and they do not overlap.
        unsafe source.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
    }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The size, never the contents.
    package var description: String { "SecretBytes(\(count))" }
    package var debugDescription: String { description }
    /// Empty, so that `dump` and test failures show no contents either.
    package var customMirror: Mirror { Mirror(self, children: [:] as KeyValuePairs<String, Any>) }
}
