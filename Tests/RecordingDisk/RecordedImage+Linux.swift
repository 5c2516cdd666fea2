internal import CLinux
internal import Glibc

/// An image file and, unless it was made without one, its record: `RECORD.index`, 40 bytes for each request, and `RECORD.data`,
/// what was written, one write behind the other.
///
/// An entry is five little-endian 64-bit numbers: kind, offset, count, where in `RECORD.data` the
/// bytes begin, and the time in nanoseconds since 1970. It is written when the request has been
/// carried out, and before it is answered: the index's size tells anybody how far the record is.
///
/// Used by one thread.
// SAFETY: holds descriptors and numbers; the pointers that come in live for one call.
@safe
final class RecordedImage {
    private enum Kind: UInt64 {
        case write = 1
        case zero = 2
        case flush = 3
    }

    let sizeBytes: off_t
    private let image: Int32
    /// -1 without a record.
    private let index: Int32
    private let data: Int32
    private var dataBytes: off_t = 0
    private let flushMicroseconds: UInt32

    /// Opens the image and makes the record; nil with errno set when that fails.
    ///
    /// - Parameters:
    ///   - record: nil for a disk that remembers nothing.
    ///   - flushMicroseconds: what a flush takes at least; nothing else is done meanwhile.
    init?(image path: String, record: String?, flushMicroseconds: UInt32) {
        self.flushMicroseconds = flushMicroseconds
        image = unsafe keyfold_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0)
        index = record.map { Self.make($0 + ".index") } ?? -1
        data = record.map { Self.make($0 + ".data") } ?? -1
        sizeBytes = lseek(image, 0, SEEK_END)
        guard sizeBytes > 0, record == nil || index >= 0 && data >= 0 else { return nil }
    }

    private static func make(_ path: String) -> Int32 {
        unsafe keyfold_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    }

    // MARK: What a disk does

    /// - Returns: the bytes read, or -1 with errno set.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: off_t) -> Int {
        unsafe pread(image, buffer.baseAddress, buffer.count, offset)
    }

    /// - Returns: 0 or an errno, as the others below.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: off_t) -> Int32 {
        guard unsafe put(bytes, in: image, at: offset) else { return EIO }
        guard index >= 0 else { return 0 }
        guard unsafe put(bytes, in: data, at: dataBytes) else { return EIO }
        let position = dataBytes
        dataBytes += off_t(bytes.count)
        return note(.write, offset, off_t(bytes.count), dataOffset: position)
    }

    /// Discards and write-zeroes: a discarded range reads as zeros, as the loop device says.
    func zero(_ count: off_t, at offset: off_t) -> Int32 {
        let mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        guard keyfold_fallocate(image, mode, offset, count) == 0 else { return errno }
        return note(.zero, offset, count)
    }

    func flush() -> Int32 {
        if flushMicroseconds > 0 { usleep(flushMicroseconds) }
        return note(.flush, 0, 0)
    }

    // MARK: The record

    private func note(
        _ kind: Kind, _ offset: off_t, _ count: off_t, dataOffset: off_t = 0
    ) -> Int32 {
        guard index >= 0 else { return 0 }
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        let time = UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
        let entry = [
            kind.rawValue, UInt64(offset), UInt64(count), UInt64(dataOffset), time,
        ].map(\.littleEndian)
        // SAFETY: the array's own bytes, for this call.
        return unsafe entry.withUnsafeBytes { bytes in
            let end = lseek(index, 0, SEEK_END)
            return unsafe put(bytes, in: index, at: end) ? 0 : EIO
        }
    }

    private func put(
        _ bytes: UnsafeRawBufferPointer, in descriptor: Int32, at offset: off_t
    ) -> Bool {
        unsafe pwrite(descriptor, bytes.baseAddress, bytes.count, offset) == bytes.count
    }
}
