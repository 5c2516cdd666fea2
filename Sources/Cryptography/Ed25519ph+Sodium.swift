import CSodium

/// Ed25519ph (RFC 8032 §5.1): the message is hashed with SHA-512 first, under a domain of its own.
///
/// libcrypto has it from 3.2 on only, and swift-crypto not at all; libsodium has it for whole
/// messages.
enum Ed25519ph {
    /// The signature of a message, 64 bytes.
    static func sign(_ message: [UInt8], seed: SecretBytes, publicKey: [UInt8]) -> [UInt8] {
        precondition(
            seed.count == Ed25519PrivateKey.seedBytes
                && publicKey.count == Ed25519.publicKeyBytes, "BUG: an Ed25519 key")
        let key = pair(seed, publicKey)
        var state = state(of: message)
        var signature = [UInt8](repeating: 0, count: Ed25519.signatureBytes)
        let isSigned = key.withBytes { key in
            unsafe key.withUnsafeBytes { key in
                // SAFETY: the call reads 64 bytes of the key and writes 64, which the array has.
                guard let key = unsafe key.octets else { return false }
                return unsafe crypto_sign_ed25519ph_final_create(&state, &signature, nil, key) == 0
            }
        }
        precondition(isSigned, "BUG: libsodium failed in Ed25519ph")
        return signature
    }

    /// Whether `signature` is that of `message`; false also for wrong lengths.
    static func isValid(_ signature: [UInt8], message: [UInt8], publicKey: [UInt8]) -> Bool {
        guard signature.count == Ed25519.signatureBytes,
            publicKey.count == Ed25519.publicKeyBytes
        else { return false }
        var state = state(of: message)
        // SAFETY: the call reads 64 bytes of the signature and 32 of the key, which are there,
        // although its C signature lacks one `const`.
        return unsafe signature.withUnsafeBytes { signature in
            guard let signature = unsafe signature.octets else { return false }
            return unsafe crypto_sign_ed25519ph_final_verify(
                &state, UnsafeMutablePointer(mutating: signature), publicKey) == 0
        }
    }

    /// What libsodium calls the secret key: the seed and the public key.
    private static func pair(_ seed: SecretBytes, _ publicKey: [UInt8]) -> SecretBytes {
        SecretBytes(count: seed.count + publicKey.count) { pair in
            seed.withBytes { seed in
                for offset in 0..<pair.byteCount {
                    let byte =
                        offset < seed.byteCount
                        ? seed.byte(at: offset) : publicKey[offset - seed.byteCount]
                    pair.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
                }
            }
        }
    }

    private static func state(of message: [UInt8]) -> crypto_sign_ed25519ph_state {
        precondition(isReady, "libsodium cannot start")
        var state = crypto_sign_ed25519ph_state()
        // SAFETY: the state is a value of ours; the call reads `message.count` bytes.
        let isStarted = unsafe crypto_sign_ed25519ph_init(&state) == 0
        let isHashed =
            unsafe crypto_sign_ed25519ph_update(
                &state, message, UInt64(message.count)) == 0
        precondition(isStarted && isHashed, "BUG: libsodium failed in SHA-512")
        return state
    }

    /// Once per process, before the first use; 1 stands for "was ready".
    private static let isReady = sodium_init() >= 0
}
