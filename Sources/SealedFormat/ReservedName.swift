/// Names that Keyfold itself keeps in a vault's directories.
///
/// Sealed names are base64url, which has no dot, so they never meet these.
package enum ReservedName {
    package static let directoryRecord = ".keyfold.dir"
    /// At the root only.
    package static let config = "keyfold.json"
    package static let lock = ".keyfold.lock"
    package static let temporaryPrefix = ".keyfold.tmp."
    package static let longPrefix = ".keyfold.long."
    package static let sidecarPrefix = ".keyfold.name."

    /// The keystore of a portable vault, a directory.
    package static let keystore = ".keyfold.keystore"

    /// Where a mount notes what it is about to overwrite, a directory.
    package static let journal = ".keyfold.journal"

    /// How far the keystore's usage log went when the vault was mounted last; at the root only.
    package static let logHead = ".keyfold.loghead"

    private static let prefix = ".keyfold"

    /// Whether a stored name is none of a user's own plaintext names: all that begin with
    /// ".keyfold", and the config's.
    package static func isReserved(_ stored: String) -> Bool {
        starts(stored, with: prefix) || stored == config
    }

    /// Whether a stored name stands for a name that a sidecar holds.
    package static func isLong(_ stored: String) -> Bool {
        starts(stored, with: longPrefix)
    }

    /// The sidecar's name that belongs to a long stored name.
    package static func sidecar(ofLong stored: String) -> String {
        precondition(isLong(stored), "BUG: a stored name that is not long")
        return sidecarPrefix + String(stored.dropFirst(longPrefix.count))
    }

    /// The long stored name that a sidecar belongs to; nil for a name of another kind.
    package static func long(ofSidecar stored: String) -> String? {
        guard starts(stored, with: sidecarPrefix) else { return nil }
        return longPrefix + String(stored.dropFirst(sidecarPrefix.count))
    }

    /// By bytes, as the store compares; not by characters, as `hasPrefix` does.
    private static func starts(_ name: String, with prefix: String) -> Bool {
        name.utf8.starts(with: prefix.utf8)
    }
}
