internal import CFUSE
internal import Glibc
internal import Platform

/// One thread's own things: its buffers, and what it read in the raw request.
///
/// Confined to its thread, which finds it through ``current``.
@safe
final class Worker {
    /// The largest read that is negotiated (max_pages of 4 KiB).
    static let readBufferBytes = 1 << 20

    let id: Int
    /// A read's or a directory listing's bytes on their way to the kernel.
    private(set) lazy var readBuffer = PageBuffer(byteCount: Worker.readBufferBytes)
    /// Of the request that is carried out now.
    var clearsSetID = false
    /// Somebody else reads meanwhile.
    private var handedOn = false
    /// libfuse allocates the memory at the first request and uses it again.
    private var received = unsafe fuse_buf()

    init(id: Int) {
        self.id = id
    }

    deinit {
        // SAFETY: libfuse made it with malloc(3) (fuse_session_receive_buf); nil is fine.
        unsafe free(received.mem)
    }

    // MARK: The thread's life

    /// Reads and carries out requests until the mount ends.
    static func run(in pool: WorkerPool, id: Int, connection: Connection) {
        let worker = Worker(id: id)
        // SAFETY: this frame keeps the worker alive while the thread may ask for it.
        unsafe pthread_setspecific(Worker.key, Unmanaged.passUnretained(worker).toOpaque())
        defer { pthread_setspecific(Worker.key, nil) }
        // The first worker is born with the role; later ones are started because they get it.
        var next = WorkerRoles.Next.read
        while true {
            switch next {
            case .read: next = worker.readAndCarryOut(in: pool, connection)
            case .rest:
                pool.rest(id)
                next = pool.isEnding ? .leave : .read
            case .leave: return
            }
        }
    }

    private func readAndCarryOut(
        in pool: WorkerPool, _ connection: Connection
    ) -> WorkerRoles.Next {
        // SAFETY: only this thread uses `received`.
        let count = unsafe connection.receive(&received)
        switch count {
        case 1...: break
        case -Int(EINTR), -Int(EAGAIN): return pool.isEnding ? .leave : .read
        default:
            // 0: unmounted (ENODEV). Everything else is a broken connection, which is no better.
            pool.end()
            return .leave
        }
        // SAFETY: the kernel wrote `count` bytes there; the span is used before they change.
        let request = unsafe RawRequest(
            RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: received.mem, count: count)))
        guard let request else { preconditionFailure("BUG: the kernel's requests have a header") }
        handedOn = mustHandOn(request, connection)
        pool.received(by: id, handsOn: handedOn)
        clearsSetID = request.clearsSetID
        if request.opcode == RawRequest.Operation.initialize.rawValue {
            connection.initializationBegins(request)
        }
        unsafe connection.process(&received)
        return pool.cameBack(id)
    }

    private func mustHandOn(_ request: RawRequest, _ connection: Connection) -> Bool {
        switch request.duration {
        case .short: false
        case .medium: connection.hasWaitingRequest
        case .sync: connection.syncCompany.handsOn(hasWaiting: connection.hasWaitingRequest)
        case .long: true
        }
    }

    /// Before the reply of a sync: whether it has held up others.
    func noteSyncEnds(_ connection: Connection) {
        // Behind the reply the same caller's next request would look like somebody else's.
        if !handedOn, connection.hasWaitingRequest { connection.syncCompany.noteHeldUp() }
    }

    // MARK: The way back from a callback

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        // SAFETY: `key` outlives the call; there is no destructor.
        let status = unsafe pthread_key_create(&key, nil)
        precondition(status == 0, "BUG: a process has 1,024 thread keys, we use one")
        return key
    }()

    /// The worker whose thread this is.
    static var current: Worker {
        // SAFETY: set by run(in:id:connection:) to a worker that outlives every callback.
        guard let value = unsafe pthread_getspecific(key) else {
            preconditionFailure("BUG: callbacks run on workers only")
        }
        return unsafe Unmanaged<Worker>.fromOpaque(value).takeUnretainedValue()
    }
}
