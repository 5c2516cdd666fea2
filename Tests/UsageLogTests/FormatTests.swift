import Cryptography
import KMSModel
import Platform
import Testing

@testable import UsageLog

/// Reads a segment with nothing but docs/usage-log.md in hand.
@Suite struct FormatTests {
    let fixture: Fixture

    init() throws {
        fixture = try Fixture()
    }

    @Test func `a header has its fields at their offsets`() throws {
        let first = try fixture.writeClosedSegment(events: 1)
        let second = try fixture.writeClosedSegment(events: 1)
        let header = try fixture.bytes(of: second).prefix(92)
        #expect(Array(header[0..<8]) == Array("KFUSELOG".utf8))
        #expect(Array(header[8..<12]) == [0, 0, 0, 2])
        #expect(Array(header[12..<28]) == second.id.bytes)
        #expect(Array(header[28..<36]) == [0, 0, 0, 0, 0, 0, 0, 2])
        #expect(
            Array(header).bigEndian(Int64.self, at: 36)
                == second.createdAt.millisecondsSinceEpoch)
        #expect(Array(header[76..<92]) == Boot.id)
        #expect(Boot.id.contains { $0 != 0 })
        #expect(
            Array(header[44..<76]) == SHA256.hash(Array(try fixture.bytes(of: first).prefix(92))))
        #expect(try fixture.bytes(of: first)[44..<76].allSatisfy { $0 == 0 })
    }

    @Test func `records open as the format says`() throws {
        let event = fixture.event("Decrypt")
        let writer = fixture.writer()
        try writer.append(event)
        try writer.append(event)
        writer.close()
        let segment = try #require(try fixture.anchors.segments().first)
        let bytes = try fixture.bytes(of: segment)
        let cipher = AESGCM256()
        cipher.use(fixture.keys.sealingKey(of: segment))
        var chainHash = SHA256.hash(Array(bytes.prefix(92)))
        var plaintexts: [[UInt8]] = []
        var leafHashes: [[UInt8]] = []
        for (index, range) in recordRanges(bytes).enumerated() {
            let record = Array(bytes[range])
            let sequence = [0, 0, 0, 0, 0, 0, 0, UInt8(index + 1)]
            #expect(Array(record[4..<12]) == sequence)
            if index == 2 { #expect(chainHash == segment.head.chainHash) }
            plaintexts.append(
                try cipher.open(
                    Array(record[12...]), authenticating: segment.id.bytes + sequence + chainHash))
            if index < 2 {
                chainHash = SHA256.hash([0] + chainHash + sequence + plaintexts[index])
                leafHashes.append(chainHash)
            }
        }
        #expect(plaintexts.count == 3)
        for plaintext in plaintexts.prefix(2) {
            #expect(plaintext[0] == 1)
            #expect(
                plaintext.bigEndian(Int64.self, at: 1) == event.eventTime.millisecondsSinceEpoch)
            #expect(Array(plaintext[9...]) == event.cloudTrailJSON())
        }
        let closing = try #require(plaintexts.last)
        let root = SHA256.hash([1] + leafHashes[0] + leafHashes[1])
        #expect(closing.count == 178)
        #expect(closing[0] == 2)
        #expect(closing[9] == 1)
        #expect(Array(closing[10..<26]) == Boot.id)
        #expect(closing.bigEndian(UInt64.self, at: 26) == 2)
        #expect(Array(closing[34..<66]) == segment.head.chainHash)
        #expect(Array(closing[66..<98]) == root)
        #expect(segment.head.treeRoot == root)
        let message =
            Array("keyfold usage log segment 2".utf8) + segment.digest + closing[1..<9]
            + closing[9..<114]
        #expect(
            Ed25519.isValid(
                Array(closing[114...]), for: message, publicKey: fixture.keys.publicKey))
    }
}
