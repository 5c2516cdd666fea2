import Cryptography
import Testing

@testable import SealedFormat

/// The records of domains below another one.
@Suite struct NestedDomainTests {
    private let keys = Fixture.domainKeys()
    private let outer = Fixture.domainKeys()

    private func record(_ wrapped: [WrappedKey] = [Fixture.wrappedKey()]) -> DirectoryRecord {
        DirectoryRecord(
            directoryID: DirectoryID(), rootOf: keys, below: outer, domainKey: wrapped)
    }

    private func accepts(_ bytes: [UInt8]) -> Bool {
        guard let record = try? DirectoryRecord(decoding: bytes) else { return false }
        return (try? record.authenticateLink(below: outer)) != nil
            && (try? record.authenticate(bytes, with: keys)) != nil
    }

    private static let refused = FormatError.authenticationFailed(.directoryRecord)

    @Test func `records come back`() throws {
        for (wrapped, count) in [
            ([Fixture.wrappedKey()], 512), ([Fixture.wrappedKey(), Fixture.wrappedKey(2)], 1024),
            (Array(repeating: Fixture.wrappedKey(blobBytes: 6144), count: 2), 12_800),
        ] {
            let record = record(wrapped)
            let bytes = record.encoded(with: keys)
            #expect(bytes.count == count)
            #expect(bytes[8..<10] == [0, 2])
            let decoded = try DirectoryRecord(decoding: bytes)
            #expect(decoded == record)
            #expect(decoded.link?.outerID == outer.domainID)
            #expect(accepts(bytes))
        }
        let largest = WrappedKey(
            keyARN: String(repeating: "a", count: 256), blob: [UInt8](repeating: 1, count: 6144))
        let bytes = record(Array(repeating: largest, count: 16)).encoded(with: keys)
        #expect(bytes.count == DirectoryRecord.maximumBytes && accepts(bytes))
    }

    @Test func `every flipped bit of a record is found`() {
        for wrapped in [[Fixture.wrappedKey()], [Fixture.wrappedKey(), Fixture.wrappedKey(2)]] {
            #expect(record(wrapped).encoded(with: keys).bitsThatFlipUnseen(accepts) == [])
        }
    }

    @Test func `a record that is cut or longer is refused`() {
        let bytes = record().encoded(with: keys)
        for count in 0..<bytes.count { #expect(!accepts(Array(bytes.prefix(count)))) }
        #expect(!accepts(bytes + [0]))
        #expect(!accepts(bytes + [UInt8](repeating: 0, count: 512)))
    }

    @Test func `a record below a foreign domain is refused`() throws {
        let record = record()
        for other in [Fixture.domainKeys(), Fixture.domainKeys(outer.domainID), keys] {
            #expect(throws: Self.refused) { try record.authenticateLink(below: other) }
        }
        // Who has no more than a CMK of his own can make a domain, but not this link.
        let own = Fixture.domainKeys()
        let forged = DirectoryRecord(
            directoryID: record.directoryID, rootOf: own,
            below: Fixture.domainKeys(outer.domainID), domainKey: [Fixture.wrappedKey()])
        try forged.authenticate(forged.encoded(with: own), with: own)
        #expect(throws: Self.refused) { try forged.authenticateLink(below: outer) }
        let plain = DirectoryRecord(directoryID: DirectoryID(), domainID: outer.domainID)
        #expect(throws: Self.refused) { try plain.authenticateLink(below: outer) }
    }

    @Test func `a link fits one domain key and one directory only`() throws {
        let record = record()
        let bytes = record.encoded(with: keys)
        for other in [Fixture.domainKeys(keys.domainID), outer] {
            #expect(throws: Self.refused) { try record.authenticate(bytes, with: other) }
        }
        // The same link under the MAC of another key of the same id.
        let other = Fixture.domainKeys(keys.domainID)
        let moved = record.encoded(with: other)
        #expect(throws: Self.refused) {
            try DirectoryRecord(decoding: moved).authenticate(moved, with: other)
        }
        // The same link in the record of another directory of the same domain.
        var directory = bytes
        directory.replaceSubrange(10..<26, with: DirectoryID().bytes)
        #expect(throws: Self.refused) {
            try DirectoryRecord(decoding: directory).authenticateLink(below: outer)
        }
    }

    @Test func `a rewrap changes nothing before the wrapped keys`() {
        let old = record()
        let new = old.withWrappedKeys([Fixture.wrappedKey(9)])
        #expect(new.encoded(with: keys)[..<154] == old.encoded(with: keys)[..<154])
        #expect(accepts(new.encoded(with: keys)))
    }

    @Test func `a root without a key, and a domain below itself, are malformed`() {
        let empty = record([]).encoded(with: keys)
        #expect(
            throws: FormatError.malformed(.directoryRecord, "a domain's root without a key")
        ) { try DirectoryRecord(decoding: empty) }
        let own = DirectoryRecord(
            directoryID: DirectoryID(), rootOf: keys, below: keys,
            domainKey: [Fixture.wrappedKey()]
        ).encoded(with: keys)
        #expect(throws: FormatError.malformed(.directoryRecord, "a domain below itself")) {
            try DirectoryRecord(decoding: own)
        }
    }

    @Test func `a record of version 1 is no link, and the other way round`() throws {
        let plain = DirectoryRecord(
            directoryID: DirectoryID(), domainID: keys.domainID,
            domainKey: [Fixture.wrappedKey()]
        ).encoded(with: keys)
        var bytes = plain
        bytes[9] = 2
        #expect(!accepts(bytes))
        bytes = record().encoded(with: keys)
        bytes[9] = 1
        #expect(!accepts(bytes))
        #expect(try DirectoryRecord(decoding: plain).link == nil)
    }
}
