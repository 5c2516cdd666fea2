internal import CLinux
internal import Glibc

/// An open file descriptor, closed when its last reference goes.
///
/// All calls may be made from any thread; two writers of the same bytes order themselves.
package final class Descriptor: Sendable {
    package let rawValue: Int32
    let gate: StoreGate

    package convenience init(adopting rawValue: Int32) {
        self.init(adopting: rawValue, gate: StoreGate())
    }

    init(adopting rawValue: Int32, gate: StoreGate) {
        self.rawValue = rawValue
        self.gate = gate
    }

    deinit {
        // EINTR leaves the descriptor closed on Linux (close(2)), so the result has no use.
        _ = close(rawValue)
    }

    /// Opens a path that the person gave; close-on-exec is always set.
    package static func open(
        path: String, _ flags: Int32, mode: UInt32 = 0
    ) throws(Errno) -> Descriptor {
        try open(path: path, flags, mode: mode, gate: StoreGate(path: path))
    }

    private static func open(
        path: String, _ flags: Int32, mode: UInt32, gate: StoreGate
    ) throws(Errno) -> Descriptor {
        try unsafe FileName.withPath(path) { path throws(Errno) in
            let opened = try gate.call(flags & O_CREAT == 0 ? .open : .create) {
                unsafe keyfold_openat(AT_FDCWD, path, flags | O_CLOEXEC, mode)
            }
            return Descriptor(adopting: opened, gate: gate)
        }
    }

    /// Opens one name in this directory, never through a symbolic link.
    package func open(
        _ name: FileName, _ flags: Int32, mode: UInt32 = 0
    ) throws(Errno) -> Descriptor {
        try unsafe name.withCString { name throws(Errno) in
            let opened = try gate.call(flags & O_CREAT == 0 ? .open : .create) {
                unsafe keyfold_openat(rawValue, name, flags | O_CLOEXEC | O_NOFOLLOW, mode)
            }
            return Descriptor(adopting: opened, gate: gate)
        }
    }

    /// Opens the same file again, with other flags (through /proc/self/fd; works for O_PATH too).
    package func reopen(_ flags: Int32) throws(Errno) -> Descriptor {
        try Descriptor.open(path: procPath, flags, mode: 0, gate: gate)
    }

    /// A path that names this descriptor's file while it is open.
    package var procPath: String { "/proc/self/fd/\(rawValue)" }

    // MARK: Data

    /// Fills `buffer` from `range.lowerBound` on; short only at the end of the file.
    ///
    /// - Returns: how many bytes were read.
    package func read(
        into buffer: inout MutableRawSpan, _ range: Range<Int>, at offset: UInt64
    ) throws(Errno) -> Int {
        precondition(range.lowerBound >= 0 && range.upperBound <= buffer.byteCount, "BUG: range")
        var done = 0
        while done < range.count {
            let count = try unsafe buffer.withUnsafeMutableBytes { bytes throws(Errno) in
                // SAFETY: the range was checked against the buffer above.
                let start = unsafe bytes.baseAddress?.advanced(by: range.lowerBound + done)
                return try gate.transfer(.read, range.count - done) { count in
                    unsafe pread(rawValue, start, count, off_t(offset) + done)
                }
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Writes all bytes of `range`, or throws; after an error some of them may be written.
    package func write(
        _ bytes: RawSpan, _ range: Range<Int>, at offset: UInt64
    ) throws(Errno) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.byteCount, "BUG: range")
        var done = 0
        while done < range.count {
            done += try unsafe bytes.withUnsafeBytes { bytes throws(Errno) in
                // SAFETY: the range was checked against the span above.
                let start = unsafe bytes.baseAddress?.advanced(by: range.lowerBound + done)
                return try gate.transfer(.write, range.count - done) { count in
                    unsafe pwrite(rawValue, start, count, off_t(offset) + done)
                }
            }
        }
    }

    /// Writes three pieces, one behind the other, with one pwritev(2) where the system takes them
    /// whole, or throws; after an error some of their bytes may be written.
    package func write(
        _ first: RawSpan, _ second: RawSpan, _ third: RawSpan, at offset: UInt64
    ) throws(Errno) {
        let count = first.byteCount + second.byteCount + third.byteCount
        var done = 0
        while done < count {
            done += try unsafe first.withUnsafeBytes { first throws(Errno) in
                try unsafe second.withUnsafeBytes { second throws(Errno) in
                    try unsafe third.withUnsafeBytes { third throws(Errno) in
                        // SAFETY: the pieces live for the call.
                        let pieces = unsafe [first, second, third]
                        return try gate.transfer(.write, count - done) { count in
                            unsafe write(pieces, done..<done + count, at: offset)
                        }
                    }
                }
            }
        }
    }

    /// One call: of the pieces, one behind the other, the bytes of `range`, from `offset` and its
    /// beginning on.
    private func write(
        _ pieces: [UnsafeRawBufferPointer], _ range: Range<Int>, at offset: UInt64
    ) -> Int {
        // Nothing is freed between the call and its caller, who reads errno.
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: pieces.count) { parts in
            var (start, count) = (0, 0)
            for index in unsafe pieces.indices {
                let piece = unsafe pieces[index]
                let own = range.clamped(to: start..<start + piece.count)
                if !own.isEmpty {
                    // SAFETY: `own` lies in the piece, which pwritev(2) only reads; `count` is less
                    // than the number of pieces.
                    unsafe parts.initializeElement(
                        at: count,
                        to: iovec(
                            iov_base: UnsafeMutableRawPointer(
                                mutating: piece.baseAddress?.advanced(by: own.lowerBound - start)),
                            iov_len: own.count))
                    count += 1
                }
                start += piece.count
            }
            // SAFETY: so many parts are initialized; they are plain values, which need no end.
            return unsafe pwritev(
                rawValue, parts.baseAddress, Int32(count), off_t(offset) + range.lowerBound)
        }
    }

    package func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
        // SAFETY: a byte has no padding.
        try unsafe write(bytes.span.bytes, 0..<bytes.count, at: offset)
    }

    /// Appends all bytes at the descriptor's own position with one write(2) where the system
    /// takes them whole.
    ///
    /// - Returns: how many bytes one call took.
    package func append(_ bytes: [UInt8]) throws(Errno) -> Int {
        // SAFETY: pointer and count come from the same array, for this call.
        try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(Errno) in
            try gate.transfer(.write, bytes.count) { count in
                unsafe Glibc.write(rawValue, bytes.baseAddress, count)
            }
        }
    }

    /// Reads up to `count` bytes from `offset` on.
    package func read(count: Int, at offset: UInt64) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        // SAFETY: a byte has no padding, and every pattern is one.
        var raw = unsafe span.mutableBytes
        let done = try read(into: &raw, 0..<count, at: offset)
        bytes.removeLast(count - done)
        return bytes
    }

    /// Reads the whole file, which must not be longer than `limitBytes`.
    ///
    /// - Throws: `EFBIG` when it is.
    package func readAll(limitBytes: Int) throws(Errno) -> [UInt8] {
        // The limit may be thousands of times what is there; a size that the file tells is none in
        // /proc (proc(5)), and changes.
        var bytes: [UInt8] = []
        var pieceBytes = 4096
        while true {
            let count = min(pieceBytes, limitBytes + 1 - bytes.count)
            let piece = try read(count: count, at: UInt64(bytes.count))
            bytes += piece
            if bytes.count > limitBytes { throw .fileTooLarge }
            if piece.count < count { return bytes }
            pieceBytes = 2 * bytes.count
        }
    }

    package func truncate(to sizeBytes: UInt64) throws(Errno) {
        _ = try gate.call(.truncate) { ftruncate(rawValue, off_t(sizeBytes)) }
    }

    package func synchronize(dataOnly: Bool) throws(Errno) {
        _ = try gate.call(.synchronize) { dataOnly ? fdatasync(rawValue) : fsync(rawValue) }
    }

    /// syncfs(2) of the file system that this file is on.
    package func synchronizeFileSystem() throws(Errno) {
        _ = try gate.call(.synchronize) { keyfold_syncfs(rawValue) }
    }

    /// fallocate(2); `mode` holds FALLOC_FL_ flags.
    package func allocate(mode: Int32, at offset: UInt64, count: UInt64) throws(Errno) {
        _ = try gate.call(.allocate) {
            keyfold_fallocate(rawValue, mode, off_t(offset), off_t(count))
        }
    }

    /// lseek(2) with SEEK_DATA or SEEK_HOLE, or another whence.
    package func seek(to offset: Int64, whence: Int32) throws(Errno) -> UInt64 {
        UInt64(try gate.call(.seek) { lseek(rawValue, off_t(offset), whence) })
    }

    /// Moves the position, which preads and pwrites do not use.
    ///
    /// - Throws: `EFBIG` when the file system has no files of that size.
    package func requireRoom(forBytes byteCount: UInt64) throws(Errno) {
        guard let end = Int64(exactly: byteCount) else { throw .fileTooLarge }
        do throws(Errno) {
            _ = try seek(to: end, whence: SEEK_SET)
        } catch {
            throw error == .invalidArgument ? .fileTooLarge : error
        }
    }

    // MARK: Attributes

    package func status() throws(Errno) -> FileStatus {
        var value = stat()
        // SAFETY: `value` outlives the call.
        _ = try gate.call(.status) { unsafe fstat(rawValue, &value) }
        return FileStatus(value)
    }

    /// Size and number of names of the file, and nothing else: since Linux 6.13 a file whose times
    /// were asked for has its inode written anew at its next change.
    package func sizeAndLinks() throws(Errno) -> (sizeBytes: UInt64, linkCount: UInt32) {
        var (size, links): (UInt64, UInt32) = (0, 0)
        // SAFETY: both outlive the call.
        _ = try gate.call(.status) { unsafe keyfold_size_and_links(rawValue, &size, &links) }
        return (size, links)
    }

    /// Of one name in this directory, not following a symbolic link.
    package func status(of name: FileName) throws(Errno) -> FileStatus {
        var value = stat()
        try unsafe name.withCString { name throws(Errno) in
            // SAFETY: both pointers outlive the call.
            _ = try gate.call(.status) {
                unsafe fstatat(rawValue, name, &value, AT_SYMLINK_NOFOLLOW)
            }
        }
        return FileStatus(value)
    }

    package func fileSystemStatistics() throws(Errno) -> FileSystemStatistics {
        var value = statvfs()
        // SAFETY: `value` outlives the call.
        _ = try gate.call(.statistics) { unsafe fstatvfs(rawValue, &value) }
        return FileSystemStatistics(value)
    }

    // MARK: Locks

    package enum LockKind: Sendable { case shared, exclusive }

    /// flock(2) without waiting.
    ///
    /// - Throws: `EWOULDBLOCK` when another open file description holds it.
    package func tryLock(_ kind: LockKind) throws(Errno) {
        _ = try gate.call(.lock) {
            flock(rawValue, (kind == .exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB)
        }
    }

    package func unlock() {
        _ = flock(rawValue, LOCK_UN)
    }

    /// Takes an exclusive open file description lock on one byte, of a file that may end before it,
    /// without waiting (fcntl(2), F_OFD_SETLK). It is held until the descriptor is closed, which
    /// must be writable.
    ///
    /// - Throws: `EAGAIN` when another open file description holds it.
    package func tryLock(byteAt offset: UInt64) throws(Errno) {
        var lock = Descriptor.lock(byteAt: offset)
        // SAFETY: `lock` outlives the call.
        _ = try gate.call(.lock) { unsafe keyfold_lock_try(rawValue, &lock) }
    }

    /// Whether another open file description holds a lock on the byte (fcntl(2), F_OFD_GETLK).
    package func isLocked(byteAt offset: UInt64) throws(Errno) -> Bool {
        var lock = Descriptor.lock(byteAt: offset)
        // SAFETY: `lock` outlives the call.
        _ = try systemCall { unsafe keyfold_lock_ask(rawValue, &lock) }
        return lock.l_type != Int16(F_UNLCK)
    }

    private static func lock(byteAt offset: UInt64) -> flock {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = off_t(offset)
        lock.l_len = 1
        return lock
    }

    /// Holds an exclusive open file description lock over the first `byteCount` bytes while
    /// `body` runs (fcntl(2), F_OFD_SETLKW); the descriptor must be writable.
    package func withHeadLocked<Result, Failure: Error>(
        byteCount: Int, orThrow failure: (Errno) -> Failure, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        do throws(Errno) {
            try lockHead(byteCount: byteCount, type: Int16(F_WRLCK))
        } catch {
            throw failure(error)
        }
        defer { _ = setHeadLock(byteCount: byteCount, type: Int16(F_UNLCK)) }
        return try body()
    }

    private func lockHead(byteCount: Int, type: Int16) throws(Errno) {
        try gate.call(.lock) { setHeadLock(byteCount: byteCount, type: type) }
    }

    /// Letting go is never refused, so only taking the lock passes the gate.
    private func setHeadLock(byteCount: Int, type: Int16) -> Int32 {
        var lock = flock()
        lock.l_type = type
        lock.l_whence = Int16(SEEK_SET)
        lock.l_len = off_t(byteCount)
        // SAFETY: `lock` outlives the call.
        return unsafe keyfold_lock_wait(rawValue, &lock)
    }
}

extension FileName {
    /// Runs `body` with a path as a C string.
    static func withPath<Result, Failure: Error>(
        _ path: String, _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe FileName(path).withCString(body)
    }
}
