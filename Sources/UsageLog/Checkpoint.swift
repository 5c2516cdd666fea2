internal import Cryptography

/// One signed statement of how far the whole log goes, in a chain of all such statements.
///
/// Invariants: numbers are 1, 2, 3…; each names the hash of the one before and the public key of
/// the one after, and is signed with the key that the one before named. The private key of a
/// checkpoint is erased in the transaction that stores it, so nobody can sign that number again.
package struct Checkpoint: Hashable, Sendable {
    /// How far one segment goes.
    package struct Seal: Hashable, Sendable {
        package let ordinal: UInt64
        /// ``SegmentRecord/digest``, 32 bytes.
        package let digest: [UInt8]
        /// With a tree root of zeros for a segment of version 1.
        package let head: SegmentHead
        package let isClosed: Bool
    }

    package let number: UInt64
    /// Wall clock: data, nothing is decided by it.
    package let milliseconds: Int64
    /// Of the process that made it, 16 bytes.
    package let bootID: [UInt8]
    /// 32 zeros for the first.
    package let previousHash: [UInt8]
    /// Of the next checkpoint, 32 bytes.
    package let nextKey: [UInt8]
    /// Of all segments that were open since the checkpoint before, by ordinal.
    package let seals: [Seal]

    static let magic = Array("KFLOGCPT".utf8)
    static let version: UInt32 = 1
    static let sealBytes = 8 + 32 + 8 + 32 + 32 + 1
    static let maximumSeals = 1 << 20

    /// All but the signature.
    var signedBytes: [UInt8] {
        var bytes = Checkpoint.magic
        bytes.reserveCapacity(120 + seals.count * Checkpoint.sealBytes + Ed25519.signatureBytes)
        bytes.appendBigEndian(Checkpoint.version)
        bytes.appendBigEndian(number)
        bytes.appendBigEndian(milliseconds)
        bytes += bootID + previousHash + nextKey
        bytes.appendBigEndian(UInt32(seals.count))
        for seal in seals {
            bytes.appendBigEndian(seal.ordinal)
            bytes += seal.digest
            bytes.appendBigEndian(seal.head.eventCount)
            bytes += seal.head.chainHash + seal.head.treeRoot
            bytes.append(seal.isClosed ? 1 : 0)
        }
        return bytes
    }

    /// The whole encoding, signed.
    func encoded(signedWith key: Ed25519PrivateKey) throws(CryptographyError) -> [UInt8] {
        let bytes = signedBytes
        return try bytes + key.sign(bytes)
    }

    /// What the next checkpoint and all anchors name.
    package static func hash(_ encoded: [UInt8]) -> [UInt8] { SHA256.hash(encoded) }

    /// nil when the bytes are no checkpoint, or not one that `publicKey` signed.
    package init?(decoding bytes: [UInt8], publicKey: [UInt8]) {
        var reader = ByteReader(bytes[...])
        guard reader.take(8) == Checkpoint.magic,
            reader.number(UInt32.self) == Checkpoint.version,
            let number = reader.number(UInt64.self), number > 0,
            let milliseconds = reader.number(Int64.self), let bootID = reader.take(16),
            let previousHash = reader.take(32), let nextKey = reader.take(32),
            let count = reader.number(UInt32.self), count <= Checkpoint.maximumSeals
        else { return nil }
        var seals: [Seal] = []
        for _ in 0..<count {
            guard let seal = Seal(&reader), seal.ordinal > seals.last?.ordinal ?? 0 else {
                return nil
            }
            seals.append(seal)
        }
        let signedCount = bytes.count - Ed25519.signatureBytes
        guard let signature = reader.take(Ed25519.signatureBytes), reader.isAtEnd,
            Ed25519.isValid(signature, for: Array(bytes.prefix(signedCount)), publicKey: publicKey)
        else { return nil }
        self.init(
            number: number, milliseconds: milliseconds, bootID: bootID,
            previousHash: previousHash, nextKey: nextKey, seals: seals)
    }

    /// When a stored checkpoint was made, whoever signed it; nil when the bytes are none.
    static func milliseconds(of bytes: [UInt8]) -> Int64? {
        var reader = ByteReader(bytes[...])
        guard reader.take(8) == Checkpoint.magic,
            reader.number(UInt32.self) == Checkpoint.version, reader.number(UInt64.self) != nil
        else { return nil }
        return reader.number(Int64.self)
    }

    init(
        number: UInt64, milliseconds: Int64, bootID: [UInt8], previousHash: [UInt8],
        nextKey: [UInt8], seals: [Seal]
    ) {
        self.number = number
        self.milliseconds = milliseconds
        self.bootID = bootID
        self.previousHash = previousHash
        self.nextKey = nextKey
        self.seals = seals
    }
}

extension Checkpoint.Seal {
    init(_ record: SegmentRecord) {
        var head = record.head
        if head.treeRoot.isEmpty { head.treeRoot = SegmentFormat.zeroHash }
        self.init(
            ordinal: record.ordinal, digest: record.digest, head: head, isClosed: record.isClosed)
    }

    fileprivate init?(_ reader: inout ByteReader) {
        guard let ordinal = reader.number(UInt64.self), let digest = reader.take(32),
            let count = reader.number(UInt64.self), let chainHash = reader.take(32),
            let root = reader.take(32), let flag = reader.number(UInt8.self), flag <= 1
        else { return nil }
        self.init(
            ordinal: ordinal, digest: digest,
            head: SegmentHead(eventCount: count, chainHash: chainHash, treeRoot: root),
            isClosed: flag == 1)
    }
}

/// Checks checkpoints one after the other, from the first on.
struct CheckpointChain {
    private(set) var count: UInt64 = 0
    /// Of the last one.
    private(set) var lastHash = SegmentFormat.zeroHash
    /// That the next one must be signed with.
    private(set) var key: [UInt8]

    /// `firstKey`: the log's verification key.
    init(firstKey: [UInt8]) {
        key = firstKey
    }

    /// nil when the bytes are not the next checkpoint of this chain.
    mutating func take(_ bytes: [UInt8]) -> Checkpoint? {
        guard let checkpoint = Checkpoint(decoding: bytes, publicKey: key),
            checkpoint.number == count + 1, checkpoint.previousHash == lastHash
        else { return nil }
        count += 1
        lastHash = Checkpoint.hash(bytes)
        key = checkpoint.nextKey
        return checkpoint
    }
}
