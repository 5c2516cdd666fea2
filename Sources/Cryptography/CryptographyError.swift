/// What can go wrong in a primitive for reasons that lie outside the program: hostile or damaged
/// input, or limits of the machine.
///
/// Never carries key material or plaintext.
package enum CryptographyError: Error, Equatable, Sendable {
    /// The tag, or synthetic IV, does not fit the ciphertext, its associated data and the key.
    case authenticationFailed
    /// An input has a length or a parameter that the named primitive does not have.
    case invalidLength(String)
    /// libcrypto refused the named operation, usually for lack of memory.
    case libraryFailure(String)
}
