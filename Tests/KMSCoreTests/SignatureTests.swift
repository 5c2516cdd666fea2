import Cryptography
import Foundation
import KMSModel
import Testing

import struct TestSupport.Command

/// Signatures: RAW and DIGEST of one message are one signature, and OpenSSL's command and Python's
/// `cryptography` agree with ours in both directions.
@Suite struct SignatureTests {
    private struct Kind {
        let spec: KeySpec
        let algorithm: KMSModel.SigningAlgorithm
    }

    static let specs = KeySpecTests.kinds(.signVerify)

    /// What libcrypto has before 3.2 is all but Ed25519ph.
    private static func kinds(of spec: KeySpec) -> [Kind] {
        spec.signingAlgorithms.filter { $0 != .ed25519PhSha512 }.map {
            Kind(spec: spec, algorithm: $0)
        }
    }
    static let message = Array("a message that is signed".utf8)

    private static func digest(_ algorithm: KMSModel.SigningAlgorithm) -> [UInt8]? {
        switch algorithm.digestBytes {
        case 32: HashFunction.sha256.hash(message)
        case 48: HashFunction.sha384.hash(message)
        case 64: HashFunction.sha512.hash(message)
        default: nil
        }
    }

    private func input(
        _ key: String, _ kind: Kind, _ message: [UInt8], _ type: MessageType
    ) -> Structure {
        Structure([
            .keyID: .text(key), .message: .secret(secret(message)),
            .signingAlgorithm: .choice(kind.algorithm), .messageType: .choice(type),
        ])
    }

    private func verify(
        _ kms: TestKeystore, _ request: Structure, _ signature: [UInt8]
    ) throws -> KMSError? {
        var request = request
        request[.signature] = .bytes(signature)
        return try kms.refusal(.verify, request)
    }

    @Test(arguments: specs)
    func `a signature verifies for its message, key and algorithm alone`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, .signVerify)
        let other = try kms.key(spec, .signVerify)
        for kind in Self.kinds(of: spec) { try check(kms, kind, key, other) }
    }

    private func check(
        _ kms: TestKeystore, _ kind: Kind, _ key: String, _ other: String
    ) throws {
        let message = Self.message
        let request = input(key, kind, message, .raw)
        let answer = try kms.ask(.sign, request)
        #expect(answer.text(.keyID) == key)
        #expect(answer.text(.signingAlgorithm) == kind.algorithm.rawValue)
        let signature = try #require(answer.bytes(.signature))
        #expect(try verify(kms, request, signature) == nil)

        let invalid = KMSError(.invalidSignature)
        var changed = message
        changed[0] ^= 1
        #expect(try verify(kms, input(key, kind, changed, .raw), signature) == invalid)
        #expect(try verify(kms, input(other, kind, message, .raw), signature) == invalid)
        for index in [0, signature.count / 2, signature.count - 1] {
            var changed = signature
            changed[index] ^= 1
            #expect(try verify(kms, request, changed) == invalid)
        }
        #expect(try verify(kms, request, Array(signature.dropLast())) == invalid)
        #expect(try verify(kms, request, signature + [0]) == invalid)
        #expect(try verify(kms, request, [0]) == invalid)
        for wrong in Self.kinds(of: kind.spec) where wrong.algorithm != kind.algorithm {
            #expect(try verify(kms, input(key, wrong, message, .raw), signature) == invalid)
        }
    }

    /// A DIGEST is not hashed again, as emulators do.
    ///
    /// SM2DSA hashes the signer's name and key before the message: its digest is another one.
    @Test(arguments: specs.filter { $0 != .sm2 && $0 != .eccNistEdwards25519 })
    func `RAW and DIGEST of one message verify each other`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, .signVerify)
        for kind in Self.kinds(of: spec) {
            let raw = input(key, kind, Self.message, .raw)
            let digest = input(key, kind, try #require(Self.digest(kind.algorithm)), .digest)
            for (one, other) in [(raw, digest), (digest, raw)] {
                let signature = try #require(try kms.ask(.sign, one).bytes(.signature))
                #expect(try verify(kms, other, signature) == nil)
            }
        }
    }

    @Test func `Ed25519ph signs a digest, and nothing else`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.eccNistEdwards25519, .signVerify)
        let kind = Kind(spec: .eccNistEdwards25519, algorithm: .ed25519PhSha512)
        #expect(
            try kms.refusal(.sign, input(key, kind, Self.message, .raw))
                == .validation(
                    "Message type RAW is incompatible with algorithm ED25519_PH_SHA_512."))
        let digest = input(key, kind, [UInt8](repeating: 1, count: 64), .digest)
        let signature = try #require(try kms.ask(.sign, digest).bytes(.signature))
        #expect(try verify(kms, digest, signature) == nil)
        let other = input(key, kind, [UInt8](repeating: 2, count: 64), .digest)
        #expect(try verify(kms, other, signature) == KMSError(.invalidSignature))
    }

    @Test(arguments: specs.filter { $0 != .rsa3072 && $0 != .rsa4096 })
    func `a digest of another length is refused, and so is a message type that does not fit`(
        _ spec: KeySpec
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, .signVerify)
        for kind in Self.kinds(of: spec) { try checkDigests(kms, kind, key) }
    }

    private func checkDigests(_ kms: TestKeystore, _ kind: Kind, _ key: String) throws {
        let name = kind.algorithm.rawValue
        if let count = kind.algorithm.digestBytes {
            for wrong in [1, count - 1, count + 1, 4096] {
                #expect(
                    try kms.refusal(
                        .sign, input(key, kind, [UInt8](repeating: 1, count: wrong), .digest))
                        == .validation("Digest is invalid length for algorithm \(name)."))
            }
        } else {
            #expect(
                try kms.refusal(.sign, input(key, kind, Self.message, .digest))
                    == .validation("Message type DIGEST is incompatible with algorithm \(name)."))
        }
        #expect(
            try kms.refusal(
                .sign, input(key, kind, [UInt8](repeating: 1, count: 64), .externalMu))
                == .validation(
                    "Message type EXTERNAL_MU is incompatible with key spec "
                        + "\(kind.spec.rawValue)."))
        #expect(
            try kms.refusal(.sign, input(key, kind, [UInt8](repeating: 1, count: 4097), .raw))
                == Complaint.expected([
                    Complaint.hidden("message", "have length less than or equal to 4096")
                ]))
    }

    // MARK: Others' opinions

    /// Arguments of `openssl dgst`, which all of these algorithms but Ed25519 and SM2 have.
    private static func arguments(_ algorithm: KMSModel.SigningAlgorithm) -> [String]? {
        let pss = [
            "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest",
        ]
        return switch algorithm {
        case .rsassaPkcs1V15Sha256, .ecdsaSha256: ["-sha256"]
        case .rsassaPkcs1V15Sha384, .ecdsaSha384: ["-sha384"]
        case .rsassaPkcs1V15Sha512, .ecdsaSha512: ["-sha512"]
        case .rsassaPssSha256: ["-sha256"] + pss
        case .rsassaPssSha384: ["-sha384"] + pss
        case .rsassaPssSha512: ["-sha512"] + pss
        default: nil
        }
    }

    @Test(arguments: specs.filter { $0 != .sm2 })
    func `OpenSSL's command verifies our signatures`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        let key = try kms.key(spec, .signVerify)
        let spki = try #require(
            try kms.ask(.getPublicKey, Structure([.keyID: .text(key)])).bytes(.publicKey))
        let place = try TemporaryDirectory()
        try Data(spki).write(to: URL(fileURLWithPath: place.path("key")))
        try Data(Self.message).write(to: URL(fileURLWithPath: place.path("message")))
        try Command(
            "openssl", "pkey", "-pubin", "-inform", "DER", "-in", place.path("key"), "-out",
            place.path("pem")
        ).run()
        for kind in Self.kinds(of: spec) {
            let signature = try #require(
                try kms.ask(.sign, input(key, kind, Self.message, .raw)).bytes(.signature))
            try Data(signature).write(to: URL(fileURLWithPath: place.path("signature")))
            try verifyWithOpenSSL(kind.algorithm, place)
        }
    }

    private func verifyWithOpenSSL(
        _ algorithm: KMSModel.SigningAlgorithm, _ place: TemporaryDirectory
    ) throws {
        guard let arguments = Self.arguments(algorithm) else {
            try Command(
                "openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", place.path("pem"),
                "-sigfile", place.path("signature"), "-in", place.path("message")
            ).run()
            return
        }
        try Command(
            ["openssl", "dgst"] + arguments + [
                "-verify", place.path("pem"), "-signature", place.path("signature"),
                place.path("message"),
            ]
        ).run()
    }

    /// Signs with the private key in `key` (PKCS#8), or verifies; reads and writes hex.
    private static let python = #"""
        import sys
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
        task, name, key, message, signature = sys.stdin.read().split("\n")[:5]
        key, message, signature = [bytes.fromhex(x) for x in (key, message, signature)]
        hash = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[name[-3:]]()
        if "PSS" in name:
            rest = (padding.PSS(padding.MGF1(hash), padding.PSS.DIGEST_LENGTH), hash)
        elif "PKCS1" in name: rest = (padding.PKCS1v15(), hash)
        elif "ECDSA" in name: rest = (ec.ECDSA(hash),)
        else: rest = ()
        if task == "sign":
            private = serialization.load_der_private_key(key, None)
            print(private.sign(message, *rest).hex())
        else:
            public = serialization.load_der_public_key(key)
            public.verify(signature, message, *rest)
        """#

    private func python(
        _ task: String, _ kind: Kind, _ key: [UInt8], _ signature: [UInt8] = []
    ) throws -> [UInt8] {
        let lines = [
            task, kind.algorithm.rawValue, hexText(key), hexText(Self.message), hexText(signature),
        ]
        let answer = try Python.run(
            Self.python, input: Array((lines.joined(separator: "\n") + "\n").utf8))
        return unhex(String(decoding: answer, as: UTF8.self))
    }

    @Test(
        .enabled(if: Python.has("cryptography"), "needs python3-cryptography"),
        arguments: specs.filter { $0 != .sm2 })
    func `Python's cryptography and we verify each other's signatures`(_ spec: KeySpec) throws {
        let kms = try TestKeystore()
        // A key that both have.
        let pair = try AsymmetricPrivateKey.generate(asymmetric(spec))
        let key = try kms.key(spec, .signVerify, .external)
        try kms.importMaterial(bytes(pair.pkcs8), into: key, .rsaAesKeyWrapSha256)
        for kind in Self.kinds(of: spec) {
            let request = input(key, kind, Self.message, .raw)
            let own = try #require(try kms.ask(.sign, request).bytes(.signature))
            _ = try python("verify", kind, pair.publicKey.spki, own)
            let theirs = try python("sign", kind, bytes(pair.pkcs8))
            #expect(try verify(kms, request, theirs) == nil)
        }
    }
}

func asymmetric(_ spec: KeySpec) throws -> AsymmetricKeySpec {
    switch spec {
    case .rsa2048: .rsa2048
    case .rsa3072: .rsa3072
    case .rsa4096: .rsa4096
    case .eccNistP256: .nistP256
    case .eccNistP384: .nistP384
    case .eccNistP521: .nistP521
    case .eccSecgP256k1: .secp256k1
    case .eccNistEdwards25519: .ed25519
    case .sm2: .sm2
    default: try #require(nil as AsymmetricKeySpec?)
    }
}

/// The bytes of hex digits; other characters are left out.
func unhex(_ text: String) -> [UInt8] {
    let digits = text.compactMap { $0.isWhitespace ? nil : $0.hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
}
