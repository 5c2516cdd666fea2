extension SecretBytes {
    /// A public prefix and a secret behind it, as one secret.
    package convenience init(joining prefix: [UInt8], _ secret: SecretBytes) {
        self.init(count: prefix.count + secret.count) { target in
            unsafe target.withUnsafeMutableBytes { target in
                // SAFETY: `target` has room for exactly both, and is different memory.
                unsafe target.copyBytes(from: prefix)
                secret.withBytes { secret in
                    unsafe secret.withUnsafeBytes { secret in
                        let rest = unsafe UnsafeMutableRawBufferPointer(
                            rebasing: target[prefix.count...])
                        unsafe rest.copyMemory(from: secret)
                    }
                }
            }
        }
    }
}
