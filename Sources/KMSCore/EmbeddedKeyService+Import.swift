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
        let pair = try gates.make(spec) { () throws(KMSError) in
            try KeyMaterial.generatePair(spec)
        }
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
        let fits: Bool
        switch algorithm {
        // AWS KMS has given it up; the service model still knows the name.
        case .rsaesPkcs1V15: fits = false
        case .sm2pke: fits = wrappingSpec == .sm2 && spec.family != .rsa
        // The way for pairs alone.
        case .rsaAesKeyWrapSha1, .rsaAesKeyWrapSha256:
            fits = wrappingSpec != .sm2 && spec.isAsymmetric
        case .rsaesOaepSha1, .rsaesOaepSha256:
            // RSA keys are too long for it. A modulus of 2048 bits is too short for P-521; Ed25519
            // would fit, and was seen to be refused all the same.
            let needsMore = spec == .eccNistP521 || spec == .eccNistEdwards25519
            fits =
                wrappingSpec != .sm2 && spec.family != .rsa
                && !(needsMore && wrappingSpec == .rsa2048)
        }
        guard fits else {
            throw .validation(
                "Wrapping algorithm \(algorithm.rawValue) and wrapping key spec "
                    + "\(wrappingSpec.rawValue) cannot be used to import a \(spec.rawValue) key.")
        }
    }

    // MARK: Import

    func importKeyMaterial(_ request: inout Request) throws(KMSError) -> Structure {
        let entry = try externalKey(for: &request)
        let validity = try newValidity(request)
        let token = try ImportToken(
            opening: try request.bytes(.importToken), under: importTokenKey)
        guard token.place == entry.record.place else {
            throw KMSError(.invalidImportToken)
        }
        guard request.now < token.validTo else { throw KMSError(.expiredImportToken) }
        let material = try token.unwrap(try request.bytes(.encryptedKeyMaterial))
        let plan = ImportPlan(
            material: try canonical(material, for: entry.record.spec), validity: validity,
            description: request.input.text(.keyMaterialDescription),
            importType: request.input.choice(.importType),
            materialID: request.input.text(.keyMaterialID), now: request.now)
        let name = try request.text(.keyID)
        let materialID = try change(for: &request) {
            snapshot, change, request throws(KMSError) in
            let entry = try self.key(named: name, in: snapshot, group: .read, for: &request)
            try refuseUnlessExternal(entry, in: snapshot)
            let record = try plan.apply(to: entry, in: snapshot, &change)
            request.note(record)
            request.noteSynchronization(of: entry, by: change, in: snapshot)
            return record.materialID
        }
        return importAnswer(entry, materialID)
    }

    /// Only material of symmetric encryption keys has a name, in answers as in requests.
    private func importAnswer(_ entry: KeyEntry, _ materialID: KeyMaterialID?) -> Structure {
        let named = entry.record.spec == .symmetricDefault ? materialID : nil
        return Structure([
            .keyID: .text(entry.arnText), .keyMaterialID: named.map { .text($0.description) },
        ])
    }

    private func newValidity(_ request: Request) throws(KMSError) -> MaterialValidity {
        let model = request.input.choice(.expirationModel) ?? ExpirationModel.keyMaterialExpires
        let validTo = request.input.time(.validTo)
        guard model == .keyMaterialExpires else {
            guard validTo == nil else {
                throw .validation(
                    "A validTo date cannot be set if the ExpirationModel is "
                        + "KEY_MATERIAL_DOES_NOT_EXPIRE")
            }
            return MaterialValidity(validTo: nil)
        }
        guard let validTo else {
            throw .validation(
                "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
        }
        let latest = request.now.advanced(byDays: KMSLimit.importedValidityDays)
        guard validTo > request.now else {
            throw .validation("ValidTo must be in the future")
        }
        guard validTo <= latest else {
            throw .validation("ValidTo must be less than 365 days in the future")
        }
        return MaterialValidity(validTo: validTo)
    }

    /// The material as it is kept, when it is of the spec. AWS KMS tells no difference between what
    /// is none and what was damaged on its way.
    private func canonical(
        _ material: SecretBytes, for spec: KeySpec
    ) throws(KMSError) -> SecretBytes {
        if let counts = spec.importableBytes {
            guard counts.contains(material.count) else { throw .invalidCiphertext }
            return material
        }
        guard let asymmetric = spec.asymmetric,
            let pair = try? AsymmetricPrivateKey(importing: material, as: asymmetric)
        else { throw .invalidCiphertext }
        return pair.pkcs8
    }

    // MARK: Deletion

    func deleteImportedKeyMaterial(_ request: inout Request) throws(KMSError) -> Structure {
        let name = try request.text(.keyID)
        let wanted = request.input.text(.keyMaterialID)
        let (entry, materialID) = try change(for: &request) {
            snapshot, change, request throws(KMSError) in
            let entry = try self.key(named: name, in: snapshot, group: .read, for: &request)
            guard entry.record.origin == .external else {
                throw EmbeddedKeyService.wrongOrigin(of: entry)
            }
            guard let material = try importedMaterial(wanted, of: entry) else {
                return (entry, nil as KeyMaterialID?)
            }
            if material.isPendingRotation, !entry.isReplica {
                forget(material, of: entry, in: snapshot, &change)
            } else if material.material != nil {
                takeAway(material, of: entry, &change)
            }
            request.noteSynchronization(of: entry, by: change, in: snapshot)
            return (entry, material.materialID)
        }
        request.answer("keyId", entry.arnText)
        return importAnswer(entry, materialID)
    }

    /// What a request to delete names, or else what is current; nil before the first import.
    private func importedMaterial(
        _ wanted: String?, of entry: KeyEntry
    ) throws(KMSError) -> MaterialRecord? {
        guard let wanted else { return entry.current }
        guard let material = entry.materials.first(where: { $0.materialID.description == wanted })
        else {
            throw .validation(
                "Key material (id: \(wanted)) has never been imported into KMS key "
                    + "\(entry.arnText).")
        }
        return material
    }

    /// No ciphertext was made with material that waits, so nothing has to be known of it any more;
    /// that of the replicas goes along.
    private func forget(
        _ pending: MaterialRecord, of entry: KeyEntry, in snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange
    ) {
        let copies = snapshot.replicas(of: entry).compactMap {
            $0.material(version: pending.version)
        }
        change.deletedMaterials = [pending] + copies.filter(\.isPendingRotation)
    }

    /// The key keeps its place: the same material may come back, and no other.
    private func takeAway(
        _ material: MaterialRecord, of entry: KeyEntry, _ change: inout KeystoreChange
    ) {
        var gone = material
        gone.material = nil
        change.materials = [gone]
        var record = entry.record
        guard !material.isPendingRotation, record.state == .enabled || record.state == .disabled
        else { return }
        record.state = .pendingImport
        change.keys = [record]
    }
}

extension KeyEntry {
    /// Whether another Region's key leads.
    fileprivate var isReplica: Bool { record.id.isMultiRegion && !record.isPrimary }
}

/// What an import does to a key, once material and key are known to fit.
private struct ImportPlan {
    let material: SecretBytes
    let validity: MaterialValidity
    let description: String?
    let importType: ImportType?
    let materialID: String?
    let now: Timestamp

    /// - Returns: the version that has the material now.
    func apply(
        to entry: KeyEntry, in snapshot: KeystoreSnapshot, _ change: inout KeystoreChange
    ) throws(KMSError) -> MaterialRecord {
        try refuseMembers(for: entry)
        let fingerprint = fingerprint(of: entry)
        let known = entry.materials.first { $0.imported?.fingerprint == fingerprint }
        let version: MaterialRecord
        if let known {
            version = try again(known, of: entry)
        } else if entry.materials.isEmpty {
            version = try first(of: entry, fingerprint)
        } else if importType == .newKeyMaterial {
            version = try next(of: entry, fingerprint)
        } else {
            throw isOther(than: entry)
        }
        guard materialID == nil || materialID == version.materialID.description else {
            throw isOther(than: entry)
        }
        change.materials.append(version)
        prepareReplicas(of: entry, version, in: snapshot, &change)
        enable(entry, with: version, &change)
        return version
    }

    /// AWS KMS tells which material it expects: the one that was named, or the key's own.
    private func isOther(than entry: KeyEntry) -> KMSError {
        let expected = materialID ?? entry.current?.materialID.description ?? ""
        return KMSError(
            .incorrectKeyMaterial,
            "Imported key material does not have the expected identifier (\(expected)).")
    }

    /// These members tell versions apart. Only symmetric keys have more than one, and of replicas
    /// the primary decides.
    private func refuseMembers(for entry: KeyEntry) throws(KMSError) {
        if entry.record.spec != .symmetricDefault {
            for (name, isSet) in [
                ("importType", importType != nil), ("keyMaterialDescription", description != nil),
                ("keyMaterialId", materialID != nil),
            ] where isSet {
                throw .validation(
                    "Input parameter \(name) cannot be used with \(entry.record.spec.rawValue) "
                        + "imported keys.")
            }
        }
        if importType == .newKeyMaterial, materialID != nil {
            throw .validation(
                "Input parameter keyMaterialId cannot be used with NEW_KEY_MATERIAL importType.")
        }
        guard entry.isReplica else { return }
        if importType == .newKeyMaterial {
            throw .validation(
                "Input parameter ImportType NEW_KEY_MATERIAL cannot be used on replica "
                    + "Multi-Region keys")
        }
        if description != nil {
            throw .validation(
                "Key material description can only be specified on primary Multi-Region keys")
        }
    }

    private func fingerprint(of entry: KeyEntry) -> [UInt8] {
        var bytes = entry.record.id.bytes + material.copiedBytes()
        defer { wipe(&bytes) }
        return SHA256.hash(bytes)
    }

    /// Material that was there before: only its validity and description are new.
    private func again(
        _ known: MaterialRecord, of entry: KeyEntry
    ) throws(KMSError) -> MaterialRecord {
        // What waits for its import as for a rotation is new to this Region.
        let isExpected = known.isPendingRotation && known.material == nil
        guard importType != .newKeyMaterial || isExpected else {
            throw KMSError(
                .incorrectKeyMaterial,
                "Key material (id: \(known.materialID)) being imported as NEW_KEY_MATERIAL is "
                    + "already associated with KMS key \(entry.arnText).")
        }
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

    private func first(
        of entry: KeyEntry, _ fingerprint: [UInt8]
    ) throws(KMSError) -> MaterialRecord {
        guard importType != .existingKeyMaterial else {
            throw KMSError(
                .incorrectKeyMaterial,
                "The key material in the request is not the same key material that was "
                    + "previously imported into this KMS key.")
        }
        return new(entry, number: 1, fingerprint, isPendingRotation: false)
    }

    /// New material for a key that has some: it waits for a rotation on demand.
    private func next(
        of entry: KeyEntry, _ fingerprint: [UInt8]
    ) throws(KMSError) -> MaterialRecord {
        var number = UInt32(entry.materials.count) + 1
        if let last = entry.materials.last, last.isPendingRotation {
            guard last.material == nil else {
                throw .invalidState(
                    "New key material (id: \(hexText(fingerprint))) cannot be imported into KMS "
                        + "key \(entry.arnText), because another key material (id: "
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
        for sibling in snapshot.replicas(of: entry) {
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

    /// A key works when all the material is there that it ever worked with. The same material
    /// again also enables a disabled key, as in AWS KMS.
    private func enable(
        _ entry: KeyEntry, with version: MaterialRecord, _ change: inout KeystoreChange
    ) {
        guard
            entry.record.state == .pendingImport
                || (entry.record.state == .disabled && !version.isPendingRotation)
        else { return }
        let isMissing = entry.materials.contains { other in
            other.version != version.version && !other.isPendingRotation && other.material == nil
        }
        guard !isMissing, !version.isPendingRotation || !entry.materials.isEmpty else { return }
        var record = entry.record
        record.state = .enabled
        change.keys = [record]
    }
}
