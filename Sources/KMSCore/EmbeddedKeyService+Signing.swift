internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func sign(_ request: inout Request) throws(KMSError) -> Structure {
        let asked = try signature(for: &request)
        try request.endDryRun()
        let signature: [UInt8]
        do throws(CryptographyError) {
            signature = try asked.pair.sign(asked.message, asked.algorithm)
        } catch {
            throw EmbeddedKeyService.signingFailure(error, asked)
        }
        return Structure([
            .keyID: .text(asked.entry.arnText), .signature: .bytes(signature),
            .signingAlgorithm: .choice(asked.algorithm),
        ])
    }

    func verify(_ request: inout Request) throws(KMSError) -> Structure {
        let asked = try signature(for: &request)
        let signature = try request.bytes(.signature)
        let isValid: Bool
        do throws(CryptographyError) {
            isValid = try asked.pair.isValid(signature, of: asked.message, asked.algorithm)
        } catch {
            throw EmbeddedKeyService.signingFailure(error, asked)
        }
        guard isValid else { throw KMSError(.invalidSignature) }
        // Recorded from AWS: a dry run tells a wrong signature, too.
        try request.endDryRun()
        return Structure([
            .keyID: .text(asked.entry.arnText), .signatureValid: .flag(true),
            .signingAlgorithm: .choice(asked.algorithm),
        ])
    }

    func getPublicKey(_ request: inout Request) throws(KMSError) -> Structure {
        try grantTokens.check(request)
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .publicKey,
            for: &request)
        guard entry.record.spec.isAsymmetric else { throw KMSError(.unsupportedOperation) }
        let key = try keyPairs.pair(try currentMaterial(of: entry), of: entry).publicKey
        let metadata = entry.metadata(in: try state(for: request)).structure
        var answer = Structure([
            .keyID: .text(entry.arnText), .publicKey: .bytes(key),
            .customerMasterKeySpec: .choice(entry.record.spec),
            .keySpec: .choice(entry.record.spec), .keyUsage: .choice(entry.record.usage),
        ])
        for member: Member in [
            .encryptionAlgorithms, .signingAlgorithms, .keyAgreementAlgorithms,
            .encapsulationAlgorithms,
        ] {
            answer[member] = metadata[member]
        }
        return answer
    }

    /// The version that a key works with; without one it waits for an import.
    func currentMaterial(of entry: KeyEntry) throws(KMSError) -> MaterialRecord {
        guard let current = entry.current, current.material != nil else {
            throw .invalidState("\(entry.arnText) is pending import.")
        }
        return current
    }

    func deriveSharedSecret(_ request: inout Request) throws(KMSError) -> Structure {
        try refuseRecipient(request)
        try grantTokens.check(request)
        let algorithm = try request.choice(.keyAgreementAlgorithm, KeyAgreementAlgorithm.self)
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .cryptographic,
            for: &request)
        try refuseUsage(of: entry, other: .keyAgreement, for: request)
        guard
            case .classic(let pair) = try keyPairs.pair(
                try currentMaterial(of: entry), of: entry)
        else { throw EmbeddedKeyService.incompatible(algorithm.rawValue, entry) }
        let peer = try request.bytes(.publicKey)
        let secret: SecretBytes
        do throws(CryptographyError) {
            secret = try pair.sharedSecret(with: try AsymmetricPublicKey(spki: peer))
        } catch {
            switch error {
            case .invalidKey, .unsupported:
                // Recorded from AWS: no word of why, for another curve's key neither.
                throw KMSError(
                    .validation,
                    loggedMessage: "The public key is not a valid key of the spec "
                        + "\(entry.record.spec.rawValue).")
            default: throw .internalFailure("the agreement failed: \(error)")
            }
        }
        try request.endDryRun()
        return Structure([
            .keyID: .text(entry.arnText), .sharedSecret: .secret(secret),
            .keyAgreementAlgorithm: .choice(algorithm),
            .keyOrigin: .choice(entry.record.origin),
        ])
    }

    // MARK: Shared steps

    private struct SignatureRequest {
        let entry: KeyEntry
        let pair: KeyPair
        let message: KeyPair.Message
        let algorithm: KMSModel.SigningAlgorithm
    }

    private func signature(for request: inout Request) throws(KMSError) -> SignatureRequest {
        try grantTokens.check(request)
        let algorithm = try request.choice(.signingAlgorithm, KMSModel.SigningAlgorithm.self)
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .cryptographic,
            for: &request)
        try refuseUsage(of: entry, other: .signVerify, for: request)
        guard entry.record.spec.signingAlgorithms.contains(algorithm) else {
            throw EmbeddedKeyService.incompatible(algorithm.rawValue, entry)
        }
        return SignatureRequest(
            entry: entry,
            pair: try keyPairs.pair(try currentMaterial(of: entry), of: entry),
            message: try signedMessage(request, algorithm, entry.record.spec),
            algorithm: algorithm)
    }

    /// The refusals are recorded from AWS.
    private func signedMessage(
        _ request: Request, _ algorithm: KMSModel.SigningAlgorithm, _ spec: KeySpec
    ) throws(KMSError) -> KeyPair.Message {
        let bytes = try request.secret(.message).copiedBytes()
        let type = request.input.choice(.messageType) ?? MessageType.raw
        switch (type, algorithm) {
        case (.digest, .mlDsaShake256):
            throw EmbeddedKeyService.incompatible(type, "key spec \(spec.rawValue)")
        case (.raw, .ed25519PhSha512), (.digest, .ed25519Sha512):
            throw EmbeddedKeyService.incompatible(type, "algorithm \(algorithm.rawValue)")
        case (.raw, _):
            return .raw(bytes)
        case (.digest, _):
            guard bytes.count == algorithm.digestBytes else {
                throw .validation("Digest is invalid length for algorithm \(algorithm.rawValue).")
            }
            return .digest(bytes)
        case (.externalMu, .mlDsaShake256):
            guard bytes.count == 64 else {
                throw .validation(
                    "External Mu is invalid length for algorithm \(algorithm.rawValue).")
            }
            // Neither libcrypto nor swift-crypto takes one.
            throw .unsupportedOperation("The message type EXTERNAL_MU is not supported.")
        case (.externalMu, _):
            throw EmbeddedKeyService.incompatible(type, "key spec \(spec.rawValue)")
        }
    }

    private static func incompatible(_ type: MessageType, _ other: String) -> KMSError {
        .validation("Message type \(type.rawValue) is incompatible with \(other).")
    }

    private static func signingFailure(
        _ error: CryptographyError, _ asked: SignatureRequest
    ) -> KMSError {
        switch error {
        case .unsupported:
            .unsupportedOperation("The algorithm \(asked.algorithm.rawValue) is not supported.")
        case .invalidLength:
            .validation("Digest is invalid length for algorithm \(asked.algorithm.rawValue).")
        default: .internalFailure("the signature failed: \(error)")
        }
    }
}
