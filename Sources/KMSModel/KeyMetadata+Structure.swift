/// Between ``KeyMetadata`` and the service model's structure of that name.
extension KeyMetadata {
    package var structure: Structure {
        var answer = Structure([
            .awsAccountID: .text(arn.scope.account),
            .keyID: .text(arn.keyID.description),
            .arn: .text(arn.description),
            .creationDate: .time(creationDate),
            .enabled: .flag(state == .enabled),
            .description: .text(description),
            .keyUsage: .choice(usage),
            .keyState: .text(state.name),
            .origin: .choice(origin),
            .keyManager: .choice(manager),
            .customerMasterKeySpec: .choice(spec),
            .keySpec: .choice(spec),
            .multiRegion: .flag(arn.keyID.isMultiRegion),
            .currentKeyMaterialID: currentMaterialID.map { .text($0.description) },
            .expirationModel: validity.map { .choice($0.model) },
            .validTo: validity?.validTo.map(Value.time),
            .customKeyStoreID: customKeyStoreID.map(Value.text),
            .cloudHsmClusterID: clusterID.map(Value.text),
            .multiRegionConfiguration: multiRegion.map { .structure($0.structure) },
        ])
        switch state {
        case .pendingDeletion(let date): answer[.deletionDate] = .time(date)
        case .pendingReplicaDeletion(let days):
            answer[.pendingDeletionWindowInDays] = .number(days)
        case .enabled, .disabled, .pendingImport, .unavailable: break
        }
        setAlgorithms(in: &answer)
        return answer
    }

    private func setAlgorithms(in answer: inout Structure) {
        switch usage {
        case .encryptDecrypt:
            answer[.encryptionAlgorithms] = .texts(spec.encryptionAlgorithms.map(\.rawValue))
        case .signVerify:
            answer[.signingAlgorithms] = .texts(spec.signingAlgorithms.map(\.rawValue))
        case .generateVerifyMac:
            answer[.macAlgorithms] = .texts(spec.macAlgorithms.map(\.rawValue))
        case .keyAgreement:
            answer[.keyAgreementAlgorithms] = .texts([KeyAgreementAlgorithm.ecdh.rawValue])
        case .encapsulateDecapsulate:
            answer[.encapsulationAlgorithms] = .texts([EncapsulationAlgorithm.mlKem.rawValue])
        }
    }

    /// nil for what is not a key's metadata: an answer of a service that we don't know.
    package init?(_ answer: Structure) {
        guard let arn = answer.text(.arn).flatMap(KeyARN.init),
            let creationDate = answer.time(.creationDate), let state = KeyState(answer)
        else { return nil }
        self.init(
            arn: arn, creationDate: creationDate, state: state,
            description: answer.text(.description) ?? "",
            manager: answer.choice(.keyManager) ?? .customer,
            spec: answer.choice(.keySpec) ?? .symmetricDefault,
            usage: answer.choice(.keyUsage) ?? .encryptDecrypt,
            origin: answer.choice(.origin) ?? .awsKms,
            currentMaterialID: answer.text(.currentKeyMaterialID).flatMap(KeyMaterialID.init))
        if answer.choice(.expirationModel, ExpirationModel.self) != nil {
            validity = MaterialValidity(validTo: answer.time(.validTo))
        }
        customKeyStoreID = answer.text(.customKeyStoreID)
        clusterID = answer.text(.cloudHsmClusterID)
        multiRegion = answer.structure(.multiRegionConfiguration).flatMap(MultiRegionView.init)
    }
}

extension KeyState {
    fileprivate init?(_ answer: Structure) {
        switch answer.text(.keyState) {
        case "Enabled": self = .enabled
        case "Disabled": self = .disabled
        case "PendingImport", "Creating": self = .pendingImport
        case "Unavailable", "Updating": self = .unavailable
        case "PendingDeletion":
            guard let date = answer.time(.deletionDate) else { return nil }
            self = .pendingDeletion(at: date)
        case "PendingReplicaDeletion":
            self = .pendingReplicaDeletion(
                windowDays: answer.number(.pendingDeletionWindowInDays) ?? 0)
        default: return nil
        }
    }
}

extension MultiRegionView {
    fileprivate var structure: Structure {
        Structure([
            .multiRegionKeyType: .text(isPrimary ? "PRIMARY" : "REPLICA"),
            .primaryKey: .structure(MultiRegionView.key(primary)),
            .replicaKeys: .structures(replicas.map(MultiRegionView.key)),
        ])
    }

    private static func key(_ arn: KeyARN) -> Structure {
        Structure([.arn: .text(arn.description), .region: .text(arn.scope.region)])
    }

    fileprivate init?(_ answer: Structure) {
        let arn = { (key: Structure) in key.text(.arn).flatMap(KeyARN.init) }
        guard let primary = answer.structure(.primaryKey).flatMap(arn) else { return nil }
        self.init(
            isPrimary: answer.text(.multiRegionKeyType) == "PRIMARY", primary: primary,
            replicas: answer.structures(.replicaKeys).compactMap(arn))
    }
}
