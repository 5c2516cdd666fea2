/// A data key has sealed as many blocks as it may.
package struct DataKeyUsedUp: Error {}

/// Counts the blocks that are sealed under one data key, docs/format.md §4.4.
///
/// AES-GCM with random nonces bears 2^32 blocks under a key (NIST SP 800-38D §8.3). A file's header
/// holds a bound that is raised, in growing steps, before blocks beyond it are sealed: so a process
/// that dies never leaves more blocks than the header says.
package struct SealCount: Sendable, Equatable {
    /// The header's count goes in steps of this many blocks.
    package static let unitBlocks: UInt64 = 16
    /// Well before 2^32; not one more is sealed under the key.
    package static let maximumBlocks: UInt64 = (1 << 32) - (1 << 20)
    /// From here on the operator is told that the file needs a new data key.
    package static let warningBlocks: UInt64 = 1 << 31
    /// What a header of version 1 is taken for, which did not count.
    package static let uncountedBlocks: UInt64 = 1 << 30

    private static let largestStepBlocks: UInt64 = 1 << 16

    /// Blocks that may have been sealed.
    private var usedBlocks: UInt64
    /// What the header says, or is to say.
    package private(set) var reservedBlocks: UInt64
    private var stepBlocks: UInt64

    /// The count of a new data key. Small files fit into the first step.
    package init() {
        usedBlocks = 0
        reservedBlocks = 0
        stepBlocks = 64
    }

    /// Goes on from a header. All that it reserved counts as used.
    package init(_ header: FileHeader) {
        usedBlocks = header.sealedBlocks ?? Self.uncountedBlocks
        reservedBlocks = usedBlocks
        stepBlocks = Self.unitBlocks
    }

    package var needsNewKeySoon: Bool { reservedBlocks >= Self.warningBlocks }

    /// Takes `blocks` more.
    ///
    /// - Returns: whether the header must be written with ``reservedBlocks`` before they are sealed.
    /// - Throws: when the key has sealed all it may; nothing is taken then.
    package mutating func take(_ blocks: UInt64) throws(DataKeyUsedUp) -> Bool {
        guard blocks <= Self.maximumBlocks, usedBlocks <= Self.maximumBlocks - blocks else {
            throw DataKeyUsedUp()
        }
        usedBlocks += blocks
        guard usedBlocks > reservedBlocks else { return false }
        let wanted = max(usedBlocks, reservedBlocks + stepBlocks)
        let rounded = (wanted + Self.unitBlocks - 1) / Self.unitBlocks * Self.unitBlocks
        reservedBlocks = min(rounded, Self.maximumBlocks)
        stepBlocks = min(stepBlocks * 2, Self.largestStepBlocks)
        return true
    }
}
