import Console
import KMSModel

/// A key and what is known about it beside its metadata.
struct KeyDescription {
    let metadata: KeyMetadata
    let aliases: [AliasName]

    /// The fields that `key list --json` promises come first.
    var json: JSONValue {
        .object([
            "keyId": .text(metadata.arn.keyID.description),
            "arn": .text(metadata.arn.description),
            "state": .text(metadata.state.name),
            "aliases": .list(aliases.map { .text($0.description) }),
            "description": .text(metadata.description),
            "manager": .text(metadata.manager.rawValue),
            "creationDate": .text(metadata.creationDate.iso8601),
            "deletionDate": .text(ifAny: metadata.state.deletionDate?.iso8601),
            "currentVersion": .number(ifAny: metadata.currentVersion.map(Int.init)),
            "currentKeyMaterialId": .text(ifAny: metadata.currentMaterialID?.description),
            "spec": .text(metadata.spec.rawValue),
            "usage": .text(metadata.usage.rawValue),
            "origin": .text(metadata.origin.rawValue),
        ])
    }

    var sheet: Sheet {
        var sheet = Sheet()
        sheet.add("Key id", metadata.arn.keyID.description)
        sheet.add("ARN", metadata.arn.description)
        sheet.add("State", metadata.state.words)
        sheet.add("Aliases", aliases.map(\.description).joined(separator: ", "))
        sheet.add("Description", metadata.description)
        sheet.add("Managed by", metadata.manager == .aws ? "the service" : "you")
        sheet.add("Created", LocalTime.text(metadata.creationDate))
        sheet.add("Spec", "\(metadata.spec.rawValue), \(metadata.usage.rawValue)")
        if metadata.origin != .awsKms { sheet.add("Origin", metadata.origin.rawValue) }
        sheet.add("Version", metadata.currentVersion.map { String($0) })
        sheet.add("Material id", metadata.currentMaterialID?.description)
        return sheet
    }

    static func table(_ keys: [KeyDescription]) -> Table {
        var table = Table("KEY ID", "STATE", "VERSION", "CREATED", "ALIASES", "DESCRIPTION")
        for key in keys {
            table.add(
                key.metadata.arn.keyID.description, key.metadata.state.words,
                key.metadata.currentVersion.map { String($0) } ?? "-",
                LocalTime.text(key.metadata.creationDate),
                key.aliases.map(\.description).joined(separator: ", "), key.metadata.description)
        }
        return table
    }
}

extension KeyState {
    var deletionDate: Timestamp? {
        if case .pendingDeletion(let date) = self { date } else { nil }
    }

    /// For people.
    var words: String {
        switch self {
        case .enabled, .disabled, .pendingImport, .unavailable, .pendingReplicaDeletion: name
        case .pendingDeletion(let date): "\(name) on \(LocalTime.text(date))"
        }
    }
}

extension Session {
    func description(of key: String) throws(Failure) -> KeyDescription {
        let metadata = try describe(key)
        return KeyDescription(
            metadata: metadata,
            aliases: try aliases(of: metadata.arn.keyID.description).map(\.name))
    }

    /// Every key, sorted by id.
    func keyDescriptions() throws(Failure) -> [KeyDescription] {
        let names = Dictionary(grouping: try aliases(), by: \.target)
        let keys = try askForAll { service, page, caller throws(KMSError) in
            try service.listKeys(page, as: caller)
        }
        var descriptions: [KeyDescription] = []
        for key in keys {
            descriptions.append(
                KeyDescription(
                    metadata: try describe(key.description),
                    aliases: (names[key.keyID] ?? []).map(\.name)))
        }
        return descriptions
    }
}
