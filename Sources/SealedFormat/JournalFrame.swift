package import Cryptography

/// The head of a mount's journal: the file's first 4,096 bytes, docs/format.md §11.
///
/// ```
/// offset  size  field
///      0     8  magic, "KEYFOLD" 0x04
///      8     2  journal version, 1
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
    private static let version: UInt16 = 1

    /// 16 random bytes.
    package let journalID: [UInt8]
    package let bootID: [UInt8]

    package init(journalID: [UInt8], bootID: [UInt8]) {
        precondition(
            journalID.count == 16 && bootID.count == Self.bootIDBytes, "BUG: a journal's ids")
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
        guard version == Self.version else { throw .unsupportedVersion(.journal, Int(version)) }
        guard reader.integer(UInt16.self) == 0, let journalID = reader.take(16),
            let bootID = reader.take(Self.bootIDBytes)
        else { throw .malformed(.journal, "its head") }
        self.init(journalID: journalID, bootID: bootID)
    }

    private var fields: [UInt8] {
        var bytes = Self.magic
        bytes.append(bigEndian: Self.version)
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

/// One write of the journal: what is committed together, sealed.
///
/// ```
/// offset  size  field
///      0     4  magic, "KFJF"
///      4     4  bytes of the body
///      8     8  epoch
///     16     8  sequence number within the epoch, from 0
///     24     8  zero
///     32    12  nonce
///     44     n  ciphertext of the body (AES-256-GCM under the journal key, AAD = bytes 0…31)
///   44+n    16  tag
///          …    zeros up to a multiple of 512
/// ```
package struct JournalFrame: Equatable, Sendable {
    package static let headBytes = 32
    package static let alignmentBytes = 512
    /// A body's largest size; a commit with more is written as several frames.
    package static let maximumBodyBytes = 12 << 20
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

    /// What a body of `bodyBytes` takes in the journal.
    package static func byteCount(bodyBytes: Int) -> Int {
        let bytes = headBytes + bodyBytes + AESGCM256.overheadBytes
        return (bytes + alignmentBytes - 1) / alignmentBytes * alignmentBytes
    }

    package func encoded(with cipher: AESGCM256, key: SecretBytes) -> [UInt8] {
        cipher.use(key)
        var head = Self.magic
        head.append(bigEndian: UInt32(body.count))
        head.append(bigEndian: epoch)
        head.append(bigEndian: sequence)
        head.append(bigEndian: UInt64(0))
        let count = Self.byteCount(bodyBytes: body.count)
        let sealedEnd = Self.headBytes + body.count + AESGCM256.overheadBytes
        // Megabytes at times: sealed straight to where they go, and touched no more than that.
        return [UInt8](byteCount: count) { bytes in
            for (offset, byte) in head.enumerated() {
                bytes.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            }
            head.withRawSpan { head in
                body.withRawSpan { body in
                    cipher.seal(
                        body, 0..<body.byteCount, authenticating: head, into: &bytes,
                        at: Self.headBytes)
                }
            }
            wipe(&bytes, sealedEnd..<count)
        }
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
    package init?(decoding bytes: [UInt8], with cipher: AESGCM256, key: SecretBytes) {
        guard let count = Self.byteCount(head: bytes), count == bytes.count else { return nil }
        var reader = ByteReader(bytes)
        guard reader.take(4) != nil, let bodyBytes = reader.integer(UInt32.self),
            let epoch = reader.integer(UInt64.self), let sequence = reader.integer(UInt64.self),
            reader.integer(UInt64.self) == 0,
            let box = reader.take(Int(bodyBytes) + AESGCM256.overheadBytes),
            reader.hasOnlyZerosLeft
        else { return nil }
        cipher.use(key)
        let head = Array(bytes[..<Self.headBytes])
        guard let body = try? cipher.open(box, authenticating: head) else { return nil }
        self.init(epoch: epoch, sequence: sequence, body: body)
    }
}
