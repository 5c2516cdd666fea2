import Cryptography

/// What the file `.keyfold.dir` of every directory holds, docs/format.md §5.
///
/// ```
/// offset  size  field
///      0     8  magic, "KEYFOLD" 0x02
///      8     2  format version, 1
///     10    16  directory id
///     26    16  domain id
///     42    32  HMAC-SHA256 over the 42 bytes before it
///     74     n  wrapped domain keys, 0…16
///   74+n     …  in a domain's root only: zeros up to a multiple of 512 bytes
/// ```
package struct DirectoryRecord: Equatable, Sendable {
    static let magic = Array("KEYFOLD\u{2}".utf8)
    static let version: UInt16 = 1
    private static let coveredBytes = 42
    private static let codeBytes = 32
    private static let unitBytes = 512
    /// The longest record; readers need not take more.
    package static let maximumBytes = 102_912

    package let directoryID: DirectoryID
    package let domainID: DomainID
    /// The domain's key as its CMKs wrapped it; empty except in a domain's root.
    package let domainKey: [WrappedKey]

    package init(directoryID: DirectoryID, domainID: DomainID, domainKey: [WrappedKey] = []) {
        self.directoryID = directoryID
        self.domainID = domainID
        self.domainKey = domainKey
    }

    /// The same directory's record after a rewrap of its domain's key.
    package func withWrappedKeys(_ keys: [WrappedKey]) -> DirectoryRecord {
        DirectoryRecord(directoryID: directoryID, domainID: domainID, domainKey: keys)
    }

    /// Reads a record's structure, which must happen before the domain's key is known; whether it
    /// is genuine, ``authenticate(_:with:)`` tells.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` for anything that no writer makes,
    ///   ``FormatError/unsupportedVersion(_:_:)`` for a later version.
    package init(decoding bytes: [UInt8]) throws(FormatError) {
        var reader = ByteReader(bytes)
        guard reader.take(Self.magic.count) == Self.magic else {
            throw .malformed(.directoryRecord, "the magic number")
        }
        guard let version = reader.integer(UInt16.self) else {
            throw .malformed(.directoryRecord, "its length")
        }
        guard version == Self.version else {
            throw .unsupportedVersion(.directoryRecord, Int(version))
        }
        guard let directoryID = reader.take(16).flatMap(DirectoryID.init(bytes:)),
            let domainID = reader.take(16).flatMap(DomainID.init(bytes:)),
            reader.take(Self.codeBytes) != nil
        else { throw .malformed(.directoryRecord, "its length") }
        let domainKey = try WrappedKeyList.decode(from: &reader, in: .directoryRecord)
        guard bytes.count == Self.paddedCount(reader.position, isRoot: !domainKey.isEmpty),
            reader.hasOnlyZerosLeft
        else { throw .malformed(.directoryRecord, "bytes after its end") }
        self.init(directoryID: directoryID, domainID: domainID, domainKey: domainKey)
    }

    /// Whether the bytes that this record was read from are the domain's.
    ///
    /// - Throws: ``FormatError/authenticationFailed(_:)`` when they were changed or are of another
    ///   domain.
    package func authenticate(_ bytes: [UInt8], with keys: DomainKeys) throws(FormatError) {
        guard keys.domainID == domainID, bytes.starts(with: covered),
            bytes.count >= Self.coveredBytes + Self.codeBytes,
            HMACSHA256.isValid(
                Array(bytes[Self.coveredBytes..<Self.coveredBytes + Self.codeBytes]),
                for: Label.records + covered, key: keys.records)
        else { throw .authenticationFailed(.directoryRecord) }
    }

    /// The bytes to write.
    ///
    /// The wrapped keys are within the format's limits, as those from a key service are.
    package func encoded(with keys: DomainKeys) -> [UInt8] {
        precondition(keys.domainID == domainID, "BUG: a record of another domain")
        var bytes = covered
        bytes += HMACSHA256.authenticationCode(for: Label.records + covered, key: keys.records)
        guard let list = try? WrappedKeyList.encode(domainKey, in: .directoryRecord) else {
            preconditionFailure("BUG: a domain key outside the format's limits")
        }
        bytes += list
        bytes.padWithZeros(to: Self.paddedCount(bytes.count, isRoot: !domainKey.isEmpty))
        return bytes
    }

    /// The bytes under the MAC.
    private var covered: [UInt8] {
        var bytes = Self.magic
        bytes.append(bigEndian: Self.version)
        return bytes + directoryID.bytes + domainID.bytes
    }

    private static func paddedCount(_ count: Int, isRoot: Bool) -> Int {
        isRoot ? (count + unitBytes - 1) / unitBytes * unitBytes : count
    }
}
