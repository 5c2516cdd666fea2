import Cryptography
import Testing

@testable import SealedFormat

@Suite struct ValueTests {
    private let keys = Fixture.domainKeys()

    @Test func `targets of links come back, and their size follows from the text's`() throws {
        var generator = SeededGenerator(seed: 3)
        for count in [1, 2, 3, 15, 16, 17, 255, 1000, 3039] {
            let target = generator.name(count) + Array("/".utf8)
            let text = keys.sealSymbolicLink(Array(target.dropLast()))
            #expect(try keys.openSymbolicLink(text) == Array(target.dropLast()))
            #expect(DomainKeys.symbolicLinkSize(textBytes: text.count) == count)
            #expect(text.count <= 4095)
        }
        #expect(keys.sealSymbolicLink([0x61]) != keys.sealSymbolicLink([0x61]))
    }

    @Test func `lengths that no link's text has are refused`() {
        for count in [0, 1, 42, 43] {
            #expect(DomainKeys.symbolicLinkSize(textBytes: count) == nil)
            let text = [UInt8](repeating: UInt8(ascii: "A"), count: count)
            #expect(throws: FormatError.malformed(.symbolicLink, "its encoding")) {
                try keys.openSymbolicLink(text)
            }
        }
        #expect(DomainKeys.symbolicLinkSize(textBytes: 44) == 1)
        #expect(DomainKeys.symbolicLinkSize(textBytes: 45) == nil)
        #expect(DomainKeys.symbolicLinkSize(textBytes: -1) == nil)
    }

    @Test func `every flipped bit of a link's text is found`() {
        for target in ["a", "ab", "abc", "../elsewhere"] {
            let text = keys.sealSymbolicLink(Array(target.utf8))
            #expect(
                text.bitsThatFlipUnseen { (try? keys.openSymbolicLink($0)) != nil } == [])
        }
    }

    @Test func `a link of another domain is refused`() {
        let text = Fixture.domainKeys().sealSymbolicLink([0x61])
        #expect(throws: FormatError.authenticationFailed(.symbolicLink)) {
            try keys.openSymbolicLink(text)
        }
    }

    @Test func `names of attributes come back and fit up to 160 bytes`() throws {
        var generator = SeededGenerator(seed: 4)
        for count in 1...200 {
            let name = generator.name(count)
            let stored = keys.sealAttributeName(name)
            #expect(try keys.openAttributeName(stored) == name)
            #expect(stored == keys.sealAttributeName(name))
            #expect(stored.utf8.starts(with: "user.keyfold.".utf8))
            #expect((stored.utf8.count <= 255) == (count <= 160))
        }
    }

    @Test func `every flipped bit of an attribute's stored name is found`() {
        let stored = keys.sealAttributeName(Array("user.mime_type".utf8))
        #expect(
            Array(stored.utf8).bitsThatFlipUnseen {
                let text = String(decoding: $0, as: UTF8.self)
                return (try? keys.openAttributeName(text)) != nil
            } == [])
    }

    @Test func `attribute names that no writer makes are refused`() {
        for stored in ["", "user.", "user.other", "security.keyfold.AAAA"] {
            #expect(
                throws: FormatError.malformed(.extendedAttribute, "its name's encoding")
            ) { try keys.openAttributeName(stored) }
        }
        #expect(throws: FormatError.malformed(.extendedAttribute, "a name of 0 bytes")) {
            try keys.openAttributeName("user.keyfold.")
        }
        let sealed = keys.values.seal(
            [UInt8](repeating: 0, count: 16), authenticating: [Label.attributeName])
        let stored = "user.keyfold." + String(decoding: Base64URL.encode(sealed), as: UTF8.self)
        #expect(
            throws: FormatError.malformed(.extendedAttribute, "not an attribute's name")
        ) { try keys.openAttributeName(stored) }
    }

    @Test func `values come back, the empty one included`() throws {
        var generator = SeededGenerator(seed: 5)
        let name = Array("user.x".utf8)
        for count in [0, 1, 15, 16, 17, 65_504] {
            let value = generator.bytes(count)
            let stored = keys.sealAttributeValue(value, name: name)
            #expect(stored.count == count + DomainKeys.attributeValueOverheadBytes)
            #expect(try keys.openAttributeValue(stored, name: name) == value)
        }
        #expect(
            keys.sealAttributeValue([1], name: name) != keys.sealAttributeValue([1], name: name))
    }

    @Test func `every flipped bit of a value is found, and so is another attribute's`() {
        let name = Array("user.x".utf8)
        let stored = keys.sealAttributeValue(Array("value".utf8), name: name)
        #expect(
            stored.bitsThatFlipUnseen { (try? keys.openAttributeValue($0, name: name)) != nil }
                == [])
        for other in ["user.y", "", "user.x\u{0}"] {
            #expect(throws: FormatError.authenticationFailed(.extendedAttribute)) {
                try keys.openAttributeValue(stored, name: Array(other.utf8))
            }
        }
        #expect(throws: FormatError.malformed(.extendedAttribute, "a value of 31 bytes")) {
            try keys.openAttributeValue(Array(stored.prefix(31)), name: name)
        }
    }

    @Test func `one kind of sealed text is never taken for another`() throws {
        let target = Array("sixteen bytes ok".utf8)
        let link = try #require(Base64URL.decode(keys.sealSymbolicLink(target)))
        #expect(throws: FormatError.authenticationFailed(.extendedAttribute)) {
            try keys.openAttributeValue(link, name: [])
        }
        let value = keys.sealAttributeValue(target, name: [])
        #expect(throws: FormatError.authenticationFailed(.symbolicLink)) {
            try keys.openSymbolicLink(Base64URL.encode(value))
        }
        let tail = String(decoding: Base64URL.encode(Array(link[16...])), as: UTF8.self)
        #expect(throws: FormatError.authenticationFailed(.extendedAttribute)) {
            try keys.openAttributeName("user.keyfold." + tail)
        }
    }
}
