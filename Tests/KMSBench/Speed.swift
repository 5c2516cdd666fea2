import Cryptography
import KMSCore
import KMSModel

/// Operations a second of one thread, authorization and event included.
struct Speed {
    let seconds: Double
    /// What alone is to be measured.
    let name: String?

    func run() throws {
        let bench = try BenchKeystore()
        let keystore = try bench.open()
        defer { keystore.close() }
        let service = keystore.service
        let owner = BenchKeystore.owner
        let key = try service.createKey(CreateKeyRequest(), as: owner).arn.description
        let user = Caller(
            principalARN: try keystore.createPrincipal(NewAccessKey(name: "bob")).principal.arn,
            process: nil, userAgent: "KMSBench")
        _ = try service.answer(
            .createGrant,
            Structure([
                .keyID: .text(key), .granteePrincipal: .text(user.principalARN),
                .operations: .texts(["Decrypt"]),
            ]), as: owner)
        let context = EncryptionContext([
            "keyfold:vault": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "keyfold:domain": "d1",
            "keyfold:file": "8f14e45fceea167a5a36dedd4bea2543",
        ])
        let blob = try service.generateDataKey(
            under: key, byteCount: 32, context: context, as: owner
        ).wrapped.blob
        let decrypt = Structure([
            .ciphertextBlob: .bytes(blob), .encryptionContext: .context(context),
        ])
        func tell(
            _ name: String, _ operation: KMSOperation, _ input: Structure, as caller: Caller
        ) throws {
            if let only = self.name, !name.hasPrefix(only) { return }
            line(name, try callsPerSecond(seconds, service, operation, input, as: caller), "/s")
        }
        try tell("Decrypt by the owner", .decrypt, decrypt, as: owner)
        try tell("Decrypt by a grant", .decrypt, decrypt, as: user)
        try tell(
            "GenerateDataKey", .generateDataKey,
            Structure([
                .keyID: .text(key), .keySpec: .text("AES_256"),
                .encryptionContext: .context(context),
            ]), as: owner)
        try tell(
            "Encrypt, without a context", .encrypt,
            Structure([.keyID: .text(key), .plaintext: .secret(SecretBytes.random(count: 32))]),
            as: owner)
        try tell("DescribeKey", .describeKey, Structure([.keyID: .text(key)]), as: owner)
        let code = try service.answer(
            .createKey,
            Structure([.keySpec: .text("HMAC_256"), .keyUsage: .text("GENERATE_VERIFY_MAC")]),
            as: owner
        ).structure(.keyMetadata)
        try tell(
            "GenerateMac", .generateMAC,
            Structure([
                .keyID: code?[.keyID], .message: .secret(SecretBytes.random(count: 32)),
                .macAlgorithm: .text("HMAC_SHA_256"),
            ]), as: owner)
    }
}
