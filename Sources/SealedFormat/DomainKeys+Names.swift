import Cryptography

// Names of directory entries, docs/format.md §6: padded with zeros to a multiple of 16, AES-256-SIV
// with the directory id as associated data, base64url.
extension DomainKeys {
    package static let maximumNameBytes = 255

    /// The stored form of a name; the same one each time.
    ///
    /// - Parameter name: 1…255 bytes without NUL and "/".
    package func sealName(_ name: [UInt8], in directory: DirectoryID) -> SealedName {
        precondition(
            (1...Self.maximumNameBytes).contains(name.count) && !name.contains(0)
                && !name.contains(UInt8(ascii: "/")),
            "BUG: not a file name")
        let sealed = names.seal(NamePadding.pad(name), authenticating: [directory.bytes])
        guard Base64URL.encodedCount(of: sealed.count) > SealedName.maximumStoredBytes else {
            return .direct(String(decoding: Base64URL.encode(sealed), as: UTF8.self))
        }
        let stored = LongName.stored(for: sealed)
        return .long(
            stored: stored, sidecarName: ReservedName.sidecar(ofLong: stored), sidecar: sealed)
    }

    /// The name behind a direct stored name.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` for text that no writer makes,
    ///   ``FormatError/authenticationFailed(_:)`` for a name of another directory or domain.
    package func openName(
        _ stored: String, in directory: DirectoryID
    ) throws(FormatError) -> [UInt8] {
        guard stored.utf8.count <= SealedName.maximumStoredBytes,
            let sealed = Base64URL.decode(stored.utf8)
        else { throw .malformed(.name, "its encoding") }
        return try open(sealed, in: directory, as: .name)
    }

    /// The name behind a long stored name, from its sidecar's bytes.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` when the sidecar is not that of this stored name or
    ///   the name would not have been long, ``FormatError/authenticationFailed(_:)`` for a name of
    ///   another directory or domain.
    package func openLongName(
        sidecar: [UInt8], stored: String, in directory: DirectoryID
    ) throws(FormatError) -> [UInt8] {
        guard Base64URL.encodedCount(of: sidecar.count) > SealedName.maximumStoredBytes,
            sidecar.count <= LongName.maximumSealedBytes
        else { throw .malformed(.longName, "a sidecar of \(sidecar.count) bytes") }
        // By bytes: `==` would take other code points for the same text.
        guard LongName.stored(for: sidecar).utf8.elementsEqual(stored.utf8) else {
            throw .malformed(.longName, "a sidecar of another name")
        }
        return try open(sidecar, in: directory, as: .longName)
    }

    private func open(
        _ sealed: [UInt8], in directory: DirectoryID, as object: FormatObject
    ) throws(FormatError) -> [UInt8] {
        guard sealed.count >= AESSIV256.overheadBytes + NamePadding.unitBytes,
            sealed.count.isMultiple(of: NamePadding.unitBytes)
        else { throw .malformed(object, "\(sealed.count) bytes") }
        guard let padded = try? names.open(sealed, authenticating: [directory.bytes]) else {
            throw .authenticationFailed(object)
        }
        guard let name = NamePadding.unpad(padded), name.count <= Self.maximumNameBytes,
            !name.contains(UInt8(ascii: "/"))
        else { throw .malformed(object, "not a file name") }
        return name
    }
}

/// Hides the exact length of a name. Zeros, since a name has none: one padding for each name.
enum NamePadding {
    static let unitBytes = 16

    /// Appends 0…15 zeros, up to a multiple of 16 bytes.
    static func pad(_ name: [UInt8]) -> [UInt8] {
        var padded = name
        padded.padWithZeros(to: (name.count + unitBytes - 1) / unitBytes * unitBytes)
        return padded
    }

    /// nil for anything that ``pad(_:)`` does not make of a name.
    static func unpad(_ padded: [UInt8]) -> [UInt8]? {
        guard let last = padded.lastIndex(where: { $0 != 0 }) else { return nil }
        let name = Array(padded[...last])
        guard !name.contains(0), pad(name).count == padded.count else { return nil }
        return name
    }
}

enum LongName {
    /// A name of 255 bytes, padded and sealed.
    static let maximumSealedBytes = AESSIV256.overheadBytes + 256

    static func stored(for sealed: [UInt8]) -> String {
        let hash = Base64URL.encode(SHA256.hash(sealed))
        return ReservedName.longPrefix + String(decoding: hash, as: UTF8.self)
    }
}
