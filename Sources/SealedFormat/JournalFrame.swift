package import Cryptography

/// How a journal's frames are protected. New journals are of the newest version.
package enum JournalVersion: UInt16, Sendable {
    /// Their bodies are encrypted.
    case sealed = 1
    /// They are authenticated: what they hold is what the store shows anyway, sealed blocks.
    case authenticated = 2
}

/// The head of a mount's journal: the file's first 4,096 bytes, docs/format.md §11.
///
/// ```
/// offset  size  field
///      0     8  magic, "KEYFOLD" 0x04
///      8     2  journal version, 2 or 1
///     10     2  zero
///     12    16  journal id, the salt of its key
///     28    36  boot id of the mount that made it, as text
///     64    32  HMAC-SHA256 over the 64 bytes before it, under the journal key
///     96     …  zeros
/// ```
package struct JournalHead: Equatable, Sendable {
    package static let byteCount = 4096
    package static let bootIDBytes = 36
    private static let magic = Array("KEYFOLD\u{4}".utf8)

    package let version: JournalVersion
    /// 16 random bytes.
    package let journalID: [UInt8]
    package let bootID: [UInt8]

    /// Of a new journal.
    package init(journalID: [UInt8], bootID: [UInt8]) {
        self.init(version: .authenticated, journalID: journalID, bootID: bootID)
    }

    init(version: JournalVersion, journalID: [UInt8], bootID: [UInt8]) {
        precondition(
            journalID.count == 16 && bootID.count == Self.bootIDBytes, "BUG: a journal's ids")
        self.version = version
        self.journalID = journalID
        self.bootID = bootID
    }

    /// - Throws: ``FormatError/unsupportedVersion(_:_:)`` for a later version, which must not be
    ///   thrown away; ``FormatError/malformed(_:_:)`` for anything that is no head.
    package init(decoding bytes: [UInt8]) throws(FormatError) {
        var reader = ByteReader(bytes)
        guard reader.take(8) == Self.magic, let version = reader.integer(UInt16.self) else {
            throw .malformed(.journal, "the magic number")
        }
        guard let version = JournalVersion(rawValue: version) else {
            throw .unsupportedVersion(.journal, Int(version))
        }
        guard reader.integer(UInt16.self) == 0, let journalID = reader.take(16),
            let bootID = reader.take(Self.bootIDBytes)
        else { throw .malformed(.journal, "its head") }
        self.init(version: version, journalID: journalID, bootID: bootID)
    }

    private var fields: [UInt8] {
        var bytes = Self.magic
        bytes.append(bigEndian: version.rawValue)
        bytes.append(bigEndian: UInt16(0))
        return bytes + journalID + bootID
    }

    package func encoded(with keys: DomainKeys) -> [UInt8] {
        var bytes = fields
        bytes += HMACSHA256.authenticationCode(
            for: Label.journal + bytes, key: keys.journalKey(of: self))
        bytes.padWithZeros(to: Self.byteCount)
        return bytes
    }

    /// - Throws: ``FormatError/authenticationFailed(_:)`` when it is not this vault's.
    package func authenticate(_ bytes: [UInt8], with keys: DomainKeys) throws(FormatError) {
        guard bytes.count == Self.byteCount, Array(bytes[..<64]) == fields,
            HMACSHA256.isValid(
                Array(bytes[64..<96]), for: Label.journal + fields, key: keys.journalKey(of: self))
        else { throw .authenticationFailed(.journal) }
    }
}

extension DomainKeys {
    /// The 32-byte key of one journal.
    package func journalKey(of head: JournalHead) -> SecretBytes {
        HKDFSHA256.derive(from: journals, salt: head.journalID, info: Label.journal, count: 32)
    }
}

/// One write of the journal: what is committed together.
///
/// ```
/// offset  size  field
///      0     4  magic, "KFJF"
///      4     4  n, bytes of the body
///      8     8  epoch
///     16     8  sequence number within the epoch, from 0
///     24     8  zero
///     32    28  nonce 12 and tag 16: AES-256-GCM under the journal key of no text, AAD = bytes
///               0…31 and the body
///     60     n  body
///   60+n     …  zeros up to a multiple of 512
/// ```
///
/// In version 1 a sealed body stands behind the first 32 bytes: nonce, ciphertext, tag; AAD = bytes
/// 0…31.
package struct JournalFrame: Equatable, Sendable {
    package static let headBytes = 32
    package static let alignmentBytes = 512
    /// A body's largest size; a commit with more is written as several frames.
    package static let maximumBodyBytes = 12 << 20
    /// Of a frame that stands behind the others and begins its epoch once more: that of the first
    /// one, which nobody takes for a later one.
    package static let standbySequence: UInt64 = 0
    private static let magic = Array("KFJF".utf8)

    package let epoch: UInt64
    package let sequence: UInt64
    package let body: [UInt8]

    package init(epoch: UInt64, sequence: UInt64, body: [UInt8]) {
        precondition(body.count <= Self.maximumBodyBytes, "BUG: a frame of \(body.count) bytes")
        self.epoch = epoch
        self.sequence = sequence
        self.body = body
    }

    /// What a body of `bodyBytes` takes in the journal, in both versions.
    package static func byteCount(bodyBytes: Int) -> Int {
        let bytes = headBytes + bodyBytes + AESGCM256.overheadBytes
        return (bytes + alignmentBytes - 1) / alignmentBytes * alignmentBytes
    }

    /// What stands around the body, which may have megabytes and is written as it is.
    package func enclosure(
        with cipher: AESGCM256, key: SecretBytes
    ) -> (front: [UInt8], padding: [UInt8]) {
        cipher.use(key)
        var front = Self.magic
        front.append(bigEndian: UInt32(body.count))
        front.append(bigEndian: epoch)
        front.append(bigEndian: sequence)
        front.append(bigEndian: UInt64(0))
        var code = [UInt8](repeating: 0, count: AESGCM256.overheadBytes)
        front.withRawSpan { front in
            body.withRawSpan { body in
                code.withMutableRawSpan { cipher.authenticate(front, body, into: &$0, at: 0) }
            }
        }
        front += code
        let padding = Self.byteCount(bodyBytes: body.count) - front.count - body.count
        return (front, [UInt8](repeating: 0, count: padding))
    }

    /// The bytes that the frame takes whose head this is; nil when it is no frame's.
    package static func byteCount(head: [UInt8]) -> Int? {
        guard head.count >= headBytes, Array(head[..<4]) == magic else { return nil }
        let bodyBytes = head[4..<8].reduce(0) { $0 << 8 | Int($1) }
        guard bodyBytes <= maximumBodyBytes else { return nil }
        return byteCount(bodyBytes: bodyBytes)
    }

    /// Epoch and sequence number as a head has them, not authenticated; nil when it is no frame's.
    package static func place(head: [UInt8]) -> (epoch: UInt64, sequence: UInt64)? {
        guard byteCount(head: head) != nil else { return nil }
        func number(_ range: Range<Int>) -> UInt64 {
            head[range].reduce(0) { $0 << 8 | UInt64($1) }
        }
        return (number(8..<16), number(16..<24))
    }

    /// nil for anything that is no whole frame of this journal: torn, older than the journal's
    /// epoch, or somebody else's.
    package init?(
        decoding bytes: [UInt8], _ version: JournalVersion, with cipher: AESGCM256,
        key: SecretBytes
    ) {
        guard let count = Self.byteCount(head: bytes), count == bytes.count else { return nil }
        var reader = ByteReader(bytes)
        guard let head = reader.take(Self.headBytes) else { return nil }
        var fields = ByteReader(head)
        guard fields.take(4) != nil, let bodyBytes = fields.integer(UInt32.self),
            let epoch = fields.integer(UInt64.self), let sequence = fields.integer(UInt64.self),
            fields.integer(UInt64.self) == 0,
            let code = reader.take(AESGCM256.overheadBytes + Int(bodyBytes)),
            reader.hasOnlyZerosLeft
        else { return nil }
        cipher.use(key)
        let body: [UInt8]
        switch version {
        case .sealed:
            guard let opened = try? cipher.open(code, authenticating: head) else { return nil }
            body = opened
        case .authenticated:
            body = Array(code[AESGCM256.overheadBytes...])
            let code = Array(code[..<AESGCM256.overheadBytes])
            let isAuthentic = head.withRawSpan { head in
                body.withRawSpan { cipher.isAuthentic(head, $0, code: code) }
            }
            guard isAuthentic else { return nil }
        }
        self.init(epoch: epoch, sequence: sequence, body: body)
    }
}
