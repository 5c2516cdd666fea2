extension SecretBytes {
    /// The bytes in ordinary memory, for an encoder. The caller wipes them.
    package var copiedBytes: [UInt8] {
        withBytes { bytes in
            // SAFETY: the pointer lives for this call, in which the bytes are copied.
            unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        }
    }
}
