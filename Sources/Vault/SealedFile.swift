import KMSModel
import Platform
import SealedFormat
import Synchronization

/// The content of one open file, shared by all its handles.
///
/// Readers share the state, writers hold it alone. A file that has no keys yet is empty on disk.
final class SealedFile: Sendable {
    /// What opens and seals a file's blocks.
    struct Seal: Sendable {
        let fileID: FileID
        let keys: FileKeys
        /// The wrapped keys as they were when the header was read or made.
        let wrappedKeys: [WrappedKey]
        var count: SealCount
    }

    struct State: Sendable {
        var descriptor: Descriptor
        var isWritable: Bool
        var plainSize: UInt64
        /// The plaintext size of what stands in the store; the rest is in the overlay, or a hole.
        var storedSize: UInt64
        var seal: Seal?
        /// The header stands in the store; false while the file is empty there.
        var hasHeader: Bool
        var isSparse: Bool
        var gaps = GapSet()
        /// Sealed blocks that are newer than the store's.
        var overlay = Overlay()
        /// Blocks from here on may be written straight into the store: nothing of them was there at
        /// the last sync. `UInt64.max` when none may.
        var firstDirect: UInt64
        /// The store has its first blocks, and the journal does not know of it yet.
        var isNewInStore = false
        var isUnlinked = false
        /// Its times were set since the last sync.
        var hasNewTimes = false
        /// Counts changes of the stored file that only its own sync makes durable.
        var storeChange: UInt64 = 1
        /// The count that the last sync covered.
        var syncedChange: UInt64 = 0
        /// The count at which an attribute was changed last, and the one that the last fsync(2)
        /// covered: fdatasync(2) leaves attributes out.
        var attributeChange: UInt64 = 1
        var syncedAttributes: UInt64 = 0
        /// Blocks from here on were written straight into the store since its last sync; with 0 the
        /// header as well.
        var firstUnsynced = UInt64.max
        /// A sync of the store failed, which may have dropped those.
        var isDropped = false
        /// The count at which the header got its sparse flag.
        var sparseChange: UInt64 = 0

        init(
            descriptor: Descriptor, isWritable: Bool, plainSize: UInt64, seal: Seal?,
            hasHeader: Bool, firstDirect: UInt64
        ) {
            self.descriptor = descriptor
            self.isWritable = isWritable
            self.plainSize = plainSize
            storedSize = plainSize
            self.seal = seal
            self.hasHeader = hasHeader
            isSparse = false
            self.firstDirect = firstDirect
        }
    }

    struct Failures {
        var count = 0
        var last: VaultError?
    }

    let layout: BlockLayout
    /// nil where the mount overwrites in place.
    let journaling: Journaling?
    /// Held by whoever commits this file, or changes its store in a way that commits must not meet.
    let commits = Mutex(())
    /// 1 while somebody holds `commits`.
    let commitCount = Atomic<Int>(0)
    /// Open handles that may write.
    let writerCount = Atomic<Int>(0)
    let failures = Mutex(Failures())
    /// Held while the stored file's times are set: where blocks are put in place they are set back
    /// to what they were, and a program may set others meanwhile. The innermost lock.
    private let times = Mutex(())
    private let scratches: ScratchPool
    private let state: ReadWriteMutex<State>

    init(
        state: State, layout: BlockLayout, scratches: ScratchPool,
        journaling: Journaling?
    ) {
        self.state = ReadWriteMutex(state)
        self.layout = layout
        self.scratches = scratches
        self.journaling = journaling
    }

    func withState<Result>(
        _ body: (borrowing State) throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        try state.withReadLock(body)
    }

    func change<Result>(
        _ body: (inout State) throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        try state.withWriteLock { state throws(VaultError) in
            let before = state.overlay.byteCount
            defer { countOverlay(state.overlay.byteCount - before) }
            return try body(&state)
        }
    }

    func withOpenState<Result>(_ body: (borrowing State) -> Result) -> Result {
        state.withReadLock(body)
    }

    func changeOpenState(_ body: (inout State) -> Void) {
        state.withWriteLock { state in
            let before = state.overlay.byteCount
            body(&state)
            countOverlay(state.overlay.byteCount - before)
        }
    }

    func withTimesHeld<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
        try times.withLock { _ throws(Errno) in try body() }
    }

    private func countOverlay(_ bytes: Int) {
        guard bytes != 0, let committer = journaling?.committer else { return }
        committer.overlayBytes.add(bytes, ordering: .relaxed)
    }

    var plainSize: UInt64 { state.withReadLock { $0.plainSize } }

    var descriptor: Descriptor { state.withReadLock { $0.descriptor } }

    // MARK: Reading

    /// Reads plaintext; short only at the end of the file.
    func read(
        at offset: UInt64, count: Int, into buffer: inout MutableRawSpan
    ) throws(VaultError) -> Int {
        try withStateAndScratch { (state, scratch) throws(VaultError) in
            guard offset < state.plainSize else { return 0 }
            let total = Int(min(UInt64(count), state.plainSize - offset))
            var done = 0
            while done < total {
                done += try readRun(
                    state, scratch, at: offset + UInt64(done), into: &buffer, done..<total)
            }
            return total
        }
    }

    private func withStateAndScratch<Result>(
        _ body: (borrowing State, Scratch) throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        try scratches.withScratch { scratch throws(VaultError) in
            try withState { state throws(VaultError) in try body(state, scratch) }
        }
    }

    /// Reads one run of blocks into `range` of the buffer, or the part of it that fits.
    private func readRun(
        _ state: borrowing State, _ scratch: Scratch, at offset: UInt64,
        into buffer: inout MutableRawSpan, _ range: Range<Int>
    ) throws(VaultError) -> Int {
        let blockBytes = UInt64(BlockLayout.plainBlockBytes)
        let first = BlockLayout.block(containing: offset)
        let lastWanted = BlockLayout.block(containing: offset + UInt64(range.count) - 1)
        let last = min(lastWanted, first + UInt64(Scratch.runBlocks) - 1)
        try fetch(state, first...last, into: scratch.sealed)
        var position = range.lowerBound
        for block in first...last {
            let skipped = block == first ? Int(offset - first * blockBytes) : 0
            let plainBytes = plainBytes(of: block, size: state.plainSize)
            let wanted = min(plainBytes - skipped, range.upperBound - position)
            if wanted == plainBytes {
                try openBlock(
                    state, scratch, block, from: scratch.sealed, runStart: first, into: &buffer,
                    at: position)
            } else {
                try scratch.block.withMutableBytes { plain throws(VaultError) in
                    try openBlock(
                        state, scratch, block, from: scratch.sealed, runStart: first, into: &plain,
                        at: 0)
                    copyBytes(plain.bytes, skipped..<skipped + wanted, to: &buffer, at: position)
                }
            }
            position += wanted
        }
        return position - range.lowerBound
    }

    /// Reads sealed blocks into a buffer, where the first one stands at offset 0.
    func fetch(
        _ state: borrowing State, _ blocks: ClosedRange<UInt64>, into buffer: PageBuffer
    ) throws(VaultError) {
        let start = layout.sealedOffset(ofBlock: blocks.lowerBound)
        let end =
            layout.sealedOffset(ofBlock: blocks.upperBound)
            + UInt64(layout.sealedBytes(ofBlock: blocks.upperBound, plainSize: state.plainSize))
        let count = Int(end - start)
        let isOverlaid = blocks.count == 1 && state.overlay[blocks.lowerBound] != nil
        let storedEnd = state.hasHeader ? layout.sealedSize(plainSize: state.storedSize) : 0
        let stored = isOverlaid || storedEnd <= start ? 0 : min(count, Int(storedEnd - start))
        let descriptor = state.descriptor
        try buffer.withMutableBytes { bytes throws(VaultError) in
            if stored > 0 {
                let done = try system { () throws(Errno) in
                    try descriptor.read(into: &bytes, 0..<stored, at: start)
                }
                guard done == stored else {
                    throw .format(.impossibleSize(start + UInt64(done)))
                }
            }
            zeroBytes(&bytes, stored..<count)
            overlay(state.overlay, on: &bytes, blocks)
        }
    }

    private func overlay(
        _ overlay: borrowing Overlay, on bytes: inout MutableRawSpan, _ blocks: ClosedRange<UInt64>
    ) {
        guard !overlay.isEmpty else { return }
        for block in blocks {
            guard let sealed = overlay[block] else { continue }
            let start = Int(block - blocks.lowerBound) * BlockLayout.sealedBlockBytes
            sealed.withRawSpan { copyBytes($0, 0..<sealed.count, to: &bytes, at: start) }
        }
    }

    /// Opens one fetched block; a hole gives zeros where the file may have holes.
    private func openBlock(
        _ state: borrowing State, _ scratch: Scratch, _ block: UInt64, from buffer: PageBuffer,
        runStart: UInt64, into plain: inout MutableRawSpan, at offset: Int
    ) throws(VaultError) {
        guard let seal = state.seal else { preconditionFailure("BUG: a file with data has keys") }
        let sealedBytes = layout.sealedBytes(ofBlock: block, plainSize: state.plainSize)
        let start = Int(block - runStart) * BlockLayout.sealedBlockBytes
        let isFinal = block == BlockLayout.block(containing: state.plainSize - 1)
        let mayBeHole = !isFinal && (state.isSparse || state.gaps.contains(block))
        try buffer.withBytes { sealed throws(VaultError) in
            let range = start..<start + sealedBytes
            if mayBeHole, BlockCipher.isHole(sealed, range) {
                zeroBytes(&plain, offset..<offset + sealedBytes - BlockLayout.overheadBytes)
                return
            }
            scratch.cipher.use(seal.keys)
            try format { () throws(FormatError) in
                try scratch.cipher.open(
                    sealed, range, block: block, expectFinal: isFinal, into: &plain, at: offset)
            }
        }
    }

    /// The plaintext of one block that exists goes into `scratch.block`, padded with zeros; its
    /// sealed form stays in `scratch.single`.
    func readBlock(
        _ state: borrowing State, _ scratch: Scratch, _ block: UInt64
    ) throws(VaultError) {
        try fetch(state, block...block, into: scratch.single)
        let count = plainBytes(of: block, size: state.plainSize)
        try scratch.block.withMutableBytes { plain throws(VaultError) in
            try openBlock(
                state, scratch, block, from: scratch.single, runStart: block, into: &plain, at: 0)
            zeroBytes(&plain, count..<BlockLayout.plainBlockBytes)
        }
    }

    /// Plaintext bytes that a block holds in a file of `size` bytes.
    func plainBytes(of block: UInt64, size: UInt64) -> Int {
        max(0, layout.sealedBytes(ofBlock: block, plainSize: size) - BlockLayout.overheadBytes)
    }

    func withScratch<Result>(
        _ body: (Scratch) throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        try scratches.withScratch(body)
    }
}
