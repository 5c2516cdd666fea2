internal import CFUSE
internal import CLinux
internal import Glibc

/// The file system's few requests: a root directory with one file, `disk`.
///
/// SAFETY of all callbacks: libfuse passes pointers that live until the reply, and the user data
/// is the image that ``RecordingDisk`` retained for good.
enum DiskCallbacks {
    fileprivate static let root = fuse_ino_t(FUSE_ROOT_ID)
    fileprivate static let file = fuse_ino_t(2)
    fileprivate static let name = "disk"
    /// Nobody but the loop device changes the file, and never its size.
    fileprivate static let timeoutSeconds = 3600.0

    static func install(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.lookup = { request, parent, name in
            guard parent == DiskCallbacks.root, let name = unsafe name,
                unsafe strcmp(name, DiskCallbacks.name) == 0
            else {
                _ = unsafe fuse_reply_err(request, ENOENT)
                return
            }
            var entry = fuse_entry_param()
            entry.ino = DiskCallbacks.file
            entry.attr = unsafe RecordedImage.of(request).status(of: DiskCallbacks.file)
            entry.attr_timeout = DiskCallbacks.timeoutSeconds
            entry.entry_timeout = DiskCallbacks.timeoutSeconds
            _ = unsafe fuse_reply_entry(request, &entry)
        }
        unsafe operations.getattr = { request, inode, _ in
            var status = unsafe RecordedImage.of(request).status(of: inode)
            _ = unsafe fuse_reply_attr(request, &status, DiskCallbacks.timeoutSeconds)
        }
        // The kernel sets the file's times; they mean nothing here.
        unsafe operations.setattr = { request, inode, _, _, _ in
            var status = unsafe RecordedImage.of(request).status(of: inode)
            _ = unsafe fuse_reply_attr(request, &status, DiskCallbacks.timeoutSeconds)
        }
        unsafe operations.open = { request, _, info in
            _ = unsafe fuse_reply_open(request, info)
        }
        installData(in: &operations)
    }

    private static func installData(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.read = { request, _, count, offset, _ in
            unsafe withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { buffer in
                let done = unsafe RecordedImage.of(request).read(into: buffer, at: offset)
                if done < 0 {
                    _ = unsafe fuse_reply_err(request, errno)
                } else {
                    _ = unsafe fuse_reply_buf(
                        request, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), done)
                }
            }
        }
        unsafe operations.write = { request, _, bytes, count, offset, _ in
            let bytes = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
            let error = unsafe RecordedImage.of(request).write(bytes, at: offset)
            if error != 0 {
                _ = unsafe fuse_reply_err(request, error)
            } else {
                _ = unsafe fuse_reply_write(request, count)
            }
        }
        unsafe operations.fsync = { request, _, _, _ in
            _ = unsafe fuse_reply_err(request, RecordedImage.of(request).flush())
        }
        unsafe operations.fallocate = { request, _, mode, offset, count, _ in
            let zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) != 0
            let error =
                zeroes ? unsafe RecordedImage.of(request).zero(count, at: offset) : EOPNOTSUPP
            _ = unsafe fuse_reply_err(request, error)
        }
    }
}

extension RecordedImage {
    fileprivate static func of(_ request: fuse_req_t?) -> RecordedImage {
        guard let disk = unsafe fuse_req_userdata(request) else {
            preconditionFailure("BUG: the session's user data is its image")
        }
        // SAFETY: RecordingDisk.serve passed a retained image.
        return unsafe Unmanaged<RecordedImage>.fromOpaque(disk).takeUnretainedValue()
    }

    fileprivate func status(of inode: fuse_ino_t) -> stat {
        let isRoot = inode == DiskCallbacks.root
        var status = stat()
        status.st_ino = ino_t(inode)
        status.st_mode = isRoot ? S_IFDIR | 0o700 : S_IFREG | 0o600
        status.st_nlink = 1
        status.st_size = isRoot ? 0 : sizeBytes
        return status
    }
}
