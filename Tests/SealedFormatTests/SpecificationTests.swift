@testable import Cryptography
import Testing

@testable import SealedFormat

/// The worked example of docs/format.md is what the code computes: both directions, every byte.
@Suite struct SpecificationTests {
    private let document: Specification
    private let fileKeys: FileKeys
    private let domainKeys: DomainKeys
    private let fileID: FileID
    private let root: DirectoryID

    init() throws {
        document = try Specification()
        var dataKey = try document.bytes("data-key")
        var domainKey = try document.bytes("domain-key")
        fileID = try #require(FileID(bytes: document.bytes("file-id")))
        root = try #require(DirectoryID(bytes: document.bytes("root-directory-id")))
        fileKeys = FileKeys(dataKey: SecretBytes(consuming: &dataKey), fileID: fileID)
        domainKeys = DomainKeys(
            domainKey: SecretBytes(consuming: &domainKey),
            domainID: try #require(DomainID(bytes: document.bytes("domain-id"))))
    }

    private func utf8(_ name: String) throws -> [UInt8] {
        Array(try document.text(name).utf8)
    }

    private func secret(_ name: String) throws -> SecretBytes {
        var bytes = try document.bytes(name)
        return SecretBytes(consuming: &bytes)
    }

    @Test func `derived keys`() throws {
        #expect(fileKeys.content.isEqual(to: try secret("content-key")))
        #expect(fileKeys.header.isEqual(to: try secret("header-key")))
        #expect(fileKeys.commitment == (try document.bytes("commitment")))
        #expect(domainKeys.records.isEqual(to: try secret("record-key")))
        #expect(domainKeys.config.isEqual(to: try secret("config-key")))
        let probe: [UInt8] = [1, 2, 3]
        for (key, cipher) in [("name-key", domainKeys.names), ("value-key", domainKeys.values)] {
            let sealed = AESSIV256(key: try secret(key)).seal(probe, authenticating: [probe])
            #expect(cipher.seal(probe, authenticating: [probe]) == sealed)
        }
    }

    @Test func config() throws {
        let config = VaultConfig(
            vaultID: try #require(VaultID(bytes: document.bytes("vault-id"))),
            layout: try Fixture.layout(), names: .sealed, keystore: "../keystore",
            defaultKeyARN: try document.text("key-arn"), rootDomainID: domainKeys.domainID,
            createdAt: "2026-01-01T00:00:00Z")
        let bytes = try utf8("config") + [0x0a]
        #expect(config.encoded(with: domainKeys) == bytes)
        let decoded = try VaultConfig(decoding: bytes)
        try decoded.authenticate(with: domainKeys)
        #expect(decoded == config)
        let code = HMACSHA256.authenticationCode(
            for: try document.bytes("config-message"), key: domainKeys.config)
        #expect(try document.text("config").utf8.contains(Hexadecimal.encode(code)))
    }

    @Test func `directory records`() throws {
        let wrapped = WrappedKey(
            keyARN: try document.text("key-arn"), blob: try utf8("domain-key-blob"))
        let child = try #require(DirectoryID(bytes: document.bytes("directory-id")))
        for (name, id, keys) in [("root-record", root, [wrapped]), ("record", child, [])] {
            let record = DirectoryRecord(
                directoryID: id, domainID: domainKeys.domainID, domainKey: keys)
            let bytes = try document.bytes(name)
            #expect(record.encoded(with: domainKeys) == bytes)
            let decoded = try DirectoryRecord(decoding: bytes)
            try decoded.authenticate(bytes, with: domainKeys)
            #expect(decoded == record)
        }
    }

    @Test func `the record of a nested domain's root`() throws {
        let inner = DomainKeys(
            domainKey: try secret("inner-domain-key"),
            domainID: try #require(DomainID(bytes: document.bytes("inner-domain-id"))))
        #expect(inner.commitment == (try document.bytes("inner-commitment")))
        let wrapped = WrappedKey(
            keyARN: try document.text("key-arn"), blob: try utf8("inner-domain-key-blob"))
        let record = DirectoryRecord(
            directoryID: try #require(DirectoryID(bytes: document.bytes("inner-directory-id"))),
            rootOf: inner, below: domainKeys, domainKey: [wrapped])
        let bytes = try document.bytes("inner-root-record")
        #expect(record.encoded(with: inner) == bytes)
        let decoded = try DirectoryRecord(decoding: bytes)
        try decoded.authenticateLink(below: domainKeys)
        try decoded.authenticate(bytes, with: inner)
        #expect(decoded == record)
    }

    @Test func names() throws {
        let stored = try document.text("stored-name")
        #expect(domainKeys.sealName(try utf8("name"), in: root) == .direct(stored))
        #expect(Base64URL.encode(try document.bytes("sealed-name")) == Array(stored.utf8))
        #expect(try domainKeys.openName(stored, in: root) == utf8("name"))

        let long = try document.text("stored-long-name")
        let sidecar = try document.bytes("sidecar")
        #expect(
            domainKeys.sealName(try utf8("long-name"), in: root)
                == .long(
                    stored: long, sidecarName: try document.text("sidecar-name"), sidecar: sidecar))
        #expect(
            try domainKeys.openLongName(sidecar: sidecar, stored: long, in: root)
                == utf8("long-name"))
    }

    @Test func `link and attribute`() throws {
        let link = try utf8("stored-link")
        #expect(
            domainKeys.sealSymbolicLink(
                try utf8("link-target"), nonce: try document.bytes("nonce-link")) == link)
        #expect(try domainKeys.openSymbolicLink(link) == utf8("link-target"))

        let name = try utf8("attribute-name")
        let storedName = try document.text("stored-attribute-name")
        #expect(domainKeys.sealAttributeName(name) == storedName)
        #expect(try domainKeys.openAttributeName(storedName) == name)

        let value = try document.bytes("stored-attribute-value")
        #expect(
            domainKeys.sealAttributeValue(
                try utf8("attribute-value"), name: name, nonce: try document.bytes("nonce-value"))
                == value)
        #expect(
            try domainKeys.openAttributeValue(value, name: name) == utf8("attribute-value"))
    }

    @Test(arguments: [("header", 64), ("header-version-1", nil)] as [(String, UInt64?)])
    func `the file's header`(_ value: String, _ sealedBlocks: UInt64?) throws {
        let wrapped = WrappedKey(
            keyARN: try document.text("key-arn"), blob: try utf8("data-key-blob"))
        let header = FileHeader(
            fileID: fileID, isSparse: false, sealedBlocks: sealedBlocks, wrappedKeys: [wrapped],
            keys: fileKeys)
        let layout = try Fixture.layout()
        let bytes = try document.bytes(value)
        #expect(try header.encoded(layout: layout) == bytes)
        let decoded = try FileHeader(decoding: bytes, layout: layout)
        try decoded.authenticate(with: fileKeys)
        #expect(decoded == header)
    }

    @Test func `the file's blocks and size`() throws {
        let plain = (0..<4100).map { UInt8($0 % 251) }
        let blocks = [try document.bytes("block-0"), try document.bytes("block-1")]
        let cipher = BlockCipher()
        cipher.use(fileKeys)
        #expect(try cipher.open(blocks[0], block: 0, expectFinal: false) == Array(plain[..<4096]))
        #expect(try cipher.open(blocks[1], block: 1, expectFinal: true) == Array(plain[4096...]))

        let gcm = AESGCM256()
        gcm.use(fileKeys.content)
        let zeros = [UInt8](repeating: 0, count: 7)
        #expect(
            gcm.seal(
                Array(plain[..<4096]), nonce: try document.bytes("nonce-block-0"),
                authenticating: zeros + [0, 0]) == blocks[0])
        #expect(
            gcm.seal(
                Array(plain[4096...]), nonce: try document.bytes("nonce-block-1"),
                authenticating: zeros + [1, 1]) == blocks[1])

        let layout = try Fixture.layout()
        #expect(layout.sealedSize(plainSize: 4100) == 4668)
        #expect(512 + blocks[0].count + blocks[1].count == 4668)
    }
}
