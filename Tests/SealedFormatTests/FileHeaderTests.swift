import Cryptography
import Testing

@testable import SealedFormat

@Suite struct FileHeaderTests {
    private let fileID = FileID()
    private let keys: FileKeys

    init() {
        keys = Fixture.fileKeys(fileID)
    }

    private func header(
        sparse: Bool = false, sealedBlocks: UInt64? = 64, _ wrapped: [WrappedKey]
    ) -> FileHeader {
        FileHeader(
            fileID: fileID, isSparse: sparse, sealedBlocks: sealedBlocks, wrappedKeys: wrapped,
            keys: keys)
    }

    private func accepts(_ bytes: [UInt8], _ layout: BlockLayout, like: FileHeader? = nil) -> Bool {
        guard let header = try? FileHeader(decoding: bytes, layout: layout),
            (try? header.authenticate(with: keys)) != nil
        else { return false }
        return like.map { $0.wrappedKeys == header.wrappedKeys } ?? true
    }

    @Test(arguments: BlockLayout.headerSizes, [false, true])
    func `a header comes back as it was`(_ headerBytes: Int, _ isSparse: Bool) throws {
        let layout = try Fixture.layout(headerBytes)
        for sealedBlocks in [nil, 0, 16, SealCount.maximumBlocks] {
            let header = header(
                sparse: isSparse, sealedBlocks: sealedBlocks,
                [Fixture.wrappedKey(), Fixture.wrappedKey(2)])
            let bytes = try header.encoded(layout: layout)
            #expect(bytes.count == headerBytes)
            let decoded = try FileHeader(decoding: bytes, layout: layout)
            #expect(decoded == header)
            try decoded.authenticate(with: keys)
        }
    }

    @Test(arguments: [512, 1024])
    func `every flipped bit of a header is found`(_ headerBytes: Int) throws {
        let layout = try Fixture.layout(headerBytes)
        for (keyCount, sealedBlocks) in [(1, 4096), (2, 64), (1, nil)] as [(Int, UInt64?)] {
            let wrapped = (0..<keyCount).map { Fixture.wrappedKey(UInt8($0)) }
            let bytes = try header(sealedBlocks: sealedBlocks, wrapped).encoded(layout: layout)
            #expect(bytes.bitsThatFlipUnseen { accepts($0, layout) } == [])
        }
    }

    @Test func `wrapped keys that somebody put together anew are not taken for the old ones`()
        throws
    {
        // The hash is no protection from a person; the header says so by its other keys.
        let layout = try Fixture.layout()
        let other = Fixture.fileKeys(fileID)
        let forged = FileHeader(
            fileID: fileID, isSparse: false, sealedBlocks: 64,
            wrappedKeys: [Fixture.wrappedKey(9)], keys: keys)
        #expect(throws: FormatError.authenticationFailed(.fileHeader)) {
            try FileHeader(decoding: forged.encoded(layout: layout), layout: layout)
                .authenticate(with: other)
        }
    }

    @Test func `a header fails with the keys of another file`() throws {
        let dataKey = SecretBytes.random(count: 32)
        let mine = FileKeys(dataKey: dataKey, fileID: fileID)
        let other = FileKeys(dataKey: dataKey, fileID: FileID())
        let header = FileHeader(
            fileID: fileID, isSparse: false, sealedBlocks: 64,
            wrappedKeys: [Fixture.wrappedKey()], keys: mine)
        try header.authenticate(with: mine)
        #expect(throws: FormatError.authenticationFailed(.fileHeader)) {
            try header.authenticate(with: other)
        }
    }

    @Test func `a rewrap leaves the first 96 bytes as they are`() throws {
        let layout = try Fixture.layout()
        let old = header([Fixture.wrappedKey()])
        let new = old.withWrappedKeys([Fixture.wrappedKey(7, blobBytes: 20)])
        let bytes = try new.encoded(layout: layout)
        #expect(bytes[..<96] == (try old.encoded(layout: layout))[..<96])
        #expect(accepts(bytes, layout, like: new))
    }

    @Test func `the sparse flag goes on and off under a new tag`() throws {
        let layout = try Fixture.layout()
        let plain = header([Fixture.wrappedKey()])
        let sparse = plain.withSparse(true, keys: keys)
        #expect(sparse.isSparse && sparse.tag != plain.tag)
        #expect(accepts(try sparse.encoded(layout: layout), layout))
        #expect(sparse.withSparse(false, keys: keys) == plain)
    }

    @Test func `the count of sealed blocks changes under a new tag`() throws {
        let layout = try Fixture.layout()
        let uncounted = header(sealedBlocks: nil, [Fixture.wrappedKey()])
        let counted = uncounted.withSealedBlocks(1 << 20, keys: keys)
        #expect(counted.sealedBlocks == 1 << 20 && counted.tag != uncounted.tag)
        #expect(accepts(try counted.encoded(layout: layout), layout))
        #expect(counted.withSparse(true, keys: keys).sealedBlocks == 1 << 20)
        #expect(counted.withWrappedKeys([Fixture.wrappedKey(3)]).sealedBlocks == 1 << 20)
    }

    @Test func `as many keys fit as the header has room for`() throws {
        let layout = try Fixture.layout()
        let room = 512 - 98 - 2 - 32 - 4 - Fixture.arn.utf8.count
        let fitting = header([Fixture.wrappedKey(blobBytes: room)])
        #expect(accepts(try fitting.encoded(layout: layout), layout, like: fitting))
        #expect(
            throws: FormatError.malformed(
                .fileHeader, "wrapped keys that need 513 bytes of 512")
        ) { try header([Fixture.wrappedKey(blobBytes: room + 1)]).encoded(layout: layout) }
    }

    @Test func `keys outside the limits are refused`() throws {
        let layout = try Fixture.layout(4096)
        let tiny = WrappedKey(keyARN: "a", blob: [1])
        #expect(
            accepts(
                try header(Array(repeating: tiny, count: 16)).encoded(layout: layout), layout))
        for (keys, reason) in [
            ([], "no wrapped key"),
            (Array(repeating: tiny, count: 17), "17 wrapped keys"),
            ([WrappedKey(keyARN: "", blob: [1])], "a wrapped key's ARN"),
            ([WrappedKey(keyARN: "schlüssel", blob: [1])], "a wrapped key's ARN"),
            (
                [WrappedKey(keyARN: String(repeating: "a", count: 257), blob: [1])],
                "a wrapped key's ARN"
            ),
            ([WrappedKey(keyARN: "a", blob: [])], "a wrapped key of 0 bytes"),
            ([Fixture.wrappedKey(blobBytes: 6145)], "a wrapped key of 6145 bytes"),
        ] {
            #expect(throws: FormatError.malformed(.fileHeader, reason)) {
                try header(keys).encoded(layout: layout)
            }
        }
    }

    @Test func `a header of another size, version, cipher or kind is refused by name`() throws {
        let layout = try Fixture.layout()
        let bytes = try header([Fixture.wrappedKey()]).encoded(layout: layout)
        func failure(_ offset: Int, _ value: UInt8) -> FormatError? {
            var changed = bytes
            changed[offset] = value
            do throws(FormatError) {
                _ = try FileHeader(decoding: changed, layout: layout)
                return nil
            } catch {
                return error
            }
        }
        #expect(failure(7, 2) == .malformed(.fileHeader, "the magic number"))
        #expect(failure(9, 3) == .unsupportedVersion(.fileHeader, 3))
        #expect(failure(9, 1) == .malformed(.fileHeader, "unknown flags"), "a count in version 1")
        #expect(failure(11, 2) == .malformed(.fileHeader, "an unknown cipher"))
        #expect(failure(15, 0x42) == .malformed(.fileHeader, "unknown flags"))
        #expect(
            failure(96, 4) == .malformed(.fileHeader, "a header size that is not the vault's"))
        #expect(failure(511, 1) == .malformed(.fileHeader, "bytes after its end"))
        #expect(throws: FormatError.malformed(.fileHeader, "512 bytes")) {
            try FileHeader(decoding: bytes, layout: Fixture.layout(1024))
        }
        #expect(
            throws: FormatError.malformed(.fileHeader, "a header size that is not the vault's")
        ) {
            try FileHeader(
                decoding: bytes + [UInt8](repeating: 0, count: 512), layout: Fixture.layout(1024))
        }
    }
}
