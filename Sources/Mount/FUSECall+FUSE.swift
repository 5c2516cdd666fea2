internal import CFUSE
internal import Glibc
internal import Platform
internal import Vault

/// One request under way: what every callback needs to decode it and to reply, once.
// SAFETY: lives within one callback; libfuse frees the request at the reply.
@safe
struct FUSECall {
    private let request: fuse_req_t
    let connection: Connection

    init(_ request: fuse_req_t?) {
        guard let request = unsafe request else { preconditionFailure("BUG: no request") }
        unsafe self.request = request
        connection = unsafe Connection.from(fuse_req_userdata(request))
    }

    var vault: VaultFileSystem { connection.vault }

    /// The worker that carries out this call.
    var worker: Worker { Worker.current }

    var requester: Requester {
        // SAFETY: the context is part of the request.
        guard let context = unsafe fuse_req_ctx(request) else {
            preconditionFailure("BUG: every request has a context")
        }
        return unsafe Requester(
            uid: context.pointee.uid, gid: context.pointee.gid, pid: context.pointee.pid,
            umask: context.pointee.umask)
    }

    /// Runs `body`, which replies itself; answers its error otherwise.
    func answer(_ body: () throws(VaultError) -> Void) {
        do throws(VaultError) {
            try body()
        } catch {
            reply(Errno(error))
        }
    }

    // MARK: Replies

    func reply(_ errno: Errno) {
        // ENOSYS would switch the operation off for the whole mount.
        let code = errno.rawValue == ENOSYS ? EOPNOTSUPP : errno.rawValue
        _ = unsafe fuse_reply_err(request, code)
    }

    func replySuccess() {
        _ = unsafe fuse_reply_err(request, 0)
    }

    /// For requests that the kernel expects no reply to.
    func finish() {
        unsafe fuse_reply_none(request)
    }

    /// Gives the kernel an entry; takes its lookup back when nobody waits for it any more.
    func reply(_ entry: Entry) {
        var parameters = connection.parameters(of: entry)
        if unsafe fuse_reply_entry(request, &parameters) != 0 {
            vault.forget(entry.inode, lookups: 1)
        }
    }

    /// The kernel remembers for the entry timeout that the name does not exist.
    func replyNoEntry() {
        var parameters = fuse_entry_param()
        parameters.entry_timeout = connection.entryTimeoutSeconds
        _ = unsafe fuse_reply_entry(request, &parameters)
    }

    func reply(_ attributes: Attributes) {
        var status = stat(attributes)
        _ = unsafe fuse_reply_attr(request, &status, connection.attributeTimeoutSeconds)
    }

    func reply(created entry: Entry, handle: HandleID, _ info: inout fuse_file_info) {
        var parameters = connection.parameters(of: entry)
        info.fh = handle.rawValue
        if unsafe fuse_reply_create(request, &parameters, &info) != 0 {
            vault.release(handle)
            vault.forget(entry.inode, lookups: 1)
        }
    }

    /// - Returns: false when the open was interrupted; the caller closes the handle.
    func reply(opened handle: HandleID, _ info: inout fuse_file_info) -> Bool {
        info.fh = handle.rawValue
        return unsafe fuse_reply_open(request, &info) == 0
    }

    func reply(written count: Int) {
        _ = unsafe fuse_reply_write(request, count)
    }

    func reply(offset: UInt64) {
        _ = unsafe fuse_reply_lseek(request, off_t(truncatingIfNeeded: offset))
    }

    /// - Returns: false when nobody waited for the reply.
    @discardableResult
    func reply(_ buffer: PageBuffer, count: Int) -> Bool {
        buffer.withBytes { bytes in
            precondition(count <= bytes.byteCount, "BUG: reply longer than its buffer")
            // SAFETY: checked above; the kernel has copied the bytes when the call returns.
            return unsafe bytes.withUnsafeBytes { bytes in
                unsafe fuse_reply_buf(
                    request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count) == 0
            }
        }
    }

    func replyLink(target: [UInt8]) {
        unsafe FileName(target).withCString { target in
            _ = unsafe fuse_reply_readlink(request, target)
        }
    }

    /// getxattr(2) and listxattr(2): a capacity of 0 asks for the size.
    func reply(_ value: [UInt8], capacity: Int) {
        if capacity == 0 {
            _ = unsafe fuse_reply_xattr(request, value.count)
        } else if value.count > capacity {
            reply(.outOfRange)
        } else {
            // SAFETY: pointer and count come from the same array, for this call.
            unsafe value.withUnsafeBytes { value in
                _ = unsafe fuse_reply_buf(
                    request, value.baseAddress?.assumingMemoryBound(to: CChar.self), value.count)
            }
        }
    }

    func reply(_ statistics: FileSystemStatistics) {
        var value = statvfs()
        value.f_bsize = UInt(statistics.blockSizeBytes)
        value.f_frsize = UInt(statistics.fragmentSizeBytes)
        value.f_blocks = UInt(statistics.blocks)
        value.f_bfree = UInt(statistics.freeBlocks)
        value.f_bavail = UInt(statistics.availableBlocks)
        value.f_files = UInt(statistics.files)
        value.f_ffree = UInt(statistics.freeFiles)
        value.f_favail = UInt(statistics.availableFiles)
        value.f_namemax = UInt(statistics.maximumNameBytes)
        _ = unsafe fuse_reply_statfs(request, &value)
    }

    // MARK: Directory entries

    /// Adds an entry to a listing in `target`.
    ///
    /// - Returns: its bytes; when it does not fit, what it would take, and nothing is added.
    func add(
        _ entry: borrowing DirectoryEntry, to target: UnsafeMutableRawBufferPointer
    ) -> Int {
        var status = stat()
        status.st_ino = ino_t(entry.inodeNumber)
        status.st_mode = entry.type << 12  // DT_ constants are the file type bits (readdir(3)).
        let next = off_t(truncatingIfNeeded: entry.nextCookie)
        return unsafe entry.name.withCString { name in
            unsafe fuse_add_direntry(
                request, target.baseAddress?.assumingMemoryBound(to: CChar.self), target.count,
                name, &status, next)
        }
    }

    /// The same with the inode's attributes; nil where the kernel is to get none.
    func add(
        _ entry: borrowing DirectoryEntry, _ found: Entry?,
        to target: UnsafeMutableRawBufferPointer
    ) -> Int {
        var parameters = fuse_entry_param()
        if let found {
            parameters = connection.parameters(of: found)
        } else {
            parameters.attr.st_ino = ino_t(entry.inodeNumber)
            parameters.attr.st_mode = entry.type << 12
        }
        let next = off_t(truncatingIfNeeded: entry.nextCookie)
        return unsafe entry.name.withCString { name in
            unsafe fuse_add_direntry_plus(
                request, target.baseAddress?.assumingMemoryBound(to: CChar.self), target.count,
                name, &parameters, next)
        }
    }
}

extension Connection {
    func parameters(of entry: Entry) -> fuse_entry_param {
        var parameters = fuse_entry_param()
        parameters.ino = entry.inode.rawValue
        parameters.attr = stat(entry.attributes)
        parameters.attr_timeout = attributeTimeoutSeconds
        parameters.entry_timeout = entryTimeoutSeconds
        return parameters
    }
}

extension stat {
    init(_ attributes: Attributes) {
        self.init()
        st_ino = ino_t(attributes.inodeNumber)
        st_mode = attributes.mode
        st_nlink = nlink_t(attributes.linkCount)
        st_uid = attributes.uid
        st_gid = attributes.gid
        st_rdev = dev_t(attributes.device)
        st_size = off_t(truncatingIfNeeded: attributes.sizeBytes)
        st_blocks = blkcnt_t(truncatingIfNeeded: attributes.blocks512)
        st_blksize = blksize_t(attributes.blockSizeBytes)
        st_atim = timespec(attributes.accessTime)
        st_mtim = timespec(attributes.modificationTime)
        st_ctim = timespec(attributes.changeTime)
    }
}

extension timespec {
    init(_ time: Timespec) {
        self.init(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
    }
}
