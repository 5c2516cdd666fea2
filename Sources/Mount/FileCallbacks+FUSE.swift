internal import CFUSE
internal import Glibc
internal import Platform
internal import Vault

/// Open files. Decode, call, reply; nothing else.
///
/// SAFETY of all callbacks: see ``NameCallbacks``.
enum FileCallbacks {
    static func install(in operations: inout fuse_lowlevel_ops) {
        installOpening(in: &operations)
        installClosing(in: &operations)
        installData(in: &operations)
        installSpace(in: &operations)
    }

    private static func installOpening(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.open = { request, inode, info in
            let call = unsafe FUSECall(request)
            var info = unsafe fuse_file_info(copying: info)
            call.answer { () throws(VaultError) in
                let handle = try call.vault.open(
                    InodeID(rawValue: inode), flags: call.openFlags(info), as: call.requester)
                info.keepCache(call.connection.options)
                if !call.reply(opened: handle, &info) { call.vault.release(handle) }
            }
        }
        unsafe operations.create = { request, parent, name, mode, info in
            let call = unsafe FUSECall(request)
            var info = unsafe fuse_file_info(copying: info)
            call.answer { () throws(VaultError) in
                let (entry, handle) = try call.vault.create(
                    unsafe FileName(name), in: InodeID(rawValue: parent), mode: mode,
                    flags: call.openFlags(info), as: call.requester)
                info.keepCache(call.connection.options)
                call.reply(created: entry, handle: handle, &info)
            }
        }
    }

    private static func installClosing(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.flush = { request, _, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            call.answer { () throws(VaultError) in
                try call.vault.flush(handle)
                call.replySuccess()
            }
        }
        unsafe operations.release = { request, _, info in
            let call = unsafe FUSECall(request)
            call.vault.release(unsafe HandleID(required: info))
            call.replySuccess()
        }
        unsafe operations.fsync = { request, _, dataOnly, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            call.answer { () throws(VaultError) in
                try call.vault.synchronize(handle, dataOnly: dataOnly != 0)
                call.worker.noteSyncEnds(call.connection)
                call.replySuccess()
            }
        }
    }

    private static func installData(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.read = { request, _, count, offset, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            let buffer = call.worker.readBuffer
            precondition(count <= buffer.byteCount, "BUG: a read beyond max_pages")
            call.answer { () throws(VaultError) in
                let done = try buffer.withMutableBytes { bytes throws(VaultError) in
                    try call.vault.read(
                        handle, at: UInt64(bitPattern: Int64(offset)), count: count, into: &bytes)
                }
                call.reply(buffer, count: done)
            }
        }
        unsafe operations.write = { request, _, bytes, count, offset, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            let clearsSetID = call.worker.clearsSetID
            call.answer { () throws(VaultError) in
                let bytes = unsafe RawSpan(
                    _unsafeBytes: UnsafeRawBufferPointer(start: bytes, count: count))
                let done = try call.vault.write(
                    handle, at: UInt64(bitPattern: Int64(offset)), bytes, clearsSetID: clearsSetID)
                call.reply(written: done)
            }
        }
    }

    private static func installSpace(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.fallocate = { request, _, mode, offset, count, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            call.answer { () throws(VaultError) in
                // The request has no flag for it, as a WRITE has, and the kernel does not do it.
                try call.vault.allocate(
                    handle, mode: mode, at: UInt64(bitPattern: Int64(offset)),
                    count: UInt64(bitPattern: Int64(count)),
                    clearsSetID: call.requester.uid != 0)
                call.replySuccess()
            }
        }
        unsafe operations.lseek = { request, _, offset, whence, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            call.answer { () throws(VaultError) in
                try call.requireNoHiddenPages(handle)
                call.reply(
                    offset: try call.vault.seek(
                        handle, to: UInt64(bitPattern: Int64(offset)), whence: whence))
            }
        }
    }
}

extension FUSECall {
    func openFlags(_ info: fuse_file_info) -> OpenFlags {
        var flags = OpenFlags(rawValue: info.flags)
        flags.clearsSetID = worker.clearsSetID
        return flags
    }

    /// The kernel asks for data and holes without writing back what it has collected, of which we
    /// know neither the places nor how far they reach. ENOSYS would have it answer itself, for all
    /// files for ever.
    ///
    /// - Throws: `EINVAL`, as file systems without SEEK_DATA answer (lseek(2)): programs read
    ///   everything then. `ENXIO` would say that no data follow.
    func requireNoHiddenPages(_ handle: HandleID) throws(VaultError) {
        guard connection.options.collectsWrites, try vault.isOpenForWriting(handle) else { return }
        throw .system(.invalidArgument)
    }
}

extension HandleID {
    init(required info: UnsafeMutablePointer<fuse_file_info>?) {
        guard let handle = unsafe HandleID(info) else {
            preconditionFailure("BUG: a request without its handle")
        }
        self = handle
    }
}

extension fuse_file_info {
    init(copying info: UnsafeMutablePointer<fuse_file_info>?) {
        guard let info = unsafe info?.pointee else {
            preconditionFailure("BUG: an open without its flags")
        }
        self = info
    }

    /// What the page cache holds of the file stays valid when nobody else changes the vault.
    mutating func keepCache(_ options: MountOptions) {
        switch options.sharing {
        case .exclusive: keep_cache = 1
        case .shared: keep_cache = 0
        }
        // Without writes there is nothing that a close could have to report.
        if flags & O_ACCMODE == O_RDONLY { noflush = 1 }
    }
}
