import Testing

@testable import Mount

struct RawRequestTests {
    @Test func `a header tells operation and number`() throws {
        let request = try #require(decode(bytes(opcode: 3, unique: 0x1_0000_0002)))
        #expect(request.opcode == 3)
        #expect(request.unique == 0x1_0000_0002)
        #expect(request.duration == .short)
        #expect(!request.clearsSetID)
        #expect(request.offeredFlags == 0)
    }

    @Test(arguments: 0..<RawRequest.headerBytes)
    func `less than a header is no request`(_ count: Int) {
        #expect(decode([UInt8](repeating: 0xFF, count: count)) == nil)
    }

    @Test(arguments: [
        (UInt32(1), RawRequest.Duration.short), (3, .short), (26, .short), (42, .short),
        (4, .medium), (9, .medium), (10, .medium), (12, .medium), (14, .medium), (18, .medium),
        (25, .medium), (28, .medium), (35, .medium), (44, .medium),
        (20, .sync), (30, .sync), (43, .long), (50, .long), (0xFFFF_FFFF, .short),
    ])
    func `an operation's number tells how long it may take`(
        _ opcode: UInt32, _ duration: RawRequest.Duration
    ) throws {
        #expect(try #require(decode(bytes(opcode: opcode))).duration == duration)
    }

    @Test(arguments: [UInt32(15), 16])
    func `reads and writes are long from 64 KiB on`(_ opcode: UInt32) throws {
        let limit = RawRequest.smallTransferBytes
        // struct fuse_read_in and fuse_write_in: fh, offset, size.
        let atLimit = try #require(decode(bytes(opcode: opcode, body: [0, 0, 0, 0, limit])))
        let above = try #require(decode(bytes(opcode: opcode, body: [0, 0, 0, 0, limit + 1])))
        #expect(atLimit.duration == .medium)
        #expect(above.duration == .long)
    }

    @Test(arguments: [
        // The word that holds the flag, and the flag (linux/fuse.h).
        (UInt32(4), 0, UInt32(1 << 11)), (14, 1, 1), (16, 5, 1 << 2), (35, 3, 1),
    ])
    func `a request to clear set-id bits is seen`(
        _ opcode: UInt32, _ word: Int, _ flag: UInt32
    ) throws {
        var body = [UInt32](repeating: 0, count: 6)
        body[word] = flag
        #expect(try #require(decode(bytes(opcode: opcode, body: body))).clearsSetID)
        // Every other bit, and the same bits in other operations, say something else.
        body = body.map(~)
        #expect(try !#require(decode(bytes(opcode: opcode, body: body))).clearsSetID)
        #expect(try !#require(decode(bytes(opcode: 15, body: body.map(~)))).clearsSetID)
    }

    @Test func `the flags that the kernel offers are in INIT alone`() throws {
        let body: [UInt32] = [7, 38, 131_072, 0xDEAD_BEEF]
        #expect(try #require(decode(bytes(opcode: 26, body: body))).offeredFlags == 0xDEAD_BEEF)
        #expect(try #require(decode(bytes(opcode: 27, body: body))).offeredFlags == 0)
    }

    @Test(arguments: [UInt32(4), 14, 15, 16, 26, 35])
    func `fields behind the end of a request count as zero`(_ opcode: UInt32) throws {
        let whole = bytes(opcode: opcode, body: [UInt32](repeating: .max, count: 8))
        for count in RawRequest.headerBytes..<whole.count {
            #expect(decode(Array(whole[..<count])) != nil)
        }
        let header = try #require(decode(Array(whole[..<RawRequest.headerBytes])))
        #expect(!header.clearsSetID)
        #expect(header.offeredFlags == 0)
        #expect(header.duration != .long)
    }

    @Test func `random bytes are decoded, or refused by their length alone`() {
        var random = SplitMix64(state: 7)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...120, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            // Half of them with an operation that has a body.
            if count > 8, Bool.random(using: &random) {
                bytes[4] = UInt8.random(in: 0...52, using: &random)
                bytes.replaceSubrange(5..<8, with: [0, 0, 0])
            }
            #expect((decode(bytes) != nil) == (count >= RawRequest.headerBytes))
        }
    }

    private func decode(_ bytes: [UInt8]) -> RawRequest? {
        // SAFETY: a byte has no padding.
        unsafe RawRequest(bytes.span.bytes)
    }

    /// struct fuse_in_header: len, opcode, unique, nodeid, uid, gid, pid, padding.
    private func bytes(opcode: UInt32, unique: UInt64 = 1, body: [UInt32] = []) -> [UInt8] {
        let count = UInt32(RawRequest.headerBytes + 4 * body.count)
        let number = [UInt32(truncatingIfNeeded: unique), UInt32(unique >> 32)]
        let words = [count, opcode] + number + [1, 0, 1000, 1000, 42, 0] + body
        return words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
    }
}
