internal import CFUSE
internal import Platform
internal import Vault

/// Open directories. Decode, call, reply; nothing else.
///
/// SAFETY of all callbacks: see ``NameCallbacks``.
enum DirectoryCallbacks {
    static func install(in operations: inout fuse_lowlevel_ops) {
        unsafe operations.opendir = { request, inode, info in
            let call = unsafe FUSECall(request)
            var info = unsafe fuse_file_info(copying: info)
            call.answer { () throws(VaultError) in
                let handle = try call.vault.openDirectory(InodeID(rawValue: inode))
                if call.connection.options.sharing == .exclusive {
                    info.cache_readdir = 1
                    info.keep_cache = 1
                }
                if !call.reply(opened: handle, &info) { call.vault.releaseDirectory(handle) }
            }
        }
        unsafe operations.readdir = { request, _, count, offset, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            call.answer { () throws(VaultError) in
                var listing = Listing(call, capacity: count)
                try listing.fill(handle, from: UInt64(bitPattern: Int64(offset)))
                call.reply(call.worker.readBuffer, count: listing.count)
            }
        }
        unsafe operations.readdirplus = { request, inode, count, offset, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            call.answer { () throws(VaultError) in
                var listing = Listing(call, capacity: count)
                try listing.fillWithAttributes(
                    handle, of: InodeID(rawValue: inode),
                    from: UInt64(bitPattern: Int64(offset)))
                if !call.reply(call.worker.readBuffer, count: listing.count) {
                    listing.forgetAll()
                }
            }
        }
        unsafe operations.releasedir = { request, _, info in
            let call = unsafe FUSECall(request)
            call.vault.releaseDirectory(unsafe HandleID(required: info))
            call.replySuccess()
        }
        unsafe operations.fsyncdir = { request, _, _, info in
            let call = unsafe FUSECall(request)
            let handle = unsafe HandleID(required: info)
            call.answer { () throws(VaultError) in
                try call.vault.synchronizeDirectory(handle)
                call.worker.noteSyncEnds(call.connection)
                call.replySuccess()
            }
        }
    }
}

/// The reply to one READDIR or READDIRPLUS, built in the worker's buffer.
struct Listing {
    private let call: FUSECall
    private let buffer: PageBuffer
    private let capacity: Int
    private(set) var count = 0
    /// Entries in the reply that count as a lookup each.
    private var found: [InodeID] = []

    /// struct fuse_entry_out and struct fuse_dirent before each name (linux/fuse.h).
    private static let fixedBytes = 128 + 24

    init(_ call: FUSECall, capacity: Int) {
        self.call = call
        buffer = call.worker.readBuffer
        self.capacity = min(capacity, buffer.byteCount)
    }

    mutating func fill(_ handle: HandleID, from cookie: UInt64) throws(VaultError) {
        var filled = 0
        try call.vault.readDirectory(handle, from: cookie) { entry in
            let added = add(entry, at: filled)
            filled += added
            return added > 0
        }
        count = filled
    }

    /// Looks each entry up, so that `ls -l` asks for no attributes. The names are read first and
    /// looked up when the vault has let go of the directory.
    mutating func fillWithAttributes(
        _ handle: HandleID, of directory: InodeID, from cookie: UInt64
    ) throws(VaultError) {
        var cookie = cookie
        // An empty reply means the end; so entries that all vanished are no reply yet.
        while count == 0 {
            let entries = try nextEntries(handle, from: cookie)
            guard let last = entries.last else { return }
            for entry in entries { addWithAttributes(entry, in: directory) }
            cookie = last.nextCookie
        }
    }

    /// As many entries as fit the reply with their attributes.
    private func nextEntries(
        _ handle: HandleID, from cookie: UInt64
    ) throws(VaultError) -> [DirectoryEntry] {
        var entries: [DirectoryEntry] = []
        var room = capacity
        try call.vault.readDirectory(handle, from: cookie) { entry in
            room -= (Self.fixedBytes + entry.name.count + 7) & ~7
            guard room >= 0 else { return false }
            entries.append(copy entry)
            return true
        }
        return entries
    }

    private mutating func addWithAttributes(_ entry: DirectoryEntry, in directory: InodeID) {
        var attributes: Entry?
        if !entry.name.isDots {
            do throws(VaultError) {
                attributes = try call.vault.lookup(entry.name, in: directory)
            } catch {
                // It was removed meanwhile. Other failures show when somebody asks for the name.
                if Errno(error) == .noSuchFileOrDirectory { return }
            }
        }
        let added = buffer.withMutableBytes { bytes in
            // SAFETY: the range is within the buffer, as capacity is.
            unsafe bytes.withUnsafeMutableBytes { bytes in
                unsafe call.add(
                    entry, attributes,
                    to: UnsafeMutableRawBufferPointer(rebasing: bytes[count..<capacity]))
            }
        }
        precondition(added <= capacity - count, "BUG: the room was counted before")
        count += added
        if let attributes { found.append(attributes.inode) }
    }

    /// - Returns: the bytes used; 0 when the entry does not fit.
    private func add(_ entry: borrowing DirectoryEntry, at offset: Int) -> Int {
        buffer.withMutableBytes { bytes in
            // SAFETY: the range is within the buffer, as capacity is.
            unsafe bytes.withUnsafeMutableBytes { bytes in
                let target = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: bytes[offset..<capacity])
                let needed = unsafe call.add(entry, to: target)
                return needed <= capacity - offset ? needed : 0
            }
        }
    }

    /// Takes all lookups of the reply back.
    func forgetAll() {
        for inode in found { call.vault.forget(inode, lookups: 1) }
    }
}
