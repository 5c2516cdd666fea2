import Cryptography

/// What the file `.keyfold.dir` of every directory holds, docs/format.md §5.
///
/// ```
/// offset  size  field
///      0     8  magic, "KEYFOLD" 0x02
///      8     2  format version: 2 in the root of a domain below another one, else 1
///     10    16  directory id
///     26    16  domain id
///  in version 2 only:
///     42    16  id of the domain around this one
///     58    32  commitment to the domain's key
///     90    32  link code, HMAC-SHA256 over the 90 bytes before it with the outer domain's key
///  in both, from offset 42 or 122:
///      0    32  HMAC-SHA256 over all bytes before it
///     32     n  wrapped domain keys, 0…16; in version 2 at least one
///   32+n     …  in a domain's root only: zeros up to a multiple of 512 bytes
/// ```
package struct DirectoryRecord: Equatable, Sendable {
    static let magic = Array("KEYFOLD\u{2}".utf8)
    private static let codeBytes = 32
    private static let unitBytes = 512
    /// The longest record; readers need not take more.
    package static let maximumBytes = 102_912

    package let directoryID: DirectoryID
    package let domainID: DomainID
    /// What ties the root of a nested domain to the domain around it; nil in every other directory.
    package let link: DomainLink?
    /// The domain's key as its CMKs wrapped it; empty except in a domain's root.
    package let domainKey: [WrappedKey]

    /// A directory of a domain, or the vault's root.
    package init(directoryID: DirectoryID, domainID: DomainID, domainKey: [WrappedKey] = []) {
        self.init(
            directoryID: directoryID, domainID: domainID, link: nil, domainKey: domainKey)
    }

    /// The root of a domain below another one.
    ///
    /// - Parameter domainKey: 1…16 wrappings.
    package init(
        directoryID: DirectoryID, rootOf domain: DomainKeys, below outer: DomainKeys,
        domainKey: [WrappedKey]
    ) {
        let link = DomainLink(directoryID: directoryID, of: domain, below: outer)
        self.init(
            directoryID: directoryID, domainID: domain.domainID, link: link, domainKey: domainKey)
    }

    private init(
        directoryID: DirectoryID, domainID: DomainID, link: DomainLink?, domainKey: [WrappedKey]
    ) {
        self.directoryID = directoryID
        self.domainID = domainID
        self.link = link
        self.domainKey = domainKey
    }

    /// The same directory's record after a rewrap of its domain's key.
    package func withWrappedKeys(_ keys: [WrappedKey]) -> DirectoryRecord {
        DirectoryRecord(
            directoryID: directoryID, domainID: domainID, link: link, domainKey: keys)
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
        guard version == DomainLink.absentVersion || version == DomainLink.version else {
            throw .unsupportedVersion(.directoryRecord, Int(version))
        }
        guard let directoryID = reader.take(16).flatMap(DirectoryID.init(bytes:)),
            let domainID = reader.take(16).flatMap(DomainID.init(bytes:))
        else { throw .malformed(.directoryRecord, "its length") }
        let link = version == DomainLink.version ? try DomainLink(from: &reader) : nil
        guard reader.take(Self.codeBytes) != nil else {
            throw .malformed(.directoryRecord, "its length")
        }
        let domainKey = try WrappedKeyList.decode(from: &reader, in: .directoryRecord)
        guard link == nil || !domainKey.isEmpty else {
            throw .malformed(.directoryRecord, "a domain's root without a key")
        }
        guard link?.outerID != domainID else {
            throw .malformed(.directoryRecord, "a domain below itself")
        }
        guard bytes.count == Self.paddedCount(reader.position, isRoot: !domainKey.isEmpty),
            reader.hasOnlyZerosLeft
        else { throw .malformed(.directoryRecord, "bytes after its end") }
        self.init(
            directoryID: directoryID, domainID: domainID, link: link, domainKey: domainKey)
    }

    /// Whether the bytes that this record was read from are the domain's.
    ///
    /// - Throws: ``FormatError/authenticationFailed(_:)`` when they were changed or are of another
    ///   domain.
    package func authenticate(_ bytes: [UInt8], with keys: DomainKeys) throws(FormatError) {
        let covered = covered
        guard keys.domainID == domainID, bytes.starts(with: covered),
            bytes.count >= covered.count + Self.codeBytes,
            link.map({ $0.isCommitment(to: keys) }) ?? true,
            HMACSHA256.isValid(
                Array(bytes[covered.count..<covered.count + Self.codeBytes]),
                for: Label.records + covered, key: keys.records)
        else { throw .authenticationFailed(.directoryRecord) }
    }

    /// Whether the domain around this one made it its own; asked before the domain's key is.
    ///
    /// - Throws: ``FormatError/authenticationFailed(_:)`` for a domain that somebody made who has
    ///   not the keys of `outer`, and for a record that is no domain's root.
    package func authenticateLink(below outer: DomainKeys) throws(FormatError) {
        guard let link, link.isGenuine(fields, below: outer) else {
            throw .authenticationFailed(.directoryRecord)
        }
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
    private var covered: [UInt8] { fields + (link?.bytes ?? []) }

    /// The bytes that both versions begin with.
    private var fields: [UInt8] {
        Self.fields(
            version: link == nil ? DomainLink.absentVersion : DomainLink.version, directoryID,
            domainID)
    }

    fileprivate static func fields(
        version: UInt16, _ directoryID: DirectoryID, _ domainID: DomainID
    ) -> [UInt8] {
        var bytes = magic
        bytes.append(bigEndian: version)
        return bytes + directoryID.bytes + domainID.bytes
    }

    private static func paddedCount(_ count: Int, isRoot: Bool) -> Int {
        isRoot ? (count + unitBytes - 1) / unitBytes * unitBytes : count
    }
}

/// What ties the root of a nested domain to the domain around it.
///
/// Whoever can write the vault and use some CMK can make a domain of his own, with a record that
/// is genuine by that domain's keys. Only who has the outer domain's keys can make the link code.
package struct DomainLink: Equatable, Sendable {
    /// The version of a record with a link, and of one without.
    fileprivate static let version: UInt16 = 2
    fileprivate static let absentVersion: UInt16 = 1
    private static let codeBytes = 32

    /// The domain that the domain's root lies in.
    package let outerID: DomainID
    /// ``DomainKeys/commitment`` of the domain.
    private let commitment: [UInt8]
    private let code: [UInt8]

    fileprivate init(directoryID: DirectoryID, of domain: DomainKeys, below outer: DomainKeys) {
        outerID = outer.domainID
        commitment = domain.commitment
        let fields = DirectoryRecord.fields(version: Self.version, directoryID, domain.domainID)
        code = HMACSHA256.authenticationCode(
            for: Label.links + fields + outerID.bytes + commitment, key: outer.records)
    }

    fileprivate init(from reader: inout ByteReader) throws(FormatError) {
        guard let outerID = reader.take(16).flatMap(DomainID.init(bytes:)),
            let commitment = reader.take(DomainKeys.commitmentBytes),
            let code = reader.take(Self.codeBytes)
        else { throw .malformed(.directoryRecord, "its length") }
        self.outerID = outerID
        self.commitment = commitment
        self.code = code
    }

    fileprivate var bytes: [UInt8] { outerID.bytes + commitment + code }

    fileprivate func isCommitment(to domain: DomainKeys) -> Bool {
        constantTimeEqual(commitment, domain.commitment)
    }

    fileprivate func isGenuine(_ fields: [UInt8], below outer: DomainKeys) -> Bool {
        outer.domainID == outerID
            && HMACSHA256.isValid(
                code, for: Label.links + fields + outerID.bytes + commitment, key: outer.records)
    }
}
