internal import KMSModel
internal import KMSStore

/// The tags of a key, no key twice, with AWS's rules for changing them.
struct TagSet {
    private var values: [String: String] = [:]

    init(_ tags: [Tag] = []) {
        for tag in tags { values[tag.key] = tag.value }
    }

    /// By key.
    var sorted: [Tag] {
        values.map { Tag(key: $0.key, value: $0.value) }.sorted { $0.key < $1.key }
    }

    /// - Throws: ``KMSError/tag(_:)``.
    func adding(_ tags: [Tag]) throws(KMSError) -> TagSet {
        try TagSet.refuseTooMany(tags.count)
        let names = Set(tags.map { Array($0.key.utf8) })
        guard names.count == tags.count else { throw .tag("Duplicate tag keys") }
        guard tags.allSatisfy({ TagSet.isValid($0.key) && TagSet.isValid($0.value) }) else {
            throw .tag("Invalid tag")
        }
        try TagSet.refuseReserved(tags.map(\.key))
        var result = self
        for tag in tags { result.values[tag.key] = tag.value }
        guard result.values.count <= KMSLimit.tagsPerKey else { throw .tag("Too many tags") }
        return result
    }

    /// Keys that are not there are no error.
    func removing(_ keys: [String]) throws(KMSError) -> TagSet {
        try TagSet.refuseReserved(keys)
        var result = self
        for key in keys { result.values[key] = nil }
        return result
    }

    /// Of more tags than a key has, before a policy is asked about each.
    static func refuseTooMany(_ count: Int) throws(KMSError) {
        guard count <= KMSLimit.tagsPerKey else { throw .tag("Too many tags") }
    }

    /// Letters, numbers, spaces and some signs of every script (AWS billing user guide, "User-defined
    /// tag restrictions").
    private static func isValid(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { scalar in
            if "_.:/=+-@".unicodeScalars.contains(scalar) { return true }
            return switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter,
                .otherLetter, .decimalNumber, .letterNumber, .otherNumber, .spaceSeparator,
                .lineSeparator, .paragraphSeparator:
                true
            default: false
            }
        }
    }

    private static func refuseReserved(_ keys: [String]) throws(KMSError) {
        guard !keys.contains(where: { $0.lowercased().hasPrefix("aws:") }) else {
            throw .tag("Tags beginning with aws: are reserved")
        }
    }
}

extension EmbeddedKeyService {
    func tagResource(_ request: inout Request) throws(KMSError) -> Structure {
        let tags = request.input.structures(.tags).compactMap(Tag.init)
        try TagSet.refuseTooMany(tags.count)
        try edit(group: .changeAttributes, for: &request) { _, _, record throws(KMSError) in
            record.tags = try TagSet(record.tags).adding(tags).sorted
        }
        return Structure()
    }

    func untagResource(_ request: inout Request) throws(KMSError) -> Structure {
        let keys = request.input.texts(.tagKeys)
        try TagSet.refuseTooMany(keys.count)
        try edit(group: .changeAttributes, for: &request) { _, _, record throws(KMSError) in
            record.tags = try TagSet(record.tags).removing(keys).sorted
        }
        return Structure()
    }

    func listResourceTags(_ request: inout Request) throws(KMSError) -> Structure {
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .read,
            for: &request)
        return try PageSize.tags.answer(request, .tags, entry.record.tags, by: \.key) { tag in
            Structure([.tagKey: .text(tag.key), .tagValue: .text(tag.value)])
        }
    }
}
