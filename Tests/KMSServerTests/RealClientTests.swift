import Foundation
import TestSupport
import Testing

/// Clients that were written for AWS KMS, before `keyfold serve`. Tools/test installs them
/// (Tests/Oracles/requirements.txt); each script tells what it did.
@Suite struct RealClientTests {
    @Test(.enabled(if: Oracle.has("boto3", "cryptography"), "python3 has no boto3"))
    func `boto3 gets an answer of every operation, and takes it`() throws {
        #expect(try Oracle.run("operations") == ["every operation answered"])
    }

    @Test(.enabled(if: Oracle.has("awscli"), "there is no aws command"))
    func `the aws command gets an answer to each of its subcommands`() throws {
        let keystore = try ServedKeystore()
        let token = try keystore.addToken()
        #expect(
            try Oracle.run("commandline", before: keystore, token) == ["every subcommand answered"])
    }

    @Test(.enabled(if: Oracle.has("aws_encryption_sdk"), "python3 has no aws_encryption_sdk"))
    func `the AWS Encryption SDK seals and opens files`() throws {
        #expect(
            try Oracle.run("encryptionsdk") == [
                "two keys", "RSA", "ECDH P256", "ECDH P384", "ECDH P521", "multi-Region",
                "cached data keys",
            ])
    }

    @Test(
        .enabled(
            if: Oracle.has("aws_encryption_sdk") && Oracle.olderPython != nil,
            "needs both versions of aws_encryption_sdk"))
    func `versions 3 and 4 of the AWS Encryption SDK open what the other wrote`() throws {
        let keystore = try ServedKeystore()
        let server = try keystore.administered()
        let place = keystore.directory.path + "/messages"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
        let pythons = ["python3", try #require(Oracle.olderPython)]
        for python in pythons {
            _ = try Oracle.lines("masterkeys", server + ["write", place], python: python)
        }
        let names = "committed-3 committed-4 plain-3 plain-4 signed-3 signed-4 stream-3 stream-4"
        for (python, version) in zip(pythons, ["4", "3"]) {
            #expect(
                try Oracle.lines("masterkeys", server + ["read", place], python: python)
                    == ["\(version) opened \(names)"])
        }
        #expect(try keystore.stop() == 0)
    }

    @Test(.enabled(if: Oracle.has("tink"), "python3 has no tink"))
    func `Tink seals data and keysets under a key`() throws {
        #expect(
            try Oracle.run("envelopes") == [
                "key", "envelope AES-256-GCM", "envelope AES-256-CTR-HMAC",
                "envelope XChaCha20-Poly1305", "keyset", "registry",
            ])
    }

    @Test(.enabled(if: Oracle.has("boto3", "cryptography"), "python3 has no cryptography"))
    func `OpenSSL and cryptography verify the signatures of every algorithm`() throws {
        let lines = try Oracle.run("signatures")
        let rsa = [2048, 3072, 4096].flatMap { bits in
            ["PKCS1_V1_5", "PSS"].flatMap { scheme in
                [256, 384, 512].map { "RSA_\(bits) RSASSA_\(scheme)_SHA_\($0)" }
            }
        }
        let curves = [
            "ECC_NIST_P256 ECDSA_SHA_256", "ECC_NIST_P384 ECDSA_SHA_384",
            "ECC_NIST_P521 ECDSA_SHA_512", "ECC_SECG_P256K1 ECDSA_SHA_256",
        ]
        let both = (rsa + curves).flatMap {
            ["\($0) RAW openssl cryptography", "\($0) DIGEST openssl cryptography"]
        }
        // What no release of one or the other, or of both, can verify yet.
        let rest = [
            "ECC_NIST_EDWARDS25519 ED25519_SHA_512 RAW openssl cryptography",
            "ECC_NIST_EDWARDS25519 ED25519_PH_SHA_512 DIGEST unverified",
            "SM2 SM2DSA RAW openssl", "SM2 SM2DSA DIGEST openssl",
            "ML_DSA_65 ML_DSA_SHAKE_256 RAW cryptography",
            "ML_DSA_87 ML_DSA_SHAKE_256 RAW cryptography",
        ]
        #expect(Set(lines) == Set(both + rest))
        #expect(lines.count == both.count + rest.count)
    }

    @Test(.enabled(if: Oracle.has("boto3", "cryptography"), "python3 has no cryptography"))
    func `keys that openssl made and wrapped are imported, and used on both sides`() throws {
        let kinds = try Oracle.run("material").map { $0.split(separator: " ").map(String.init) }
        #expect(
            Set(kinds.map { $0[0] }) == [
                "SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "RSA_2048",
                "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521",
                "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519", "SM2",
            ])
        #expect(
            Set(kinds.map { $0[2] }) == [
                "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1",
                "RSA_AES_KEY_WRAP_SHA_256", "SM2PKE",
            ])
        #expect(kinds.count == 23)
    }
}
