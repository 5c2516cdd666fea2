import Testing

@testable import SealedFormat

@Suite struct BlockLayoutTests {
    @Test(arguments: BlockLayout.headerSizes)
    func `sizes survive the way there and back for every tail length`(_ headerBytes: Int) throws {
        let layout = try Fixture.layout(headerBytes)
        for blocks in [0, 1, 2, 1000] as [UInt64] {
            for tail in 0..<4096 as Range<UInt64> {
                let plainSize = blocks * 4096 + tail
                let sealedSize = layout.sealedSize(plainSize: plainSize)
                guard try layout.plainSize(sealedSize: sealedSize) == plainSize,
                    layout.reportedSize(sealedSize: sealedSize) == plainSize
                else {
                    Issue.record("\(plainSize) became \(sealedSize)")
                    return
                }
            }
        }
    }

    @Test(arguments: BlockLayout.headerSizes)
    func `a size is impossible exactly when no plaintext has it`(_ headerBytes: Int) throws {
        let layout = try Fixture.layout(headerBytes)
        let limit = UInt64(headerBytes + 3 * 4124)
        var possible: Set<UInt64> = []
        var plainSize: UInt64 = 0
        while layout.sealedSize(plainSize: plainSize) <= limit {
            possible.insert(layout.sealedSize(plainSize: plainSize))
            plainSize += 1
        }
        for size in 0...limit {
            let found = (try? layout.plainSize(sealedSize: size)) != nil
            guard found == possible.contains(size) else {
                Issue.record("size \(size)")
                return
            }
            guard !found else { continue }
            #expect(throws: FormatError.impossibleSize(size)) {
                try layout.plainSize(sealedSize: size)
            }
        }
    }

    @Test func `a damaged file is reported with one byte for the tail no writer makes`() throws {
        let layout = try Fixture.layout()
        #expect(layout.reportedSize(sealedSize: 0) == 0)
        #expect(layout.reportedSize(sealedSize: 1) == 1)
        #expect(layout.reportedSize(sealedSize: 512) == 1)
        #expect(layout.reportedSize(sealedSize: 513) == 1)
        #expect(layout.reportedSize(sealedSize: 512 + 28) == 1)
        #expect(layout.reportedSize(sealedSize: 512 + 29) == 1)
        #expect(layout.reportedSize(sealedSize: 512 + 30) == 2)
        #expect(layout.reportedSize(sealedSize: 512 + 4124 + 28) == 4097)
    }

    @Test(arguments: BlockLayout.headerSizes)
    func `the largest file fits off_t and a larger one is impossible`(_ headerBytes: Int) throws {
        let layout = try Fixture.layout(headerBytes)
        let largest = layout.sealedSize(plainSize: BlockLayout.maximumPlainSize)
        #expect(largest <= UInt64(Int64.max))
        #expect(try layout.plainSize(sealedSize: largest) == BlockLayout.maximumPlainSize)
        for size in [largest + 29, largest + 4124, UInt64.max] {
            #expect(throws: FormatError.impossibleSize(size)) {
                try layout.plainSize(sealedSize: size)
            }
            #expect(layout.reportedSize(sealedSize: size) == BlockLayout.maximumPlainSize)
        }
    }

    @Test func `blocks lie one behind the other and add up to the file`() throws {
        let layout = try Fixture.layout(1024)
        for plainSize in [1, 4095, 4096, 4097, 8192, 12_289] as [UInt64] {
            var offset = UInt64(1024)
            for block in 0..<layout.blockCount(plainSize: plainSize) {
                #expect(layout.sealedOffset(ofBlock: block) == offset)
                offset += UInt64(layout.sealedBytes(ofBlock: block, plainSize: plainSize))
            }
            #expect(offset == layout.sealedSize(plainSize: plainSize))
            let end = layout.blockCount(plainSize: plainSize)
            #expect(layout.sealedBytes(ofBlock: end, plainSize: plainSize) == 0)
            #expect(layout.sealedBytes(ofBlock: .max, plainSize: plainSize) == 0)
            #expect(BlockLayout.block(containing: plainSize - 1) == end - 1)
        }
        #expect(layout.blockCount(plainSize: 0) == 0)
        #expect(layout.sealedBytes(ofBlock: 0, plainSize: 0) == 0)
    }

    @Test func `other header sizes are refused`() {
        for size in [-1, 0, 1, 511, 513, 768, 4095, 8192, Int.max] {
            #expect(
                throws: FormatError.malformed(.vaultConfig, "a header size of \(size) bytes")
            ) { try BlockLayout(headerBytes: size) }
        }
    }
}
