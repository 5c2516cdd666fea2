internal import Cryptography
internal import KMSModel
internal import KMSStore
internal import PostQuantum

extension EmbeddedKeyService {
    func encapsulate(_ request: inout Request) throws(KMSError) -> Structure {
        let (entry, pair) = try encapsulationKey(for: &request)
        try request.endDryRun()
        let made: Encapsulation
        do throws(CryptographyError) {
            made = try pair.publicKey.encapsulate()
        } catch {
            throw .internalFailure("the encapsulation failed: \(error)")
        }
        return Structure([
            .keyID: .text(entry.arnText), .sharedSecret: .secret(made.sharedSecret),
            .sharedSecretCiphertextBlob: .bytes(made.ciphertext),
            .encapsulationAlgorithm: .choice(EncapsulationAlgorithm.mlKem),
        ])
    }

    func decapsulate(_ request: inout Request) throws(KMSError) -> Structure {
        try refuseRecipient(request)
        let (entry, pair) = try encapsulationKey(for: &request)
        let ciphertext = try request.bytes(.sharedSecretCiphertextBlob)
        try request.endDryRun()
        // A ciphertext of the right length always gives a secret (FIPS 203 §6.3): of another key's
        // it is one that nobody shares.
        guard let secret = try? pair.decapsulate(ciphertext) else { throw .invalidCiphertext }
        return Structure([
            .keyID: .text(entry.arnText), .sharedSecret: .secret(secret),
            .encapsulationAlgorithm: .choice(EncapsulationAlgorithm.mlKem),
        ])
    }

    private func encapsulationKey(
        for request: inout Request
    ) throws(KMSError) -> (KeyEntry, MLKEMPrivateKey) {
        try grantTokens.check(request)
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .cryptographic,
            for: &request)
        try refuseUsage(of: entry, other: .encapsulateDecapsulate, for: request)
        guard
            case .mlKEM(let pair) = try keyPairs.pair(
                try currentMaterial(of: entry), of: entry)
        else { throw EmbeddedKeyService.incompatible("ML_KEM", entry) }
        return (entry, pair)
    }
}
