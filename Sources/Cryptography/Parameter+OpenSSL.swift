import COpenSSL

/// OSSL_PARAM(3) entries whose names and words live as long as the process.
///
/// libcrypto keeps the pointers it is given, so `StaticString` is used, never `String`.
enum Parameter {
    /// A UTF-8 word, such as the name of a digest.
    static func word(_ name: StaticString, _ value: StaticString) -> OSSL_PARAM {
        // SAFETY: both are NUL-terminated and immortal; the callee only reads them, although the
        // C signature lacks `const`. A size of 0 asks for strlen.
        unsafe OSSL_PARAM_construct_utf8_string(
            cString(name), UnsafeMutablePointer(mutating: cString(value)), 0)
    }

    /// A byte string. The bytes must outlive the use of the result.
    static func octets(_ name: StaticString, _ value: UnsafeRawBufferPointer) -> OSSL_PARAM {
        // SAFETY: as above; the callee only reads `value.count` bytes. An empty value still needs
        // an address, since nil stands for a missing one: any will do.
        let start = unsafe value.baseAddress ?? UnsafeRawPointer(cString(name))
        return unsafe OSSL_PARAM_construct_octet_string(
            cString(name), UnsafeMutableRawPointer(mutating: start), value.count)
    }

    /// An unsigned integer. The pointee must outlive the use of the result.
    static func integer(
        _ name: StaticString, _ value: UnsafeMutablePointer<UInt64>
    ) -> OSSL_PARAM {
        unsafe OSSL_PARAM_construct_uint64(cString(name), value)
    }

    private static func cString(_ string: StaticString) -> UnsafePointer<CChar> {
        // SAFETY: a `StaticString` with a pointer representation is NUL-terminated and immortal.
        unsafe UnsafeRawPointer(string.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
