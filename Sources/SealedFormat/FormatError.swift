/// Why bytes of a vault are not what a writer of the format wrote.
///
/// Names the kind of object and what is wrong with it; never key material, plaintext or names.
package enum FormatError: Error, Equatable, Sendable {
    /// A sealed file has a size that no writer makes.
    case impossibleSize(UInt64)
    /// The structure is wrong: a length, a magic number, a bit that must be zero.
    case malformed(FormatObject, String)
    /// Written by a later Keyfold.
    case unsupportedVersion(FormatObject, Int)
    /// The bytes were changed, or belong elsewhere, or the key is another one.
    case authenticationFailed(FormatObject)
}

/// The kinds of objects that a vault consists of.
package enum FormatObject: String, Sendable {
    case vaultConfig = "vault config"
    case directoryRecord = "directory record"
    case fileHeader = "file header"
    case block
    case name
    case longName = "long name"
    case symbolicLink = "symbolic link"
    case extendedAttribute = "extended attribute"
    case journal
}

extension FormatError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .impossibleSize(let size): "no sealed file has \(size) bytes"
        case .malformed(let object, let reason): "malformed \(object.rawValue): \(reason)"
        case .unsupportedVersion(let object, let version):
            "\(object.rawValue) of format version \(version), which this program does not know"
        case .authenticationFailed(let object): "\(object.rawValue) fails its authentication"
        }
    }
}
