import Cryptography
import Testing

@testable import SealedFormat

@Suite struct BlockCipherTests {
    private let cipher = BlockCipher()
    private let failure = FormatError.authenticationFailed(.block)

    init() {
        cipher.use(Fixture.fileKeys())
    }

    @Test func `blocks of every length come back, at any offset of the buffers`() throws {
        var generator = SeededGenerator(seed: 1)
        for count in [1, 2, 15, 16, 17, 1000, 4095, 4096] {
            let plain = generator.bytes(count)
            var sealed = [UInt8](repeating: 0, count: count + 28 + 10)
            var opened = [UInt8](repeating: 0, count: count + 6)
            try plain.withRawSpan { plain in
                try sealed.withMutableRawSpan { sealed in
                    cipher.seal(
                        plain, 0..<count, block: 5, isFinal: true, into: &sealed, at: 7)
                    try opened.withMutableRawSpan { opened in
                        try cipher.open(
                            sealed.bytes, 7..<7 + count + 28, block: 5, expectFinal: true,
                            into: &opened, at: 3)
                    }
                }
            }
            #expect(opened == [0, 0, 0] + plain + [0, 0, 0])
            #expect(sealed[..<7].allSatisfy { $0 == 0 })
            #expect(sealed.suffix(3) == [0, 0, 0])
        }
    }

    @Test func `every flipped bit of a block is found`() throws {
        let sealed = cipher.seal(Array("a small secret".utf8), block: 0, isFinal: true)
        #expect(
            sealed.bitsThatFlipUnseen {
                (try? cipher.open($0, block: 0, expectFinal: true)) != nil
            } == [])
    }

    @Test func `a block opens at its own index only`() throws {
        let plain = [UInt8](repeating: 3, count: 4096)
        let sealed = cipher.seal(plain, block: 1, isFinal: false)
        #expect(try cipher.open(sealed, block: 1, expectFinal: false) == plain)
        for block in [0, 2, 257, 1 << 32 | 1, .max] as [UInt64] {
            #expect(throws: failure) { try cipher.open(sealed, block: block, expectFinal: false) }
        }
    }

    @Test func `a block opens in its own file only`() throws {
        let dataKey = SecretBytes.random(count: 32)
        cipher.use(FileKeys(dataKey: dataKey, fileID: FileID()))
        let sealed = cipher.seal([1], block: 0, isFinal: true)
        cipher.use(FileKeys(dataKey: dataKey, fileID: FileID()))
        #expect(throws: failure) { try cipher.open(sealed, block: 0, expectFinal: true) }
    }

    @Test func `a file cut at a block's border fails at its new end`() throws {
        let plain = [UInt8](repeating: 3, count: 4096)
        let blocks = (0..<3).map { cipher.seal(plain, block: $0, isFinal: $0 == 2) }
        #expect(try cipher.open(blocks[2], block: 2, expectFinal: true) == plain)
        #expect(throws: failure) { try cipher.open(blocks[1], block: 1, expectFinal: true) }
        #expect(try cipher.open(blocks[1], block: 1, expectFinal: false) == plain)
    }

    @Test func `a final block in the middle is taken, and blocks behind the final one are not`()
        throws
    {
        let plain = [UInt8](repeating: 3, count: 4096)
        let final = cipher.seal(plain, block: 0, isFinal: true)
        #expect(try cipher.open(final, block: 0, expectFinal: false) == plain)
        #expect(throws: failure) { try cipher.open(final, block: 1, expectFinal: true) }
    }

    @Test func `a failed block leaves zeros`() throws {
        let sealed = cipher.seal([1, 2, 3], block: 0, isFinal: true).flippingBit(100)
        var plain = [UInt8](repeating: 0xaa, count: 5)
        #expect(throws: failure) {
            try sealed.withRawSpan { sealed in
                try plain.withMutableRawSpan { plain in
                    try cipher.open(
                        sealed, 0..<31, block: 0, expectFinal: false, into: &plain, at: 1)
                }
            }
        }
        #expect(plain == [0xaa, 0, 0, 0, 0xaa])
    }

    @Test func `zeros are no block, and lengths that no block has are refused`() {
        for count in [29, 4124] {
            let zeros = [UInt8](repeating: 0, count: count)
            #expect(throws: failure) { try cipher.open(zeros, block: 0, expectFinal: false) }
        }
        for count in [0, 1, 28, 4125] {
            let zeros = [UInt8](repeating: 0, count: count)
            #expect(throws: FormatError.malformed(.block, "\(count) bytes")) {
                try cipher.open(zeros, block: 0, expectFinal: true)
            }
        }
    }

    @Test func `equal blocks are sealed differently each time`() {
        let plain = [UInt8](repeating: 0, count: 4096)
        let sealed = (0..<100).map { _ in cipher.seal(plain, block: 0, isFinal: false) }
        #expect(Set(sealed).count == 100)
        #expect(Set(sealed.map { $0.prefix(12) }).count == 100)
    }

    @Test func `a hole has only zeros, wherever it lies`() {
        for count in [0, 1, 7, 8, 9, 29, 40] {
            for start in 0..<9 {
                var bytes = [UInt8](repeating: 0xff, count: start + count + 9)
                for index in start..<start + count { bytes[index] = 0 }
                #expect(isHole(bytes, start..<start + count))
                for index in start..<start + count {
                    var damaged = bytes
                    damaged[index] = 0x80
                    #expect(!isHole(damaged, start..<start + count))
                }
            }
        }
    }

    private func isHole(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        bytes.withRawSpan { BlockCipher.isHole($0, range) }
    }
}
