internal import CFUSE
internal import CLinux
internal import Glibc
internal import Platform
internal import Synchronization
internal import Vault

/// One libfuse session and its descriptor of /dev/fuse.
///
/// ``receive(_:)`` and ``process(_:)`` may be called from several threads, each with its own
/// buffer (fuse_lowlevel.h).
// SAFETY: the session pointer is set by mount(at:) before any worker starts, and never again.
@safe
final class Connection: @unchecked Sendable {  // SAFETY: above
    // Sendable: all stored values are constants or atomic, but for `session` (see above).
    let vault: VaultFileSystem
    let options: MountOptions
    let entryTimeoutSeconds: Double
    let attributeTimeoutSeconds: Double
    private var session: OpaquePointer?
    private(set) var descriptor: Int32 = -1
    let syncCompany = SyncCompany()
    /// The unique number of an INIT that offers FUSE_HANDLE_KILLPRIV_V2 and is not answered yet.
    private let initializing = Atomic<UInt64>(0)

    init(vault: VaultFileSystem, options: MountOptions) {
        self.vault = vault
        self.options = options
        entryTimeoutSeconds = options.effectiveEntryTimeoutSeconds
        attributeTimeoutSeconds = options.effectiveAttributeTimeoutSeconds
    }

    deinit {
        // Frees the session and closes the descriptor; it does not unmount.
        if let session = unsafe session { unsafe fuse_session_destroy(session) }
    }

    /// Mounts. The kernel's first request waits until a worker reads it. Call once.
    ///
    /// - Throws: ``MountError/refused(mountPoint:)`` after libfuse wrote its reason on stderr.
    func mount(at mountPoint: String) throws(MountError) {
        guard let session = unsafe makeSession() else { throw .refused(mountPoint: mountPoint) }
        guard unsafe fuse_session_mount(session, mountPoint) == 0 else {
            unsafe fuse_session_destroy(session)
            throw .refused(mountPoint: mountPoint)
        }
        unsafe self.session = session
        descriptor = unsafe fuse_session_fd(session)
        var io = fuse_custom_io()
        unsafe io.read = { descriptor, buffer, count, _ in
            unsafe Glibc.read(descriptor, buffer, count)
        }
        unsafe io.writev = { descriptor, parts, count, userData in
            unsafe Connection.from(userData).completeInitialization(parts, count)
            return unsafe Glibc.writev(descriptor, parts, count)
        }
        // The same descriptor: only the functions change, so that the INIT reply can be seen.
        let status = unsafe fuse_session_custom_io(session, &io, descriptor)
        precondition(status == 0, "BUG: descriptor and functions are given")
        vault.observeAttributes { [weak self] inode in self?.forgetAttributes(of: inode) }
    }

    /// The kernel asks for a file's attributes anew; the pages that it has stay. That waits for no
    /// lock and no page, so it may come from within a request.
    private func forgetAttributes(of inode: InodeID) {
        // An offset below 0 means the attributes alone (fuse_lowlevel.h). It fails where the kernel
        // has forgotten the file, and then there is nothing old.
        _ = unsafe fuse_lowlevel_notify_inval_inode(session, inode.rawValue, -1, 0)
    }

    private func makeSession() -> OpaquePointer? {
        var arguments = unsafe fuse_args()
        defer { unsafe fuse_opt_free_args(&arguments) }
        for argument in ["keyfoldfs", "-o", options.libfuseArgument] {
            // SAFETY: libfuse copies the string.
            guard unsafe fuse_opt_add_arg(&arguments, argument) == 0 else { return nil }
        }
        var operations = fuse_lowlevel_ops()
        unsafe operations.`init` = { userData, capabilities in
            guard let capabilities = unsafe capabilities else { return }
            unsafe Connection.from(userData).negotiate(&capabilities.pointee)
        }
        NameCallbacks.install(in: &operations)
        AttributeCallbacks.install(in: &operations)
        FileCallbacks.install(in: &operations)
        DirectoryCallbacks.install(in: &operations)
        // SAFETY: libfuse copies the operations. The user data is this object, which frees the
        // session in its deinit, so it outlives every callback.
        return unsafe fuse_session_new(
            &arguments, &operations, MemoryLayout<fuse_lowlevel_ops>.size,
            Unmanaged.passUnretained(self).toOpaque())
    }

    static func from(_ userData: UnsafeMutableRawPointer?) -> Connection {
        guard let userData = unsafe userData else {
            preconditionFailure("BUG: the session's user data is its connection")
        }
        // SAFETY: makeSession() passed a connection that outlives the session.
        return unsafe Unmanaged<Connection>.fromOpaque(userData).takeUnretainedValue()
    }

    // MARK: Requests

    /// - Returns: bytes read, 0 when the mount is gone, or a negative errno.
    func receive(_ buffer: inout fuse_buf) -> Int {
        unsafe Int(fuse_session_receive_buf(session, &buffer))
    }

    /// Decodes the request and runs its callback.
    func process(_ buffer: inout fuse_buf) {
        unsafe fuse_session_process_buf(session, &buffer)
    }

    /// Whether another request is there already.
    var hasWaitingRequest: Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // SAFETY: one entry, which outlives the call.
        return unsafe Glibc.poll(&poll, 1, 0) > 0
    }

    // MARK: Capabilities

    /// Requests the kernel may have under way in the background (readahead, writeback).
    private static let maximumBackgroundRequests: UInt32 = 128

    private func negotiate(_ connection: inout fuse_conn_info) {
        var wanted =
            FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_DONT_MASK
            | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_DIO
            | FUSE_CAP_PARALLEL_DIROPS
        // ACLs make the kernel check permissions whether or not that was asked for.
        if options.checksPermissions { wanted |= FUSE_CAP_POSIX_ACL }
        if options.collectsWrites { wanted |= FUSE_CAP_WRITEBACK_CACHE }
        switch options.sharing {
        case .exclusive: wanted |= FUSE_CAP_CACHE_SYMLINKS
        case .shared: wanted |= FUSE_CAP_AUTO_INVAL_DATA
        }
        connection.want = connection.capable & UInt32(wanted)
        connection.max_write = UInt32(Worker.readBufferBytes)
        connection.max_background = Self.maximumBackgroundRequests
        connection.congestion_threshold = Self.maximumBackgroundRequests / 4 * 3
        connection.time_gran = 1
    }

    // MARK: FUSE_HANDLE_KILLPRIV_V2, which libfuse before 3.17 cannot ask for

    // FUSE_HANDLE_KILLPRIV_V2 of linux/fuse.h.
    private static let handleKillPrivileges: UInt32 = 1 << 28
    // Of `flags` in struct fuse_init_out.
    private static let replyFlagsOffset = 12

    func initializationBegins(_ request: RawRequest) {
        guard request.offeredFlags & Self.handleKillPrivileges != 0 else { return }
        initializing.store(request.unique, ordering: .relaxed)
    }

    /// Sets the flag in the INIT reply, when `parts` is that reply: struct fuse_out_header in the
    /// first part, struct fuse_init_out in the second. Both are libfuse's own memory.
    private func completeInitialization(_ parts: UnsafeMutablePointer<iovec>?, _ count: Int32) {
        // The worker that reads INIT also answers it, so relaxed suffices.
        let unique = initializing.load(ordering: .relaxed)
        guard unique != 0, count >= 2, let parts = unsafe parts else { return }
        // SAFETY: `count` parts are there, and their lengths are checked before each access.
        let header = unsafe UnsafeRawBufferPointer(
            start: parts[0].iov_base, count: parts[0].iov_len)
        let body = unsafe UnsafeMutableRawBufferPointer(
            start: parts[1].iov_base, count: parts[1].iov_len)
        guard header.count == 16, body.count >= Self.replyFlagsOffset + 4,
            unsafe header.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == unique,
            unsafe header.loadUnaligned(fromByteOffset: 4, as: Int32.self) == 0
        else { return }
        initializing.store(0, ordering: .relaxed)
        let flags = unsafe body.loadUnaligned(
            fromByteOffset: Self.replyFlagsOffset, as: UInt32.self)
        unsafe body.storeBytes(
            of: flags | Self.handleKillPrivileges, toByteOffset: Self.replyFlagsOffset,
            as: UInt32.self)
    }
}
