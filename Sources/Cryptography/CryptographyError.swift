/// What can go wrong in a primitive for reasons that lie outside the program: hostile or damaged
/// input, or limits of the machine.
///
/// Never carries key material or plaintext.
package enum CryptographyError: Error, Equatable, Sendable {
    /// The tag, or synthetic IV, does not fit the ciphertext, its associated data and the key.
    case authenticationFailed
    /// An input has a length or a parameter that the named primitive does not have.
    case invalidLength(String)
    /// A ciphertext or a wrapped key does not open. It is not said why, since the reason would help
    /// to decrypt others.
    case decryptionFailed
    /// A key is not what it was to be, and why.
    case invalidKey(String)
    /// The named algorithm does not go with this key, or no library here has it.
    case unsupported(String)
    /// libcrypto refused the named operation, usually for lack of memory.
    case libraryFailure(String)
}
