import Cryptography

/// How a vault stores names. Fixed when the vault is created.
package enum NameStorage: String, Sendable {
    case sealed
    case plaintext
}

/// What `keyfold.json` holds, docs/format.md §8.
///
/// A flat JSON object for people, authenticated by an HMAC over canonical bytes that cover every
/// member.
package struct VaultConfig: Sendable {
    static let version = 1
    /// Readers need not take more.
    package static let maximumBytes = 65_536

    package var format = version
    package var vaultID: VaultID
    package var layout: BlockLayout
    package var names: NameStorage
    /// Where the keystore is, as a hint: absolute, or relative to the vault.
    package var keystore: String?
    /// The CMK for new files. Printable ASCII, 1…256 characters.
    package var defaultKeyARN: String
    package var rootDomainID: DomainID
    /// ISO 8601.
    package var createdAt: String
    /// The MAC that the config was read with; nil when it was not read.
    private var storedCode: [UInt8]?

    package init(
        vaultID: VaultID, layout: BlockLayout, names: NameStorage, keystore: String?,
        defaultKeyARN: String, rootDomainID: DomainID, createdAt: String
    ) {
        self.vaultID = vaultID
        self.layout = layout
        self.names = names
        self.keystore = keystore
        self.defaultKeyARN = defaultKeyARN
        self.rootDomainID = rootDomainID
        self.createdAt = createdAt
    }

    /// Whether the config is as the root domain's key holder wrote it.
    ///
    /// - Throws: ``FormatError/authenticationFailed(_:)`` when it was changed since it was read, or
    ///   was not read at all.
    package func authenticate(with keys: DomainKeys) throws(FormatError) {
        guard keys.domainID == rootDomainID, let storedCode,
            HMACSHA256.isValid(storedCode, for: canonicalBytes, key: keys.config)
        else { throw .authenticationFailed(.vaultConfig) }
    }

    /// The bytes to write: members sorted by name, one on a line.
    package func encoded(with keys: DomainKeys) -> [UInt8] {
        precondition(keys.domainID == rootDomainID, "BUG: a config of another domain")
        let code = HMACSHA256.authenticationCode(for: canonicalBytes, key: keys.config)
        let text = String(decoding: Hexadecimal.encode(code), as: UTF8.self)
        return FlatJSON.encode(members + [(Member.code, .text(text))])
    }

    /// What the MAC covers: the label, then for each member, sorted by name, the name and the value
    /// as text, each after its length as u32.
    private var canonicalBytes: [UInt8] {
        var bytes = Label.config
        for (name, value) in members.sorted(by: { $0.name < $1.name }) {
            for text in [name, value.text] {
                bytes.append(bigEndian: UInt32(text.utf8.count))
                bytes += text.utf8
            }
        }
        return bytes
    }
}

extension VaultConfig: Equatable {
    /// Whether all members are equal; the MAC is not compared.
    package static func == (a: VaultConfig, b: VaultConfig) -> Bool {
        a.canonicalBytes == b.canonicalBytes
    }
}

// MARK: - Members

extension VaultConfig {
    private enum Member {
        static let code = "mac"
        static let createdAt = "createdAt"
        static let defaultKey = "defaultKey"
        static let format = "format"
        static let headerBytes = "headerBytes"
        static let keystore = "keystore"
        static let names = "names"
        static let rootDomain = "rootDomain"
        static let vault = "vault"
    }

    /// All but the MAC.
    private var members: [FlatJSON.Member] {
        var members: [FlatJSON.Member] = [
            (Member.createdAt, .text(createdAt)),
            (Member.defaultKey, .text(defaultKeyARN)),
            (Member.format, .number(format)),
            (Member.headerBytes, .number(layout.headerBytes)),
            (Member.names, .text(names.rawValue)),
            (Member.rootDomain, .text(rootDomainID.description)),
            (Member.vault, .text(vaultID.description)),
        ]
        if let keystore { members.append((Member.keystore, .text(keystore))) }
        return members
    }

    /// Reads a config; whether it is genuine, ``authenticate(with:)`` tells.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` for a member that is missing, unknown, there twice
    ///   or has no such value, ``FormatError/unsupportedVersion(_:_:)`` for a later version,
    ///   whatever its other members.
    package init(decoding json: [UInt8]) throws(FormatError) {
        guard json.count <= Self.maximumBytes, let members = FlatJSON.decode(json) else {
            throw .malformed(.vaultConfig, "not a flat JSON object")
        }
        var fields = try Fields(members)
        let format = try fields.number(Member.format)
        guard format == Self.version else { throw .unsupportedVersion(.vaultConfig, format) }

        layout = try BlockLayout(headerBytes: try fields.number(Member.headerBytes))
        vaultID = try fields.value(Member.vault) { VaultID($0) }
        rootDomainID = try fields.value(Member.rootDomain) { DomainID($0) }
        names = try fields.value(Member.names) { NameStorage(rawValue: $0) }
        defaultKeyARN = try fields.value(Member.defaultKey) {
            KeyARNText.isValid(Array($0.utf8)) ? $0 : nil
        }
        createdAt = try fields.value(Member.createdAt) { $0 }
        storedCode = try fields.value(Member.code) { text in
            Hexadecimal.decode(Array(text.utf8)).flatMap { $0.count == 32 ? $0 : nil }
        }
        keystore = try fields.optionalText(Member.keystore)
        try fields.requireNoneLeft()
    }
}

/// The members of a config that have not been read yet.
private struct Fields {
    private var values: [String: FlatJSON.Value] = [:]

    init(_ members: [FlatJSON.Member]) throws(FormatError) {
        for (name, value) in members {
            guard values.updateValue(value, forKey: name) == nil else {
                throw .malformed(.vaultConfig, "a member that is there twice")
            }
        }
    }

    mutating func number(_ name: String) throws(FormatError) -> Int {
        guard case .number(let number) = values.removeValue(forKey: name) else {
            throw .malformed(.vaultConfig, name)
        }
        return number
    }

    mutating func value<Value>(
        _ name: String, _ convert: (String) -> Value?
    ) throws(FormatError) -> Value {
        guard let text = try optionalText(name), let value = convert(text) else {
            throw .malformed(.vaultConfig, name)
        }
        return value
    }

    mutating func optionalText(_ name: String) throws(FormatError) -> String? {
        guard let value = values.removeValue(forKey: name) else { return nil }
        guard case .text(let text) = value else { throw .malformed(.vaultConfig, name) }
        return text
    }

    func requireNoneLeft() throws(FormatError) {
        guard values.isEmpty else { throw .malformed(.vaultConfig, "an unknown member") }
    }
}
