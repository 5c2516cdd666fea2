package import Cryptography

/// The labels that keep keys for different purposes apart: the info of every HKDF, and the first
/// bytes of every MAC's message. See docs/format.md §2.
enum Label {
    static let content = Array("keyfold/1/content".utf8)
    static let header = Array("keyfold/1/header".utf8)
    static let commitment = Array("keyfold/1/commitment".utf8)
    static let names = Array("keyfold/1/names".utf8)
    static let records = Array("keyfold/1/records".utf8)
    static let config = Array("keyfold/1/config".utf8)
    static let values = Array("keyfold/1/values".utf8)
    static let journal = Array("keyfold/1/journal".utf8)
    static let links = Array("keyfold/1/links".utf8)
    static let laterDirectory = Array("keyfold/1/later directory".utf8)

    // The first associated string of what is sealed under the value key.
    static let symbolicLink = Array("symbolic link".utf8)
    static let attributeName = Array("attribute name".utf8)
    static let attributeValue = Array("attribute value".utf8)
}

/// What a data key and a file id give: HKDF-SHA256, salt = file id.
package final class FileKeys: Sendable {
    package static let dataKeyBytes = 32

    /// Seals the blocks. 32 bytes.
    package let content: SecretBytes
    /// Authenticates the header. 32 bytes.
    package let header: SecretBytes
    /// Stands in the header for all to see and fits this data key only. 32 bytes.
    package let commitment: [UInt8]

    /// - Parameter dataKey: 32 bytes.
    package init(dataKey: SecretBytes, fileID: FileID) {
        precondition(
            dataKey.count == Self.dataKeyBytes, "BUG: a data key of \(dataKey.count) bytes")
        func derive(_ label: [UInt8]) -> SecretBytes {
            HKDFSHA256.derive(from: dataKey, salt: fileID.bytes, info: label, count: 32)
        }
        content = derive(Label.content)
        header = derive(Label.header)
        commitment = derive(Label.commitment).published
    }
}

extension SecretBytes {
    /// The bytes of what is no secret although it was derived like one.
    var published: [UInt8] {
        withBytes { bytes in (0..<bytes.byteCount).map { bytes.byte(at: $0) } }
    }
}
