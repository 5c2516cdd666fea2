internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func generateMAC(_ request: inout Request) throws(KMSError) -> Structure {
        let asked = try mac(for: &request)
        try request.endDryRun()
        return Structure([
            .mac: .bytes(asked.code()), .keyID: .text(asked.entry.arnText),
            .macAlgorithm: .choice(asked.algorithm),
        ])
    }

    func verifyMAC(_ request: inout Request) throws(KMSError) -> Structure {
        let asked = try mac(for: &request)
        let given = try request.bytes(.mac)
        guard constantTimeEqual(asked.code(), given) else { throw KMSError(.invalidMAC) }
        // Recorded from AWS: a dry run tells a wrong MAC, too.
        try request.endDryRun()
        return Structure([
            .macValid: .flag(true), .keyID: .text(asked.entry.arnText),
            .macAlgorithm: .choice(asked.algorithm),
        ])
    }

    private struct MACRequest {
        let entry: KeyEntry
        let material: SecretBytes
        let message: [UInt8]
        let algorithm: MACAlgorithm

        func code() -> [UInt8] {
            HMAC.authenticationCode(for: message, key: material, algorithm.hash)
        }
    }

    private func mac(for request: inout Request) throws(KMSError) -> MACRequest {
        try grantTokens.check(request)
        let algorithm = try request.choice(.macAlgorithm, MACAlgorithm.self)
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .cryptographic,
            for: &request)
        try refuseUsage(of: entry, other: .generateVerifyMac, for: request)
        guard entry.record.spec.macAlgorithms.contains(algorithm) else {
            throw EmbeddedKeyService.incompatible(algorithm.rawValue, entry)
        }
        guard let material = try currentMaterial(of: entry).material else {
            throw .invalidState("\(entry.arnText) is pending import.")
        }
        return MACRequest(
            entry: entry, material: material, message: try request.secret(.message).copiedBytes(),
            algorithm: algorithm)
    }
}

extension MACAlgorithm {
    fileprivate var hash: HashFunction {
        switch self {
        case .hmacSha224: .sha224
        case .hmacSha256: .sha256
        case .hmacSha384: .sha384
        case .hmacSha512: .sha512
        }
    }
}
