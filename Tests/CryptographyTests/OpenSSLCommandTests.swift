import TestSupport
import Testing

@testable import Cryptography

/// openssl(1) takes what is made here, and what it makes is taken here.
@Suite struct OpenSSLCommandTests {
    @Test(arguments: AsymmetricKeySpec.allCases)
    func `openssl reads our keys and finds nothing amiss`(_ spec: AsymmetricKeySpec) throws {
        let key = try TestKey.of(spec)
        try withKeyFiles(key) { directory in
            let derived = try openssl("pkey -in key -pubout -outform DER", directory)
            #expect(derived.outputBytes == key.publicKey.spki)
            let check = try openssl("pkey -in key -check -noout", directory)
            #expect((check.output + check.error).contains("Key is valid"))
            let again = try openssl("pkey -pubin -in public -pubout -outform DER", directory)
            #expect(again.outputBytes == key.publicKey.spki)
            let private1 = try openssl("pkcs8 -topk8 -nocrypt -in key -outform DER", directory)
            #expect(private1.outputBytes == key.pkcs8.exposed)
        }
    }

    @Test(arguments: [
        (AsymmetricKeySpec.rsa2048, "RSA -pkeyopt rsa_keygen_bits:2048"),
        (.nistP256, "EC -pkeyopt ec_paramgen_curve:P-256"),
        (.nistP384, "EC -pkeyopt ec_paramgen_curve:P-384"),
        (.nistP521, "EC -pkeyopt ec_paramgen_curve:P-521"),
        (.secp256k1, "EC -pkeyopt ec_paramgen_curve:secp256k1"),
        (.ed25519, "ED25519"), (.sm2, "SM2"),
    ])
    func `a key that openssl made is imported unchanged`(
        spec: AsymmetricKeySpec, options: String
    ) throws {
        try withTemporaryDirectory { directory in
            _ = try openssl("genpkey -out pem -algorithm \(options)", directory)
            let bytes = try openssl("pkcs8 -topk8 -nocrypt -in pem -outform DER", directory)
                .outputBytes
            let key = try AsymmetricPrivateKey(importing: SecretBytes(copying: bytes), as: spec)
            #expect(key.pkcs8.exposed == bytes)
            let public1 = try openssl("pkey -in pem -pubout -outform DER", directory)
            #expect(key.publicKey.spki == public1.outputBytes)
        }
    }

    @Test func `keys of other kinds and with explicit curves are refused`() throws {
        try withTemporaryDirectory { directory in
            for options in [
                "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
                "EC -pkeyopt ec_paramgen_curve:P-224",
                "EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
                "RSA -pkeyopt rsa_keygen_bits:1024", "RSA-PSS -pkeyopt rsa_keygen_bits:2048",
                "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3", "X25519", "ED448",
            ] {
                _ = try openssl("genpkey -out pem -algorithm \(options)", directory)
                let bytes = try openssl("pkcs8 -topk8 -nocrypt -in pem -outform DER", directory)
                let spki = try openssl("pkey -in pem -pubout -outform DER", directory)
                #expect {
                    try AsymmetricPrivateKey(pkcs8: SecretBytes(copying: bytes.outputBytes))
                } throws: {
                    isInvalidKey($0)
                }
                // A public key does not tell how many primes there are.
                guard !options.contains("primes") else { continue }
                #expect {
                    try AsymmetricPublicKey(spki: spki.outputBytes)
                } throws: {
                    isInvalidKey($0)
                }
            }
        }
    }

    /// Without Ed25519ph, which openssl has from 3.2 on.
    @Test(arguments: SigningAlgorithm.allCases.filter { $0 != .ed25519ph })
    func `openssl verifies our signatures, and we verify its`(
        _ algorithm: SigningAlgorithm
    ) throws {
        let message = Array("a message".utf8)
        for spec in AsymmetricKeySpec.allCases where algorithm.fits(spec) {
            let key = try TestKey.of(spec)
            try withKeyFiles(key) { directory in
                let path = directory + "/message"
                try Disk.write(path, message)
                _ = try openssl(algorithm.signCommand, directory)
                let theirs = try Disk.read(directory + "/signature")
                #expect(try key.publicKey.isValid(theirs, message: message, algorithm))

                let ours = try key.sign(message: message, algorithm)
                try Disk.write(directory + "/signature", ours)
                _ = try openssl(algorithm.verifyCommand, directory)
                try Disk.write(path, message + [0])
                let result = try command(algorithm.verifyCommand, directory).result()
                #expect(!result.succeeded)
            }
        }
    }

    @Test(arguments: AsymmetricEncryptionAlgorithm.allCases)
    func `openssl decrypts what we encrypt, and we what it does`(
        _ algorithm: AsymmetricEncryptionAlgorithm
    ) throws {
        let options =
            switch algorithm {
            case .rsaesOAEPSHA1: " -pkeyopt rsa_padding_mode:oaep"
            case .rsaesOAEPSHA256:
                " -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256"
                    + " -pkeyopt rsa_mgf1_md:sha256"
            case .sm2pke: ""
            }
        let plaintext = Random.bytes(100)
        for spec in AsymmetricKeySpec.allCases where algorithm.fits(spec) {
            let key = try TestKey.of(spec)
            try withKeyFiles(key) { directory in
                try Disk.write(directory + "/plaintext", plaintext)
                let theirs = try openssl(
                    "pkeyutl -encrypt -pubin -inkey public -in plaintext" + options, directory)
                #expect(try key.decrypt(theirs.outputBytes, algorithm).exposed == plaintext)

                let ours = try key.publicKey.encrypt(SecretBytes(copying: plaintext), algorithm)
                try Disk.write(directory + "/ciphertext", ours)
                let opened = try openssl(
                    "pkeyutl -decrypt -inkey key -in ciphertext" + options, directory)
                #expect(opened.outputBytes == plaintext)
            }
        }
    }

    @Test(arguments: [AsymmetricKeySpec.nistP256, .nistP384, .nistP521])
    func `openssl derives the same shared secret`(_ spec: AsymmetricKeySpec) throws {
        let (key, other) = (try TestKey.of(spec), try TestKey.other(spec))
        try withKeyFiles(key) { directory in
            try Disk.write(directory + "/peer", other.publicKey.spki)
            let secret = try openssl("pkeyutl -derive -inkey key -peerkey peer", directory)
            #expect(try key.sharedSecret(with: other.publicKey).exposed == secret.outputBytes)
        }
    }

    /// libcrypto's KBKDF, which ``CounterKDF`` does without.
    @Test(arguments: [16, 32, 80])
    func `openssl's KBKDF derives the same key`(_ count: Int) throws {
        let secret = SecretBytes(copying: [UInt8](repeating: 0x61, count: 32))
        let derived = CounterKDF.derive(
            from: secret, label: Array("label".utf8), context: Array("context".utf8), count: count)
        let theirs = try openssl(
            "kdf -binary -keylen \(count) -kdfopt digest:SHA256 -kdfopt mac:HMAC"
                + " -kdfopt mode:COUNTER -kdfopt key:\(String(repeating: "a", count: 32))"
                + " -kdfopt salt:label -kdfopt info:context KBKDF", "/")
        #expect(derived.exposed == theirs.outputBytes)
    }

    /// A directory with the files `key` and `public`, in DER.
    private func withKeyFiles(
        _ key: AsymmetricPrivateKey, _ body: (String) throws -> Void
    ) throws {
        try withTemporaryDirectory { directory in
            try Disk.write(directory + "/key", key.pkcs8.exposed)
            try Disk.write(directory + "/public", key.publicKey.spki)
            try body(directory)
        }
    }

    private func openssl(_ words: String, _ directory: String) throws -> CommandResult {
        try command(words, directory).run()
    }

    private func command(_ words: String, _ directory: String) -> Command {
        Command(["openssl"] + words.split(separator: " ").map(String.init)).in(directory)
    }
}

extension SigningAlgorithm {
    fileprivate var signCommand: String {
        switch self {
        case .ed25519: "pkeyutl -sign -rawin -inkey key -in message -out signature"
        default: "dgst \(options) -sign key -out signature message"
        }
    }

    fileprivate var verifyCommand: String {
        switch self {
        case .ed25519:
            "pkeyutl -verify -rawin -pubin -inkey public -in message -sigfile signature"
        default: "dgst \(options) -verify public -signature signature message"
        }
    }

    private var options: String {
        let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"
        return switch self {
        case .rsassaPSSSHA256: "-sha256 \(pss) -sigopt rsa_mgf1_md:sha256"
        case .rsassaPSSSHA384: "-sha384 \(pss) -sigopt rsa_mgf1_md:sha384"
        case .rsassaPSSSHA512: "-sha512 \(pss) -sigopt rsa_mgf1_md:sha512"
        case .rsassaPKCS1SHA256, .ecdsaSHA256: "-sha256"
        case .rsassaPKCS1SHA384, .ecdsaSHA384: "-sha384"
        case .rsassaPKCS1SHA512, .ecdsaSHA512: "-sha512"
        case .sm2dsa: "-sm3 -sigopt distid:1234567812345678"
        case .ed25519, .ed25519ph: ""
        }
    }
}
