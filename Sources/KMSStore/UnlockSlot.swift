package import Cryptography
package import KMSModel
internal import Platform

/// How a keystore is to be unlocked.
package enum UnlockMethod: Sendable {
    case passphrase(SecretBytes)
    /// The text as typed.
    case recoveryKey(SecretBytes)
    /// The file's contents, 32…1,048,576 bytes.
    case keyFile(SecretBytes)
    case kernelKeyring
}

/// What a new slot is to be opened with.
package enum SlotSecret: Sendable {
    case passphrase(SecretBytes)
    /// The file's contents, 32…1,048,576 bytes.
    case keyFile(SecretBytes)
    /// Made here; its text is given out once.
    case newRecoveryKey
}

package enum SlotKind: String, Sendable, Hashable {
    case passphrase
    case recoveryKey = "recovery-key"
    case keyFile = "key-file"

    /// For messages.
    var name: String {
        switch self {
        case .passphrase: "passphrase"
        case .recoveryKey: "recovery key"
        case .keyFile: "key file"
        }
    }
}

/// One way to open a keystore, as people see it.
package struct UnlockSlot: Sendable, Hashable {
    /// 16 hex digits.
    package let id: String
    package let kind: SlotKind
    package let label: String
    package let createdAt: Timestamp
    /// The text of a recovery key that was made just now; nil ever after.
    package let newRecoveryKey: SecretBytes?

    package static func == (a: UnlockSlot, b: UnlockSlot) -> Bool { a.id == b.id }
    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

/// The work that a passphrase costs (RFC 7914).
package struct ScryptCost: Sendable, Hashable {
    package let logN: Int
    package let r: Int
    package let p: Int

    /// About a third of a second and 128 MiB.
    package static let standard = ScryptCost(logN: 17, r: 8, p: 1)

    package init(logN: Int, r: Int, p: Int) {
        self.logN = logN
        self.r = r
        self.p = p
    }

    /// What this version computes at all: at most 1 GiB, in p times together, so that an edited
    /// keystore cannot make its owner's machine run out of memory, or of time; and N < 2^(16 r), as
    /// RFC 7914 §2 has it.
    var isBounded: Bool {
        (1...24).contains(logN) && (1...32).contains(r) && (1...16).contains(p)
            && 128 * r * p << logN <= 1 << 30 && logN < 16 * r
    }
}

/// A slot as it is stored: readable without any key, since it is what leads to one.
struct SlotRecord: Hashable, Sendable {
    static let maximumCount = 32
    static let maximumLabelBytes = 256

    /// 16 hex digits of 8 random bytes.
    let id: String
    let kind: SlotKind
    let label: String
    let createdAt: Timestamp
    let salt: [UInt8]
    /// Of a passphrase only.
    let cost: ScryptCost?
    /// The root key, sealed with AES-256-GCM under the slot's own key.
    let wrappedRootKey: [UInt8]

    static func text(id: [UInt8]) -> String { hexText(id) }

    var rowKey: RowKey {
        RowKey(
            kind: .slot,
            id: stride(from: 0, to: id.utf8.count, by: 2).compactMap {
                UInt8(id.dropFirst($0).prefix(2), radix: 16)
            })
    }

    /// All that the wrapping's tag covers.
    private func head(keystoreID: [UInt8]) -> [UInt8] {
        keystoreID + encoded(withWrapping: false)
    }

    func encoded() -> [UInt8] { encoded(withWrapping: true) }

    private func encoded(withWrapping: Bool) -> [UInt8] {
        var writer = RecordWriter()
        writer.append(UInt8(1))
        writer.append(id)
        writer.append(kind.rawValue)
        writer.append(label)
        writer.append(createdAt)
        writer.append(salt)
        writer.append(cost != nil)
        if let cost {
            writer.append(UInt8(clamping: cost.logN))
            writer.append(UInt32(clamping: cost.r))
            writer.append(UInt32(clamping: cost.p))
        }
        if withWrapping { writer.append(wrappedRootKey) }
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        guard try reader.number(UInt8.self) == 1 else { throw MalformedRecord() }
        id = try reader.text()
        guard let kind = SlotKind(rawValue: try reader.text()) else { throw MalformedRecord() }
        self.kind = kind
        label = try reader.text()
        createdAt = try reader.time()
        salt = try reader.byteString()
        let hasCost = try reader.flag()
        guard hasCost == (kind == .passphrase) else { throw MalformedRecord() }
        if hasCost {
            let cost = ScryptCost(
                logN: Int(try reader.number(UInt8.self)), r: Int(try reader.number(UInt32.self)),
                p: Int(try reader.number(UInt32.self)))
            guard cost.isBounded else { throw MalformedRecord() }
            self.cost = cost
        } else {
            cost = nil
        }
        wrappedRootKey = try reader.byteString()
        try reader.finish()
        guard id.utf8.count == 16, salt.count == 32,
            wrappedRootKey.count == 32 + AESGCM256.overheadBytes
        else { throw MalformedRecord() }
    }

    private init(
        id: String, kind: SlotKind, label: String, createdAt: Timestamp, salt: [UInt8],
        cost: ScryptCost?, wrappedRootKey: [UInt8]
    ) {
        self.id = id
        self.kind = kind
        self.label = label
        self.createdAt = createdAt
        self.salt = salt
        self.cost = cost
        self.wrappedRootKey = wrappedRootKey
    }

    var publicView: UnlockSlot { publicView(newRecoveryKey: nil) }

    func publicView(newRecoveryKey: SecretBytes?) -> UnlockSlot {
        UnlockSlot(
            id: id, kind: kind, label: label, createdAt: createdAt, newRecoveryKey: newRecoveryKey)
    }
}

// MARK: - Wrapping

extension SlotRecord {
    /// Wraps the root key in a new slot. Slow for a passphrase, as it must be.
    ///
    /// - Throws: `ENOMEM`, as below.
    static func wrap(
        _ keys: KeystoreKeys, kind: SlotKind, secret: SecretBytes, label: String, now: Timestamp,
        cost: ScryptCost
    ) throws(Errno) -> SlotRecord {
        precondition(cost.isBounded, "BUG: scrypt's cost is out of bounds")
        let bare = SlotRecord(
            id: hexText(Random.bytes(8)), kind: kind, label: label, createdAt: now,
            salt: Random.bytes(32), cost: kind == .passphrase ? cost : nil, wrappedRootKey: [])
        let key = try bare.wrappingKey(secret)
        let cipher = AESGCM256()
        cipher.use(key)
        var root = keys.rootKey.withBytes { span in
            (0..<span.byteCount).map { span.unsafeLoadByte(at: $0) }
        }
        let box = cipher.seal(root, authenticating: bare.head(keystoreID: keys.keystoreID))
        wipe(&root)
        return SlotRecord(
            id: bare.id, kind: kind, label: label, createdAt: now, salt: bare.salt,
            cost: bare.cost, wrappedRootKey: box)
    }

    /// The root key, or nil when the secret is not this slot's.
    ///
    /// - Throws: `ENOMEM`, as below.
    func unwrap(_ secret: SecretBytes, keystoreID: [UInt8]) throws(Errno) -> SecretBytes? {
        let key = try wrappingKey(secret)
        let cipher = AESGCM256()
        cipher.use(key)
        guard
            var root = try? cipher.open(
                wrappedRootKey, authenticating: head(keystoreID: keystoreID))
        else { return nil }
        return SecretBytes(consuming: &root)
    }

    /// - Throws: `ENOMEM` when scrypt, which takes 128 MiB and more, does not get them.
    private func wrappingKey(_ secret: SecretBytes) throws(Errno) -> SecretBytes {
        guard let cost else {
            return HKDFSHA256.derive(
                from: secret, salt: salt, info: Array("keyfold slot 1 \(kind.rawValue)".utf8),
                count: 32)
        }
        do throws(CryptographyError) {
            return try Scrypt.derive(
                passphrase: secret, salt: salt, logN: cost.logN, r: cost.r, p: cost.p, count: 32)
        } catch {
            // The cost is bounded, so its memory is all that can be missing.
            throw .noMemory
        }
    }
}
