internal import CFUSE
internal import Glibc
internal import Platform
internal import Vault

/// Attributes, plain and extended. Decode, call, reply; nothing else.
///
/// SAFETY of all callbacks: see ``NameCallbacks``.
enum AttributeCallbacks {
    static func install(in operations: inout fuse_lowlevel_ops) {
        installPlain(in: &operations)
        installExtended(in: &operations)
    }

    private static func installPlain(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.getattr = { request, inode, info in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                call.reply(
                    try call.vault.attributes(
                        of: InodeID(rawValue: inode), handle: unsafe HandleID(info)))
            }
        }
        unsafe operations.setattr = { request, inode, values, valid, info in
            let call = unsafe FUSECall(request)
            guard let values = unsafe values?.pointee else {
                preconditionFailure("BUG: setattr without values")
            }
            var change = AttributeChange(values, valid: valid)
            change.clearsSetID = call.worker.clearsSetID
            call.answer { () throws(VaultError) in
                call.reply(
                    try call.vault.setAttributes(
                        of: InodeID(rawValue: inode), handle: unsafe HandleID(info), to: change,
                        as: call.requester))
            }
        }
        unsafe operations.statfs = { request, _ in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                call.reply(try call.vault.fileSystemStatistics())
            }
        }
    }

    private static func installExtended(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.getxattr = { request, inode, name, capacity in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                let value = try call.vault.extendedAttribute(
                    unsafe FileName(name).bytes, of: InodeID(rawValue: inode))
                call.reply(value, capacity: capacity)
            }
        }
        unsafe operations.listxattr = { request, inode, capacity in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                let names = try call.vault.extendedAttributeNames(of: InodeID(rawValue: inode))
                call.reply(names.flatMap { $0 + [0] }, capacity: capacity)
            }
        }
        unsafe operations.setxattr = { request, inode, name, value, count, flags in
            let call = unsafe FUSECall(request)
            let value = unsafe Array(UnsafeRawBufferPointer(start: value, count: count))
            call.answer { () throws(VaultError) in
                try call.vault.setExtendedAttribute(
                    unsafe FileName(name).bytes, of: InodeID(rawValue: inode), to: value,
                    flags: flags, as: call.requester)
                call.replySuccess()
            }
        }
        unsafe operations.removexattr = { request, inode, name in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                try call.vault.removeExtendedAttribute(
                    unsafe FileName(name).bytes, of: InodeID(rawValue: inode))
                call.replySuccess()
            }
        }
    }
}

extension HandleID {
    /// The handle of a request that may come without one.
    init?(_ info: UnsafeMutablePointer<fuse_file_info>?) {
        guard let info = unsafe info else { return nil }
        unsafe self.init(rawValue: info.pointee.fh)
    }
}

extension AttributeChange {
    /// `valid` holds FUSE_SET_ATTR_ bits (fuse_lowlevel.h).
    init(_ values: stat, valid: Int32) {
        self.init()
        func has(_ bit: Int32) -> Bool { valid & bit != 0 }
        if has(FUSE_SET_ATTR_MODE) { mode = values.st_mode }
        if has(FUSE_SET_ATTR_UID) { uid = values.st_uid }
        if has(FUSE_SET_ATTR_GID) { gid = values.st_gid }
        if has(FUSE_SET_ATTR_SIZE) { sizeBytes = UInt64(bitPattern: Int64(values.st_size)) }
        if has(FUSE_SET_ATTR_ATIME_NOW) {
            accessTime = .now
        } else if has(FUSE_SET_ATTR_ATIME) {
            accessTime = .at(Timespec(values.st_atim))
        }
        if has(FUSE_SET_ATTR_MTIME_NOW) {
            modificationTime = .now
        } else if has(FUSE_SET_ATTR_MTIME) {
            modificationTime = .at(Timespec(values.st_mtim))
        }
    }
}

extension Timespec {
    init(_ value: timespec) {
        self.init(seconds: Int64(value.tv_sec), nanoseconds: Int64(value.tv_nsec))
    }
}
