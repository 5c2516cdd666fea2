/// What the worker reads in a request of the kernel before libfuse decodes it: struct
/// fuse_in_header (40 bytes) and the first fields behind it (linux/fuse.h), in the host's order.
struct RawRequest {
    /// How long a request may take.
    enum Duration: Equatable {
        /// Answered from memory or with one or two calls of the store.
        case short
        /// May wait for a key service or the store; done in place unless another request waits.
        case medium
        /// Waits for one flush of the disk; ``SyncCompany`` says whether somebody else reads meanwhile.
        case sync
        /// Moves much data or waits for the disk: somebody else reads meanwhile.
        case long
    }

    /// Reads and writes up to this size are done in place when nothing else waits: waking a worker
    /// on another core takes longer.
    static let smallTransferBytes: UInt32 = 65_536

    let opcode: UInt32
    let unique: UInt64
    let duration: Duration
    /// The kernel leaves it to us to clear set-id bits (FUSE_HANDLE_KILLPRIV_V2).
    let clearsSetID: Bool
    /// The flags that the kernel offers in INIT; 0 in other requests.
    let offeredFlags: UInt32

    static let headerBytes = 40

    init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= Self.headerBytes else { return nil }
        func word(_ offset: Int) -> UInt32 {
            guard offset + 4 <= bytes.byteCount else { return 0 }
            // SAFETY: in bounds, and every bit pattern is a number.
            return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)
        }
        let body = Self.headerBytes
        opcode = word(4)
        unique = UInt64(word(8)) | UInt64(word(12)) << 32
        let operation = Operation(rawValue: opcode)
        duration = operation?.duration(transferBytes: { word(body + 16) }) ?? .short
        clearsSetID =
            switch operation {
            // write_flags, FUSE_WRITE_KILL_SUIDGID
            case .write: word(body + 20) & 1 << 2 != 0
            // open_flags, FUSE_OPEN_KILL_SUIDGID
            case .open: word(body + 4) & 1 != 0
            case .create: word(body + 12) & 1 != 0
            // valid, FATTR_KILL_SUIDGID
            case .setattr: word(body) & 1 << 11 != 0
            default: false
            }
        offeredFlags = operation == .initialize ? word(body + 12) : 0
    }

    /// enum fuse_opcode, as far as the worker tells requests apart.
    enum Operation: UInt32 {
        case setattr = 4
        case mkdir = 9
        case unlink = 10
        case rename = 12
        case open = 14
        case read = 15
        case write = 16
        case release = 18
        case fsync = 20
        case flush = 25
        case initialize = 26
        case readdir = 28
        case fsyncdir = 30
        case create = 35
        case fallocate = 43
        case readdirplus = 44
        case syncfs = 50

        /// `transferBytes` is the size of a READ or WRITE.
        func duration(transferBytes: () -> UInt32) -> Duration {
            switch self {
            case .initialize: .short
            case .setattr, .mkdir, .unlink, .rename, .open, .create, .release, .flush, .readdir,
                .readdirplus:
                .medium
            case .read, .write: transferBytes() <= RawRequest.smallTransferBytes ? .medium : .long
            case .fsync, .fsyncdir: .sync
            case .fallocate, .syncfs: .long
            }
        }
    }
}
