import ArgumentParser
import Console
import KMSModel

struct KeyShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a key with its names, tags and rotation.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let view = try session.keyView(of: key.name)
            common.output.data(view.json, view.text)
        }
    }
}

/// A key with all that `key show` tells.
struct KeyView {
    let key: KeyDescription
    let tags: [Tag]
    /// nil for keys that cannot rotate by themselves, and in states that have no rotation.
    let rotation: KeyRotationStatus?

    var json: JSONValue {
        guard case .object(let members) = key.json,
            case .object(let more) = JSONValue.object([
                "tags": .list(tags.map(\.json)), "rotation": rotation?.json ?? .null,
            ])
        else { return .null }
        return .object(members + more)
    }

    var text: String {
        var sheet = key.sheet
        sheet.add("Rotation", rotation?.words)
        for tag in tags { sheet.add("Tag \(tag.key)", tag.value) }
        return sheet.text
    }
}

extension Session {
    func keyView(of name: String) throws(Failure) -> KeyView {
        let key = try description(of: name)
        let id = key.metadata.arn.keyID.description
        let tags = try askForAll(about: name) { service, page, caller throws(KMSError) in
            try service.listResourceTags(id, page, as: caller)
        }
        return KeyView(key: key, tags: tags, rotation: try rotation(of: key.metadata))
    }

    private func rotation(of key: KeyMetadata) throws(Failure) -> KeyRotationStatus? {
        guard key.state.deletionDate == nil, key.manager == .customer, key.origin == .awsKms,
            key.spec == .symmetricDefault
        else { return nil }
        let id = key.arn.keyID.description
        return try ask(about: id) { service, caller throws(KMSError) in
            try service.keyRotationStatus(id, as: caller)
        }
    }
}

/// `NAME=VALUE`.
struct TagArgument: ExpressibleByArgument {
    let tag: Tag

    init?(argument: String) {
        guard let mark = argument.firstIndex(of: "="), mark != argument.startIndex else {
            return nil
        }
        tag = Tag(
            key: String(argument[..<mark]), value: String(argument[argument.index(after: mark)...]))
    }
}

extension Tag {
    var json: JSONValue { .object(["key": .text(key), "value": .text(value)]) }
}

struct KeyTag: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag", abstract: "Give a key tags, or change their values.",
        discussion: "Example: keyfold key tag alias/photos project=album owner=me")

    @OptionGroup var key: KeyArgument

    @Argument(help: ArgumentHelp("A tag.", valueName: "name=value"))
    var tags: [TagArgument]

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "has its tags") { service, id, caller throws(KMSError) in
            try service.tagResource(id, tags: tags.map(\.tag), as: caller)
        }
    }
}

struct KeyUntag: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "untag", abstract: "Take tags off a key.",
        discussion: "Example: keyfold key untag alias/photos owner")

    @OptionGroup var key: KeyArgument

    @Argument(help: ArgumentHelp("A tag's name.", valueName: "name"))
    var names: [String]

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "lost these tags") { service, id, caller throws(KMSError) in
            try service.untagResource(id, tagKeys: names, as: caller)
        }
    }
}
