import Testing

@testable import SealedFormat

@Suite struct SealCountTests {
    @Test func `the header is never behind what was sealed, and rarely written`() throws {
        var count = SealCount()
        var header: UInt64 = 0
        var writes = 0
        var sealed: UInt64 = 0
        for step in 0..<2_000_000 {
            let blocks = UInt64(step % 7 + 1)
            if try count.take(blocks) {
                header = count.reservedBlocks
                writes += 1
            }
            sealed += blocks
            try #require(header >= sealed && header.isMultiple(of: SealCount.unitBlocks))
        }
        #expect(writes < 200, "8 million blocks with \(writes) writes")
    }

    @Test func `a small file needs one header`() throws {
        var count = SealCount()
        #expect(try count.take(1))
        #expect(count.reservedBlocks == 64)
        for _ in 1..<64 { #expect(try !count.take(1)) }
        #expect(try count.take(1))
    }

    @Test func `what a header reserved counts as used by who opens the file next`() throws {
        let fileID = FileID()
        let keys = Fixture.fileKeys(fileID)
        func reopened(_ sealedBlocks: UInt64?) -> SealCount {
            SealCount(
                FileHeader(
                    fileID: fileID, isSparse: false, sealedBlocks: sealedBlocks,
                    wrappedKeys: [Fixture.wrappedKey()], keys: keys))
        }
        var count = reopened(64)
        #expect(try count.take(1))
        #expect(count.reservedBlocks == 80)

        var uncounted = reopened(nil)
        #expect(try uncounted.take(1))
        #expect(uncounted.reservedBlocks > SealCount.uncountedBlocks)
        #expect(!uncounted.needsNewKeySoon)
        #expect(reopened(SealCount.warningBlocks).needsNewKeySoon)

        var last = reopened(SealCount.maximumBlocks - 16)
        #expect(throws: DataKeyUsedUp.self) { try last.take(17) }
        #expect(try last.take(16))
        #expect(last.reservedBlocks == SealCount.maximumBlocks)
        #expect(throws: DataKeyUsedUp.self) { try last.take(1) }
        #expect(throws: DataKeyUsedUp.self) { try last.take(.max) }
    }
}
