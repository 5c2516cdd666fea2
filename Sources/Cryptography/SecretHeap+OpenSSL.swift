import COpenSSL
internal import Synchronization

/// Where secrets lie: libcrypto's secure heap once it is set up and while it has room, else the
/// ordinary heap.
///
/// The secure heap takes 0.7 µs for a block, more than opening a small box; so some of its blocks
/// of the commonest sizes are kept when they are given back, wiped, for the next secret.
///
/// A quarter of it is libcrypto's own: its private numbers and seeds lie nowhere else, and without
/// room for them no key is read and nothing signed.
enum SecretHeap {
    private static let heapBytes = 1 << 20
    private static let shareBytes = heapBytes / 4 * 3

    private static let smallBlocks = IdleBlocks(of: 32)
    private static let mediumBlocks = IdleBlocks(of: 64)

    // 1: ready. 2: ready, but some protection was denied (RLIMIT_MEMLOCK). 0: none. A `static let`
    // runs once, which the secure heap demands: setting it up again would orphan its blocks.
    static let setUpResult: Int32 = {
        let smallestBlockBytes = 32
        return CRYPTO_secure_malloc_init(heapBytes, smallestBlockBytes)
    }()

    /// At least `count` zero bytes, and at least one so that there always is an address.
    static func allocate(_ count: Int) -> UnsafeMutableRawPointer {
        let list = idleBlocks(for: count)
        if let block = unsafe list?.take() { return unsafe block }
        // SAFETY: plain allocations; the secure one answers nil when its heap is full, and is the
        // ordinary one before there is any. Either is freed by CRYPTO_secure_free, which tells
        // them apart by address.
        let size = list?.blockBytes ?? count
        guard
            let block =
                unsafe (hasRoom(for: size)
                ? CRYPTO_secure_zalloc(size, #fileID, #line) : nil)
                ?? CRYPTO_zalloc(size, #fileID, #line)
        else {
            preconditionFailure("out of memory for a secret of \(count) bytes")
        }
        return unsafe block
    }

    /// Wipes and takes back what ``allocate(_:)`` gave for the same count.
    static func free(_ block: UnsafeMutableRawPointer, _ count: Int) {
        let list = idleBlocks(for: count)
        let size = list?.blockBytes ?? count
        // SAFETY: the block has this size, and the caller forgets it. Blocks of the ordinary heap
        // are not kept: they would keep later secrets out of the secure one.
        unsafe OPENSSL_cleanse(block, size)
        if let list, unsafe CRYPTO_secure_allocated(block) == 1, unsafe list.keep(block) { return }
        unsafe CRYPTO_secure_free(block, #fileID, #line)
    }

    private static func hasRoom(for size: Int) -> Bool {
        CRYPTO_secure_malloc_initialized() == 0
            || size <= shareBytes && CRYPTO_secure_used() <= shareBytes - size
    }

    /// Nil for a size whose blocks are not kept.
    private static func idleBlocks(for count: Int) -> IdleBlocks? {
        switch count {
        case ...smallBlocks.blockBytes: smallBlocks
        case ...mediumBlocks.blockBytes: mediumBlocks
        default: nil
        }
    }
}

/// Zeroed blocks of the secure heap, all of one size, at most ``maximumCount``. Its lock is held
/// only to take one and to put it back.
private final class IdleBlocks: Sendable {
    static let maximumCount = 512

    let blockBytes: Int
    private let addresses = Mutex<[UInt]>([])

    init(of blockBytes: Int) {
        self.blockBytes = blockBytes
    }

    func take() -> UnsafeMutableRawPointer? {
        // SAFETY: the address is that of a block that was kept, and now leaves the list.
        guard let address = addresses.withLock({ $0.popLast() }) else { return nil }
        return unsafe UnsafeMutableRawPointer(bitPattern: address)
    }

    /// False when there are enough.
    func keep(_ block: UnsafeMutableRawPointer) -> Bool {
        let address = UInt(bitPattern: block)
        return addresses.withLock { addresses in
            guard addresses.count < Self.maximumCount else { return false }
            addresses.append(address)
            return true
        }
    }
}
