package import Cryptography

/// What a row of the keystore's database is about. The numbers are part of every seal.
enum RecordKind: UInt8, Sendable, CaseIterable {
    case slot = 1
    case settings = 2
    case key = 3
    case material = 4
    case alias = 5
    case segment = 6
    case manifest = 7
    /// A signed checkpoint of the usage log.
    case checkpoint = 8
    /// What the usage log's closed segments add up to for one key.
    case tally = 9
    case principal = 10
    case token = 11
    case keyStore = 12
    case grants = 13
    /// An event that is to go into the usage log.
    case unlogged = 14

    /// For messages.
    var name: String {
        switch self {
        case .slot: "unlock slot"
        case .settings: "settings"
        case .key: "key"
        case .material: "key material"
        case .alias: "alias"
        case .segment: "log segment"
        case .manifest: "manifest"
        case .checkpoint: "log checkpoint"
        case .tally: "log total"
        case .principal: "principal"
        case .token: "token"
        case .keyStore: "custom key store"
        case .grants: "grants"
        case .unlogged: "unlogged event"
        }
    }
}

/// Where a row is: its kind and id, which its seal covers together with the revision.
struct RowKey: Hashable, Sendable {
    let kind: RecordKind
    let id: [UInt8]

    /// By eight bytes at a time: arrays hash each byte for itself.
    func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(id.count)
        var word: UInt64 = 0
        let bytes = id.span
        for index in bytes.indices {
            word = word << 8 | UInt64(bytes[index])
            if index & 7 == 7 { hasher.combine(word) }
        }
        hasher.combine(word)
    }
}

/// One row as it is stored. The box of a slot is its body, which nothing can seal: it must be
/// read before there is a key.
struct StoredRow: Sendable {
    let key: RowKey
    /// The keystore's revision that wrote the row; of segments, the log's.
    let revision: UInt64
    let box: [UInt8]
}

/// The keys that the root key gives: HKDF-SHA256 with the keystore's id as salt.
package final class KeystoreKeys: Sendable {
    package let keystoreID: [UInt8]
    let rootKey: SecretBytes
    let record: SecretBytes
    /// Of the digests of rows.
    private let digest: HMACKey
    /// Of the ids of rows whose names are private.
    private let index: HMACKey
    let backup: SecretBytes
    package let usageLog: SecretBytes
    package let usageLogSigningSeed: SecretBytes
    package let grantTokens: SecretBytes
    package let importTokens: SecretBytes

    init(rootKey: SecretBytes, keystoreID: [UInt8]) {
        func derive(_ purpose: String) -> SecretBytes {
            HKDFSHA256.derive(
                from: rootKey, salt: keystoreID, info: Array("keyfold keystore 1 \(purpose)".utf8),
                count: 32)
        }
        self.rootKey = rootKey
        self.keystoreID = keystoreID
        record = derive("record")
        digest = HMACKey(derive("digest"), .sha256)
        index = HMACKey(derive("index"), .sha256)
        backup = derive("backup")
        usageLog = derive("usage log")
        usageLogSigningSeed = derive("usage log signature")
        grantTokens = derive("grant tokens")
        importTokens = derive("import tokens")
    }

    /// Of 32 bytes: a row's part in its manifest.
    func rowDigest(_ row: StoredRow) -> RowDigest {
        var message = row.key.sealedContext(revision: row.revision)
        message.append(contentsOf: row.box)
        return RowDigest(digest.authenticationCode(for: message))
    }

    /// Names are private: their rows are found by a keyed hash.
    func nameRowID(_ name: String) -> [UInt8] {
        Array(index.authenticationCode(for: Array(name.utf8)).prefix(16))
    }
}

extension RowKey {
    /// The additional authenticated data of a row's box: kind, revision, id.
    func sealedContext(revision: UInt64) -> [UInt8] {
        var writer = RecordWriter()
        writer.append(kind.rawValue)
        writer.append(revision)
        writer.append(id)
        return writer.finish()
    }
}

/// A sum of keyed digests. Rows are added and taken away in any order; without the digest key
/// nobody can find another set of rows with the same sum, since no digest is ever shown.
struct RowDigest: Hashable, Sendable {
    private var lanes: SIMD4<UInt64>

    static let zero = RowDigest()

    private init() { lanes = .zero }

    /// From 32 bytes.
    init(_ bytes: [UInt8]) {
        precondition(bytes.count == 32, "BUG: a digest has 32 bytes")
        lanes = .zero
        for lane in 0..<4 {
            var word: UInt64 = 0
            for index in 0..<8 { word = word << 8 | UInt64(bytes[lane * 8 + index]) }
            lanes[lane] = word
        }
    }

    var bytes: [UInt8] {
        var writer = RecordWriter()
        for lane in 0..<4 { writer.append(lanes[lane]) }
        return writer.finish()
    }

    static func += (a: inout RowDigest, b: RowDigest) { a.lanes &+= b.lanes }
    static func -= (a: inout RowDigest, b: RowDigest) { a.lanes &-= b.lanes }
}

/// What must be in the database at one revision: how many rows, and the sum of their digests.
///
/// Number 1 covers slots, settings, keys, materials and aliases; number 2 the log's segments,
/// whose heads move far more often; number 3 the log's totals.
struct Manifest: Hashable, Sendable {
    static let keysID: UInt8 = 1
    static let segmentsID: UInt8 = 2
    static let talliesID: UInt8 = 3

    var revision: UInt64
    var rowCount: UInt64
    var digest: RowDigest
    /// Of number 2: the usage log's own state, which holds the key of its next checkpoint. Empty in
    /// the others, and where the log never had a checkpoint; the encoding ends before it then.
    var logState: [UInt8] = []

    static let empty = Manifest(revision: 0, rowCount: 0, digest: .zero)

    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(revision)
        writer.append(rowCount)
        writer.append(digest.bytes)
        if !logState.isEmpty { writer.append(logState) }
        return writer.finish()
    }

    init(revision: UInt64, rowCount: UInt64, digest: RowDigest) {
        self.revision = revision
        self.rowCount = rowCount
        self.digest = digest
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        revision = try reader.number()
        rowCount = try reader.number()
        let digest = try reader.byteString()
        if !reader.isAtEnd { logState = try reader.byteString() }
        try reader.finish()
        guard digest.count == 32 else { throw MalformedRecord() }
        self.digest = RowDigest(digest)
    }
}

/// Seals and opens rows with one reused cipher context; one thread at a time.
///
/// Unchecked: it is made for one call, or lives inside the mutex of ``KeystoreStore``.
final class RecordSealer: @unchecked Sendable {  // SAFETY: above
    private let keys: KeystoreKeys
    private let cipher = AESGCM256()

    init(_ keys: KeystoreKeys) {
        self.keys = keys
        cipher.use(keys.record)
    }

    /// Takes the plaintext and wipes it.
    func seal(_ plain: consuming [UInt8], as key: RowKey, revision: UInt64) -> StoredRow {
        var plain = plain
        let box = cipher.seal(plain, authenticating: key.sealedContext(revision: revision))
        wipe(&plain)
        return StoredRow(key: key, revision: revision, box: box)
    }

    /// The plaintext of a row, handed to `body` and wiped afterwards; nil when the row is not
    /// what this keystore wrote there.
    func open<Record>(
        _ row: StoredRow, as decode: ([UInt8]) throws(MalformedRecord) -> Record
    ) -> Record? {
        let context = row.key.sealedContext(revision: row.revision)
        guard var plain = try? cipher.open(row.box, authenticating: context) else { return nil }
        defer { wipe(&plain) }
        return try? decode(plain)
    }
}
