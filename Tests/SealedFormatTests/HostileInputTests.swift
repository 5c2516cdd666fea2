import Cryptography
import Testing

@testable import SealedFormat

/// Every decoder takes any bytes without a trap, and none of them authenticate.
@Suite struct HostileInputTests {
    private static let rounds = 20_000

    private let keys = Fixture.domainKeys()
    private let directory = DirectoryID()

    /// Feeds `decode` with random bytes and with mutations of `genuine`, from a fixed seed.
    ///
    /// - Parameter decode: whether the bytes were taken for genuine.
    private func attack(
        _ genuine: [UInt8], seed: UInt64, maximumBytes: Int, _ decode: ([UInt8]) -> Bool
    ) {
        var generator = SeededGenerator(seed: seed)
        var taken = 0
        for round in 0..<Self.rounds {
            let bytes: [UInt8]
            if round.isMultiple(of: 4) {
                bytes = generator.bytes(Int.random(in: 0...maximumBytes, using: &generator))
            } else {
                bytes = mutate(genuine, &generator)
            }
            if bytes != genuine, decode(bytes) { taken += 1 }
        }
        #expect(taken == 0)
        #expect(decode(genuine))
    }

    private func mutate(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            guard !bytes.isEmpty else { return bytes }
            let position = Int.random(in: 0..<bytes.count, using: &generator)
            let end = Int.random(in: position...bytes.count, using: &generator)
            switch Int.random(in: 0..<7, using: &generator) {
            case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1:
                bytes[position] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
            case 2: bytes.removeSubrange(position..<end)
            case 3: bytes.insert(contentsOf: bytes[position..<end], at: position)
            case 4: bytes.replaceSubrange(position..<end, with: generator.bytes(end - position))
            case 5: bytes = Array(bytes[..<position])
            default: bytes.swapAt(position, bytes.count - 1)
            }
        }
        return bytes
    }

    @Test func `file headers`() throws {
        let fileID = FileID()
        let fileKeys = Fixture.fileKeys(fileID)
        let layout = try Fixture.layout()
        let genuine = try FileHeader(
            fileID: fileID, isSparse: true, sealedBlocks: 64,
            wrappedKeys: [Fixture.wrappedKey(), Fixture.wrappedKey(2)], keys: fileKeys
        ).encoded(layout: layout)
        func decode(_ bytes: [UInt8]) -> Bool {
            guard let header = try? FileHeader(decoding: bytes, layout: layout),
                (try? header.authenticate(with: fileKeys)) != nil
            else { return false }
            return (try? header.encoded(layout: layout)) == bytes
        }
        attack(genuine, seed: 10, maximumBytes: 600, decode)
        // The same with the length made right, so that the parser behind it is reached.
        attack(genuine, seed: 11, maximumBytes: 600) { bytes in
            decode(Array((bytes + [UInt8](repeating: 0, count: 512)).prefix(512)))
                && bytes == genuine
        }
    }

    @Test func `lists of wrapped keys with a hash made anew`() {
        // Past the hash, the parser must hold on its own: what it takes is canonical.
        var generator = SeededGenerator(seed: 12)
        let list =
            (try? WrappedKeyList.encode(
                [Fixture.wrappedKey(), Fixture.wrappedKey(2)], in: .fileHeader)) ?? []
        let genuine = Array(list.dropLast(32))
        var taken = 0
        for _ in 0..<Self.rounds {
            let body = mutate(genuine, &generator)
            let bytes = body + SHA256.hash(body)
            var reader = ByteReader(bytes)
            guard let keys = try? WrappedKeyList.decode(from: &reader, in: .fileHeader) else {
                continue
            }
            taken += 1
            let encoded = try? WrappedKeyList.encode(keys, in: .fileHeader)
            if encoded != Array(bytes.prefix(reader.position)) {
                Issue.record("a list with two encodings")
                return
            }
        }
        #expect(taken > 0)
    }

    @Test func `directory records`() {
        let record = DirectoryRecord(
            directoryID: directory, domainID: keys.domainID, domainKey: [Fixture.wrappedKey()])
        for (seed, genuine) in [
            (13, record.encoded(with: keys)),
            (14, record.withWrappedKeys([]).encoded(with: keys)),
        ] as [(UInt64, [UInt8])] {
            attack(genuine, seed: seed, maximumBytes: 600) { bytes in
                guard let record = try? DirectoryRecord(decoding: bytes) else { return false }
                return (try? record.authenticate(bytes, with: keys)) != nil
            }
        }
    }

    @Test func configs() throws {
        let config = try Fixture.config(keys.domainID)
        let genuine = config.encoded(with: keys)
        attack(genuine, seed: 15, maximumBytes: 600) { bytes in
            guard let decoded = try? VaultConfig(decoding: bytes),
                (try? decoded.authenticate(with: keys)) != nil
            else { return false }
            // White space may change; what is said may not.
            return decoded != config || bytes == genuine
        }
    }

    @Test func `names and sidecars`() {
        let short = Array(keys.sealName(Array("name".utf8), in: directory).stored.utf8)
        attack(short, seed: 16, maximumBytes: 300) { bytes in
            (try? keys.openName(String(decoding: bytes, as: UTF8.self), in: directory)) != nil
        }
        let long = keys.sealName([UInt8](repeating: 0x61, count: 255), in: directory)
        guard case .long(let stored, _, let sidecar) = long else {
            Issue.record("a name of 255 bytes is not long")
            return
        }
        attack(sidecar, seed: 17, maximumBytes: 300) { bytes in
            (try? keys.openLongName(sidecar: bytes, stored: stored, in: directory)) != nil
        }
        attack(Array(stored.utf8), seed: 18, maximumBytes: 80) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            return (try? keys.openLongName(sidecar: sidecar, stored: text, in: directory)) != nil
        }
    }

    @Test func `links and attributes`() {
        attack(keys.sealSymbolicLink(Array("target".utf8)), seed: 19, maximumBytes: 100) { bytes in
            (try? keys.openSymbolicLink(bytes)) != nil
        }
        let name = Array("user.x".utf8)
        attack(Array(keys.sealAttributeName(name).utf8), seed: 20, maximumBytes: 100) { bytes in
            (try? keys.openAttributeName(String(decoding: bytes, as: UTF8.self))) != nil
        }
        let value = keys.sealAttributeValue(Array("value".utf8), name: name)
        attack(value, seed: 21, maximumBytes: 100) { bytes in
            (try? keys.openAttributeValue(bytes, name: name)) != nil
        }
    }

    @Test func blocks() {
        let cipher = BlockCipher()
        cipher.use(Fixture.fileKeys())
        let genuine = cipher.seal(Array("a small block".utf8), block: 3, isFinal: true)
        attack(genuine, seed: 22, maximumBytes: 100) { bytes in
            (try? cipher.open(bytes, block: 3, expectFinal: false)) != nil
        }
    }

    @Test func identifiers() {
        let id = FileID()
        attack(Array(id.description.utf8), seed: 23, maximumBytes: 40) { bytes in
            FileID(String(decoding: bytes, as: UTF8.self)) == id
        }
    }
}
