import Cryptography
import KMSModel
import Testing

@testable import KMSCore
@testable import KMSStore

/// Requests and answers as documents. Every answer is held against its operation's shape.
extension TestKeystore {
    @discardableResult
    func ask(
        _ operation: KMSOperation, _ input: Structure = Structure(), as caller: Caller? = nil,
        in region: String = "us-east-1"
    ) throws -> Structure {
        let service = try #require(keystore.service(inRegion: region))
        let answer = try service.answer(operation, input, as: caller ?? owner)
        expectWellFormed(answer, of: operation)
        return answer
    }

    /// The error that a request ends with; nil when it succeeds.
    func refusal(
        _ operation: KMSOperation, _ input: Structure, as caller: Caller? = nil,
        in region: String = "us-east-1"
    ) throws -> KMSError? {
        do {
            try ask(operation, input, as: caller, in: region)
            return nil
        } catch let error as KMSError {
            return error
        }
    }

    func user(_ name: String) -> Caller {
        Caller(
            principalARN: TestKeystore.scope.userARN(name: name), process: nil,
            userAgent: "KMSCoreTests")
    }

    /// A principal with an access key.
    func newUser(_ name: String, isAdministrator: Bool = false) throws -> Caller {
        _ = try keystore.createPrincipal(
            NewAccessKey(name: name, isAdministrator: isAdministrator), as: owner)
        return user(name)
    }
}

/// The service model does not list the newest specs for CustomerMasterKeySpec, whose value is that
/// of KeySpec all the same (API reference, KeyMetadata).
func expectWellFormed(_ answer: Structure, of operation: KMSOperation) {
    var answer = answer
    for member: Member in [.keyMetadata, .replicaKeyMetadata] {
        guard var metadata = answer.structure(member) else { continue }
        #expect(metadata.text(.customerMasterKeySpec) == metadata.text(.keySpec))
        metadata[.customerMasterKeySpec] = nil
        answer[member] = .structure(metadata)
    }
    if operation == .getPublicKey {
        #expect(answer.text(.customerMasterKeySpec) == answer.text(.keySpec))
        answer[.customerMasterKeySpec] = nil
    }
    do {
        try operation.output.validate(answer)
    } catch {
        Issue.record("the answer of \(operation.rawValue) has not its shape: \(error)")
    }
}

// MARK: - Keys

extension TestKeystore {
    /// A new key's ARN.
    func key(
        _ spec: KeySpec = .symmetricDefault, _ usage: KeyUsage? = nil,
        _ origin: KeyOrigin = .awsKms, isMultiRegion: Bool = false, in region: String = "us-east-1"
    ) throws -> String {
        let answer = try ask(
            .createKey,
            Structure([
                .keySpec: .choice(spec), .origin: .choice(origin),
                .keyUsage: .choice(usage ?? spec.usages[0]),
                .multiRegion: isMultiRegion ? .flag(true) : nil,
            ]), in: region)
        return try #require(answer.structure(.keyMetadata)?.text(.arn))
    }

    func metadata(_ key: String, in region: String = "us-east-1") throws -> Structure {
        try #require(
            try ask(.describeKey, Structure([.keyID: .text(key)]), in: region)
                .structure(.keyMetadata))
    }

    func state(_ key: String, in region: String = "us-east-1") throws -> String? {
        try metadata(key, in: region).text(.keyState)
    }

    /// The ARN of a multi-Region key's sibling.
    func sibling(of key: String, in region: String) -> String {
        key.replacing(":us-east-1:", with: ":\(region):")
    }

    /// - Returns: the replica's ARN.
    @discardableResult
    func replicate(_ key: String, to region: String) throws -> String {
        let answer = try ask(
            .replicateKey, Structure([.keyID: .text(key), .replicaRegion: .text(region)]))
        return try #require(answer.structure(.replicaKeyMetadata)?.text(.arn))
    }

    /// A key in a custom key store that is not connected, without a token behind it.
    func unavailableKey() throws -> String {
        let scope = TestKeystore.scope
        let cluster = "cluster-abcdefghijk"
        var record = KeyRecord(
            id: .random(), creationDate: clock.now(), state: .enabled, description: "",
            manager: .customer, tags: [], rotation: nil)
        record.origin = .awsCloudhsm
        record.customKeyStoreID = "cks-0123456789abcdef0"
        let made = record
        _ = try keystore.store.change { _, change in
            change.tokens = [
                TokenRecord(
                    clusterID: cluster, modulePath: "/nowhere.so", tokenLabel: "none",
                    creationDate: clock.now())
            ]
            change.keyStores = [
                CustomKeyStoreRecord(
                    region: "", id: "cks-0123456789abcdef0", name: "away", clusterID: cluster,
                    trustAnchor: "anchor", password: secret("password"),
                    creationDate: clock.now())
            ]
            change.keys = [made]
            change.materials = [
                MaterialRecord(
                    keyID: made.id, version: 1, materialID: .random(),
                    material: secret(made.id.bytes), creationDate: clock.now(),
                    rotationType: nil)
            ]
        }
        return KeyARN(scope: scope, keyID: record.id).description
    }
}

// MARK: - Import

extension TestKeystore {
    struct ImportParameters {
        let token: [UInt8]
        let publicKey: [UInt8]
    }

    func importParameters(
        _ key: String, _ algorithm: WrappingAlgorithm = .rsaesOaepSha256,
        _ spec: WrappingKeySpec = .rsa2048, in region: String = "us-east-1"
    ) throws -> ImportParameters {
        let answer = try ask(
            .getParametersForImport,
            Structure([
                .keyID: .text(key), .wrappingAlgorithm: .choice(algorithm),
                .wrappingKeySpec: .choice(spec),
            ]), in: region)
        return ImportParameters(
            token: try #require(answer.bytes(.importToken)),
            publicKey: bytes(try #require(answer.secret(.publicKey))))
    }

    /// Wraps as the developer guide, "Encrypt the key material", says.
    static func wrap(
        _ material: [UInt8], _ parameters: ImportParameters,
        _ algorithm: WrappingAlgorithm = .rsaesOaepSha256
    ) throws -> [UInt8] {
        let key = try AsymmetricPublicKey(spki: parameters.publicKey)
        switch algorithm {
        case .rsaesOaepSha1: return try key.encrypt(secret(material), .rsaesOAEPSHA1)
        case .rsaesOaepSha256: return try key.encrypt(secret(material), .rsaesOAEPSHA256)
        case .sm2pke: return try key.encrypt(secret(material), .sm2pke)
        case .rsaAesKeyWrapSha1, .rsaAesKeyWrapSha256:
            let wrapping = SecretBytes.random(count: 32)
            let hash: AsymmetricEncryptionAlgorithm =
                algorithm == .rsaAesKeyWrapSha1 ? .rsaesOAEPSHA1 : .rsaesOAEPSHA256
            return try key.encrypt(wrapping, hash)
                + AESKeyWrap.wrap(secret(material), under: wrapping)
        case .rsaesPkcs1V15: return []
        }
    }

    /// Gets a token and imports with it.
    ///
    /// - Parameter options: more members of the request.
    @discardableResult
    func importMaterial(
        _ material: [UInt8], into key: String, _ algorithm: WrappingAlgorithm = .rsaesOaepSha256,
        _ spec: WrappingKeySpec = .rsa2048, in region: String = "us-east-1",
        options: KeyValuePairs<Member, Value?> = [:]
    ) throws -> Structure {
        let parameters = try importParameters(key, algorithm, spec, in: region)
        var input = Structure([
            .keyID: .text(key), .importToken: .bytes(parameters.token),
            .encryptedKeyMaterial: .bytes(try Self.wrap(material, parameters, algorithm)),
            .expirationModel: .text("KEY_MATERIAL_DOES_NOT_EXPIRE"),
        ])
        for (member, value) in options { input[member] = value }
        return try ask(.importKeyMaterial, input, in: region)
    }
}
