/// The names of the pairs in the encryption context of every key that a vault wraps (docs/format.md
/// §2). The values are the identifiers' text.
package enum EncryptionContextName {
    package static let vault = "keyfold:vault"
    package static let domain = "keyfold:domain"
    /// Only for a file's data key.
    package static let file = "keyfold:file"
}
