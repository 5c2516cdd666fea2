internal import Glibc

/// One component of a path: bytes without NUL or "/", kept with a NUL behind them for C.
package struct FileName: Hashable, Sendable {
    private let storage: [UInt8]

    /// The name without its terminator, in any encoding.
    package var bytes: [UInt8] { Array(storage.dropLast()) }

    package var count: Int { storage.count - 1 }

    /// The name as text; bytes that are no UTF-8 are replaced.
    package var string: String { String(decoding: storage.dropLast(), as: UTF8.self) }

    /// Bytes from the first NUL on are dropped, as C would read them.
    package init(_ bytes: some Collection<UInt8>) {
        var storage = Array(bytes.prefix { $0 != 0 })
        storage.append(0)
        self.storage = storage
    }

    package init(_ string: String) {
        self.init(string.utf8)
    }

    /// Copies a C string.
    package init(cString: UnsafePointer<CChar>) {
        // SAFETY: the caller hands a NUL-terminated string, which outlives this call.
        let length = unsafe strlen(cString)
        unsafe storage = Array(UnsafeRawBufferPointer(start: cString, count: length + 1))
    }

    /// `.` or `..`, which no stored name is.
    package var isDots: Bool {
        storage == [UInt8(ascii: "."), 0] || storage == [UInt8(ascii: "."), UInt8(ascii: "."), 0]
    }

    package func withCString<Result, Failure: Error>(
        _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // SAFETY: storage ends with NUL, and the pointer lives for this closure only.
        try unsafe storage.span.bytes.withUnsafeBytes { bytes throws(Failure) in
            guard let base = bytes.baseAddress else {
                preconditionFailure("BUG: a file name has at least its terminator")
            }
            return try unsafe body(base.assumingMemoryBound(to: CChar.self))
        }
    }
}
