import COpenSSL

/// A key pair, or a public key, as libcrypto holds it.
///
/// Owns an EVP_PKEY. That is immutable once made and reference-counted with atomics inside, and
/// every operation has a context of its own: any number of threads may use it.
@safe
final class EVPKey: Sendable {
    nonisolated(unsafe) let handle: OpaquePointer  // SAFETY: above

    /// Takes the handle over.
    @unsafe init(owning handle: OpaquePointer) {
        unsafe self.handle = handle
    }

    deinit {
        // SAFETY: owned since `init`, freed only here; libcrypto wipes a private key.
        unsafe EVP_PKEY_free(handle)
    }

    /// The key with these components, nil when libcrypto refuses them.
    convenience init?(_ components: KeyComponents) {
        let context = EVPKeyContext(components.type)
        let handle = unsafe components.withParameters { parameters -> OpaquePointer? in
            var handle: OpaquePointer?
            // SAFETY: the context is live, the parameters live as long as this closure, and
            // libcrypto copies what it keeps.
            let selection = components.isPair ? evp_pkey_keypair : evp_pkey_public_key
            let isMade =
                unsafe EVP_PKEY_fromdata_init(context.handle) == 1
                && EVP_PKEY_fromdata(
                    context.handle, &handle, Int32(selection), &parameters) == 1
            return unsafe isMade ? handle : nil
        }
        guard let handle = unsafe handle else {
            ERR_clear_error()
            return nil
        }
        unsafe self.init(owning: handle)
    }

    /// The Ed25519 key pair of a seed, nil unless it has 32 bytes.
    convenience init?(seed: SecretBytes) {
        let handle = unsafe seed.withBytes { seed in
            unsafe seed.withUnsafeBytes { seed in
                // SAFETY: the call reads `seed.count` bytes and copies them.
                unsafe EVP_PKEY_new_raw_private_key(
                    EVP_PKEY_ED25519, nil, seed.octets, seed.count)
            }
        }
        guard let handle = unsafe handle else {
            ERR_clear_error()
            return nil
        }
        unsafe self.init(owning: handle)
    }

    /// The Ed25519 public key of these bytes, nil unless there are 32.
    convenience init?(ed25519 bytes: [UInt8]) {
        // SAFETY: the call reads `bytes.count` bytes and copies them.
        let handle = unsafe EVP_PKEY_new_raw_public_key(
            EVP_PKEY_ED25519, nil, bytes, bytes.count)
        guard let handle = unsafe handle else {
            ERR_clear_error()
            return nil
        }
        unsafe self.init(owning: handle)
    }

    /// The longest signature, or ciphertext of RSA.
    var maximumOutputBytes: Int {
        // SAFETY: the handle is live.
        Int(unsafe EVP_PKEY_get_size(handle))
    }

    /// One of the numbers of the key, `count` bytes with the most significant first.
    func number(_ name: StaticString, count: Int) -> SecretBytes {
        let native = SecretBytes(count: count) { bytes in
            unsafe bytes.withUnsafeMutableBytes { bytes in
                // SAFETY: the call writes at most `bytes.count` bytes, which it is told.
                var parameters = unsafe [
                    Parameter.number(name, bytes), OSSL_PARAM_construct_end(),
                ]
                unsafe Library.require(
                    EVP_PKEY_get_params(handle, &parameters), "EVP_PKEY_get_params")
            }
        }
        return native.withBytes { NativeNumber.convert($0) }
    }

    /// The public key of an elliptic curve, as an uncompressed point.
    func point(on curve: EllipticCurve) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1 + 2 * curve.fieldBytes)
        unsafe bytes.withUnsafeMutableBytes { bytes in
            // SAFETY: the call writes at most `bytes.count` bytes, which it is told.
            var parameters = unsafe [
                Parameter.octets("pub", UnsafeRawBufferPointer(bytes)), OSSL_PARAM_construct_end(),
            ]
            unsafe Library.require(
                EVP_PKEY_get_params(handle, &parameters), "EVP_PKEY_get_params")
            precondition(
                unsafe parameters[0].return_size == bytes.count, "BUG: a point of another length")
        }
        return bytes
    }

    /// The public key of Ed25519, 32 bytes.
    var ed25519PublicKey: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Ed25519.publicKeyBytes)
        var count = bytes.count
        // SAFETY: the call writes at most `count` bytes, the size of the array.
        unsafe Library.require(
            EVP_PKEY_get_raw_public_key(handle, &bytes, &count), "EVP_PKEY_get_raw_public_key")
        precondition(count == bytes.count, "BUG: an Ed25519 public key of \(count) bytes")
        return bytes
    }

    /// The private key of Ed25519, 32 bytes.
    var seed: SecretBytes {
        SecretBytes(count: Ed25519PrivateKey.seedBytes) { bytes in
            unsafe bytes.withUnsafeMutableBytes { bytes in
                var count = bytes.count
                // SAFETY: the call writes at most `count` bytes, the size of the secret.
                unsafe Library.require(
                    EVP_PKEY_get_raw_private_key(handle, bytes.octets, &count),
                    "EVP_PKEY_get_raw_private_key")
                precondition(count == bytes.count, "BUG: an Ed25519 seed of \(count) bytes")
            }
        }
    }

    /// Whether all the numbers fit each other; for RSA primes are tested, which takes 50 ms and
    /// more.
    var isConsistent: Bool {
        let context = EVPKeyContext(self)
        // SAFETY: the context is live.
        let isConsistent = unsafe EVP_PKEY_check(context.handle) == 1
        if !isConsistent { ERR_clear_error() }
        return isConsistent
    }
}

/// Owns an EVP_PKEY_CTX: one operation with a key.
@safe
struct EVPKeyContext: ~Copyable {
    let handle: OpaquePointer

    init(_ key: EVPKey) {
        // SAFETY: the key is live, and libcrypto counts the reference it keeps.
        unsafe handle = Library.required(
            EVP_PKEY_CTX_new_from_pkey(nil, key.handle, nil), "EVP_PKEY_CTX_new_from_pkey")
    }

    /// A context to make a key of this type in.
    init(_ type: StaticString) {
        // SAFETY: the name is NUL-terminated and immortal.
        unsafe handle = Library.required(
            EVP_PKEY_CTX_new_from_name(nil, Parameter.cString(type), nil),
            "EVP_PKEY_CTX_new_from_name")
    }

    deinit {
        // SAFETY: made in `init`, freed only here.
        unsafe EVP_PKEY_CTX_free(handle)
    }
}
