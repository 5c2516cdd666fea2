internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func generateDataKey(_ request: inout Request) throws(KMSError) -> Structure {
        try refuseRecipient(request)
        let made = try makeDataKey(&request)
        return Structure([
            .ciphertextBlob: .bytes(made.blob), .plaintext: .secret(made.plaintext),
            .keyID: .text(made.entry.arnText),
            .keyMaterialID: made.entry.current.map { .text($0.materialID.description) },
        ])
    }

    func generateDataKeyWithoutPlaintext(
        _ request: inout Request
    ) throws(KMSError) -> Structure {
        let made = try makeDataKey(&request)
        return Structure([
            .ciphertextBlob: .bytes(made.blob), .keyID: .text(made.entry.arnText),
            .keyMaterialID: made.entry.current.map { .text($0.materialID.description) },
        ])
    }

    func generateDataKeyPair(_ request: inout Request) throws(KMSError) -> Structure {
        try refuseRecipient(request)
        let pair = try makeDataKeyPair(&request)
        var answer = pair.answer
        answer[.privateKeyPlaintext] = .secret(pair.privateKey)
        return answer
    }

    func generateDataKeyPairWithoutPlaintext(
        _ request: inout Request
    ) throws(KMSError) -> Structure {
        try makeDataKeyPair(&request).answer
    }

    // MARK: Shared steps

    private struct DataKey {
        let plaintext: SecretBytes
        let blob: [UInt8]
        let entry: KeyEntry
    }

    private func makeDataKey(_ request: inout Request) throws(KMSError) -> DataKey {
        let count = try dataKeyBytes(request)
        let entry = try symmetricKey(toMake: "data key", for: &request)
        try request.endDryRun()
        let plaintext = SecretBytes.random(count: count)
        let blob = try seal(
            plaintext, under: entry, .symmetricDefault, request.input.context(.encryptionContext),
            for: &request)
        return DataKey(plaintext: plaintext, blob: blob, entry: entry)
    }

    private func dataKeyBytes(_ request: Request) throws(KMSError) -> Int {
        let spec = request.input.choice(.keySpec, DataKeySpec.self)
        switch (spec, request.input.number(.numberOfBytes)) {
        case (.aes256, nil): return 32
        case (.aes128, nil): return 16
        case (nil, let count?): return count
        case (nil, nil), (_?, _?):
            throw .validation(
                "Please specify either number of bytes or key spec.")
        }
    }

    /// - Parameter product: what the key is to wrap, in AWS's words.
    private func symmetricKey(
        toMake product: String, for request: inout Request
    ) throws(KMSError) -> KeyEntry {
        let entry = try encryptionKey(try request.text(.keyID), for: &request)
        guard entry.record.spec == .symmetricDefault else {
            // Recorded from AWS.
            throw .invalidKeyUsage("You cannot generate a \(product) with an asymmetric CMK")
        }
        return entry
    }

    private func makeDataKeyPair(
        _ request: inout Request
    ) throws(KMSError) -> (answer: Structure, privateKey: SecretBytes) {
        let spec = try request.choice(.keyPairSpec, DataKeyPairSpec.self)
        guard let keySpec = KeySpec(rawValue: spec.rawValue), KeyMaterial.canMake(keySpec) else {
            throw .unsupportedOperation("Key pairs of \(spec.rawValue) are not supported.")
        }
        let entry = try symmetricKey(toMake: "data key pair", for: &request)
        guard entry.record.origin != .awsCloudhsm else {
            throw .unsupportedOperation(
                "\(entry.arnText) origin is AWS_CLOUDHSM which is not valid for this operation.")
        }
        try request.endDryRun()
        let pair = try gates.make(keySpec) { () throws(KMSError) in
            try KeyMaterial.generatePair(keySpec)
        }
        let blob = try seal(
            pair.privateKey, under: entry, .symmetricDefault,
            request.input.context(.encryptionContext), for: &request)
        let answer = Structure([
            .privateKeyCiphertextBlob: .bytes(blob), .publicKey: .bytes(pair.publicKey),
            .keyID: .text(entry.arnText), .keyPairSpec: .choice(spec),
            .keyMaterialID: entry.current.map { .text($0.materialID.description) },
        ])
        return (answer, pair.privateKey)
    }
}
