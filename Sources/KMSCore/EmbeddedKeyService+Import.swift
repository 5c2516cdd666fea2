internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func getParametersForImport(_ request: inout Request) throws(KMSError) -> Structure {
        let algorithm = try request.choice(.wrappingAlgorithm, WrappingAlgorithm.self)
        let wrappingSpec = try request.choice(.wrappingKeySpec, WrappingKeySpec.self)
        let entry = try externalKey(for: &request)
        try refuse(algorithm, wrappingSpec, for: entry)
        guard let spec = KeySpec(rawValue: wrappingSpec.rawValue) else {
            throw .unsupportedOperation("WrappingKeySpec \(wrappingSpec.rawValue)")
        }
        let pair = try KeyMaterial.generatePair(spec)
        let validTo = request.now.advanced(
            byMilliseconds: Int64(KMSLimit.importTokenHours) * 3_600_000)
        let token = ImportToken(
            place: entry.record.place, algorithm: algorithm, validTo: validTo,
            privateKey: pair.privateKey)
        // The service model gives this public key, alone of all, the type of a plaintext.
        var publicKey = pair.publicKey
        return Structure([
            .keyID: .text(entry.arnText),
            .importToken: .bytes(token.sealed(under: importTokenKey)),
            .publicKey: .secret(SecretBytes(consuming: &publicKey)),
            .parametersValidTo: .time(validTo),
        ])
    }

    /// A key of imported material, in a state that takes some.
    private func externalKey(for request: inout Request) throws(KMSError) -> KeyEntry {
        let snapshot = try state(for: request)
        let entry = try key(
            named: try request.text(.keyID), in: snapshot, group: .read, for: &request)
        try refuseUnlessExternal(entry, in: snapshot)
        return entry
    }

    private func refuseUnlessExternal(
        _ entry: KeyEntry, in snapshot: KeystoreSnapshot
    ) throws(KMSError) {
        guard entry.record.origin == .external else {
            throw EmbeddedKeyService.wrongOrigin(of: entry)
        }
        try snapshot.region(entry.arn.scope).state(of: entry)
            .permit(.importMaterial, on: entry.arn)
    }

    private func refuse(
        _ algorithm: WrappingAlgorithm, _ wrappingSpec: WrappingKeySpec, for entry: KeyEntry
    ) throws(KMSError) {
        let spec = entry.record.spec
        let isWrap = algorithm == .rsaAesKeyWrapSha1 || algorithm == .rsaAesKeyWrapSha256
        let fits: Bool
        switch algorithm {
        case .rsaesPkcs1V15:
            throw .unsupportedOperation(
                "The wrapping algorithm RSAES_PKCS1_V1_5 is not supported any more.")
        case .sm2pke: fits = wrappingSpec == .sm2 && spec.family != .rsa
        default: fits = wrappingSpec != .sm2
        }
        // RSA keys are too long for OAEP alone, and so is P-521 for a modulus of 2048 bits.
        let isTooLong =
            !isWrap
            && (spec.family == .rsa
                || (spec == .eccNistP521 && wrappingSpec == .rsa2048))
        guard fits, !isTooLong else {
            throw .validation(
                "WrappingAlgorithm \(algorithm.rawValue) with WrappingKeySpec "
                    + "\(wrappingSpec.rawValue) is not compatible with KeySpec \(spec.rawValue)")
        }
    }

    // MARK: Import

    func importKeyMaterial(_ request: inout Request) throws(KMSError) -> Structure {
        let entry = try externalKey(for: &request)
        let validity = try newValidity(request)
        let token = try ImportToken(
            opening: try request.bytes(.importToken), under: importTokenKey)
        guard token.place == entry.record.place else {
            throw KMSError(.invalidImportToken, "The import token belongs to another key.")
        }
        guard request.now < token.validTo else { throw KMSError(.expiredImportToken) }
        let material = try token.unwrap(try request.bytes(.encryptedKeyMaterial))
        let plan = ImportPlan(
            material: try canonical(material, for: entry.record.spec), validity: validity,
            description: request.input.text(.keyMaterialDescription),
            importType: request.input.choice(.importType),
            materialID: request.input.text(.keyMaterialID), now: request.now)
        let name = try request.text(.keyID)
        let (arn, record) = try change(for: &request) {
            snapshot, change, request throws(KMSError) in
            let entry = try self.key(named: name, in: snapshot, group: .read, for: &request)
            try refuseUnlessExternal(entry, in: snapshot)
            let record = try plan.apply(to: entry, in: snapshot, &change)
            request.note(record)
            return (entry.arnText, record)
        }
        return Structure([
            .keyID: .text(arn), .keyMaterialID: .text(record.materialID.description),
        ])
    }

    private func newValidity(_ request: Request) throws(KMSError) -> MaterialValidity {
        let model = request.input.choice(.expirationModel) ?? ExpirationModel.keyMaterialExpires
        let validTo = request.input.time(.validTo)
        guard model == .keyMaterialExpires else {
            guard validTo == nil else {
                throw .validation(
                    "A validTo date must not be set if the ExpirationModel is "
                        + "KEY_MATERIAL_DOES_NOT_EXPIRE")
            }
            return MaterialValidity(validTo: nil)
        }
        guard let validTo else {
            throw .validation(
                "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
        }
        let latest = request.now.advanced(byDays: KMSLimit.importedValidityDays)
        guard validTo > request.now, validTo <= latest else {
            throw .validation("ValidTo must be in the future, and at most 365 days from now.")
        }
        return MaterialValidity(validTo: validTo)
    }

    /// The material as it is kept, when it is of the spec.
    private func canonical(
        _ material: SecretBytes, for spec: KeySpec
    ) throws(KMSError) -> SecretBytes {
        let wrong = KMSError(
            .incorrectKeyMaterial,
            "The key material is not valid for the key spec \(spec.rawValue).")
        if let count = spec.rawMaterialBytes {
            guard material.count == count else { throw wrong }
            return material
        }
        guard let asymmetric = spec.asymmetric,
            let pair = try? AsymmetricPrivateKey(importing: material, as: asymmetric)
        else { throw wrong }
        return pair.pkcs8
    }

    func deleteImportedKeyMaterial(_ request: inout Request) throws(KMSError) -> Structure {
        let name = try request.text(.keyID)
        let wanted = request.input.text(.keyMaterialID)
        let (arn, id) = try change(for: &request) { snapshot, change, request throws(KMSError) in
            let entry = try self.key(named: name, in: snapshot, group: .read, for: &request)
            guard entry.record.origin == .external else {
                throw EmbeddedKeyService.wrongOrigin(of: entry)
            }
            let version =
                wanted.map { id in
                    entry.materials.first { $0.materialID.description == id }
                } ?? entry.current
            guard var material = version else {
                guard wanted == nil else {
                    throw .notFound("Key material '\(wanted ?? "")' does not exist")
                }
                return (entry.arnText, nil as KeyMaterialID?)
            }
            guard material.material != nil else { return (entry.arnText, material.materialID) }
            material.material = nil
            change.materials = [material]
            if material.isPendingRotation {
                change.materials += replicas(of: entry, in: snapshot).compactMap { replica in
                    guard var copy = replica.material(version: material.version) else {
                        return nil
                    }
                    copy.material = nil
                    return copy
                }
            }
            var record = entry.record
            if !material.isPendingRotation,
                record.state == .enabled || record.state == .disabled
            {
                record.state = .pendingImport
                change.keys = [record]
            }
            return (entry.arnText, material.materialID)
        }
        keyPairs.forgetAll()
        request.answer("keyId", arn)
        return Structure([
            .keyID: .text(arn), .keyMaterialID: id.map { .text($0.description) },
        ])
    }
}

/// The replicas of a primary key; none of other keys.
private func replicas(of entry: KeyEntry, in snapshot: KeystoreSnapshot) -> [KeyEntry] {
    guard entry.record.id.isMultiRegion, entry.record.isPrimary else { return [] }
    return snapshot.siblings(of: entry.record.id).filter { !$0.record.isPrimary }
}

/// What an import does to a key, once material and key are known to fit.
private struct ImportPlan {
    let material: SecretBytes
    let validity: MaterialValidity
    let description: String?
    let importType: ImportType?
    let materialID: String?
    let now: Timestamp

    private static let isOther = KMSError(
        .incorrectKeyMaterial,
        "The key material in the request is not the same key material that was previously "
            + "imported into this KMS key.")

    /// - Returns: the version that has the material now.
    func apply(
        to entry: KeyEntry, in snapshot: KeystoreSnapshot, _ change: inout KeystoreChange
    ) throws(KMSError) -> MaterialRecord {
        try refuseUnlessSymmetric(entry)
        let fingerprint = fingerprint(of: entry)
        let known = entry.materials.first { $0.imported?.fingerprint == fingerprint }
        let isFirst = entry.materials.isEmpty
        let wantsNew = importType.map { $0 == .newKeyMaterial } ?? isFirst
        let version: MaterialRecord
        if let known {
            guard materialID == nil || materialID == known.materialID.description else {
                throw ImportPlan.isOther
            }
            version = again(known)
        } else if !wantsNew {
            throw ImportPlan.isOther
        } else if isFirst {
            version = new(entry, number: 1, fingerprint, isPendingRotation: false)
        } else if entry.record.spec == .symmetricDefault {
            version = try next(of: entry, fingerprint)
        } else {
            throw ImportPlan.isOther
        }
        change.materials.append(version)
        prepareReplicas(of: entry, version, in: snapshot, &change)
        enable(entry, with: version, &change)
        return version
    }

    /// These members tell versions apart, and only symmetric keys have more than one.
    private func refuseUnlessSymmetric(_ entry: KeyEntry) throws(KMSError) {
        if importType == .newKeyMaterial, materialID != nil {
            throw .validation(
                "KeyMaterialId cannot be specified when ImportType is NEW_KEY_MATERIAL.")
        }
        guard entry.record.spec != .symmetricDefault else { return }
        for (name, isSet) in [
            ("ImportType", importType != nil), ("KeyMaterialDescription", description != nil),
            ("KeyMaterialId", materialID != nil),
        ] where isSet {
            throw .validation("\(name) is only valid for symmetric encryption KMS keys.")
        }
    }

    private func fingerprint(of entry: KeyEntry) -> [UInt8] {
        var bytes = entry.record.id.bytes + material.copiedBytes()
        defer { wipe(&bytes) }
        return SHA256.hash(bytes)
    }

    /// Material that was there before: only its validity and description are new.
    private func again(_ known: MaterialRecord) -> MaterialRecord {
        var version = known
        version.material = material
        version.imported?.validity = validity
        if let description { version.imported?.description = description }
        return version
    }

    private func new(
        _ entry: KeyEntry, number: UInt32, _ fingerprint: [UInt8], isPendingRotation: Bool
    ) -> MaterialRecord {
        // The id follows from key and material, as AWS KMS's does.
        guard let id = KeyMaterialID(bytes: fingerprint) else {
            preconditionFailure("BUG: a fingerprint has 32 bytes")
        }
        var version = MaterialRecord(
            keyID: entry.record.id, version: number, materialID: id, material: material,
            creationDate: now, rotationType: nil)
        version.region = entry.record.region
        version.imported = ImportedMaterial(
            fingerprint: fingerprint, validity: validity, description: description,
            isPendingRotation: isPendingRotation)
        return version
    }

    /// New material for a key that has some: it waits for a rotation on demand.
    private func next(
        of entry: KeyEntry, _ fingerprint: [UInt8]
    ) throws(KMSError) -> MaterialRecord {
        guard !entry.record.id.isMultiRegion || entry.record.isPrimary else {
            throw .unsupportedOperation("\(entry.arnText) is not a multi-region primary key.")
        }
        var number = UInt32(entry.materials.count) + 1
        if let last = entry.materials.last, last.isPendingRotation {
            guard last.material == nil else {
                throw .invalidState(
                    "New key material (id: \(hexText(fingerprint))) cannot be imported into KMS "
                        + "key \(entry.record.id), because another key material (id: "
                        + "\(last.materialID)) is pending rotation.")
            }
            number = last.version
        }
        return new(entry, number: number, fingerprint, isPendingRotation: true)
    }

    /// Replicas know of their primary's new material, and get it by imports of their own.
    private func prepareReplicas(
        of entry: KeyEntry, _ version: MaterialRecord, in snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange
    ) {
        for sibling in replicas(of: entry, in: snapshot) {
            if let known = sibling.material(version: version.version),
                known.materialID == version.materialID
            {
                continue
            }
            var copy = version
            copy.region = sibling.record.region
            copy.material = nil
            change.materials.append(copy)
        }
    }

    /// A key works when all the material is there that it ever worked with.
    private func enable(
        _ entry: KeyEntry, with version: MaterialRecord, _ change: inout KeystoreChange
    ) {
        guard entry.record.state == .pendingImport else { return }
        let isMissing = entry.materials.contains { other in
            other.version != version.version && !other.isPendingRotation && other.material == nil
        }
        guard !isMissing, !version.isPendingRotation || !entry.materials.isEmpty else { return }
        var record = entry.record
        record.state = .enabled
        change.keys = [record]
    }
}
