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

    /// An unsigned number of any length, in the machine's byte order. The bytes must outlive the use
    /// of the result, which may write them.
    static func number(
        _ name: StaticString, _ value: UnsafeMutableRawBufferPointer
    ) -> OSSL_PARAM {
        unsafe OSSL_PARAM_construct_BN(cString(name), value.octets, value.count)
    }

    /// A list of words, with the entry that ends it.
    static func list(_ words: [Word]) -> [OSSL_PARAM] {
        unsafe words.map { unsafe word($0.name, $0.value) } + [OSSL_PARAM_construct_end()]
    }

    /// A UTF-8 word and its name.
    struct Word {
        let name: StaticString
        let value: StaticString

        init(_ name: StaticString, _ value: StaticString) {
            (self.name, self.value) = (name, value)
        }
    }

    /// An unsigned integer. The pointee must outlive the use of the result.
    static func integer(
        _ name: StaticString, _ value: UnsafeMutablePointer<UInt64>
    ) -> OSSL_PARAM {
        unsafe OSSL_PARAM_construct_uint64(cString(name), value)
    }

    static func cString(_ string: StaticString) -> UnsafePointer<CChar> {
        // SAFETY: a `StaticString` with a pointer representation is NUL-terminated and immortal.
        unsafe UnsafeRawPointer(string.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
