import TestSupport

@testable import Cryptography

extension Vector {
    func secret(_ name: String) throws -> SecretBytes {
        SecretBytes(copying: try bytes(name))
    }

    func publicKey(_ name: String) throws -> AsymmetricPublicKey {
        try AsymmetricPublicKey(spki: bytes(name))
    }

    func privateKey(_ name: String) throws -> AsymmetricPrivateKey {
        try AsymmetricPrivateKey(pkcs8: secret(name))
    }

    /// The hash function that the line `hash:` names.
    var hash: HashFunction {
        get throws {
            switch text("hash") {
            case "SHA-1": .sha1
            case "SHA-224": .sha224
            case "SHA-256": .sha256
            case "SHA-384": .sha384
            case "SHA-512": .sha512
            case "SM3": .sm3
            default: throw VectorError.missing("hash")
            }
        }
    }
}

extension SecretBytes {
    /// A copy of an array that the test keeps.
    convenience init(copying bytes: [UInt8]) {
        var copy = bytes
        self.init(consuming: &copy)
    }

    /// The bytes, in the open.
    var exposed: [UInt8] {
        withBytes { span in
            (0..<span.byteCount).map { span.byte(at: $0) }
        }
    }
}

extension [UInt8] {
    /// The same bytes with one bit changed.
    func flippingBit(_ index: Int) -> [UInt8] {
        var copy = self
        copy[index / 8] ^= 1 << UInt8(index % 8)
        return copy
    }
}

/// Whether a key was refused, for whatever reason.
func isInvalidKey(_ error: any Error) -> Bool {
    if case .invalidKey = error as? CryptographyError { true } else { false }
}
