import Cryptography

// Targets of symbolic links and extended attributes, docs/format.md §7. What has no place of its
// own is sealed with a random nonce in front: `nonce 16 | V 16 | ciphertext`.
extension DomainKeys {
    private static let nonceBytes = 16
    private static let sealedOverheadBytes = nonceBytes + AESSIV256.overheadBytes

    // MARK: Symbolic links

    /// The text to store as a link's target: base64url, 4/3 of the length and 43 more.
    ///
    /// - Parameter target: at least one byte, no NUL.
    package func sealSymbolicLink(_ target: [UInt8]) -> [UInt8] {
        sealSymbolicLink(target, nonce: Random.bytes(Self.nonceBytes))
    }

    func sealSymbolicLink(_ target: [UInt8], nonce: [UInt8]) -> [UInt8] {
        precondition(!target.isEmpty && !target.contains(0), "BUG: not a link's target")
        return Base64URL.encode(
            nonce + values.seal(target, authenticating: [Label.symbolicLink, nonce]))
    }

    /// The target behind a link's stored text.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` for text that no writer makes,
    ///   ``FormatError/authenticationFailed(_:)`` for text that was changed or is another domain's.
    package func openSymbolicLink(_ text: [UInt8]) throws(FormatError) -> [UInt8] {
        guard Self.symbolicLinkSize(textBytes: text.count) != nil,
            let bytes = Base64URL.decode(text)
        else { throw .malformed(.symbolicLink, "its encoding") }
        let nonce = Array(bytes[..<Self.nonceBytes])
        let sealed = Array(bytes[Self.nonceBytes...])
        guard
            let target = try? values.open(sealed, authenticating: [Label.symbolicLink, nonce])
        else { throw .authenticationFailed(.symbolicLink) }
        guard !target.contains(0) else { throw .malformed(.symbolicLink, "not a link's target") }
        return target
    }

    /// The length of the target behind a text of `textBytes` bytes; nil when no text has that
    /// length.
    package static func symbolicLinkSize(textBytes: Int) -> Int? {
        guard let count = Base64URL.decodedCount(of: textBytes), count > sealedOverheadBytes else {
            return nil
        }
        return count - sealedOverheadBytes
    }

    // MARK: Extended attributes

    package static let attributePrefix = "user.keyfold."
    /// What a stored value is longer than the value.
    package static let attributeValueOverheadBytes = sealedOverheadBytes

    /// The stored name of an attribute; the same one each time.
    ///
    /// Longer than the 255 bytes that Linux takes when `name` has more than 160.
    ///
    /// - Parameter name: with its namespace; at least one byte, no NUL.
    package func sealAttributeName(_ name: [UInt8]) -> String {
        precondition(!name.isEmpty && !name.contains(0), "BUG: not an attribute's name")
        let sealed = values.seal(NamePadding.pad(name), authenticating: [Label.attributeName])
        return Self.attributePrefix + String(decoding: Base64URL.encode(sealed), as: UTF8.self)
    }

    /// The name behind an attribute's stored name.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` for text that no writer makes,
    ///   ``FormatError/authenticationFailed(_:)`` for a name of another domain.
    package func openAttributeName(_ stored: String) throws(FormatError) -> [UInt8] {
        guard stored.utf8.starts(with: Self.attributePrefix.utf8),
            let sealed = Base64URL.decode(
                Array(stored.utf8.dropFirst(Self.attributePrefix.utf8.count)))
        else { throw .malformed(.extendedAttribute, "its name's encoding") }
        guard sealed.count >= AESSIV256.overheadBytes + NamePadding.unitBytes,
            sealed.count.isMultiple(of: NamePadding.unitBytes)
        else { throw .malformed(.extendedAttribute, "a name of \(sealed.count) bytes") }
        guard let padded = try? values.open(sealed, authenticating: [Label.attributeName]) else {
            throw .authenticationFailed(.extendedAttribute)
        }
        guard let name = NamePadding.unpad(padded) else {
            throw .malformed(.extendedAttribute, "not an attribute's name")
        }
        return name
    }

    /// The bytes to store as the value of the attribute `name`: 32 more.
    package func sealAttributeValue(_ value: [UInt8], name: [UInt8]) -> [UInt8] {
        sealAttributeValue(value, name: name, nonce: Random.bytes(Self.nonceBytes))
    }

    func sealAttributeValue(_ value: [UInt8], name: [UInt8], nonce: [UInt8]) -> [UInt8] {
        nonce + values.seal(value, authenticating: [Label.attributeValue, nonce, name])
    }

    /// The value behind the stored one of the attribute `name`.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` for fewer than 32 bytes,
    ///   ``FormatError/authenticationFailed(_:)`` for a value that was changed, or is that of
    ///   another attribute or domain.
    package func openAttributeValue(
        _ stored: [UInt8], name: [UInt8]
    ) throws(FormatError) -> [UInt8] {
        guard stored.count >= Self.attributeValueOverheadBytes else {
            throw .malformed(.extendedAttribute, "a value of \(stored.count) bytes")
        }
        let nonce = Array(stored[..<Self.nonceBytes])
        let sealed = Array(stored[Self.nonceBytes...])
        guard
            let value = try? values.open(
                sealed, authenticating: [Label.attributeValue, nonce, name])
        else { throw .authenticationFailed(.extendedAttribute) }
        return value
    }
}
