import Cryptography
import Testing

@testable import SealedFormat

@Suite struct NameTests {
    private let keys = Fixture.domainKeys()
    private let directory = DirectoryID()

    /// Opens a stored name as a reader does.
    private func open(_ sealed: SealedName, in directory: DirectoryID) throws(FormatError)
        -> [UInt8]
    {
        switch sealed {
        case .direct(let stored): try keys.openName(stored, in: directory)
        case .long(let stored, _, let sidecar):
            try keys.openLongName(sidecar: sidecar, stored: stored, in: directory)
        }
    }

    @Test func `names of all lengths from 1 to 255 bytes come back`() throws {
        var generator = SeededGenerator(seed: 2)
        for count in 1...255 {
            let name = generator.name(count)
            let sealed = keys.sealName(name, in: directory)
            #expect(try open(sealed, in: directory) == name)
            #expect(sealed == keys.sealName(name, in: directory))
            #expect(sealed.stored.utf8.count <= 255)
            switch sealed {
            case .direct(let stored):
                #expect(count <= 160 && !ReservedName.isReserved(stored))
            case .long(let stored, let sidecarName, let sidecar):
                #expect(count > 160 && ReservedName.isLong(stored))
                #expect(ReservedName.isReserved(stored) && ReservedName.isReserved(sidecarName))
                #expect(ReservedName.sidecar(ofLong: stored) == sidecarName)
                #expect((192...272).contains(sidecar.count))
            }
        }
    }

    @Test func `equal names in two directories or domains differ`() throws {
        let name = Array("name".utf8)
        let stored = keys.sealName(name, in: directory)
        #expect(stored != keys.sealName(name, in: DirectoryID()))
        #expect(stored != Fixture.domainKeys().sealName(name, in: directory))
        let sameKey = SecretBytes.random(count: 32)
        let domains = (0..<2).map { _ in DomainKeys(domainKey: sameKey, domainID: DomainID()) }
        #expect(
            domains[0].sealName(name, in: directory) != domains[1].sealName(name, in: directory))
    }

    @Test(arguments: [10, 200])
    func `a name of another directory is refused`(_ count: Int) {
        let sealed = keys.sealName([UInt8](repeating: 0x61, count: count), in: directory)
        let object: FormatObject = count > 160 ? .longName : .name
        #expect(throws: FormatError.authenticationFailed(object)) {
            try open(sealed, in: DirectoryID())
        }
    }

    @Test func `every flipped bit of a sealed name is found`() {
        for count in [1, 14, 16, 17, 160] {
            let stored = keys.sealName([UInt8](repeating: 0x61, count: count), in: directory).stored
            let unseen = Array(stored.utf8).bitsThatFlipUnseen { bytes in
                let text = String(decoding: bytes, as: UTF8.self)
                return (try? keys.openName(text, in: directory)) != nil
            }
            #expect(unseen == [])
        }
    }

    @Test func `every flipped bit of a sidecar or a long stored name is found`() {
        let sealed = keys.sealName([UInt8](repeating: 0x61, count: 200), in: directory)
        guard case .long(let stored, _, let sidecar) = sealed else {
            Issue.record("a name of 200 bytes is not long")
            return
        }
        #expect(
            sidecar.bitsThatFlipUnseen {
                (try? keys.openLongName(sidecar: $0, stored: stored, in: directory)) != nil
            } == [])
        #expect(
            Array(stored.utf8).bitsThatFlipUnseen {
                let text = String(decoding: $0, as: UTF8.self)
                return (try? keys.openLongName(sidecar: sidecar, stored: text, in: directory))
                    != nil
            } == [])
    }

    @Test func `names that authenticate but that no writer makes are refused`() {
        func stored(_ plain: [UInt8]) -> String {
            let sealed = keys.names.seal(plain, authenticating: [directory.bytes])
            return String(decoding: Base64URL.encode(sealed), as: UTF8.self)
        }
        let zeros = [UInt8](repeating: 0, count: 16)
        for plain in [
            zeros, Array("name".utf8) + zeros + zeros.dropLast(4),
            Array("in\u{0}side".utf8) + zeros.dropLast(7),
            Array("a/b".utf8) + zeros.dropLast(3),
        ] {
            #expect(plain.count.isMultiple(of: 16))
            #expect(throws: FormatError.malformed(.name, "not a file name")) {
                try keys.openName(stored(plain), in: directory)
            }
        }
        #expect(throws: FormatError.malformed(.name, "20 bytes")) {
            try keys.openName(stored(Array("name".utf8)), in: directory)
        }
        #expect(throws: FormatError.malformed(.name, "16 bytes")) {
            try keys.openName(stored([]), in: directory)
        }
        let long = [UInt8](repeating: 0x61, count: 176)
        #expect(throws: FormatError.malformed(.name, "its encoding")) {
            try keys.openName(stored(long), in: directory)
        }
    }

    @Test func `a short name in a sidecar is refused`() {
        let sealed = keys.names.seal(
            [UInt8](repeating: 0x61, count: 160), authenticating: [directory.bytes])
        #expect(throws: FormatError.malformed(.longName, "a sidecar of 176 bytes")) {
            try keys.openLongName(sidecar: sealed, stored: ".keyfold.long.x", in: directory)
        }
    }

    @Test func `Keyfold's own names are known by their bytes`() {
        for name in [
            ".keyfold", ".keyfold.dir", ".keyfold.lock", ".keyfold.tmp.0", ".keyfold.journal",
            ".keyfold\u{301}", "keyfold.json",
        ] {
            #expect(ReservedName.isReserved(name))
        }
        for name in ["", ".keyfol", "keyfold", "keyfold.json2", "x.keyfold.dir", ".Keyfold.dir"] {
            #expect(!ReservedName.isReserved(name))
        }
        #expect(ReservedName.sidecar(ofLong: ".keyfold.long.abc") == ".keyfold.name.abc")
    }

    @Test func `identifiers have one text each`() throws {
        let id = FileID()
        #expect(FileID(id.description) == id && FileID(bytes: id.bytes) == id)
        #expect(id.description.utf8.count == 36 && FileID() != id)
        let text = "00112233-4455-6677-8899-aabbccddeeff"
        #expect(try #require(VaultID(text)).description == text)
        #expect(VaultID(text)?.bytes.first == 0 && VaultID(text)?.bytes.last == 0xff)
        for wrong in [
            "", text.uppercased(), String(text.dropLast()), text + "0", "{" + text.dropFirst(),
            "00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeefg",
            "001122334-455-6677-8899-aabbccddeeff",
        ] {
            #expect(VaultID(wrong) == nil)
        }
        #expect(VaultID(bytes: [1, 2, 3]) == nil)
        #expect(VaultID(bytes: [UInt8](repeating: 0, count: 17)) == nil)
    }

    @Test func `base64url matches RFC 4648 and refuses all but the one encoding`() {
        for (plain, text) in [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
        ] {
            #expect(Base64URL.encode(Array(plain.utf8)) == Array(text.utf8))
            #expect(Base64URL.decode(Array(text.utf8)) == Array(plain.utf8))
            #expect(Base64URL.encodedCount(of: plain.utf8.count) == text.utf8.count)
            #expect(Base64URL.decodedCount(of: text.utf8.count) == plain.utf8.count)
        }
        #expect(Base64URL.encode([0xfb, 0xff]) == Array("-_8".utf8))
        for wrong in ["Z", "Zh", "Zm9", "Zg==", "+/8", "Zm9v\n", "Zm 9v", "Zm9vY"] {
            #expect(Base64URL.decode(Array(wrong.utf8)) == nil)
        }
    }
}
