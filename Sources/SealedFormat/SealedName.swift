/// A name as it stands in the store.
package enum SealedName: Equatable, Sendable {
    /// The sealed name in base64url, at most 255 characters.
    case direct(String)
    /// A hash instead of a name that would be longer; the sidecar file holds the sealed name.
    case long(stored: String, sidecarName: String, sidecar: [UInt8])

    package static let maximumStoredBytes = 255

    /// The name of the entry itself.
    package var stored: String {
        switch self {
        case .direct(let stored), .long(let stored, _, _): stored
        }
    }
}
