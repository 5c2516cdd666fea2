import Cryptography

/// A data key or domain key as a CMK wrapped it.
package struct WrappedKey: Equatable, Sendable {
    package static let maximumARNBytes = 256
    package static let maximumBlobBytes = 6144

    /// Whose key opens the blob: 1…256 printable ASCII characters.
    package var keyARN: String
    /// The CiphertextBlob: 1…6,144 bytes, opaque to the format.
    package var blob: [UInt8]

    package init(keyARN: String, blob: [UInt8]) {
        self.keyARN = keyARN
        self.blob = blob
    }
}

/// The wrapped keys of a header or a record, docs/format.md §3:
/// `count u16 | (ARN length u16 | ARN | blob length u16 | blob)… | SHA-256 over all that`.
///
/// The keys cannot be under a MAC of the key they wrap, since a rewrap never sees that key. The
/// hash finds decay in any of them, also in those that a reader does not try.
enum WrappedKeyList {
    static let maximumCount = 16

    /// - Throws: ``FormatError/malformed(_:_:)`` for keys outside the format's limits.
    static func encode(_ keys: [WrappedKey], in object: FormatObject) throws(FormatError)
        -> [UInt8]
    {
        guard keys.count <= maximumCount else {
            throw .malformed(object, "\(keys.count) wrapped keys")
        }
        var bytes: [UInt8] = []
        bytes.append(bigEndian: UInt16(keys.count))
        for key in keys {
            let arn = Array(key.keyARN.utf8)
            try check(arn: arn, blobBytes: key.blob.count, in: object)
            bytes.append(bigEndian: UInt16(arn.count))
            bytes += arn
            bytes.append(bigEndian: UInt16(key.blob.count))
            bytes += key.blob
        }
        return bytes + SHA256.hash(bytes)
    }

    /// Takes a list off the reader.
    static func decode(
        from reader: inout ByteReader, in object: FormatObject
    ) throws(FormatError) -> [WrappedKey] {
        let start = reader.position
        guard let count = reader.integer(UInt16.self), count <= maximumCount else {
            throw .malformed(object, "the number of wrapped keys")
        }
        var keys: [WrappedKey] = []
        for _ in 0..<count {
            keys.append(try decodeKey(from: &reader, in: object))
        }
        let list = reader.bytes(since: start)
        guard let hash = reader.take(SHA256.byteCount), hash == SHA256.hash(list) else {
            throw .malformed(object, "the hash of the wrapped keys")
        }
        return keys
    }

    private static func decodeKey(
        from reader: inout ByteReader, in object: FormatObject
    ) throws(FormatError) -> WrappedKey {
        guard let arnBytes = reader.integer(UInt16.self), let arn = reader.take(Int(arnBytes)),
            let blobBytes = reader.integer(UInt16.self)
        else { throw .malformed(object, "a wrapped key's length") }
        try check(arn: arn, blobBytes: Int(blobBytes), in: object)
        guard let blob = reader.take(Int(blobBytes)) else {
            throw .malformed(object, "a wrapped key's length")
        }
        return WrappedKey(keyARN: String(decoding: arn, as: UTF8.self), blob: blob)
    }

    private static func check(
        arn: [UInt8], blobBytes: Int, in object: FormatObject
    ) throws(FormatError) {
        guard KeyARNText.isValid(arn) else { throw .malformed(object, "a wrapped key's ARN") }
        guard blobBytes > 0, blobBytes <= WrappedKey.maximumBlobBytes else {
            throw .malformed(object, "a wrapped key of \(blobBytes) bytes")
        }
    }
}

/// What the format asks of an ARN's text; whether it names a key only the key service knows.
enum KeyARNText {
    static func isValid(_ bytes: [UInt8]) -> Bool {
        (1...WrappedKey.maximumARNBytes).contains(bytes.count)
            && bytes.allSatisfy { (0x21...0x7e).contains($0) }
    }
}
