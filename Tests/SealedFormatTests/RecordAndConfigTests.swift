import Cryptography
import Testing

@testable import SealedFormat

@Suite struct DirectoryRecordTests {
    private let keys = Fixture.domainKeys()

    private func record(_ wrapped: [WrappedKey] = []) -> DirectoryRecord {
        DirectoryRecord(directoryID: DirectoryID(), domainID: keys.domainID, domainKey: wrapped)
    }

    private func accepts(_ bytes: [UInt8]) -> Bool {
        guard let record = try? DirectoryRecord(decoding: bytes) else { return false }
        return (try? record.authenticate(bytes, with: keys)) != nil
    }

    @Test func `records come back, with and without a domain's key`() throws {
        let blob = Fixture.wrappedKey(blobBytes: 6144)
        for (wrapped, count) in [
            ([], 108), ([Fixture.wrappedKey()], 512),
            ([Fixture.wrappedKey(), Fixture.wrappedKey(2)], 512),
            (Array(repeating: blob, count: 2), 12_800),
        ] {
            let record = record(wrapped)
            let bytes = record.encoded(with: keys)
            #expect(bytes.count == count)
            let decoded = try DirectoryRecord(decoding: bytes)
            #expect(decoded == record)
            try decoded.authenticate(bytes, with: keys)
        }
        let largest = WrappedKey(
            keyARN: String(repeating: "a", count: 256), blob: [UInt8](repeating: 1, count: 6144))
        let bytes = record(Array(repeating: largest, count: 16)).encoded(with: keys)
        #expect(bytes.count == DirectoryRecord.maximumBytes && accepts(bytes))
    }

    @Test func `every flipped bit of a record is found`() {
        for wrapped in [[], [Fixture.wrappedKey()], [Fixture.wrappedKey(), Fixture.wrappedKey(2)]] {
            let bytes = record(wrapped).encoded(with: keys)
            #expect(bytes.bitsThatFlipUnseen(accepts) == [])
        }
    }

    @Test func `a record that is cut or longer is refused`() {
        for wrapped in [[], [Fixture.wrappedKey()]] {
            let bytes = record(wrapped).encoded(with: keys)
            for count in 0..<bytes.count { #expect(!accepts(Array(bytes.prefix(count)))) }
            #expect(!accepts(bytes + [0]))
            #expect(!accepts(bytes + [UInt8](repeating: 0, count: 512)))
        }
    }

    @Test func `a record of another domain or with another key is refused`() throws {
        let record = record()
        let bytes = record.encoded(with: keys)
        for other in [Fixture.domainKeys(), Fixture.domainKeys(keys.domainID)] {
            #expect(throws: FormatError.authenticationFailed(.directoryRecord)) {
                try record.authenticate(bytes, with: other)
            }
        }
        #expect(throws: FormatError.authenticationFailed(.directoryRecord)) {
            try record.authenticate(self.record().encoded(with: keys), with: keys)
        }
        #expect(throws: FormatError.authenticationFailed(.directoryRecord)) {
            try record.authenticate([], with: keys)
        }
    }

    @Test func `a rewrap changes nothing before the wrapped keys`() {
        let old = record([Fixture.wrappedKey()])
        let new = old.withWrappedKeys([Fixture.wrappedKey(9)])
        #expect(new.encoded(with: keys)[..<74] == old.encoded(with: keys)[..<74])
        #expect(accepts(new.encoded(with: keys)))
    }

    @Test func `a later version is named`() throws {
        var bytes = record().encoded(with: keys)
        bytes[9] = 3
        #expect(throws: FormatError.unsupportedVersion(.directoryRecord, 3)) {
            try DirectoryRecord(decoding: bytes)
        }
        #expect(throws: FormatError.malformed(.directoryRecord, "the magic number")) {
            try DirectoryRecord(decoding: [])
        }
    }
}

@Suite struct VaultConfigTests {
    private let keys = Fixture.domainKeys()

    private func accepts(_ bytes: [UInt8]) -> Bool {
        guard let config = try? VaultConfig(decoding: bytes) else { return false }
        return (try? config.authenticate(with: keys)) != nil
    }

    private func text(_ config: VaultConfig) -> String {
        String(decoding: config.encoded(with: keys), as: UTF8.self)
    }

    private func failure(_ json: String) -> FormatError? {
        do throws(FormatError) {
            _ = try VaultConfig(decoding: Array(json.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        nil, "", "../keystore", "/srv/schlüssel/\"a\\b\"", "tab\tline\nend\u{1f}\u{7f}",
    ])
    func `configs come back with any hint`(_ keystore: String?) throws {
        for names in [NameStorage.sealed, .plaintext] {
            let config = try Fixture.config(keys.domainID, keystore: keystore, names: names)
            let bytes = config.encoded(with: keys)
            let decoded = try VaultConfig(decoding: bytes)
            #expect(decoded == config)
            #expect(decoded.keystore == keystore)
            try decoded.authenticate(with: keys)
            #expect(decoded.encoded(with: keys) == bytes)
        }
    }

    @Test func `every flipped bit of a config is found`() throws {
        for keystore in [nil, "../keystore", "a\u{1a}\u{0}b\\\""] {
            let bytes = try Fixture.config(keys.domainID, keystore: keystore).encoded(with: keys)
            #expect(bytes.bitsThatFlipUnseen(accepts) == [])
        }
    }

    @Test func `white space and the order of members are free`() throws {
        let json = text(try Fixture.config(keys.domainID))
        #expect(accepts(Array(json.utf8)))
        let lines = json.split(separator: "\n").dropFirst().dropLast()
            .map { $0.hasSuffix(",") ? String($0.dropLast()) : String($0) }
        #expect(accepts(Array(("\r\n{" + lines.reversed().joined(separator: " ,\t") + "}").utf8)))
    }

    @Test func `an edited config is refused`() throws {
        let config = try Fixture.config(keys.domainID)
        var edited = try VaultConfig(decoding: config.encoded(with: keys))
        edited.keystore = "/elsewhere"
        #expect(throws: FormatError.authenticationFailed(.vaultConfig)) {
            try edited.authenticate(with: keys)
        }
        try VaultConfig(decoding: edited.encoded(with: keys)).authenticate(with: keys)
        #expect(throws: FormatError.authenticationFailed(.vaultConfig)) {
            try config.authenticate(with: keys)  // Never read, so nobody vouches for it.
        }
        let json = text(config)
        for (old, new) in [
            ("\"sealed\"", "\"plaintext\""), (": 512", ": 1024"), ("../keystore", "../keystor"),
            ("  \"keystore\": \"../keystore\",\n", ""), ("2026-", "2027-"), ("eu-", "us-"),
        ] {
            let changed = json.replacing(old, with: new)
            #expect(failure(changed) == nil && !accepts(Array(changed.utf8)))
        }
        #expect(throws: FormatError.authenticationFailed(.vaultConfig)) {
            try VaultConfig(decoding: config.encoded(with: keys))
                .authenticate(with: Fixture.domainKeys())
        }
    }

    @Test func `members that are unknown, twice there, missing or of another type are refused`()
        throws
    {
        let json = text(try Fixture.config(keys.domainID))
        func changed(_ old: String, _ new: String) -> FormatError? {
            failure(json.replacing(old, with: new))
        }
        #expect(
            changed("{\n", "{\n  \"extra\": 1,\n") == .malformed(.vaultConfig, "an unknown member"))
        #expect(
            changed("{\n", "{\n  \"format\": 1,\n")
                == .malformed(.vaultConfig, "a member that is there twice"))
        #expect(changed("  \"format\": 1,\n", "") == .malformed(.vaultConfig, "format"))
        #expect(changed(": 512", ": \"512\"") == .malformed(.vaultConfig, "headerBytes"))
        #expect(changed("\"sealed\"", "\"Sealed\"") == .malformed(.vaultConfig, "names"))
        #expect(changed("\"mac\": \"", "\"mac\": \"00") == .malformed(.vaultConfig, "mac"))
        #expect(changed("../keystore\"", "../keystore\"x") != nil)
        #expect(changed("\"format\": 1", "\"format\": 2") == .unsupportedVersion(.vaultConfig, 2))
        // A later version may have members that this one does not know.
        #expect(
            changed("\"format\": 1", "\"format\": 2, \"extra\": 7")
                == .unsupportedVersion(.vaultConfig, 2))
    }

    @Test func `what is not a flat JSON object is refused`() {
        for json in [
            "", "{", "}", "[]", "null", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1}x", "{a:1}",
            "{\"a\":{}}", "{\"a\":[1]}", "{\"a\":true}", "{\"a\":-1}", "{\"a\":01}", "{\"a\":1.5}",
            "{\"a\":99999999999999999999}", "{\"a\":\"\n\"}", "{\"a\":\"\\n\"}",
            "{\"a\":\"\\u001A\"}", "{\"a\":\"\\u0041\"}", "{\"a\":\"\\", "{\"a\":\"\\u0",
            "{\"a\":\"", "\u{feff}{}",
        ] {
            #expect(failure(json) == .malformed(.vaultConfig, "not a flat JSON object"))
        }
        #expect(failure("{}") == .malformed(.vaultConfig, "format"))
        #expect(FlatJSON.decode([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) == nil)
        let huge = "{" + String(repeating: " ", count: VaultConfig.maximumBytes) + "}"
        #expect(failure(huge) == .malformed(.vaultConfig, "not a flat JSON object"))
    }
}
