internal import CLinux
internal import Glibc

/// Reads a directory's entries in the order and with the cookies of the file system below.
///
/// One thread at a time: the caller holds a lock.
package struct DirectoryStream: ~Copyable {
    package struct Entry {
        package let name: FileName
        package let inodeNumber: UInt64
        /// DT_ constants of readdir(3); DT_UNKNOWN where the file system does not tell.
        package let type: UInt8
        /// Where to go on behind this entry.
        package let nextCookie: Int64
    }

    private let descriptor: Descriptor
    private var buffer: [UInt8]
    private var used = 0
    private var filled = 0
    private var cookie: Int64 = 0

    /// `descriptor` must be open for reading and not be shared with another stream.
    package init(_ descriptor: Descriptor, bufferBytes: Int = 32_768) {
        self.descriptor = descriptor
        buffer = [UInt8](repeating: 0, count: bufferBytes)
    }

    /// Goes on behind the entry that gave `cookie`; 0 is the start.
    package mutating func seek(to cookie: Int64) throws(Errno) {
        if cookie == self.cookie, cookie != 0 || used == filled && filled == 0 { return }
        used = 0
        filled = 0
        self.cookie = cookie
        _ = try descriptor.seek(to: cookie, whence: SEEK_SET)
    }

    /// The next entry, "." and ".." included; nil at the end.
    package mutating func next() throws(Errno) -> Entry? {
        if used == filled {
            let raw = descriptor.rawValue
            let gate = descriptor.gate
            // SAFETY: the buffer's own size is given, and it is not empty.
            var span = buffer.mutableSpan
            filled = try unsafe span.withUnsafeMutableBytes { bytes throws(Errno) in
                guard let start = bytes.baseAddress else { return 0 }
                return try gate.call(.list) {
                    unsafe keyfold_getdents64(raw, start, bytes.count)
                }
            }
            used = 0
            if filled == 0 { return nil }
        }
        // struct linux_dirent64 (getdents64(2)): ino 8, off 8, reclen 2, type 1, name.
        let start = used
        func number<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value {
            (0..<MemoryLayout<Value>.size).reversed().reduce(Value(0)) {
                $0 << 8 | Value(truncatingIfNeeded: buffer[start + offset + $1])
            }
        }
        let recordBytes = Int(number(UInt16.self, at: 16))
        precondition(recordBytes >= 20 && start + recordBytes <= filled, "BUG: kernel's record")
        let next = number(Int64.self, at: 8)
        let entry = Entry(
            name: FileName(buffer[start + 19..<start + recordBytes]),
            inodeNumber: number(UInt64.self, at: 0), type: buffer[start + 18], nextCookie: next)
        used += recordBytes
        cookie = next
        return entry
    }
}
