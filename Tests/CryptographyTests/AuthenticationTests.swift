import TestSupport
import Testing

@testable import Cryptography

@Suite struct AuthenticationTests {
    @Test(arguments: try Vector.load("sha-256"))
    func `SHA-256 matches the published vectors`(_ vector: Vector) throws {
        #expect(SHA256.hash(try vector.bytes("message")) == (try vector.bytes("digest")))
    }

    @Test(arguments: try Vector.load("hmac-sha256"))
    func `HMAC-SHA256 matches the published vectors`(_ vector: Vector) throws {
        let (message, key) = (try vector.bytes("message"), try vector.secret("key"))
        let code = try vector.bytes("code")
        #expect(HMACSHA256.authenticationCode(for: message, key: key) == code)
        #expect(HMACSHA256.isValid(code, for: message, key: key))
        #expect(!HMACSHA256.isValid(code.flippingBit(255), for: message, key: key))
        #expect(!HMACSHA256.isValid(code, for: message + [0], key: key))
        #expect(!HMACSHA256.isValid(Array(code.dropLast()), for: message, key: key))
        #expect(!HMACSHA256.isValid([], for: message, key: key))
    }

    @Test(arguments: try Vector.load("sha"))
    func `every hash function matches the published vectors`(_ vector: Vector) throws {
        let hash = try vector.hash
        #expect(hash.hash(try vector.bytes("message")) == (try vector.bytes("digest")))
    }

    @Test(arguments: try Vector.load("hmac"))
    func `HMAC with every hash function matches the published vectors`(_ vector: Vector) throws {
        let (message, key) = (try vector.bytes("message"), try vector.secret("key"))
        let (code, hash) = (try vector.bytes("code"), try vector.hash)
        #expect(HMAC.authenticationCode(for: message, key: key, hash) == code)
        #expect(HMAC.isValid(code, for: message, key: key, hash))
        #expect(!HMAC.isValid(code.flippingBit(0), for: message, key: key, hash))
        let kept = HMACKey(key, hash)
        for _ in 0..<3 {
            #expect(kept.authenticationCode(for: message) == code)
            #expect(kept.authenticationCode(for: message + [0]) != code)
            #expect(kept.isValid(code, for: message))
            #expect(!kept.isValid(code.flippingBit(1), for: message))
            #expect(!kept.isValid(Array(code.dropLast()), for: message))
            #expect(!kept.isValid(code + [0], for: message))
            #expect(!kept.isValid([], for: message))
        }
    }

    /// As OpenSSL before 3.0.3 does.
    @Test func `a library that does not begin a second message is found out`() {
        let hmac = Parameter.Word("digest", "SHA256")
        let cmac = Parameter.Word("cipher", "AES-256-CBC")
        // SAFETY: the algorithms live until the process ends.
        let good = unsafe [
            Library.startsAnew(Library.hmac, hmac), Library.startsAnew(Library.cmac, cmac),
        ]
        let bad = unsafe [
            Library.startsAnew(Library.hmac, hmac, restart: { _ in 1 }),
            Library.startsAnew(Library.cmac, cmac, restart: { _ in 1 }),
            Library.startsAnew(Library.hmac, hmac, restart: { _ in 0 }),
        ]
        #expect(good == [true, true])
        #expect(bad == [false, false, false])
    }

    @Test func `many threads use one HMAC key at once`() async {
        let key = HMACKey(.random(count: 32), .sha384)
        let messages = (0..<100).map { Random.bytes($0) }
        let codes = messages.map { key.authenticationCode(for: $0) }
        let mismatches = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    zip(messages, codes).count { !key.isValid($1, for: $0) }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(mismatches == 0)
    }

    /// RFC 2104 pads a short key with zeros, so these two keys are the same one.
    @Test func `an empty HMAC key is a key of zeros`() {
        let empty = SecretBytes(copying: [UInt8]())
        let zeros = SecretBytes(copying: [UInt8](repeating: 0, count: 64))
        #expect(
            HMACSHA256.authenticationCode(for: [1], key: empty)
                == HMACSHA256.authenticationCode(for: [1], key: zeros))
    }

    @Test(arguments: try Vector.load("ed25519"))
    func `Ed25519 matches the published vectors`(_ vector: Vector) throws {
        let key = try Ed25519PrivateKey(seed: try vector.secret("seed"))
        let (message, signature) = (try vector.bytes("message"), try vector.bytes("signature"))
        let publicKey = try vector.bytes("public")
        #expect(key.publicKey == publicKey)
        #expect(try key.sign(message) == signature)
        #expect(Ed25519.isValid(signature, for: message, publicKey: publicKey))
        #expect(!Ed25519.isValid(signature, for: message + [0], publicKey: publicKey))
        #expect(
            !Ed25519.isValid(signature.flippingBit(0), for: message, publicKey: publicKey))
        #expect(
            !Ed25519.isValid(signature.flippingBit(300), for: message, publicKey: publicKey))
        #expect(
            !Ed25519.isValid(signature, for: message, publicKey: publicKey.flippingBit(3)))
        #expect(
            !Ed25519.isValid(Array(signature.dropLast()), for: message, publicKey: publicKey))
        #expect(!Ed25519.isValid(signature, for: message, publicKey: []))
    }

    @Test func `a new Ed25519 key signs, and its seed restores it`() throws {
        let key = Ed25519PrivateKey()
        let restored = try Ed25519PrivateKey(seed: key.seed)
        let signature = try key.sign([1, 2, 3])
        #expect(restored.publicKey == key.publicKey)
        #expect(Ed25519.isValid(signature, for: [1, 2, 3], publicKey: restored.publicKey))
        #expect(Ed25519PrivateKey().publicKey != key.publicKey)
    }

    @Test(arguments: [0, 31, 33, 64])
    func `an Ed25519 seed of another length is refused`(_ count: Int) {
        #expect(throws: CryptographyError.invalidLength("Ed25519 seed")) {
            try Ed25519PrivateKey(seed: .random(count: count))
        }
    }
}
