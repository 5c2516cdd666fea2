internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func createKey(_ request: inout Request) throws(KMSError) -> Structure {
        let plan = try NewKeyPlan(request)
        let tags = try TagSet().adding(request.input.structures(.tags).compactMap(Tag.init)).sorted
        let now = request.now
        let id = KeyID.random(isMultiRegion: request.input.flag(.multiRegion))
        let snapshot = try state(for: request)
        try authorizer.authorize(request, in: snapshot)
        var record = KeyRecord(
            id: id, creationDate: now,
            state: plan.origin == .external ? .pendingImport : .enabled,
            description: plan.description, manager: .customer, tags: tags, rotation: nil)
        record.region = snapshot.storedName(of: scope)
        record.spec = plan.spec
        record.usage = plan.usage
        record.origin = plan.origin
        record.isPrimary = id.isMultiRegion
        record.customKeyStoreID = plan.customKeyStoreID
        record.policy = try newPolicy(
            of: KeyEntry(new: record, materials: [], scope: scope), for: request, in: snapshot)
        let materials = try newMaterials(of: record, for: request)
        let metadata = try add(record, materials, for: &request)
        return Structure([.keyMetadata: .structure(metadata.structure)])
    }

    /// Puts a key into the keystore whose material is made.
    func add(
        _ record: KeyRecord, _ materials: [MaterialRecord], for request: inout Request
    ) throws(KMSError) -> KeyMetadata {
        let scope = scope
        do throws(KMSError) {
            return try change(for: &request) { snapshot, change, request throws(KMSError) in
                guard snapshot.region(scope).keys.count < KMSLimit.keys else {
                    throw .limitExceeded(
                        "The account has reached its quota of \(KMSLimit.keys) keys.")
                }
                // Somebody may have disconnected it, or deleted it, while its token made the key.
                if let store = record.customKeyStoreID {
                    _ = try CustomKeyStores.connectedStore(
                        store, for: nil, in: snapshot.region(scope))
                }
                change.keys = [record]
                change.materials = materials
                let entry = KeyEntry(new: record, materials: materials, scope: scope)
                let metadata = entry.metadata(in: snapshot)
                request.noteNewKey(of: entry, metadata)
                return metadata
            }
        } catch {
            // What the token has made already belongs to no key now.
            if let snapshot = try? state(for: request) {
                keyStores.destroyKey(record, in: snapshot, snapshot.region(scope))
            }
            throw error
        }
    }

    /// The first material of a key that is made here or in a token; none of imported ones.
    private func newMaterials(
        of record: KeyRecord, for request: Request
    ) throws(KMSError) -> [MaterialRecord] {
        switch record.origin {
        case .external, .externalKeyStore: return []
        case .awsCloudhsm:
            let snapshot = try state(for: request)
            return [
                try keyStores.makeKey(
                    record, in: snapshot, snapshot.region(scope), now: record.creationDate)
            ]
        case .awsKms:
            var material = MaterialRecord(
                keyID: record.id, version: 1, materialID: .random(),
                material: try gates.make(record.spec) { () throws(KMSError) in
                    try KeyMaterial.generate(record.spec)
                },
                creationDate: record.creationDate, rotationType: nil)
            material.region = record.region
            return [material]
        }
    }
}

/// What CreateKey is asked for, once its parts were seen to fit.
struct NewKeyPlan {
    let spec: KeySpec
    let usage: KeyUsage
    let origin: KeyOrigin
    let description: String
    let customKeyStoreID: String?

    init(_ request: Request) throws(KMSError) {
        let input = request.input
        let newer = input.choice(.keySpec, KeySpec.self)
        let older = input.choice(.customerMasterKeySpec, KeySpec.self)
        guard newer == nil || older == nil else {
            throw .validation(
                "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
                    + "CustomerMasterKeySpec is deprecated.")
        }
        spec = newer ?? older ?? .symmetricDefault
        origin = input.choice(.origin) ?? .awsKms
        description = input.text(.description) ?? ""
        customKeyStoreID = input.text(.customKeyStoreID)
        usage = try NewKeyPlan.usage(input.choice(.keyUsage), spec)
        try checkOrigin(isMultiRegion: input.flag(.multiRegion))
        guard input.text(.xksKeyID) == nil else {
            throw .unsupportedOperation("External key stores (XKS) are not supported.")
        }
        guard KeyMaterial.canMake(spec) else {
            throw .unsupportedOperation("Keys of the spec \(spec.rawValue) are not supported.")
        }
    }

    private static func usage(
        _ asked: KeyUsage?, _ spec: KeySpec
    ) throws(KMSError) -> KeyUsage {
        guard let usage = asked else {
            guard spec == .symmetricDefault else {
                throw .validation(
                    "You must specify a KeyUsage value for all KMS keys except for symmetric "
                        + "encryption keys.")
            }
            return .encryptDecrypt
        }
        guard spec.usages.contains(usage) else {
            throw .validation(
                "KeyUsage \(usage.rawValue) is not compatible with KeySpec \(spec.rawValue)")
        }
        return usage
    }

    private func checkOrigin(isMultiRegion: Bool) throws(KMSError) {
        switch origin {
        case .awsKms, .external:
            guard customKeyStoreID == nil else {
                throw .validation(
                    "CustomKeyStoreId is valid only for keys with origin AWS_CLOUDHSM.")
            }
            // AWS KMS imports no ML-DSA or ML-KEM material.
            guard origin == .awsKms || (spec.family != .mlDSA && spec.family != .mlKEM) else {
                throw .unsupportedOperation(
                    "KeySpec \(spec.rawValue) is not supported for Origin EXTERNAL")
            }
        case .awsCloudhsm:
            guard customKeyStoreID != nil else {
                throw .validation("Origin AWS_CLOUDHSM needs a CustomKeyStoreId.")
            }
            guard spec == .symmetricDefault else {
                throw .unsupportedOperation(
                    "KeySpec \(spec.rawValue) is not supported for Origin AWS_CLOUDHSM")
            }
            guard !isMultiRegion else {
                throw .unsupportedOperation(
                    "Multi-Region keys are not supported in custom key stores.")
            }
        case .externalKeyStore:
            throw .unsupportedOperation("External key stores (XKS) are not supported.")
        }
    }
}

extension KeyID {
    /// A random UUID (RFC 9562, version 4), or the id of a multi-Region key.
    static func random(isMultiRegion: Bool = false) -> KeyID {
        var bytes = Random.bytes(16)
        if !isMultiRegion {
            bytes[6] = bytes[6] & 0x0f | 0x40
            bytes[8] = bytes[8] & 0x3f | 0x80
        }
        guard let id = KeyID(bytes: bytes, isMultiRegion: isMultiRegion) else {
            preconditionFailure("BUG: a key id has 16 bytes")
        }
        return id
    }
}

extension KeyMaterialID {
    static func random() -> KeyMaterialID {
        guard let id = KeyMaterialID(bytes: Random.bytes(32)) else {
            preconditionFailure("BUG: a material id has 32 bytes")
        }
        return id
    }
}
