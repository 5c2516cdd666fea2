import Platform
import SealedFormat
import Synchronization

/// What one thread needs to seal or open a run of blocks: a cipher context and two buffers.
final class Scratch {
    /// Blocks that are read or written with one system call.
    static let runBlocks = 256

    let cipher = BlockCipher()
    /// A header, one block before the run, and the run; all sealed.
    let sealed = PageBuffer(
        byteCount: 4096 + (runBlocks + 1) * BlockLayout.sealedBlockBytes)
    /// The plaintext of one block.
    let block = PageBuffer(byteCount: BlockLayout.plainBlockBytes)
    /// One sealed block as it stands in the store.
    let single = PageBuffer(byteCount: BlockLayout.sealedBlockBytes)
    /// A file's last block before a write that makes it longer, to be put back should that fail.
    let oldTail = PageBuffer(byteCount: BlockLayout.sealedBlockBytes)
}

/// Scratches that wait for the next operation.
final class ScratchPool: Sendable {
    /// As many as a mount has workers; more are made for the moment and dropped again.
    static let capacity = 16

    // SAFETY: a scratch is either in this list or with the one thread that took it out.
    private struct Idle: @unchecked Sendable { var scratches: [Scratch] = [] }  // SAFETY: above
    private let idle = Mutex(Idle())

    func withScratch<Result>(
        _ body: (Scratch) throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        let scratch = take()
        defer { give(scratch) }
        return try body(scratch)
    }

    private func take() -> Scratch {
        let box = idle.withLock { idle in Box(idle.scratches.popLast()) }
        return box.scratch ?? Scratch()
    }

    private func give(_ scratch: Scratch) {
        let box = Box(scratch)
        idle.withLock { idle in
            guard idle.scratches.count < Self.capacity, let scratch = box.scratch else { return }
            idle.scratches.append(scratch)
        }
    }

    // SAFETY: carries a scratch from one owner to the next.
    private struct Box: @unchecked Sendable {  // SAFETY: above
        let scratch: Scratch?

        init(_ scratch: Scratch?) {
            self.scratch = scratch
        }
    }
}
