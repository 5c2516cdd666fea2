internal import CFUSE
internal import Platform
internal import Vault

/// Names: looking up, making, removing, renaming. Decode, call, reply; nothing else.
///
/// SAFETY of all callbacks: libfuse passes strings, structs and buffers that live until the reply,
/// and the values are copied or used before it.
enum NameCallbacks {
    static func install(in operations: inout fuse_lowlevel_ops) {
        installLookups(in: &operations)
        installMakers(in: &operations)
        installRemovers(in: &operations)
    }

    private static func installLookups(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.lookup = { request, parent, name in
            let call = unsafe FUSECall(request)
            do throws(VaultError) {
                call.reply(
                    try call.vault.lookup(unsafe FileName(name), in: InodeID(rawValue: parent)))
            } catch {
                let errno = Errno(error)
                errno == .noSuchFileOrDirectory ? call.replyNoEntry() : call.reply(errno)
            }
        }
        unsafe operations.forget = { request, inode, lookups in
            let call = unsafe FUSECall(request)
            call.vault.forget(InodeID(rawValue: inode), lookups: lookups)
            call.finish()
        }
        unsafe operations.forget_multi = { request, count, forgets in
            let call = unsafe FUSECall(request)
            unsafe UnsafeBufferPointer(start: forgets, count: count).forEach { forget in
                call.vault.forget(InodeID(rawValue: forget.ino), lookups: forget.nlookup)
            }
            call.finish()
        }
        unsafe operations.readlink = { request, inode in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                call.replyLink(
                    target: try call.vault.readSymbolicLink(InodeID(rawValue: inode)))
            }
        }
    }

    private static func installMakers(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.mknod = { request, parent, name, mode, device in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                call.reply(
                    try call.vault.makeNode(
                        unsafe FileName(name), in: InodeID(rawValue: parent), mode: mode,
                        device: UInt64(device), as: call.requester))
            }
        }
        unsafe operations.mkdir = { request, parent, name, mode in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                call.reply(
                    try call.vault.makeDirectory(
                        unsafe FileName(name), in: InodeID(rawValue: parent), mode: mode,
                        as: call.requester))
            }
        }
        unsafe operations.symlink = { request, target, parent, name in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                call.reply(
                    try call.vault.makeSymbolicLink(
                        unsafe FileName(name), in: InodeID(rawValue: parent),
                        target: unsafe FileName(target).bytes, as: call.requester))
            }
        }
        unsafe operations.link = { request, inode, parent, name in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                call.reply(
                    try call.vault.link(
                        InodeID(rawValue: inode), as: unsafe FileName(name),
                        in: InodeID(rawValue: parent)))
            }
        }
    }

    private static func installRemovers(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.unlink = { request, parent, name in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                try call.vault.unlink(unsafe FileName(name), in: InodeID(rawValue: parent))
                call.replySuccess()
            }
        }
        unsafe operations.rmdir = { request, parent, name in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                try call.vault.removeDirectory(
                    unsafe FileName(name), in: InodeID(rawValue: parent))
                call.replySuccess()
            }
        }
        unsafe operations.rename = { request, parent, name, newParent, newName, flags in
            let call = unsafe FUSECall(request)
            call.answer { () throws(VaultError) in
                try call.vault.rename(
                    unsafe FileName(name), in: InodeID(rawValue: parent),
                    to: unsafe FileName(newName), in: InodeID(rawValue: newParent), flags: flags)
                call.replySuccess()
            }
        }
    }
}

extension FileName {
    /// A name as libfuse hands it over.
    init(_ cString: UnsafePointer<CChar>?) {
        guard let cString = unsafe cString else {
            preconditionFailure("BUG: a request without its name")
        }
        unsafe self.init(cString: cString)
    }
}
